// Random lives of versions against a model: programs of the active version read right whatever a staged one
// does, and the other way round.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>

#include "instar/engine/check.h"
#include "instar/engine/migration.h"
#include "instar/engine/staging.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;
using capnp::DynamicStruct;

constexpr int kLives = 60;
constexpr int kSteps = 80;
constexpr unsigned kKeys = 12;

// Each version adds a field; the name is split from version `since` on.
RecordSchema versionNumber(unsigned number, unsigned since) {
  const std::string from = "since = " + std::to_string(since);
  std::string fields = "name @1 :Text $Instar.mirrored(" + from +
                       R"(, concat = [(field = "first"), (text = " "), (field = "last")]);
      first @2 :Text $Instar.derived()" +
                       from + R"(, split = (field = "name", by = " ", part = 0));
      last @3 :Text $Instar.derived()" +
                       from + R"(, split = (field = "name", by = " ", part = 1));)";
  for (unsigned added = 2; added <= number; ++added)
    fields += " added" + std::to_string(added) + " @" + std::to_string(added + 2) + " :UInt32 = 7;";
  return contactSchema(number, fields);
}

class Life {
 public:
  explicit Life(unsigned seed) : random_(seed), trace_("seed " + std::to_string(seed)) { open(); }

  void run() {
    for (int step = 0; step < kSteps && !::testing::Test::HasFailure(); ++step) act();
    readAll();
    EXPECT_TRUE(check(*store_).sound()) << trace_;
  }

 private:
  struct Name {
    std::string first;
    std::string last;
    std::string whole() const { return first + " " + last; }
  };

  unsigned below(unsigned count) { return static_cast<unsigned>(random_() % count); }
  void note(const std::string& what) { trace_ += "\n" + what; }

  void open() {
    trial_.reset();
    oldest_.reset();
    newest_.reset();
    store_.reset();
    store_ = Store::open(folder_ / "store.instar", {.durability = Durability::off});
    oldest_ = store_->collection("contacts", contact1());
    if (current_ > 1) newest_ = store_->collection("contacts", versionNumber(current_, since_));
    if (staged_ != 0) trial_ = store_->stage("contacts", versionNumber(staged_, sinceStaged()));
  }

  // Of the first version that has become the current one.
  unsigned sinceStaged() const { return since_ != 0 ? since_ : staged_; }

  void act() {
    switch (below(14)) {
      case 0:
        return stage();
      case 1:
        return promote();
      case 2:
        return abort();
      case 3:
        return giveUp();
      case 4:
        note("compact");
        migrate(*store_, "contacts",
                {.mode = below(2) == 0 ? CompactionMode::upgrade : CompactionMode::compress});
        return readAll();
      case 5:
        note("reopen");
        open();
        return readAll();
      case 6:
      case 7:
        if (staged_ == 0) return;
        note("percent");
        return setStagedPercent(*store_, "contacts", number16(staged_), below(5) * 25.0);
      case 8:
        return editLater();
      case 9:
        return readAll();
      default:
        return put();
    }
  }

  static std::uint16_t number16(unsigned number) { return static_cast<std::uint16_t>(number); }

  void stage() {
    if (staged_ != 0) return;
    staged_ = ++highest_;
    trialBelow_ = current_;
    note("stage " + std::to_string(staged_));
    trial_ = store_->stage("contacts", versionNumber(staged_, sinceStaged()), {.percent = below(5) * 25.0});
  }

  void promote() {
    if (staged_ == 0) return;
    note("promote " + std::to_string(staged_));
    promoteVersion(*store_, "contacts", number16(staged_), {.forced = true});
    returnTo_ = current_;
    sinceBefore_ = since_;
    since_ = sinceStaged();
    current_ = staged_;
    staged_ = 0;
    newest_ = store_->collection("contacts", versionNumber(current_, since_));
    readAll();
  }

  void abort() {
    if (staged_ == 0) return;
    note("abort " + std::to_string(staged_));
    abortVersion(*store_, "contacts", number16(staged_), "");
    staged_ = 0;
    readAll();  // also with the handle of the aborted version
  }

  // The current version, for the one before.
  void giveUp() {
    if (staged_ != 0 || returnTo_ == 0) return;
    note("give up " + std::to_string(current_));
    abortVersion(*store_, "contacts", number16(current_), "");
    aborted_.insert(current_);
    current_ = std::exchange(returnTo_, 0);
    since_ = sinceBefore_;
    newest_.reset();
    if (current_ > 1) newest_ = store_->collection("contacts", versionNumber(current_, since_));
    readAll();
  }

  static void fill(DynamicStruct::Builder record, const Name& name, bool isNew) {
    if (isNew) {
      record.set("first", name.first.c_str());
      record.set("last", name.last.c_str());
    } else {
      record.set("name", name.whole().c_str());
    }
  }

  Name randomName() { return {"F" + std::to_string(below(1000)), "L" + std::to_string(below(1000))}; }

  const StagedRows& anybody() {
    const unsigned which = below(3);
    if (which == 0 && trial_) return *trial_;
    if (which == 1 && newest_) return *newest_;
    return *oldest_;
  }

  void put() {
    const StagedRows& rows = anybody();
    const std::uint64_t id = below(kKeys);
    const Name name = randomName();
    if (isShutOut(rows)) return putFails(rows);
    auto transaction = store_->write();
    auto draft = rows.create();
    draft->set("id", id);
    const std::uint16_t version = rows.schema().version();
    const bool isNew = version > 1 && rows.serves(transaction, rows.key(id), version);
    note("put " + std::to_string(id) + " by " + std::to_string(version) + (isNew ? " new" : " old"));
    // Where its version is not served, a program fills in what the one below has.
    fill(*draft, name, isNew || (version > 1 && servesAnything(rows, transaction, id)));
    rows.put(transaction, draft);
    transaction.commit();
    names_[id] = name;
  }

  // A handle of an aborted version does as the one below, which was given up since.
  bool isShutOut(const StagedRows& rows) const {
    const unsigned version = rows.schema().version();
    return version > 1 && version != staged_ && version != current_ && aborted_.contains(trialBelow_);
  }
  void putFails(const StagedRows& rows) const {
    auto draft = rows.create();
    auto transaction = store_->write();
    EXPECT_ERROR(rows.put(transaction, draft), upgradeProgram, "aborted");
  }

  // Whether the version that the program does as under the key splits the name.
  bool servesAnything(const StagedRows& rows, const Transaction& transaction, std::uint64_t id) const {
    return since_ != 0 && rows.serves(transaction, rows.key(id), number16(since_));
  }

  // A draft that is put after something else has happened.
  void editLater() {
    const StagedRows rows = anybody();
    const std::uint64_t id = below(kKeys);
    if (isShutOut(rows)) return;
    if (!names_.contains(id)) return;
    auto draft = rows.edit(store_->read(), id);
    ASSERT_TRUE(draft) << trace_;
    const std::uint16_t as = draft.origin()->servedAs;
    const Name name = randomName();
    fill(*draft, name, since_ != 0 ? as >= since_ : as > 1 && as == staged_);
    const std::uint16_t version = rows.schema().version();
    note("edit " + std::to_string(id) + " by " + std::to_string(version) + " as " + std::to_string(as));
    const bool isPlain = !trial_ || version != trial_->schema().version();
    switch (below(4)) {
      case 0:
        promote();
        break;
      case 1:
        abort();
        break;
      case 2:
        if (staged_ != 0) setStagedPercent(*store_, "contacts", number16(staged_), below(5) * 25.0);
        break;
      default:
        break;
    }
    EXPECT_TRUE(!isPlain || version <= current_) << trace_;
    auto transaction = store_->write();
    rows.put(transaction, draft);
    transaction.commit();
    names_[id] = name;
    note("put it");
    readAll();
  }

  void readAll() const {
    for (const auto* rows : {&oldest_, &newest_, &trial_}) {
      if (!*rows) continue;
      const std::uint16_t version = (*rows)->schema().version();
      const auto snapshot = store_->read();
      EXPECT_EQ((*rows)->count(snapshot), names_.size()) << trace_;
      for (auto row : (*rows)->scan(snapshot)) {
        const auto id = (*row).get("id").as<std::uint64_t>();
        const Name& name = names_.at(id);
        EXPECT_EQ(textOf(*row, "name"), name.whole()) << "read " << id << " by " << version << trace_;
        if (version == 1 || !row.serves(version)) continue;
        EXPECT_EQ(textOf(*row, "first"), name.first) << "read " << id << " by " << version << trace_;
        EXPECT_EQ(textOf(*row, "last"), name.last) << "read " << id << " by " << version << trace_;
      }
    }
  }

  std::mt19937 random_;
  std::string trace_;
  TemporaryFolder folder_;
  std::optional<Store> store_;
  std::optional<StagedRows> oldest_;
  std::optional<StagedRows> newest_;  // a program of the current version, which depends on it
  std::optional<StagedRows> trial_;   // one that has opened the version that was staged last to be tried
  std::map<std::uint64_t, Name> names_;
  unsigned highest_ = 1;
  unsigned current_ = 1;
  unsigned staged_ = 0;
  unsigned since_ = 0;  // the version that split the name; 0: none of those that are depended upon
  unsigned trialBelow_ = 0;
  std::set<unsigned> aborted_;  // that had been current
  unsigned returnTo_ = 0;
  unsigned sinceBefore_ = 0;
};

TEST(StagingModel, EveryProgramReadsWhatWasPutWhateverBecomesOfVersions) {
  for (unsigned seed = 1; seed <= kLives && !::testing::Test::HasFailure(); ++seed) Life(seed).run();
}

}  // namespace
}  // namespace instar
