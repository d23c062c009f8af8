// A compacting process is killed, at every named point and at random moments, while others in it read, write
// and add versions. No row is lost, doubled or upgraded by half, and the next process goes on where it was.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/internal/compaction/settlement.h"
#include "instar/engine/internal/compaction/worker.h"
#include "instar/engine/preimages.h"
#include "instar/tests/support/note_versions.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

constexpr std::uint64_t kStill = 600;        // rows that nobody changes
constexpr std::uint64_t kAtOnce = 20;        // rows that each transaction writes its number to
constexpr std::uint64_t kFirstAdded = 5000;  // and where it adds one
constexpr std::uint64_t kKept = 50;          // of which so many are kept

constexpr std::uint64_t still(std::uint64_t id) { return 100 + 2 * id; }
constexpr std::uint64_t placeOf(std::uint64_t id) { return 101 + 2 * 29 * id; }  // among them

const RecordSchema& schemaOf(int version) {
  static std::map<int, RecordSchema> schemas;
  const auto found = schemas.find(version);
  return found != schemas.end() ? found->second
                                : schemas.emplace(version, testing::noteVersion(version)).first->second;
}

class Rows : public Collection<capnp::DynamicStruct> {
 public:
  explicit Rows(Collection<capnp::DynamicStruct> rows) : Collection(std::move(rows)) {}
  CollectionState& state() const noexcept { return *state_; }

  void put(WriteTransaction& transaction, std::uint64_t id, std::uint64_t number) const {
    auto draft = create();
    draft->set("id", id);
    draft->set("number", std::to_string(number).c_str());
    draft->set("filler", std::string(number * 37 % 700, 'f').c_str());
    for (int since = 2; since <= schema().version(); ++since)
      draft->set("derived" + std::to_string(since), number);
    Collection::put(transaction, draft);
  }

  // Fails where the row is upgraded by half.
  std::uint64_t numberOf(const Row<capnp::DynamicStruct>& row) const {
    if (!row) return 0;
    const std::uint64_t number = std::stoull(row->get("number").as<capnp::Text>().cStr());
    for (int since = 2; since <= schema().version(); ++since) {
      if (row->get("derived" + std::to_string(since)).as<std::uint64_t>() != number)
        throw std::logic_error("a row that is upgraded by half");
    }
    return number;
  }
  std::uint64_t numberOf(const Transaction& seen, std::uint64_t id) const { return numberOf(get(seen, id)); }
};

// What was kept of partitions whose pass has ended.
void settle(const std::shared_ptr<StoreState>& store, const Rows& rows, const BatchLimits& limits) {
  const auto preimages = Preimages::find(*store, "notes");
  const auto next = [&] {
    TransactionState transaction(store, storage::Access::read);
    return preimages ? partitionToSettle(transaction, rows.state(), *preimages) : std::optional<Key>();
  };
  while (const auto lower = next()) {
    Settlement settlement(store, rows.state(), *preimages, *lower, limits);
    while (!settlement.isDone()) {
      if (const auto mismatch = settlement.step()) throw std::logic_error(mismatch->what);
    }
  }
}

// A pass over every partition that has not had one for this version, from where the last process was.
void compact(const Store& store, const Rows& rows, const BatchLimits& limits) {
  const auto state = store.read().state().sharedStore();
  const CompactionLock lock(state);
  Batch batch(state, rows.state(), CompactionMode::compress, limits, 10);
  for (std::optional<Key> lower = Key(); lower;) {
    Partition partition;
    {
      const auto snapshot = store.read();
      partition = Partitions(snapshot.state(), "notes").of(*lower);
    }
    const bool isDone =
        !partition.pass && partition.compressed && partition.passedFor == rows.schema().version();
    settle(state, rows, limits);
    while (!isDone) {
      batch.prepare(partition.lower);
      do {
        batch.install();
        if (const auto mismatch = batch.verify()) throw std::logic_error(mismatch->what);
      } while (!batch.isInstalled());
      if (batch.endedPass()) break;
    }
    settle(state, rows, limits);
    const auto snapshot = store.read();
    const Partitions partitions(snapshot.state(), "notes");
    lower = partitions.upperOf(partitions.of(partition.lower));
  }
}

BatchLimits small() { return {.rows = 40, .lockTime = std::chrono::microseconds(0), .partitionRows = 150}; }

void fillStill(const Store& store, const Rows& rows) {
  auto transaction = store.write();
  for (std::uint64_t id = 0; id < kStill; ++id) rows.put(transaction, still(id), 7 * id + 1);
  transaction.commit();
}

std::string faultOf(const Store& store) {
  const CheckReport report = check(store);
  if (!report.sound()) return report.problems.front().message;
  for (const VerifiedPartition& partition : verify(store).partitions) {
    if (!partition.problem.empty()) return partition.problem;
  }
  return readAudit(store, store.read()).damage;
}

// Runs in a fork of its own until it is killed or done; returns whether it was killed.
template <class Body>
bool isKilled(Body&& body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    try {
      body();
    } catch (const std::exception& exception) {
      std::fprintf(stderr, "in the child: %s\n", exception.what());
      _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status);
}

struct CrashPoint {
  const char* name;
  bool keepsPreimages = false;
};

class CompactionCrashPoint : public ::testing::TestWithParam<CrashPoint> {
 protected:
  CompactionCrashPoint() {
    const Store store = Store::open(path, {.durability = Durability::off});
    const Rows first(store.collection("notes", schemaOf(1)));
    fillStill(store, first);
    compact(store, first, {});
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < kStill; id += 5) {
      if (id % 3 == 0)
        first.erase(transaction, still(id));
      else
        first.put(transaction, still(id), id + 5);
      first.put(transaction, 10'000 + id, id);
    }
    transaction.commit();
    store.collection("notes", schemaOf(2));
  }

  void compactUntil(int occurrence) const {
    const Store store = Store::open(path, {.durability = Durability::off});
    BatchLimits limits = small();
    limits.keepPreimages = GetParam().keepsPreimages;
    limits.probe = [&](const char* point) {
      if (std::string_view(point) == GetParam().name && --occurrence == 0) ::kill(::getpid(), SIGKILL);
    };
    compact(store, Rows(store.collection("notes", schemaOf(2))), limits);
  }

  std::map<std::uint64_t, std::uint64_t> contents() const {
    const Store store = Store::open(path, {.durability = Durability::off});
    EXPECT_EQ(faultOf(store), "");
    const Rows rows(store.collection("notes", schemaOf(2)));
    const auto snapshot = store.read();
    std::map<std::uint64_t, std::uint64_t> found;
    std::uint64_t count = 0;
    for (const auto row : rows.scan(snapshot)) {
      found[row->get("id").as<std::uint64_t>()] = rows.numberOf(row);
      ++count;
    }
    EXPECT_EQ(count, found.size()) << "a row is there twice";
    EXPECT_EQ(count, rows.count(snapshot));
    expectPreimages(rows, snapshot, found);
    return found;
  }

  // All rows behind a pass in progress were replaced, and are kept as they were.
  void expectPreimages(const Rows& rows, const Transaction& seen,
                       const std::map<std::uint64_t, std::uint64_t>& found) const {
    std::map<std::uint64_t, std::uint64_t> kept;
    if (auto scan = scanPreimages(seen, rows)) {
      for (const auto row : *scan) kept[row->get("id").as<std::uint64_t>()] = rows.numberOf(row);
    }
    for (const auto& [id, number] : kept) EXPECT_EQ(found.at(id), number) << "row " << id;
    if (!GetParam().keepsPreimages) return;
    for (const Partition& partition : Partitions(seen.state(), "notes").all()) {
      if (!partition.pass || partition.pass->position.empty()) continue;
      for (const auto& [id, number] : found) {
        const Key key = rows.key(id);
        const bool isBehind = !(key < partition.lower) && !(partition.pass->position < key);
        EXPECT_TRUE(!isBehind || kept.contains(id)) << "row " << id;
      }
    }
  }

  testing::TemporaryFolder folder;
  std::filesystem::path path = folder / "store.instar";
};

TEST_P(CompactionCrashPoint, LosesNothingAndGoesOn) {
  const auto expected = contents();
  int kills = 0;
  for (const int occurrence : {1, 2, 5}) {
    kills += isKilled([&] { compactUntil(occurrence); }) ? 1 : 0;
    ASSERT_EQ(contents(), expected) << "killed there for the " << occurrence << ". time";
  }
  EXPECT_GE(kills, 1) << "it never came there";
  EXPECT_FALSE(isKilled([&] { compactUntil(1'000'000); }));
  EXPECT_EQ(contents(), expected);
  EXPECT_TRUE(verify(Store::open(path)).kept.empty());
}

std::vector<CrashPoint> everyPoint() {
  std::vector<CrashPoint> points;
  for (const bool keepsPreimages : {false, true}) {
    for (const char* name :
         {"passBeforeCommit", "passBegun", "prepared", "blockBeforeErase", "blocksStored", "groupInstalled",
          "beforeCommit", "committed", "verified", "partitionCut", "passEnded"}) {
      points.push_back({name, keepsPreimages});
    }
  }
  points.push_back({"partitionVerified", true});
  points.push_back({"preimagesErased", true});
  return points;
}

std::string nameOf(const ::testing::TestParamInfo<CrashPoint>& point) {
  return std::string(point.param.name) + (point.param.keepsPreimages ? "WithPreimages" : "");
}

INSTANTIATE_TEST_SUITE_P(Every, CompactionCrashPoint, ::testing::ValuesIn(everyPoint()), nameOf);

class CompactionCrashProgress : public CompactionCrashPoint {};

// Would each process begin anew, none would ever get further than its first transaction.
TEST_P(CompactionCrashProgress, ProcessesThatEachCommitOnceComeToTheEnd) {
  const auto expected = contents();
  int kills = 0;
  while (kills < 300 && isKilled([&] { compactUntil(1); })) ++kills;
  EXPECT_LT(kills, 300);
  EXPECT_GE(kills, 5);
  EXPECT_EQ(contents(), expected);
}

INSTANTIATE_TEST_SUITE_P(At, CompactionCrashProgress,
                         ::testing::Values(CrashPoint{"committed"}, CrashPoint{"committed", true}), nameOf);

// What a process does until it is killed; in the midst of it a version comes, where it is not there yet. It
// compacts by itself unless its store has a thread that does.
class Bustle {
 public:
  Bustle(const std::filesystem::path& path, const StoreOptions& options, int nextVersion,
         int acknowledgements)
      : store_(Store::open(path, options)),
        hasThread_(options.compaction.mode != CompactionMode::off),
        nextVersion_(nextVersion),
        acknowledgements_(acknowledgements),
        rows_(std::make_shared<const Rows>(store_.collection("notes"))) {}

  [[noreturn]] void run() {
    std::thread([this] { guard([this] { write(); }); }).detach();
    std::thread([this] { guard([this] { read(); }); }).detach();
    std::thread([this] { guard([this] { evolve(); }); }).detach();
    guard([this] {
      for (;;) hasThread_ ? command() : pack();
    });
    ::_exit(1);
  }

 private:
  template <class Body>
  static void guard(Body&& body) {
    try {
      body();
    } catch (const std::exception& exception) {
      std::fprintf(stderr, "in the child: %s\n", exception.what());
      ::_exit(1);
    }
  }
  std::shared_ptr<const Rows> rows() const { return std::atomic_load(&rows_); }

  void write() {
    std::uint64_t number = rows()->numberOf(store_.read(), placeOf(0));
    for (;;) {
      ++number;
      auto transaction = store_.write();
      try {
        const auto rows = this->rows();
        for (std::uint64_t id = 0; id < kAtOnce; ++id) rows->put(transaction, placeOf(id), number);
        rows->put(transaction, kFirstAdded + number, number);
        if (number > kKept && !rows->erase(transaction, kFirstAdded + number - kKept))
          throw std::logic_error("a row that was added is gone");
        transaction.commit();
      } catch (const Error& error) {
        if (error.code() != ErrorCode::upgradeProgram) throw;
        --number;  // the other version has come: with the next turn its handle is there
        continue;
      }
      if (::write(acknowledgements_, &number, sizeof number) != sizeof number) ::_exit(1);
      giveWay();
    }
  }

  void read() const {
    for (;;) {
      const auto rows = this->rows();
      const auto snapshot = store_.read();
      std::uint64_t count = 0;
      for (const auto row : rows->scan(snapshot)) {
        rows->numberOf(row);
        ++count;
      }
      if (count != rows->count(snapshot)) throw std::logic_error("a scan has other rows than are counted");
      giveWay();
    }
  }

  void evolve() {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic_store(&rows_,
                      std::make_shared<const Rows>(store_.collection("notes", schemaOf(nextVersion_))));
  }

  void pack() const {
    try {
      BatchLimits limits = small();
      limits.threads = 2;
      limits.keepPreimages = nextVersion_ % 2 == 0;
      compact(store_, *rows(), limits);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::upgradeProgram) throw;
    }
  }

  // The thread gives way to whoever writes without a pause, and would not get far before it is killed.
  void giveWay() const {
    if (hasThread_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  // Each command is an entry of the audit, and to be paused is a record of what the thread does.
  void command() const {
    const Compaction compaction = store_.compaction();
    const auto wait = [](int milliseconds) {
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    };
    wait(10);
    compaction.pause();
    wait(1);
    compaction.setRate(std::uint64_t{4} << 20);
    compaction.resume();
    wait(5);
    compaction.setRate(0);
    const std::string detail = compaction.status().detail;
    if (!detail.empty()) throw std::logic_error(detail);
  }

  const Store store_;
  const bool hasThread_;
  const int nextVersion_;
  const int acknowledgements_;
  std::shared_ptr<const Rows> rows_;  // of the newest version that has come
};

#if defined(INSTAR_SANITIZES_ADDRESSES) || defined(INSTAR_SANITIZES_THREADS)
constexpr int kKills = 60;
constexpr int kKillsOfThread = 20;
constexpr std::chrono::milliseconds kLongestOfThread{500};
#else
constexpr int kKills = 500;
constexpr int kKillsOfThread = 60;
constexpr std::chrono::milliseconds kLongestOfThread{80};
#endif
constexpr int kMoreKills = 150;  // at most, of processes that live longer, where they came not far enough
constexpr std::uint64_t kWrites = 100;  // transactions that others committed: enough to prove something
constexpr std::ptrdiff_t kPasses = 3;   // likewise, that ended
constexpr int kVersions = 12;

void expectWhole(const std::filesystem::path& path, std::uint64_t& acknowledged) {
  const Store store = Store::open(path);
  ASSERT_EQ(faultOf(store), "");
  const Rows rows(store.collection("notes"));
  const auto snapshot = store.read();
  const std::uint64_t number = rows.numberOf(snapshot, placeOf(0));
  ASSERT_GE(number, acknowledged) << "an acknowledged commit is lost";
  ASSERT_LE(number, acknowledged + 1);
  acknowledged = number;
  const std::uint64_t written = number == 0 ? 0 : kAtOnce + std::min<std::uint64_t>(number, kKept);
  ASSERT_EQ(rows.count(snapshot), kStill + written);
  for (std::uint64_t id = 0; id < kStill; ++id)
    ASSERT_EQ(rows.numberOf(snapshot, still(id)), 7 * id + 1) << "row " << id;
  if (number == 0) return;
  for (std::uint64_t id = 0; id < kAtOnce; ++id)
    ASSERT_EQ(rows.numberOf(snapshot, placeOf(id)), number) << "a torn commit";
  for (std::uint64_t back = 0; back < std::min(number, kKept); ++back)
    ASSERT_EQ(rows.numberOf(snapshot, kFirstAdded + number - back), number - back);
}

class CompactionCrash : public ::testing::TestWithParam<Durability> {
 protected:
  void SetUp() override {
    const Store store = Store::open(path_, {.durability = GetParam()});
    fillStill(store, Rows(store.collection("notes", schemaOf(1))));
    for (int version = 1; version <= kVersions; ++version) schemaOf(version);  // before there are threads
  }

  // So many processes one after another, each killed after at most `longest`.
  void killAtRandom(StoreOptions options, int kills, std::chrono::microseconds longest) {
    options.durability = GetParam();
    const auto seed = std::random_device()();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    for (int kill = 0; kill < kills || (kill < kills + kMoreKills && !isProved()); ++kill) {
      const int version = std::min(1 + kill * (kVersions - 1) / kills, kVersions - 1);
      int descriptors[2];
      ASSERT_EQ(pipe(descriptors), 0);
      std::fflush(nullptr);
      const pid_t child = fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        close(descriptors[0]);
        options.compaction.keepPreimages = kill % 2 == 0;
        Bustle(path_, options, version + 1, descriptors[1]).run();
      }
      close(descriptors[1]);
      const auto most = longest * (1 + std::max(kill - kills, 0) / 5);
      std::this_thread::sleep_for(std::chrono::microseconds(random() % most.count()));
      ASSERT_EQ(::kill(child, SIGKILL), 0);
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself, with " << WEXITSTATUS(status);
      std::uint64_t next;
      while (read(descriptors[0], &next, sizeof next) == sizeof next) acknowledged_ = next;
      close(descriptors[0]);
      expectWhole(path_, acknowledged_);
      if (HasFatalFailure()) return;
    }
    EXPECT_TRUE(isProved()) << acknowledged_ << " commits, or hardly a pass has ended: nothing was proved";
    RecordProperty("commits", static_cast<int>(acknowledged_));
  }

  bool isProved() const {
    const Store store = Store::open(path_);
    return acknowledged_ > kWrites &&
           timesOf(readAudit(store, store.read()), AuditEvent::passEnded) >= kPasses;
  }

  static std::ptrdiff_t timesOf(const AuditTrail& trail, AuditEvent event) {
    return std::count_if(trail.entries.begin(), trail.entries.end(),
                         [&](const AuditEntry& entry) { return entry.event == event; });
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "store.instar";
  std::uint64_t acknowledged_ = 0;  // number of the last commit that a process has told of
};

TEST_P(CompactionCrash, KillsAtRandomLoseNothingAndTheWorkIsDoneAtLast) {
  killAtRandom({}, kKills, std::chrono::milliseconds(25));
  if (HasFatalFailure()) return;
  const Store store = Store::open(path_, {.durability = GetParam()});
  const Rows rows(store.collection("notes", schemaOf(kVersions)));
  compact(store, rows, small());
  EXPECT_EQ(faultOf(store), "");
  const auto snapshot = store.read();
  for (const auto row : rows.scan(snapshot)) ASSERT_EQ(row.version(), kVersions);
}

// The same with the thread of the store, which also keeps heat, says what it does and notes what it is told.
TEST_P(CompactionCrash, KillsOfItsThreadLoseNothingAndTheNextOneComesToTheEnd) {
  StoreOptions options = {.compaction = {.mode = CompactionMode::compress,
                                         .rate = 0,
                                         .lockTime = std::chrono::microseconds(0),
                                         .minFreeDisk = 0,
                                         .mostDeference = std::chrono::milliseconds(1),
                                         .coldBelow = 1e9,
                                         .lowPriority = false}};
  killAtRandom(options, kKillsOfThread, kLongestOfThread);
  if (HasFatalFailure()) return;
  options.durability = GetParam();
  {
    const Store store = Store::open(path_, options);
    const Rows rows(store.collection("notes", schemaOf(kVersions)));
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    const auto progress = [&] { return compactionProgress(store, store.read()).collections.at(0); };
    while (!progress().isSettled() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_TRUE(progress().isSettled());
    EXPECT_EQ(store.compaction().status().detail, "");
    const auto snapshot = store.read();
    for (const auto row : rows.scan(snapshot)) ASSERT_EQ(row.version(), kVersions);
    const AuditTrail trail = readAudit(store, snapshot);
    EXPECT_GE(timesOf(trail, AuditEvent::paused), 3) << "nothing was proved";
    EXPECT_TRUE(compactionProgress(store, snapshot).compactor);
  }
  expectWhole(path_, acknowledged_);
}

INSTANTIATE_TEST_SUITE_P(EveryDurability, CompactionCrash,
                         ::testing::Values(Durability::full, Durability::off),
                         [](const auto& level) { return level.param == Durability::full ? "Full" : "Off"; });

}  // namespace
}  // namespace instar
