// Random sequences of everything that can be done with a store, and that can happen to it, against a model
// (model.h). A failure prints its seed and the few commands that are left of it: RC_PARAMS="seed=…" repeats
// it.

#include <gmock/gmock.h>
#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include <iostream>
#include <numeric>

#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/tests/model/actions.h"
#include "instar/tests/support/forwarding_storage.h"

namespace instar::model {
namespace {

// So many times RapidCheck's size, which goes up to 100, are the longest sequences.
#if defined(INSTAR_SANITIZES_ADDRESSES) || defined(INSTAR_SANITIZES_THREADS)
constexpr double kScale = 1.5;
constexpr bool kIsLongEnough = false;  // for each command to come in every run
#else
constexpr double kScale = 4;
constexpr bool kIsLongEnough = true;
#endif

Store openFile(const std::filesystem::path& path, const StoreOptions& options) {
  return Store::open(path, options);
}

void runAnySequence(const Opener& opener, double scale, Tally& tally) {
  const auto commands = *anyCommands(scale, tally);
  System system(opener);
  system.program(Model(), 1);
  const auto begin = [] { return Model(); };
  rc::state::runAll(commands, begin, system);
  system.abort();
  System::checkFile(system.store());
}

TEST(Model, AStoreDoesWhatItsModelDoes) {
  Tally tally;
  const auto seed = rc::detail::configuration().testParams.seed;
  std::cout << "seed=" << seed << '\n';
  const bool isRight =
      rc::check("a store does what its model does", [&] { runAnySequence(openFile, kScale, tally); });
  std::uint64_t all = 0;
  for (const ActionKind& kind : actionKinds()) {
    const std::uint64_t count = tally[kind.name];
    all += count;
    std::cout << kind.name << " " << count << ", ";
    if (isRight && kIsLongEnough) {
      EXPECT_GT(count, 0U) << kind.name << " was never run";
    }
  }
  std::cout << "in all " << all << '\n';
  EXPECT_TRUE(isRight);
}

// --- Whether it would notice.

// Forgets to erase one of the rows.
class Forgetful : public storage::Transaction {
 public:
  Forgetful(std::unique_ptr<storage::Transaction> inner, std::optional<storage::TreeId> rows)
      : inner_(std::move(inner)), rows_(rows) {}

  std::uint64_t id() const override { return inner_->id(); }
  std::optional<Bytes> get(storage::TreeId tree, Bytes key) override { return inner_->get(tree, key); }
  std::span<std::byte> reserve(storage::TreeId tree, Bytes key, std::size_t size) override {
    return inner_->reserve(tree, key, size);
  }
  bool erase(storage::TreeId tree, Bytes key) override {
    if (tree == rows_ && asText(key) == "kk5") return inner_->get(tree, key).has_value();
    return inner_->erase(tree, key);
  }
  std::unique_ptr<storage::Cursor> cursor(storage::TreeId tree) override { return inner_->cursor(tree); }
  storage::TreeStatistics statistics(storage::TreeId tree) override { return inner_->statistics(tree); }
  std::uint64_t countTrees() override { return inner_->countTrees(); }
  bool canBeOverwritten() const noexcept override { return inner_->canBeOverwritten(); }
  void checkIntact() const override { inner_->checkIntact(); }
  void commit() override { inner_->commit(); }

 private:
  std::unique_ptr<storage::Transaction> inner_;
  std::optional<storage::TreeId> rows_;
};

class ForgetfulStorage : public testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;

  std::unique_ptr<storage::Transaction> begin(storage::Access access,
                                              std::chrono::milliseconds wait) override {
    return std::make_unique<Forgetful>(ForwardingStorage::begin(access, wait), rows_);
  }
  std::optional<storage::TreeId> openTree(std::string_view name, bool create) override {
    const auto tree = ForwardingStorage::openTree(name, create);
    if (name == std::string("rows/") + kCollection) rows_ = tree;
    return tree;
  }

 private:
  std::optional<storage::TreeId> rows_;
};

TEST(Model, FindsAStorageThatForgetsAnEraseAndShowsItInAFewCommands) {
  Tally tally;
  const Opener opener = [](const std::filesystem::path& path, const StoreOptions& options) {
    return Store::open(std::make_shared<ForgetfulStorage>(storage::openLmdb(path, options)), options);
  };
  auto params = rc::detail::configuration().testParams;
  params.maxSuccess = 1000;
  params.seed = 24;  // with others compaction finds it first, which reads back what it has stored
  const rc::detail::TestResult result = rc::detail::checkTestable([&] { runAnySequence(opener, 1, tally); },
                                                                  rc::detail::TestMetadata(), params);
  ASSERT_TRUE(result.is<rc::detail::FailureResult>()) << "it was not found";
  const auto& failure = result.get<rc::detail::FailureResult>();
  ASSERT_EQ(failure.counterExample.size(), 1U);
  const std::string& commands = failure.counterExample.front().second;
  std::cout << "found after " << failure.numSuccess << " sequences: " << failure.description << '\n'
            << commands << '\n';
  EXPECT_LE(std::count(commands.begin(), commands.end(), '\n'), 4) << "put, erase and commit are enough";
  EXPECT_THAT(commands, ::testing::HasSubstr("erase("));
}

}  // namespace
}  // namespace instar::model
