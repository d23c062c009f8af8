// A file of every state that a file can be in, each as it was made once: what comes out of them, by programs
// of old and new versions and by the command, and what is done with them next.

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "instar/engine/check.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/migration.h"
#include "instar/engine/salvage.h"
#include "instar/engine/staging.h"
#include "instar/format/catalog.capnp.h"
#include "instar/format/file_format.h"
#include "instar/tests/frozen/description.h"
#include "instar/tests/frozen/states.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/tools/command_runner.h"

namespace instar::frozen {

void PrintTo(const FileState& state, std::ostream* out) { *out << state.name; }

namespace {

using ::testing::HasSubstr;
using Rows = Collection<capnp::DynamicStruct>;

const std::filesystem::path kFiles = std::filesystem::path(INSTAR_FROZEN_FOLDER) / "files";

std::string contentOf(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Lines that are JSON: the rows that can be read.
std::vector<std::string> rowsIn(const std::string& text) {
  std::vector<std::string> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('{')) rows.push_back(line);
  }
  return rows;
}

// The same, whatever version they were written with.
std::vector<std::string> unstamped(const std::string& text) {
  std::vector<std::string> rows = rowsIn(text);
  for (std::string& row : rows) {
    const std::size_t begin = row.find("\"$version\":");
    row.erase(begin, row.find(',', begin) + 1 - begin);
  }
  return rows;
}

class FrozenState : public tools::CommandTest, public ::testing::WithParamInterface<FileState> {
 protected:
  FrozenState() { std::filesystem::copy_file(kFiles / (state.name + ".instar"), file); }

  static StoreOptions options(OpenMode mode) {
    return {.mode = mode, .durability = Durability::off, .functions = programFunctions()};
  }
  std::string read(const std::string& part) const { return partOf(expected, part); }
  void expectUnchanged(const std::map<std::string, std::string>& before) const {
    EXPECT_EQ(listing(), before) << "reading has changed something";
    EXPECT_TRUE(contentOf(file) == contentOf(kFiles / (state.name + ".instar")));
  }

  const FileState& state = GetParam();
  const std::string expected = contentOf(kFiles / (state.name + ".txt"));
  const std::filesystem::path file = folder_ / "frozen.instar";
};

class FrozenSoundFile : public FrozenState {
 protected:
  // Gives the first row another name, as each of the programs that may do so.
  void writeByEachProgram(const Store& store) {
    for (const std::string& program : state.programs) {
      SCOPED_TRACE(program);
      const RecordSchema schema = programSchema(program);
      const std::string refusal = read("program " + program);
      if (refusal.starts_with("refused: upgradeProgram")) {
        EXPECT_ERROR(store.collection("people", schema), upgradeProgram, "");
        continue;
      }
      const bool isTrial = refusal.starts_with("refused: fixSchema");
      if (isTrial) {
        EXPECT_ERROR(store.collection("people", schema), fixSchema, "");
      }
      const Rows rows = isTrial ? store.stage("people", schema) : store.collection("people", schema);
      auto transaction = store.write();
      auto draft = rows.create();
      draft->set("id", 77'777);
      if (schema.version() < store.collections(transaction).front().writerFloor) {
        EXPECT_ERROR(rows.put(transaction, draft), upgradeProgram, "");
        continue;
      }
      rows.put(transaction, draft);
      transaction.commit();
      const std::uint16_t version = rows.get(store.read(), 77'777).version();
      if (isTrial) {
        EXPECT_LE(version, schema.version());
      } else {
        EXPECT_EQ(version, schema.version());
      }
      auto erasing = store.write();
      EXPECT_TRUE(rows.erase(erasing, 77'777));
      erasing.commit();
    }
  }
};

TEST_P(FrozenState, ComesOutAsItWasStored) {
  const auto before = listing();
  EXPECT_EQ(describe(state, file), expected);
  expectUnchanged(before);
}

TEST_P(FrozenState, IsWhatItIsNamed) {
  if (state.isThere) {
    EXPECT_TRUE(state.isThere(Store::open(file, options(OpenMode::readOnly))));
  }
}

TEST_P(FrozenState, IsReadByTheCommandWhichLeavesItAsItIs) {
  const auto before = listing();
  const std::string copy = file.string();
  const tools::Result dump = run({"dump", copy, "--with-version"});
  const std::vector<std::string> rows = rowsIn(read(kRowsPart));
  const std::vector<std::string> printed = rowsIn(abridged(dump.output));
  if (state.callsFunctions) {
    EXPECT_THAT(rows, ::testing::IsSupersetOf(printed));
    EXPECT_EQ(std::ranges::count(dump.messages, '\n'),
              static_cast<std::ptrdiff_t>(rows.size() - printed.size()))
        << "each row that needs a function is named";
  } else {
    EXPECT_EQ(printed, rows);
  }
  const tools::Result info = run({"info", copy, "--json"});
  const tools::Result checked = run({"check", copy});
  switch (state.kind) {
    case Kind::sound:
      EXPECT_EQ(info.status, 0) << info.messages;
      EXPECT_EQ(checked.status, 0) << checked.output << checked.messages;
      EXPECT_EQ(dump.status, state.callsFunctions ? 1 : 0) << dump.messages;
      break;
    case Kind::damaged:
      EXPECT_EQ(checked.status, 4) << checked.output << checked.messages;
      break;
    case Kind::refused:
      for (const tools::Result& result : {dump, info, checked}) {
        EXPECT_EQ(result.status, 3);
        EXPECT_EQ(result.output, "");
        EXPECT_NE(result.messages, "");
      }
      break;
  }
  expectUnchanged(before);
}

TEST_P(FrozenState, ComesOutOfTheToolThatReadsPagesToo) {
  const auto before = listing();
  const std::string salvaged = path("salvaged.instar");
  const tools::Result result = run({"salvage", file.string(), salvaged});
  std::vector<std::string> rows;
  if (result.status != 3) {
    rows = rowsIn(abridged(run({"dump", salvaged, "--with-version"}).output));
    std::filesystem::remove(salvaged);
    std::filesystem::remove(salvaged + "-lock");
  }
  if (state.kind == Kind::sound) {
    EXPECT_EQ(result.status, 0) << result.output << result.messages;
    if (!state.callsFunctions) {
      EXPECT_EQ(rows, rowsIn(read(kRowsPart)));
    }
  } else {
    const bool isReadByTheProgramAlone = read(kSalvagedPart).starts_with("the schemas of");
    EXPECT_EQ(rows, isReadByTheProgramAlone ? std::vector<std::string>() : rowsIn(read(kSalvagedPart)));
  }
  auto after = listing();
  after["."] = before.at(".");  // the time of the folder: salvage has written to it
  EXPECT_EQ(after, before);
}

TEST_P(FrozenSoundFile, IsNotChangedByOpeningItForWriting) {
  { const Store store = Store::open(file, options(OpenMode::openExisting)); }
  EXPECT_TRUE(contentOf(file) == contentOf(kFiles / (state.name + ".instar")));
}

TEST_P(FrozenSoundFile, GoesOnFromThere) {
  const Store store = Store::open(file, options(OpenMode::openExisting));
  std::string before;
  describeRows(before, store);
  writeByEachProgram(store);
  for (const CollectionInfo& info : store.collections(store.read()))
    migrate(store, info.name, {.mode = CompactionMode::compress});
  std::string rows;
  describeRows(rows, store);
  EXPECT_EQ(unstamped(rows), unstamped(before));
  EXPECT_TRUE(check(store).sound());
  const Verification verified = verify(store);
  EXPECT_EQ(verified.problems, 0U);
  EXPECT_TRUE(verified.kept.empty());
  EXPECT_EQ(readAudit(store, store.read()).damage, "");
}

TEST_P(FrozenSoundFile, MadeAnewIsTheSame) {
  const std::filesystem::path made = folder_ / "made.instar";
  state.make(made);
  if (state.isThere) {
    EXPECT_TRUE(state.isThere(Store::open(made, options(OpenMode::readOnly))));
  }
  if (!state.isTimed) {
    EXPECT_EQ(describe(state, made), expected);
  }
}

std::vector<FileState> statesOf(std::set<Kind> kinds) {
  std::vector<FileState> states;
  std::ranges::copy_if(fileStates(), std::back_inserter(states),
                       [&](const FileState& state) { return kinds.contains(state.kind); });
  return states;
}
std::string nameOf(const ::testing::TestParamInfo<FileState>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Every, FrozenState,
                         ::testing::ValuesIn(statesOf({Kind::sound, Kind::damaged, Kind::refused})), nameOf);
INSTANTIATE_TEST_SUITE_P(Every, FrozenSoundFile, ::testing::ValuesIn(statesOf({Kind::sound})), nameOf);

// --- files that are refused, one by one

class FrozenFileThat : public ::testing::Test {
 protected:
  std::filesystem::path copy(const std::string& name) const {
    std::filesystem::copy_file(kFiles / (name + ".instar"), folder_ / name);
    return folder_ / name;
  }
  static void expectIntact(const std::filesystem::path& file, const std::string& name) {
    EXPECT_TRUE(contentOf(file) == contentOf(kFiles / (name + ".instar")));
  }
  testing::TemporaryFolder folder_;
};

TEST_F(FrozenFileThat, IsOfANewerFormatIsRefusedAndSaysWhatToDo) {
  const auto file = copy("newer_format");
  EXPECT_ERROR(Store::open(file), upgradeProgram, "newer");
  EXPECT_ERROR(Store::open(file, {.mode = OpenMode::readOnly}), upgradeProgram, "newer");
  expectIntact(file, "newer_format");
}

TEST_F(FrozenFileThat, IsNotOursIsRefusedAndStaysAsItIs) {
  const auto file = copy("foreign");
  EXPECT_ERROR(Store::open(file), fixEnvironment, "not an Instar file");
  expectIntact(file, "foreign");
}

TEST_F(FrozenFileThat, WasNotFinishedIsFinishedByWhoWrites) {
  const auto file = copy("unfinished_creation");
  EXPECT_ERROR(Store::open(file, {.mode = OpenMode::readOnly}), fixEnvironment, "open it for writing once");
  const Store store = Store::open(file);
  EXPECT_EQ(store.fileInfo(store.read()).formatVersion, kFileFormat1);
  EXPECT_TRUE(check(store).sound());
}

TEST_F(FrozenFileThat, HasNoRecordsOfACollectionYetGetsThem) {
  const Store store = Store::open(copy("unfinished_collection"));
  const Rows rows = store.collection("people", programSchema("person_1"));
  EXPECT_EQ(rows.count(store.read()), 0U);
  EXPECT_TRUE(check(store).sound());
}

// Of a file that is cut off behind what names its trees no collection was found, and salvage called that all
// of it.
TEST_F(FrozenFileThat, IsCutOffIsNeverSalvagedAsAWhole) {
  const SalvageReport report = salvage(copy("unfinished_backup"), folder_ / "salvaged");
  EXPECT_TRUE(report.collections.empty());
  EXPECT_TRUE(report.mayLackCollections);
  EXPECT_FALSE(report.isComplete());
}

// --- whether there is one of each

class FrozenFiles : public ::testing::Test {
 protected:
  // Calls it with each file that can be opened.
  template <class Visit>
  static void forEach(Visit&& visit) {
    for (const FileState& state : fileStates()) {
      if (!state.isThere) continue;
      visit(Store::open(kFiles / (state.name + ".instar"),
                        {.mode = OpenMode::readOnly, .functions = programFunctions()}));
    }
  }

  // Names of enumerants that are not among the numbers; the invalid one is nobody's.
  template <class Enum>
  static std::vector<std::string> missing(const std::set<int>& numbers) {
    std::vector<std::string> names;
    for (const auto enumerant : capnp::Schema::from<Enum>().getEnumerants()) {
      const bool isMeant = enumerant.getOrdinal() != 0;
      if (isMeant && !numbers.contains(enumerant.getOrdinal()))
        names.emplace_back(enumerant.getProto().getName().cStr());
    }
    return names;
  }
};

TEST_F(FrozenFiles, AreThereForEachStateAndNoOther) {
  std::set<std::string> expected;
  for (const FileState& state : fileStates()) {
    expected.insert(state.name + ".instar");
    expected.insert(state.name + ".txt");
  }
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(kFiles)) {
    found.insert(entry.path().filename().string());
    EXPECT_LE(entry.file_size(), 128U << 10) << entry.path();
  }
  EXPECT_EQ(found, expected);
}

TEST_F(FrozenFiles, HaveEveryStateOfAVersion) {
  std::set<int> states;
  forEach([&](const Store& store) {
    const auto snapshot = store.read();
    for (const CollectionInfo& info : store.collections(snapshot)) {
      try {
        for (const VersionInfo& version : store.versions(snapshot, info.name))
          states.insert(static_cast<int>(version.state));
      } catch (const Error&) {  // of a damaged catalog
      }
    }
  });
  EXPECT_THAT(missing<catalog::VersionState>(states), ::testing::IsEmpty());
}

TEST_F(FrozenFiles, HaveEveryEventOfTheAudit) {
  std::set<int> events;
  forEach([&](const Store& store) {
    for (const AuditEntry& entry : readAudit(store, store.read()).entries)
      events.insert(static_cast<int>(entry.event));
  });
  EXPECT_THAT(missing<catalog::AuditEvent>(events), ::testing::IsEmpty());
}

TEST_F(FrozenFiles, HaveEveryFormatAndOneBehindTheNewest) {
  std::set<std::uint16_t> formats;
  forEach([&](const Store& store) { formats.insert(store.fileInfo(store.read()).formatVersion); });
  for (std::uint16_t format = kFileFormat1; format <= kFileFormat; ++format)
    EXPECT_TRUE(formats.contains(format)) << format;
  EXPECT_EQ(formats.size(), static_cast<std::size_t>(kFileFormat));
}

// Every record of format/catalog.capnp has its key, so what is in the catalogs is of these kinds.
TEST_F(FrozenFiles, HaveEveryKindOfRecordAndTree) {
  const std::vector<std::string_view> kinds = {kFormatKey,
                                               kGenerationKey,
                                               kCollectionKeyPrefix,
                                               kVersionKeyPrefix,
                                               kStagingKeyPrefix,
                                               kDivergenceKeyPrefix,
                                               kTiersKeyPrefix,
                                               kDictionaryKeyPrefix,
                                               kPartitionKeyPrefix,
                                               kCompactionKey,
                                               kAuditKey,
                                               kCanaryKeyPrefix};
  std::set<std::string_view> found;
  std::set<std::string> trees;
  for (const FileState& state : fileStates()) {
    if (!state.isThere) continue;
    const auto environment =
        storage::openLmdb(kFiles / (state.name + ".instar"), {.mode = OpenMode::readOnly});
    for (const std::string_view tree :
         {kRowTreePrefix, kColdTreePrefix, kPreimageRowTreePrefix, kPreimageColdTreePrefix}) {
      if (environment->openTree(std::string(tree) + "people", false)) trees.emplace(tree);
    }
    const auto tree = environment->openTree(kCatalogTree, false);
    const auto transaction = environment->begin(storage::Access::read, std::chrono::seconds(1));
    const auto cursor = transaction->cursor(tree.value());
    for (bool more = cursor->first(); more; more = cursor->next()) {
      const std::string_view key = asText(cursor->key());
      const auto kind = std::ranges::find_if(kinds, [&](std::string_view prefix) {
        return prefix.ends_with('/') ? key.starts_with(prefix) : key == prefix;
      });
      ASSERT_NE(kind, kinds.end()) << key << " is of a kind that no file was frozen for";
      found.insert(*kind);
    }
  }
  EXPECT_EQ(found.size(), kinds.size());
  EXPECT_EQ(trees.size(), 4U);
}

}  // namespace
}  // namespace instar::frozen
