// Whatever the system and however it migrates: after the same operations the same rows.

#include "instar/bench/upgrade/subject.h"

#include <gtest/gtest.h>

#include <exception>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "instar/bench/upgrade/change.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::bench {

// How a failing test names it.
inline void PrintTo(const Scenario& scenario, std::ostream* out) { *out << nameOf(scenario); }

namespace {

constexpr std::uint64_t kRows = 500;
constexpr unsigned kOperations = 250;

constexpr System kSystems[] = {System::instar, System::sqlite, System::lmdb, System::rocksdb};
constexpr Strategy kStrategies[] = {
    Strategy::none, Strategy::eager,     Strategy::eagerLater, Strategy::rebuild, Strategy::batches,
    Strategy::lazy, Strategy::writeBack, Strategy::background, Strategy::paced,   Strategy::standard};

// Every row as it has to be, by change.h alone.
class ExpectedRows {
 public:
  explicit ExpectedRows(Change change) : change_(change) {
    for (std::uint64_t id = 0; id < kRows; ++id) insert(id);
  }

  std::uint64_t size() const noexcept { return prices_.size(); }
  std::uint64_t digest(std::uint64_t id) const {
    std::string scratch;
    NewRow row = insertedRow(change_, id, scratch);
    setPrice(change_, row, prices_[id]);
    return digestOf(change_, row);
  }
  std::uint64_t digests(std::uint64_t from, std::uint64_t count) const {
    std::uint64_t sum = 0;
    for (std::uint64_t id = from; id < prices_.size() && id - from < count; ++id) sum += digest(id);
    return sum;
  }
  void insert(std::uint64_t id) { prices_.push_back(sampleOf(id).priceCents); }
  void update(std::uint64_t id, std::int64_t price) { prices_[id] = price; }
  void raise(std::uint64_t id) { prices_[id] = raised(prices_[id]); }

 private:
  const Change change_;
  std::vector<std::int64_t> prices_;
};

// Operations in a random order, the same every time; each answer is compared.
void operate(Session& session, ExpectedRows& expected, std::mt19937_64& random) {
  for (unsigned i = 0; i < kOperations; ++i) {
    const std::uint64_t id = random() % expected.size();
    switch (random() % 5) {
      case 0: {
        const auto price = static_cast<std::int64_t>(random() % 1'000'000) - 500'000;
        session.update(id, price);
        expected.update(id, price);
        break;
      }
      case 1:
        expected.insert(expected.size());
        session.insert(expected.size() - 1);
        break;
      case 2: {
        const auto count = static_cast<unsigned>(random() % 100);
        ASSERT_EQ(session.scan(id, count), expected.digests(id, count)) << "scan from " << id;
        break;
      }
      case 3:
        session.readModifyWrite(id);
        expected.raise(id);
        break;
      default:
        ASSERT_EQ(session.read(id), expected.digest(id)) << "row " << id;
    }
  }
}

// A thread of the application's; what it throws comes out of join().
class Beside {
 public:
  template <class Work>
  explicit Beside(Work work)
      : thread_([this, work] {
          try {
            work();
          } catch (...) {
            failure_ = std::current_exception();
          }
        }) {}
  ~Beside() {
    if (thread_.joinable()) thread_.join();
  }
  void join() {
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::exception_ptr failure_;
  std::thread thread_;
};

std::vector<Scenario> everyScenario() {
  std::vector<Scenario> scenarios;
  for (const System system : kSystems) {
    for (const Strategy strategy : kStrategies) {
      for (const Change change : {Change::additive, Change::derived, Change::replaced, Change::history}) {
        const Scenario scenario{.system = system,
                                .strategy = strategy,
                                .change = change,
                                .rows = kRows,
                                .durability = Durability::off,
                                .rate = strategy == Strategy::paced ? kStandardRate : 0};
        if (isOffered(scenario)) scenarios.push_back(scenario);
      }
    }
  }
  return scenarios;
}

std::string testNameOf(const Scenario& scenario) {
  std::string name;
  for (const std::string_view part :
       {textOf(scenario.system), textOf(scenario.strategy), textOf(scenario.change)})
    name.append(name.empty() ? "" : "_").append(part);
  std::erase(name, '-');
  return name;
}

class EverySubject : public ::testing::TestWithParam<Scenario> {
 protected:
  const Scenario& scenario() const { return GetParam(); }
  // Has to be told to stop: there may be no end to it, or not soon.
  bool goesOn() const {
    switch (scenario().strategy) {
      case Strategy::writeBack:
      case Strategy::background:
      case Strategy::paced:
      case Strategy::standard:
        return true;
      default:
        return false;
    }
  }
  void fill() const { makeSubject(scenario(), folder_.path())->fill(); }

  testing::TemporaryFolder folder_;
};

TEST_P(EverySubject, HoldsTheRowsThatTheOperationsMake) {
  fill();
  ExpectedRows expected(scenario().change);
  std::mt19937_64 random(5);
  const auto subject = makeSubject(scenario(), folder_.path());
  MigrationProgress progress;
  std::atomic<bool> stop = false;
  subject->open(progress);
  const auto session = subject->session();
  ASSERT_NO_FATAL_FAILURE(operate(*session, expected, random));
  Beside migration([&] { subject->migrate(progress, stop); });
  ASSERT_NO_FATAL_FAILURE(operate(*session, expected, random));
  if (goesOn()) stop = true;
  migration.join();
  EXPECT_LE(progress.rows, kRows);
  const Subject::Census census = subject->census();
  EXPECT_EQ(census.rows, expected.size());
  EXPECT_EQ(census.digest, expected.digests(0, expected.size()));
  if (progress.complete || scenario().strategy == Strategy::none) {
    EXPECT_EQ(census.old, 0U);
  }
  EXPECT_LE(census.old, kRows);
  EXPECT_EQ(session->scan(0, static_cast<unsigned>(expected.size())), census.digest);

  const std::uint64_t missing = expected.size();
  EXPECT_THROW(session->read(missing), std::runtime_error);
  EXPECT_THROW(session->update(missing, 1), std::runtime_error);
  EXPECT_THROW(session->readModifyWrite(missing), std::runtime_error);
  EXPECT_EQ(session->scan(missing, 10), 0U);
}

// A program that is killed may have brought over some of the rows, or just have opened the file.
TEST_P(EverySubject, GoesOnWhereAnotherProcessHasStopped) {
  fill();
  ExpectedRows expected(scenario().change);
  std::mt19937_64 random(6);
  for (const bool migrates : {false, true}) {
    const auto subject = makeSubject(scenario(), folder_.path());
    MigrationProgress progress;
    subject->open(progress);
    const auto session = subject->session();
    ASSERT_NO_FATAL_FAILURE(operate(*session, expected, random));
    if (migrates) {
      std::atomic<bool> stop = goesOn();
      subject->migrate(progress, stop);
    }
    const Subject::Census census = subject->census();
    EXPECT_EQ(census.rows, expected.size());
    EXPECT_EQ(census.digest, expected.digests(0, expected.size()));
  }
}

INSTANTIATE_TEST_SUITE_P(Upgrade, EverySubject, ::testing::ValuesIn(everyScenario()),
                         [](const auto& info) { return testNameOf(info.param); });

class OldRows : public ::testing::TestWithParam<System> {
 protected:
  // What is left of the old form, once each row has been read and once every second one has been changed.
  std::vector<std::uint64_t> oldRows(Strategy strategy, std::uint64_t* written = nullptr) const {
    const testing::TemporaryFolder folder;
    const Scenario scenario{
        .system = GetParam(), .strategy = strategy, .rows = kRows, .durability = Durability::off};
    makeSubject(scenario, folder.path())->fill();
    const auto subject = makeSubject(scenario, folder.path());
    MigrationProgress progress;
    subject->open(progress);
    const auto session = subject->session();
    std::vector<std::uint64_t> old{subject->census().old};
    session->scan(0, kRows / 2);
    for (std::uint64_t id = kRows / 2; id < kRows; ++id) session->read(id);
    old.push_back(subject->census().old);
    if (written != nullptr) *written = progress.rows;
    for (std::uint64_t id = 0; id < kRows; id += 2) session->update(id, 7);
    old.push_back(subject->census().old);
    return old;
  }
};

TEST_P(OldRows, StayUntilTheyAreChangedWhereReadingStoresNothing) {
  std::uint64_t written = 1;
  EXPECT_EQ(oldRows(Strategy::lazy, &written), (std::vector<std::uint64_t>{kRows, kRows, kRows / 2}));
  EXPECT_EQ(written, 0U);
}

// Of systems whose reader stores them; Instar's thread does so a moment later.
class OldRowsStoredByReaders : public OldRows {};

TEST_P(OldRowsStoredByReaders, GoByBeingRead) {
  std::uint64_t written = 0;
  EXPECT_EQ(oldRows(Strategy::writeBack, &written), (std::vector<std::uint64_t>{kRows, 0, 0}));
  EXPECT_EQ(written, kRows);
}

std::vector<System> everySystem() {
  std::vector<System> systems;
  for (const System system : kSystems) {
    if (isOffered({.system = system, .strategy = Strategy::lazy})) systems.push_back(system);
  }
  return systems;
}

std::vector<System> systemsWhoseReadersStore() {
  std::vector<System> systems = everySystem();
  std::erase(systems, System::instar);
  return systems;
}

const auto nameOfSystem = [](const auto& info) { return std::string(textOf(info.param)); };

INSTANTIATE_TEST_SUITE_P(Upgrade, OldRows, ::testing::ValuesIn(everySystem()), nameOfSystem);
INSTANTIATE_TEST_SUITE_P(Upgrade, OldRowsStoredByReaders, ::testing::ValuesIn(systemsWhoseReadersStore()),
                         nameOfSystem);

}  // namespace
}  // namespace instar::bench
