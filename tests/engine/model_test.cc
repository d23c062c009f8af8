// Random runs of the public interface against std::map, with commits, aborts, reopening and new versions in
// between.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "instar/engine/check.h"
#include "instar/engine/compaction.h"
#include "instar/engine/migration.h"
#include "instar/engine/store.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

enum class Step : std::uint8_t { put, edit, erase, commit, abort, reopen, newVersion, pack, compact };

struct Action {
  Step step;
  std::uint8_t key;
  std::uint16_t size;
};

std::ostream& operator<<(std::ostream& out, const Action& action) {
  constexpr const char* kNames[] = {"put",    "edit",       "erase", "commit", "abort",
                                    "reopen", "newVersion", "pack",  "compact"};
  return out << kNames[static_cast<int>(action.step)] << "(" << int{action.key} << ", " << action.size << ")";
}

RecordSchema versionNumber(int version) {
  std::string text = "struct Item @0xabcdefabcdef1234 $Instar.version(" + std::to_string(version) +
                     ") { key @0 :Text $Instar.key(0); value @1 :Text;";
  for (int field = 2; field <= version; ++field) {
    text += " added" + std::to_string(field) + " @" + std::to_string(field) + " :UInt32 = 7;";
  }
  return testing::parseDeclarations(text + "}", "Item");
}

class Machine {
 public:
  void run(const std::vector<Action>& actions) {
    open();
    for (const Action& action : actions) apply(action);
    transaction_.reset();
    pending_ = committed_;
    compare(store_->read(), committed_);
    RC_ASSERT(check(*store_).sound());
  }

 private:
  using Rows = std::map<std::string, std::string>;

  void open() {
    store_ = Store::open(folder_ / "store.instar", {.durability = Durability::off});
    rows_ = store_->collection("items", versionNumber(version_));
  }

  void close() {
    transaction_.reset();
    rows_.reset();
    store_.reset();
    pending_ = committed_;
  }

  WriteTransaction& transaction() {
    if (!transaction_) transaction_ = store_->write();
    return *transaction_;
  }

  void apply(const Action& action) {
    const std::string key = std::string(action.key % 3, 'k') + std::to_string(action.key % 16);
    const std::string value(action.size % 3000, static_cast<char>('a' + action.key % 26));
    switch (action.step) {
      case Step::put: {
        auto draft = rows_->create();
        draft->set("key", key.c_str());
        draft->set("value", value.c_str());
        rows_->put(transaction(), draft);
        pending_[key] = value;
        break;
      }
      case Step::edit: {
        auto draft = rows_->edit(transaction(), key);
        RC_ASSERT(static_cast<bool>(draft) == pending_.contains(key));
        if (!draft) break;
        draft->set("value", value.c_str());
        rows_->put(transaction(), draft);
        pending_[key] = value;
        break;
      }
      case Step::erase:
        RC_ASSERT(rows_->erase(transaction(), key) == (pending_.erase(key) == 1));
        break;
      case Step::commit:
        compare(transaction(), pending_);
        transaction_->commit();
        transaction_.reset();
        committed_ = pending_;
        break;
      case Step::abort:
        transaction().abort();
        transaction_.reset();
        pending_ = committed_;
        break;
      case Step::reopen:
        close();
        open();
        break;
      case Step::newVersion:
        transaction_.reset();
        pending_ = committed_;
        rows_ = store_->collection("items", versionNumber(++version_));
        break;
      case Step::pack: {
        transaction_.reset();
        pending_ = committed_;
        const Migration done = migrate(
            *store_, "items", {.mode = CompactionMode::compress, .keepPreimages = action.size % 2 == 0});
        RC_ASSERT(done.failed == 0U);
        const Verification verified = verify(*store_);
        RC_ASSERT(verified.problems == 0U);
        RC_ASSERT(verified.kept.empty());
        break;
      }
      case Step::compact:
        close();
        Store::compact(folder_ / "store.instar");
        open();
        break;
    }
    compare(store_->read(), committed_);
  }

  void compare(const Transaction& seen, const Rows& expected) const {
    RC_ASSERT(rows_->count(seen) == expected.size());
    auto next = expected.begin();
    for (const auto row : rows_->scan(seen)) {
      RC_ASSERT(next != expected.end());
      RC_ASSERT(next->first == row->get("key").as<capnp::Text>().cStr());
      RC_ASSERT(next->second == row->get("value").as<capnp::Text>().cStr());
      ++next;
    }
    RC_ASSERT(next == expected.end());
    auto last = expected.rbegin();
    for (const auto row : rows_->scan(seen, {.reverse = true})) {
      RC_ASSERT(last->first == row->get("key").as<capnp::Text>().cStr());
      ++last;
    }
    for (int key = 0; key < 16; ++key) {
      const std::string name = std::string(static_cast<std::size_t>(key % 3), 'k') + std::to_string(key);
      RC_ASSERT(rows_->contains(seen, name) == expected.contains(name));
      const auto row = rows_->get(seen, name);
      RC_ASSERT(static_cast<bool>(row) == expected.contains(name));
      if (row) RC_ASSERT(expected.at(name) == row->get("value").as<capnp::Text>().cStr());
    }
  }

  testing::TemporaryFolder folder_;
  std::optional<Store> store_;
  std::optional<Collection<capnp::DynamicStruct>> rows_;
  std::optional<WriteTransaction> transaction_;
  Rows committed_;
  Rows pending_;
  int version_ = 1;
};

rc::Gen<Action> anyAction() {
  const auto step = rc::gen::weightedElement<Step>({{20, Step::put},
                                                    {8, Step::edit},
                                                    {8, Step::erase},
                                                    {6, Step::commit},
                                                    {2, Step::abort},
                                                    {1, Step::reopen},
                                                    {1, Step::newVersion},
                                                    {3, Step::pack},
                                                    {1, Step::compact}});
  return rc::gen::construct<Action>(step, rc::gen::arbitrary<std::uint8_t>(),
                                    rc::gen::inRange<std::uint16_t>(0, 6000));
}

RC_GTEST_PROP(Model, AStoreBehavesLikeAMap, ()) {
  Machine().run(*rc::gen::container<std::vector<Action>>(anyAction()));
}

}  // namespace
}  // namespace instar
