// Random operations: LMDB does what the model in memory does.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

struct Step {
  enum class Kind : std::uint8_t { put, erase, seekAndStep, commit, abort, snapshot, reopen };
  Kind kind;
  std::uint8_t tree;
  std::string key;
  std::size_t size;
};

void showValue(const Step& step, std::ostream& out) {
  out << static_cast<int>(step.kind) << " tree " << int{step.tree} << " key " << step.key << " size "
      << step.size;
}

// Few keys, so that steps meet; some of them long, so that pages split; values on both sides of the overflow
// limit.
rc::Gen<Step> anyStep() {
  const auto kind = rc::gen::weightedElement<Step::Kind>({{8, Step::Kind::put},
                                                          {4, Step::Kind::erase},
                                                          {4, Step::Kind::seekAndStep},
                                                          {2, Step::Kind::commit},
                                                          {1, Step::Kind::abort},
                                                          {1, Step::Kind::snapshot},
                                                          {1, Step::Kind::reopen}});
  const auto key =
      rc::gen::map(rc::gen::pair(rc::gen::inRange(0, 40), rc::gen::element<std::size_t>(1, 8, 300, 511)),
                   [](const std::pair<int, std::size_t>& pair) {
                     std::string text(pair.second, 'k');
                     text.front() = static_cast<char>('0' + pair.first);
                     return text;
                   });
  const auto size = rc::gen::element<std::size_t>(0, 1, 100, 1500, 2100, 9000);
  return rc::gen::construct<Step>(kind, rc::gen::inRange<std::uint8_t>(0, 2), key, size);
}

// The two environments, one write transaction in each, and pairs of snapshots that were taken on the way.
class Pair {
 public:
  Pair() { openAll(); }

  void apply(const Step& step) {
    const TreeId tree = step.tree;
    switch (step.kind) {
      case Step::Kind::put: {
        const std::string value(step.size, static_cast<char>('a' + step.size % 26));
        put(*lmdbWriter_, tree, step.key, value);
        put(*modelWriter_, tree, step.key, value);
        break;
      }
      case Step::Kind::erase:
        RC_ASSERT(lmdbWriter_->erase(tree, asBytes(step.key)) ==
                  modelWriter_->erase(tree, asBytes(step.key)));
        break;
      case Step::Kind::seekAndStep:
        compareCursors(tree, step.key, step.size % 2 == 0);
        break;
      case Step::Kind::commit:
        RC_ASSERT(lmdbWriter_->id() == modelWriter_->id());
        lmdbWriter_->commit();
        modelWriter_->commit();
        beginWriters();
        break;
      case Step::Kind::abort:
        beginWriters();
        break;
      case Step::Kind::snapshot:
        snapshots_.emplace_back(beginRead(*lmdb_), beginRead(*model_));
        break;
      case Step::Kind::reopen:
        closeAll();
        openAll();
        break;
    }
  }

  void compare() {
    for (TreeId tree = 0; tree < 2; ++tree) {
      RC_ASSERT(contents(*lmdbWriter_, tree) == contents(*modelWriter_, tree));
      RC_ASSERT(lmdbWriter_->statistics(tree).entries == modelWriter_->statistics(tree).entries);
      for (const auto& [lmdb, model] : snapshots_) {
        RC_ASSERT(lmdb->id() == model->id());
        RC_ASSERT(contents(*lmdb, tree) == contents(*model, tree));
      }
    }
  }

 private:
  void openAll() {
    StoreOptions options = unsynced();
    options.mapSize = std::uint64_t{64} << 20;
    lmdb_ = open(folder_ / "store", options);
    for (const char* name : {"0", "1"}) {
      RC_ASSERT(openTree(*lmdb_, name) == openTree(*model_, name));
    }
    beginWriters();
  }

  void closeAll() {
    snapshots_.clear();
    lmdbWriter_.reset();
    modelWriter_.reset();
    lmdb_.reset();
  }

  void beginWriters() {
    lmdbWriter_.reset();
    modelWriter_.reset();
    lmdbWriter_ = beginWrite(*lmdb_);
    modelWriter_ = beginWrite(*model_);
  }

  void compareCursors(TreeId tree, std::string_view key, bool forward) {
    const auto left = lmdbWriter_->cursor(tree);
    const auto right = modelWriter_->cursor(tree);
    bool found = left->seek(asBytes(key));
    RC_ASSERT(found == right->seek(asBytes(key)));
    for (int step = 0; found && step < 3; ++step) {
      RC_ASSERT(asText(left->key()) == asText(right->key()));
      RC_ASSERT(asText(left->value()) == asText(right->value()));
      found = forward ? left->next() : left->previous();
      RC_ASSERT(found == (forward ? right->next() : right->previous()));
    }
  }

  testing::TemporaryFolder folder_;
  std::shared_ptr<Environment> model_ = openMemory();
  std::shared_ptr<Environment> lmdb_;
  std::unique_ptr<Transaction> lmdbWriter_;
  std::unique_ptr<Transaction> modelWriter_;
  std::vector<std::pair<std::unique_ptr<Transaction>, std::unique_ptr<Transaction>>> snapshots_;
};

RC_GTEST_PROP(StorageComparison, LmdbDoesWhatTheModelDoes, ()) {
  const auto steps = *rc::gen::container<std::vector<Step>>(anyStep());
  Pair pair;
  for (const Step& step : steps) pair.apply(step);
  pair.compare();
}

}  // namespace
}  // namespace instar::storage
