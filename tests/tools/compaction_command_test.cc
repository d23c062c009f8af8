// Packed files under every command, and the commands that say what compaction does and has done.

#include <gmock/gmock.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>

#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/compactor_record.h"
#include "instar/engine/internal/compaction/worker.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/internal/store_state.h"
#include "instar/engine/migration.h"
#include "instar/engine/store.h"
#include "instar/format/file_format.h"
#include "instar/tests/tools/command_runner.h"
#include "instar/tests/tools/records.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class PackedFile : public CommandTest {
 protected:
  static constexpr int kRows = 600;

  // `wards,TAX-i` for sensitive keys.
  std::string makePatients() const {
    std::string rows;
    for (int i = 0; i < 300; ++i)
      rows += R"({"ward":"w","taxId":"TAX-)" + std::to_string(1000 + i) +
              R"(","name":"Ada"})"
              "\n";
    expect(0, {"import", path("p.instar"), "patients", write("p.ndjson", rows), "--schema",
               schema("patient.capnp:Patient")});
    return path("p.instar");
  }

  // Parcels of version 1, which version 2 upgrades.
  std::string makeParcels() const {
    std::string rows;
    for (int i = 1; i <= kRows; ++i) {
      rows += R"({"id":)" + std::to_string(i) + R"(,"kilos":)" + std::to_string(i % 200) +
              R"(,"sender":"Ada, London","route":"12"})"
              "\n";
    }
    expect(0, {"import", path("f.instar"), "parcels", write("rows.ndjson", rows), "--schema",
               schema("parcel_v1.capnp:Parcel")});
    return path("f.instar");
  }
  std::string makeEvolvedParcels() const {
    const std::string file = makeParcels();
    expect(0, {"evolve", file, "parcels", "--schema", schema("parcel_v2.capnp:Parcel")});
    return file;
  }
  std::string makePackedParcels() const {
    const std::string file = makeEvolvedParcels();
    expect(0, {"migrate", file, "parcels", "--compress", "--eager"});
    return file;
  }

  // With pre-images, as a process leaves them that ends between its pass and the verification.
  std::string makeUnverifiedParcels(CompactionMode mode = CompactionMode::compress) const {
    const std::string file = makeEvolvedParcels();
    const Store store = Store::open(file);
    const auto state = store.read().state().sharedStore();
    const auto version = *store.version(store.read(), "parcels", 2);
    std::shared_ptr<CollectionState> parcels;
    {
      TransactionState reading(state, storage::Access::read);
      parcels =
          std::make_shared<CollectionState>(state, store.plans(store.read(), "parcels", version),
                                            *state->environment().openTree(rowTreeName("parcels"), false),
                                            *Catalog(reading).collection("parcels"), reading);
    }
    Worker worker(state, parcels, {.mode = mode, .keepPreimages = true});
    while (!worker.step({.lower = {}, .packs = mode == CompactionMode::compress}, [] {})) {
    }
    return file;
  }

  // Changes the stored bytes of the last entry of a tree.
  static void tamperTree(const std::string& file, std::string_view tree,
                         const std::function<void(std::span<std::byte>)>& change) {
    const auto environment = storage::openLmdb(file, {});
    const auto id = environment->openTree(tree, false);
    const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
    const auto cursor = transaction->cursor(*id);
    ASSERT_TRUE(cursor->last());
    const Key key(cursor->key());
    std::vector<std::byte> value(cursor->value().begin(), cursor->value().end());
    change(value);
    std::ranges::copy(value, transaction->reserve(*id, key.bytes(), value.size()).begin());
    transaction->commit();
  }

  static void eraseLast(const std::string& file, std::string_view tree) {
    const auto environment = storage::openLmdb(file, {});
    const auto id = environment->openTree(tree, false);
    const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
    const auto cursor = transaction->cursor(*id);
    ASSERT_TRUE(cursor->last());
    const Key key(cursor->key());
    transaction->erase(*id, key.bytes());
    transaction->commit();
  }

  static void writeReport(const std::string& file, const CompactorReport& record) {
    const Store store = Store::open(file);
    TransactionState transaction(store.read().state().sharedStore(), storage::Access::write);
    writeCompactorRecord(transaction, record);
    transaction.commit();
  }

  JsonValue json(int status, std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return parseJson(expect(status, arguments));
  }
};

void flipMiddle(std::span<std::byte> value) { value[value.size() / 2] ^= std::byte{1}; }

TEST_F(PackedFile, ShowsTheSameRowsAsBefore) {
  const std::string file = makeEvolvedParcels();
  const auto outputs = [&] {
    return std::vector<std::string>{expect(0, {"dump", file, "parcels", "--unmask"}),
                                    expect(0, {"dump", file, "parcels", "--unmask", "--reverse"}),
                                    expect(0, {"dump", file, "parcels", "--format", "csv", "--from", "100"}),
                                    expect(0, {"dump", file, "parcels", "--keys-only"}),
                                    expect(0, {"get", file, "parcels", "1", "300", "600"}),
                                    expect(0, {"count", file, "parcels"}),
                                    expect(0, {"count", file, "parcels", "--from", "7", "--to", "20"})};
  };
  const auto before = outputs();
  expect(0, {"migrate", file, "parcels", "--compress", "--eager"});
  EXPECT_EQ(outputs(), before);
  EXPECT_THAT(expect(0, {"get", file, "parcels", "7", "--as-stored", "--with-version"}),
              HasSubstr(R"("$version":2)"));
  expect(0, {"dump", file, "parcels", "--format", "hex", "--unmask"});
  EXPECT_THAT(expect(0, {"check", file}), HasSubstr("600 rows"));
  expect(0, {"backup", file, path("copy.instar"), "--compact"});
  EXPECT_EQ(expect(0, {"dump", path("copy.instar"), "parcels", "--unmask"}), before[0]);
  expect(0, {"compact", file});
  EXPECT_EQ(outputs(), before);
}

TEST_F(PackedFile, AnErasedRowIsInNoOutput) {
  const std::string file = makePackedParcels();
  expect(0, {"delete", file, "parcels", "7"});
  expect(0, {"put", file, "parcels", R"({"id":8,"grams":5,"sender":"Grace","line":3})"});
  EXPECT_EQ(expect(0, {"count", file, "parcels"}), "599\n");
  for (const std::vector<std::string>& options :
       std::vector<std::vector<std::string>>{{}, {"--as-stored"}, {"--keys-only"}, {"--reverse"}}) {
    std::vector<std::string> arguments = {"dump", file, "parcels"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    EXPECT_EQ(countLines(expect(0, arguments)), 599U);
    EXPECT_THAT(expect(0, arguments), Not(HasSubstr(R"({"id":7,)")));
  }
  expect(1, {"get", file, "parcels", "7"});
  expect(1, {"get", file, "parcels", "7", "--as-stored"});
  EXPECT_THAT(expect(0, {"get", file, "parcels", "8"}), HasSubstr(R"("grams":5)"));
  EXPECT_THAT(expect(0, {"check", file}), HasSubstr("599 rows"));
  const JsonValue info = json(0, {"info", file});
  const JsonValue& parcels = info.find("collections")->elements.at(0);
  EXPECT_EQ(parcels.find("rows")->text, "599");
  EXPECT_EQ(parcels.find("coldRows")->text, "598");
  EXPECT_NE(parcels.find("coldBlocks")->text, "0");
  EXPECT_EQ(info.find("formatVersion")->text, "2");
}

TEST_F(PackedFile, ADamagedBlockIsReportedByWhatReadsIt) {
  const std::string file = makePackedParcels();
  tamperTree(file, "cold/parcels", flipMiddle);
  EXPECT_THAT(expect(4, {"check", file}),
              AllOf(HasSubstr("damagedBlock in parcels under 600: "), HasSubstr("checksum")));
  EXPECT_EQ(run({"dump", file, "parcels"}).status, 4);
  EXPECT_EQ(run({"get", file, "parcels", "600"}).status, 4);
  EXPECT_EQ(run({"verify", file}).status, 4);
  const JsonValue found = json(4, {"verify", file});
  EXPECT_EQ(found.find("problems")->text, "1");
  const JsonValue& partition = found.find("partitions")->elements.at(0);
  EXPECT_THAT(partition.find("problem")->text, HasSubstr("checksum"));
  EXPECT_EQ(partition.find("expected")->find("rows")->text, "600");
  EXPECT_EQ(partition.find("expected")->find("checksum")->text.size(), 16U);
}

// --- migrate

TEST_F(PackedFile, MigrateTellsWhatItPackedBesideTheEstimate) {
  const std::string file = makeEvolvedParcels();
  std::filesystem::remove(file + "-lock");
  const auto before = listing();
  EXPECT_THAT(expect(0, {"migrate", file, "parcels", "--compress", "--dry-run"}),
              AllOf(HasSubstr("600 rows, 600 of them"), HasSubstr("about 600 rows to change, ")));
  EXPECT_EQ(listing(), before);
  const JsonValue done = json(0, {"migrate", file, "parcels", "--compress", "--eager"});
  const JsonValue& parcels = done.find("collections")->elements.at(0);
  EXPECT_EQ(parcels.find("packed")->text, "600");
  EXPECT_EQ(parcels.find("verified")->text, "600");
  EXPECT_EQ(parcels.find("partitions")->text, "1");
  EXPECT_EQ(parcels.find("estimate")->find("changedRows")->text, "600");
  EXPECT_NE(parcels.find("estimate")->find("bytesToWrite")->text, "0");
  EXPECT_THAT(expect(0, {"migrate", file, "parcels", "--compress"}),
              StartsWith("parcels: 600 rows, 0 rewritten\n"));
}

TEST_F(PackedFile, MigrateTakesAPartitionByAnyOfItsKeys) {
  const std::string file = makeEvolvedParcels();
  EXPECT_THAT(expect(0, {"migrate", file, "parcels", "--partition", "17"}), HasSubstr("600 rewritten"));
  EXPECT_THAT(expect(0, {"migrate", file, "parcels", "--partition", "0x00", "--compress"}),
              AllOf(HasSubstr("600 packed"), Not(HasSubstr("estimated"))));
  EXPECT_EQ(run({"migrate", file, "--partition", "17"}).status, 2);
  EXPECT_EQ(run({"migrate", file, "parcels", "--partition", "x"}).status, 2);
}

// --- versions

TEST_F(PackedFile, VersionsSaysWhichAreGone) {
  const std::string file = makeEvolvedParcels();
  EXPECT_THAT(expect(0, {"versions", file}), Not(HasSubstr("gone")));
  EXPECT_EQ(json(0, {"versions", file}).find("collections")->elements.at(0).find("walkedRows")->text, "600");
  expect(0, {"migrate", file, "parcels", "--eager"});
  EXPECT_THAT(expect(0, {"versions", file}), HasSubstr("gone: what upgrades from it may be deleted"));
  const JsonValue result = json(0, {"versions", file});
  const JsonValue& parcels = result.find("collections")->elements.at(0);
  EXPECT_EQ(parcels.find("walkedRows")->text, "0");
  EXPECT_EQ(parcels.find("settledPartitions")->text, "1");
  EXPECT_TRUE(parcels.find("versions")->elements.at(0).find("gone")->truth);
  EXPECT_FALSE(parcels.find("versions")->elements.at(0).find("mayComeBack")->truth);
  EXPECT_EQ(parcels.find("versions")->elements.at(1).find("bytes")->kind, JsonValue::Kind::null);
}

TEST_F(PackedFile, VersionsSaysWhereAVersionThatIsGoneMayComeBack) {
  const std::string file = makeEvolvedContacts();
  for (const char* key : {"main,1", "main,2", "side,1"}) expect(0, {"delete", file, "contacts", key});
  EXPECT_THAT(expect(0, {"versions", file}), HasSubstr("gone, but its programs may still write"));
  const JsonValue result = json(0, {"versions", file});
  const JsonValue& version = result.find("collections")->elements.at(0).find("versions")->elements.at(0);
  EXPECT_TRUE(version.find("gone")->truth);
  EXPECT_TRUE(version.find("mayComeBack")->truth);
}

TEST_F(PackedFile, VersionsNamesTheReaderOfAnOlderSnapshot) {
  const std::string file = makeEvolvedParcels();
  const Store store = Store::open(file);
  const ReadTransaction snapshot = store.read();
  expect(0, {"migrate", file, "parcels", "--eager"});
  const std::string process = std::to_string(::getpid());
  EXPECT_THAT(run({"versions", file}).messages, HasSubstr("process " + process + " still reads snapshot "));
  const JsonValue readers = json(0, {"versions", file});
  EXPECT_EQ(readers.find("olderSnapshots")->elements.at(0).find("process")->text, process);
}

// --- progress

TEST_F(PackedFile, ProgressShowsWhatIsDoneAndWhatIsNot) {
  const std::string file = makeEvolvedParcels();
  EXPECT_THAT(expect(0, {"progress", file}),
              AllOf(HasSubstr("parcels: 600 rows of version 2 and before, 0 done, 600 to be upgraded"),
                    HasSubstr("pending"), HasSubstr("the beginning"), HasSubstr("nobody has compacted")));
  const JsonValue pending = json(0, {"progress", file});
  EXPECT_FALSE(pending.find("done")->truth);
  EXPECT_EQ(pending.find("secondsLeft")->kind, JsonValue::Kind::null);
  expect(0, {"migrate", file, "--compress", "--eager"});
  EXPECT_THAT(expect(0, {"progress", file, "--partitions"}),
              AllOf(HasSubstr("600 done, 0 to be"), HasSubstr("packed")));
  const JsonValue done = json(0, {"progress", file, "--watch"});
  EXPECT_TRUE(done.find("done")->truth);
  const JsonValue& parcels = done.find("collections")->elements.at(0);
  EXPECT_EQ(parcels.find("remainingRows")->text, "0");
  EXPECT_EQ(parcels.find("coldRows")->text, "600");
  EXPECT_EQ(parcels.find("partitions")->elements.at(0).find("state")->text, "packed");
}

TEST_F(PackedFile, ProgressSaysWhatTheCompactorSaidAndWhetherItLives) {
  const std::string file = makeEvolvedParcels();
  CompactorReport record;
  record.mode = CompactionMode::compress;
  record.status.wait = WaitReason::writersWaiting;
  record.status.rate = 1 << 20;
  record.status.rowsPerSecond = 10;
  record.status.bytesPerSecond = 2000;
  writeReport(file, record);  // of this process
  EXPECT_THAT(expect(0, {"progress", file}),
              AllOf(HasSubstr("compaction: waits for writers since "), HasSubstr("allowed 1,048,576"),
                    HasSubstr("time left: 1 min 1 s")));
  EXPECT_EQ(json(0, {"progress", file}).find("secondsLeft")->text, "61");
}

TEST_F(PackedFile, ProgressSaysThatTheCompactorIsGone) {
  const std::string file = makeEvolvedParcels();
  CompactorReport record;
  record.status.rowsPerSecond = 10;
  const pid_t child = ::fork();
  if (child == 0) {
    writeReport(file, record);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_THAT(expect(0, {"progress", file}),
              AllOf(HasSubstr("its program is gone"), HasSubstr("time left: unknown")));
  EXPECT_FALSE(json(0, {"progress", file}).find("compactor")->find("alive")->truth);
}

// Gives what comes from the terminal until it holds `wanted`, or until the other end is closed.
std::string readTerminal(int terminal, std::string_view wanted) {
  std::string text;
  char bytes[4096];
  while (wanted.empty() || text.find(wanted) == std::string::npos) {
    const ssize_t length = ::read(terminal, bytes, sizeof(bytes));
    if (length <= 0) break;
    text.append(bytes, static_cast<std::size_t>(length));
  }
  return text;
}

TEST_F(PackedFile, CtrlCEndsWatchingAtOnceAndLeavesTheTerminalAsItWas) {
  const std::string file = makeEvolvedParcels();
  int terminal = -1;
  const pid_t process = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (process == 0) {
    ::alarm(60);  // nobody else ends it where it does not listen
    ::execl(INSTAR_COMMAND, "instar", "progress", file.c_str(), "--watch", nullptr);
    ::_exit(127);
  }
  struct termios before {};
  ASSERT_EQ(::tcgetattr(terminal, &before), 0);
  EXPECT_THAT(readTerminal(terminal, "nobody has compacted"),
              AllOf(HasSubstr("\033[H\033[J"), HasSubstr("pending")));
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(::write(terminal, "\003", 1), 1);
  const std::string rest = readTerminal(terminal, "");
  int status = 0;
  ASSERT_EQ(::waitpid(process, &status, 0), process);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGINT) << "status " << status;
  EXPECT_THAT(rest, Not(HasSubstr("\033"))) << "nothing is drawn any more";
  struct termios after {};
  ASSERT_EQ(::tcgetattr(terminal, &after), 0);
  EXPECT_EQ(after.c_lflag, before.c_lflag);
  EXPECT_EQ(after.c_iflag, before.c_iflag);
  EXPECT_EQ(after.c_oflag, before.c_oflag);
  ::close(terminal);
}

TEST_F(PackedFile, AMismatchIsLoudAndLastsUntilItIsResumed) {
  const std::string file = makeEvolvedParcels();
  CompactorReport record;
  record.stoppedByMismatch = true;
  writeReport(file, record);
  EXPECT_THAT(expect(4, {"progress", file}), HasSubstr("COMPACTION HAS STOPPED"));
  EXPECT_EQ(run({"migrate", file}).status, 4);
  expect(0, {"verify", file});
  EXPECT_EQ(run({"migrate", file}).status, 4) << "a verification alone changes nothing";
  EXPECT_THAT(run({"verify", file, "--resume"}).messages, HasSubstr("may compact the file again"));
  expect(0, {"migrate", file});
  EXPECT_THAT(expect(0, {"audit", file, "--event", "circuitClosed"}), HasSubstr("the file was verified"));
}

TEST_F(PackedFile, AVerificationWithProblemsResumesNothing) {
  const std::string file = makePackedParcels();
  CompactorReport record;
  record.stoppedByMismatch = true;
  writeReport(file, record);
  tamperTree(file, "cold/parcels", flipMiddle);
  expect(4, {"verify", file, "--resume"});
  EXPECT_EQ(run({"migrate", file}).status, 4);
  EXPECT_EQ(expect(0, {"audit", file, "--event", "circuitClosed"}), "");
}

// --- pre-images

TEST_F(PackedFile, PreimagesAreGoneWhenAMigrationHasEnded) {
  const std::string file = makeEvolvedParcels();
  const std::string before = expect(0, {"dump", file, "parcels"});
  expect(0, {"migrate", file, "--compress", "--keep-preimages", "--eager"});
  EXPECT_EQ(expect(0, {"dump", file, "parcels"}), before);
  EXPECT_THAT(expect(0, {"verify", file}), Not(HasSubstr("kept")));
  const Result none = run({"dump", file, "parcels", "--preimages"});
  EXPECT_EQ(none.status, 1);
  EXPECT_EQ(none.output, "");
  EXPECT_THAT(none.messages, HasSubstr("no pre-images are kept of parcels"));
}

TEST_F(PackedFile, PreimagesAreNoRowsAndAreDumpedWhereAskedFor) {
  const std::string file = makeUnverifiedParcels();
  const std::string rows = expect(0, {"dump", file, "parcels"});
  EXPECT_EQ(countLines(rows), kRows);
  EXPECT_EQ(expect(0, {"dump", file, "parcels", "--preimages"}), rows);
  EXPECT_EQ(countLines(expect(0, {"dump", file})), kRows);
  EXPECT_EQ(countLines(expect(0, {"dump", file, "--preimages"})), kRows);
  EXPECT_THAT(expect(0, {"dump", file, "parcels", "--preimages", "--with-version", "--limit", "1"}),
              HasSubstr(R"("$version":1)"));
  EXPECT_EQ(countLines(expect(0, {"dump", file, "parcels", "--preimages", "--format", "csv"})), kRows + 1);
  EXPECT_EQ(expect(0, {"count", file, "parcels"}), "600\n");
  expect(0, {"check", file});
  EXPECT_THAT(expect(0, {"verify", file}),
              HasSubstr("600 rows and 0 blocks are kept as they were: instar dump FILE parcels --preimages"));
  EXPECT_EQ(json(0, {"verify", file}).find("kept")->elements.at(0).find("rows")->text, "600");
  expect(0, {"migrate", file});
  EXPECT_EQ(run({"dump", file, "--preimages"}).status, 1);
}

TEST_F(PackedFile, RowsOfALostBlockComeBackInAnotherFile) {
  const std::string file = makeUnverifiedParcels();
  const std::string before = expect(0, {"dump", file, "parcels", "--unmask"});
  eraseLast(file, "cold/parcels");
  const Result result = run({"migrate", file});
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.messages,
              AllOf(HasSubstr("600 rows"), HasSubstr("instar dump FILE parcels --preimages")));
  EXPECT_THAT(expect(0, {"audit", file, "--event", "mismatch"}), HasSubstr("600 rows and 0 blocks are kept"));
  EXPECT_LT(countLines(expect(4, {"dump", file, "parcels", "--unmask"})), kRows);
  const std::string sound = write("sound.ndjson", run({"dump", file, "parcels", "--unmask"}).output);
  const std::string kept =
      write("kept.ndjson", expect(0, {"dump", file, "parcels", "--unmask", "--preimages"}));
  const std::string other = path("other.instar");
  expect(0, {"import", other, "parcels", sound, "--schema", schema("parcel_v2.capnp:Parcel")});
  expect(0, {"import", other, "parcels", kept});
  EXPECT_EQ(expect(0, {"dump", other, "parcels", "--unmask"}), before);
  EXPECT_EQ(countLines(expect(0, {"dump", file, "parcels", "--unmask", "--preimages"})), kRows)
      << "the evidence stays";
}

TEST_F(PackedFile, DamagedRowsComeBackInTheSameFile) {
  const std::string file = makeUnverifiedParcels(CompactionMode::upgrade);
  const std::string before = expect(0, {"dump", file, "parcels", "--unmask", "--preimages"});
  tamperTree(file, "rows/parcels", flipMiddle);
  EXPECT_THROW(migrate(Store::open(file), "parcels"), Error);
  EXPECT_THAT(expect(4, {"progress", file}), HasSubstr("COMPACTION HAS STOPPED"));
  expect(0, {"import", file, "parcels", write("kept.ndjson", before)});
  EXPECT_EQ(expect(0, {"dump", file, "parcels", "--unmask"}), before);
  EXPECT_THAT(run({"verify", file, "--resume"}).messages, HasSubstr("what is kept of a partition goes when"));
  expect(0, {"migrate", file});
  EXPECT_EQ(run({"dump", file, "--preimages"}).status, 1);
}

// --- audit

TEST_F(PackedFile, AuditPrintsALineForEachEntry) {
  const std::string file = makeEvolvedParcels();
  EXPECT_EQ(expect(0, {"audit", file}), "");
  expect(0, {"migrate", file, "--compress", "--eager"});
  EXPECT_THAT(expect(0, {"audit", file, "--event", "passEnded"}),
              AllOf(HasSubstr("passEnded  parcels from the beginning: version 1 to 2, 600 rows"),
                    HasSubstr(", checksum ")));
  expect(0, {"migrate", file, "--compress", "--eager"});
  const JsonValue all = json(0, {"audit", file});
  EXPECT_EQ(all.find("damage")->text, "");
  const std::size_t entries = all.find("entries")->elements.size();
  ASSERT_GE(entries, 2U);
  EXPECT_EQ(all.find("entries")->elements[0].find("number")->text, "1");
  EXPECT_EQ(json(0, {"audit", file, "--after", "1"}).find("entries")->elements.size(), entries - 1);
  EXPECT_EQ(countLines(expect(0, {"audit", file, "--limit", "1"})), 1U);
  EXPECT_EQ(run({"audit", file, "--event", "lunch"}).status, 2);
  EXPECT_EQ(run({"audit", file, "--limit", "-1"}).status, 2);
}

TEST_F(PackedFile, ABrokenAuditIsDamage) {
  const std::string file = makePackedParcels();
  expect(0, {"migrate", file, "--compress", "--eager"});
  tamperTree(file, kAuditTree, flipMiddle);
  const Result result = run({"audit", file});
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.messages, HasSubstr("the audit is damaged: entry "));
  EXPECT_GE(countLines(result.output), 1U);
  EXPECT_THAT(json(4, {"audit", file}).find("damage")->text, HasSubstr("it is damaged"));
}

TEST_F(PackedFile, AuditNamesRowsThatCouldNotBeUpgraded) {
  const std::string file = makePatients();
  {
    const Store store = Store::open(file);
    openAudit(store.read().state().store().environment());
    const auto patients = store.collection("patients");
    const Key key = patients.key("w", "TAX-1007");
    const Bytes bytes = key.bytes();
    TransactionState transaction(store.read().state().sharedStore(), storage::Access::write);
    appendAudit(
        transaction,
        {.time = 1'700'000'000'000'000'000,
         .event = AuditEvent::finished,
         .collection = "patients",
         .failedRows = 2,
         .failures = {
             {.key = {bytes.begin(), bytes.end()}, .version = 1, .field = "age", .reason = "out of range"}}});
    transaction.commit();
  }
  EXPECT_THAT(expect(0, {"audit", file}),
              AllOf(HasSubstr("1  2023-11-14T22:13:20Z  finished  patients: 2 cannot be upgraded"),
                    HasSubstr("), version 1: age: out of range\n  …"), Not(HasSubstr("TAX"))));
  EXPECT_THAT(expect(0, {"audit", file, "--unmask"}),
              HasSubstr("\n  w,TAX-1007, version 1: age: out of range\n"));
  const JsonValue named = json(0, {"audit", file, "--unmask"});
  const JsonValue& failure = named.find("entries")->elements.at(0).find("failures")->elements.at(0);
  EXPECT_EQ(failure.find("key")->text, "w,TAX-1007");
  EXPECT_EQ(failure.find("reason")->text, "out of range");
}

TEST_F(PackedFile, SensitiveKeysAreMaskedInReasons) {
  const std::string file = makePatients();
  expect(0, {"migrate", file, "--compress", "--eager"});
  CompactorReport record;
  record.status.detail = "a row is damaged (key: w,TAX-1007)";
  writeReport(file, record);
  {
    const Store store = Store::open(file);
    openAudit(store.read().state().store().environment());
    TransactionState transaction(store.read().state().sharedStore(), storage::Access::write);
    appendAudit(transaction, {.event = AuditEvent::failed, .reason = record.status.detail});
    transaction.commit();
  }
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"progress", file, "--partitions"},
                                             {"progress", file, "--json"},
                                             {"audit", file},
                                             {"verify", file, "--json"},
                                             {"migrate", file}}) {
    EXPECT_THAT(expect(0, arguments), Not(HasSubstr("TAX"))) << arguments[0];
  }
  EXPECT_THAT(expect(0, {"progress", file}), HasSubstr("last failure: $masked(reason)"));
  EXPECT_THAT(expect(0, {"progress", file, "--unmask"}), HasSubstr("key: w,TAX-1007"));
  EXPECT_THAT(expect(0, {"audit", file, "--event", "failed"}), HasSubstr("$masked(reason)"));
  EXPECT_THAT(expect(0, {"audit", file, "--unmask"}), HasSubstr("key: w,TAX-1007"));
}

}  // namespace
}  // namespace instar::tools
