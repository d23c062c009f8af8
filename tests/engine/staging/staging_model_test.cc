// Random lives of versions against a model: programs of the active version read right whatever a staged one
// does, and the other way round.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <vector>

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

constexpr unsigned kDefault = 7;

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
    fields += " added" + std::to_string(added) + " @" + std::to_string(added + 2) +
              " :UInt32 = " + std::to_string(kDefault) + ";";
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
  using Added = std::map<unsigned, unsigned>;  // of the fields that versions have added, but for the default
  struct Record {
    Name name;
    Added added;
  };

  struct Program {
    StagedRows rows;
    unsigned below = 0;  // the version that it does as where its own is not served; 0: it depends on its own
    unsigned version() const { return rows.schema().version(); }
  };

  unsigned below(unsigned count) { return static_cast<unsigned>(random_() % count); }
  void note(const std::string& what) { trace_ += "\n" + what; }
  static std::uint16_t number16(unsigned number) { return static_cast<std::uint16_t>(number); }

  unsigned current() const { return current_.back(); }
  bool isDependedUpon(unsigned version) const { return std::ranges::count(current_, version) != 0; }
  RecordSchema schemaOf(unsigned version) const {
    return version == 1 ? contact1() : versionNumber(version, since_.at(version));
  }

  Program dependOn(unsigned version) { return {store_->collection("contacts", schemaOf(version))}; }
  // As a program does that is started anew, whatever has become of the version meanwhile.
  Program tryVersion(unsigned version, const StagingOptions& options = {}) {
    Program program{store_->stage("contacts", schemaOf(version), options)};
    const bool isOlder = isDependedUpon(version) && version != current();
    if (!isOlder)
      program.below = *std::ranges::find_if(current_.rbegin(), current_.rend(),
                                            [&](unsigned number) { return number < version; });
    return program;
  }

  void open() {
    const unsigned tried = trial_ ? trial_->version() : 0;
    for (auto* program : {&oldest_, &newest_, &trial_, &left_}) program->reset();
    store_.reset();
    store_ = Store::open(folder_ / "store.instar", {.durability = Durability::off});
    oldest_ = dependOn(1);
    if (current() > 1) newest_ = dependOn(current());
    if (tried != 0) trial_ = tryVersion(tried);
  }

  void act() {
    switch (below(15)) {
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
        return changePercent();
      case 8:
      case 9:
        return editLater();
      case 10:
        return editNow();
      case 11:
        return readAll();
      default:
        return put();
    }
  }

  void changePercent() {
    if (staged_ == 0) return;
    note("percent");
    setStagedPercent(*store_, "contacts", number16(staged_), below(5) * 25.0);
  }

  void stage() {
    if (staged_ != 0) return;
    staged_ = ++highest_;
    since_[staged_] = current() > 1 ? since_.at(current()) : staged_;
    note("stage " + std::to_string(staged_));
    left_ = std::move(trial_);
    trial_ = tryVersion(staged_, {.percent = below(5) * 25.0});
  }

  void promote() {
    if (staged_ == 0) return;
    note("promote " + std::to_string(staged_));
    promoteVersion(*store_, "contacts", number16(staged_), {.forced = true});
    current_.push_back(std::exchange(staged_, 0));
    newest_ = dependOn(current());
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
    if (staged_ != 0 || current() == 1) return;
    note("give up " + std::to_string(current()));
    abortVersion(*store_, "contacts", number16(current()), "");
    current_.pop_back();
    newest_.reset();
    if (current() > 1) newest_ = dependOn(current());
    readAll();
  }

  // Fills in what a version has: those above the first one make the whole name of its two parts.
  void fill(DynamicStruct::Builder record, unsigned version, Record& model) {
    model.name = {"F" + std::to_string(below(1000)), "L" + std::to_string(below(1000))};
    if (version > 1) {
      record.set("first", model.name.first.c_str());
      record.set("last", model.name.last.c_str());
    } else {
      record.set("name", model.name.whole().c_str());
    }
    for (unsigned number = 2; number <= version; ++number) {
      if (below(2) == 0) continue;
      model.added[number] = below(1000);
      record.set(addedField(number), model.added[number]);
    }
  }
  static std::string addedField(unsigned number) { return "added" + std::to_string(number); }

  // What it knows takes the place of what is there; the rest stays.
  void store(std::uint64_t id, unsigned version, const Record& put) {
    Record& stored = records_[id];
    stored.name = put.name;
    for (unsigned number = 2; number <= version; ++number) {
      const auto value = put.added.find(number);
      stored.added[number] = value == put.added.end() ? kDefault : value->second;
    }
  }

  Program anybody() {
    const unsigned which = below(4);
    if (which == 0 && trial_) return *trial_;
    if (which == 1 && newest_) return *newest_;
    if (which == 2 && left_) return *left_;
    return *oldest_;
  }

  // The version that the program depends on was given up.
  bool isShutOut(const Program& program) const {
    const unsigned version = program.version();
    return !isDependedUpon(program.below == 0 || isDependedUpon(version) ? version : program.below);
  }
  void putFails(const Program& program) const {
    auto draft = program.rows.create();
    auto transaction = store_->write();
    EXPECT_ERROR(program.rows.put(transaction, draft), upgradeProgram, "aborted");
  }

  void put() {
    const Program program = anybody();
    const StagedRows& rows = program.rows;
    const std::uint64_t id = below(kKeys);
    if (isShutOut(program)) return putFails(program);
    auto transaction = store_->write();
    auto draft = rows.create();
    draft->set("id", id);
    const unsigned version = program.version();
    const unsigned as = rows.serves(transaction, rows.key(id), number16(version)) ? version : program.below;
    note("put " + std::to_string(id) + " by " + std::to_string(version) + " as " + std::to_string(as));
    Record record;
    fill(*draft, as, record);
    if (below(2) == 0)
      rows.put(transaction, draft);
    else
      rows.put(transaction, draft->asReader());
    transaction.commit();
    store(id, as, record);
  }

  // A draft that is put after something else has happened.
  void editLater() {
    const Program program = anybody();
    const std::uint64_t id = below(kKeys);
    if (isShutOut(program) || !records_.contains(id)) return;
    auto draft = program.rows.edit(store_->read(), id);
    ASSERT_TRUE(draft) << trace_;
    const unsigned as = draft.origin()->servedAs;
    Record record = records_.at(id);
    fill(*draft, as, record);
    note("edit " + std::to_string(id) + " by " + std::to_string(program.version()) + " as " +
         std::to_string(as));
    switch (below(6)) {
      case 0:
        promote();
        break;
      case 1:
        abort();
        break;
      case 2:
        changePercent();
        break;
      case 3:
        giveUp();
        break;
      case 4:
        put();
        break;
      default:
        break;
    }
    if (isShutOut(program)) return putFails(program);
    auto transaction = store_->write();
    program.rows.put(transaction, draft);
    transaction.commit();
    store(id, as, record);
    note("put it");
    readAll();
  }

  void editNow() {
    const Program program = anybody();
    const std::uint64_t id = below(kKeys);
    if (isShutOut(program) || !records_.contains(id)) return;
    auto transaction = store_->write();
    auto draft = program.rows.edit(transaction, id);
    ASSERT_TRUE(draft) << trace_;
    const unsigned as = draft.origin()->servedAs;
    note("change " + std::to_string(id) + " by " + std::to_string(program.version()) + " as " +
         std::to_string(as));
    Record record = records_.at(id);
    fill(*draft, as, record);
    program.rows.put(transaction, draft);
    transaction.commit();
    store(id, as, record);
  }

  void expectAdded(DynamicStruct::Reader row, unsigned version, const Record& record,
                   const std::string& what) const {
    for (unsigned number = 2; number <= version; ++number) {
      const auto value = record.added.find(number);
      EXPECT_EQ(row.get(addedField(number)).as<unsigned>(),
                value == record.added.end() ? kDefault : value->second)
          << what << addedField(number) << trace_;
    }
  }

  void readAll() const {
    const RecordSchema all = highest_ > 1 ? schemaOf(highest_) : contact1();
    const auto snapshot = store_->read();
    for (const auto* program : {&oldest_, &newest_, &trial_, &left_}) {
      if (!*program) continue;
      const StagedRows& rows = (*program)->rows;
      EXPECT_EQ(rows.count(snapshot), records_.size()) << trace_;
      for (auto row : rows.scan(snapshot)) {
        const auto id = (*row).get("id").as<std::uint64_t>();
        const Record& record = records_.at(id);
        const std::string what =
            "read " + std::to_string(id) + " by " + std::to_string((*program)->version()) + ": ";
        EXPECT_EQ(textOf(*row, "name"), record.name.whole()) << what << trace_;
        expectAdded(*row, row.servedAs(), record, what);
        if (program == &oldest_)
          expectAdded(row.as(all.root()), highest_, record, "as it is stored, " + what);
        if (row.servedAs() == 1) continue;
        EXPECT_EQ(textOf(*row, "first"), record.name.first) << what << trace_;
        EXPECT_EQ(textOf(*row, "last"), record.name.last) << what << trace_;
      }
    }
  }

  std::mt19937 random_;
  std::string trace_;
  TemporaryFolder folder_;
  std::optional<Store> store_;
  std::optional<Program> oldest_;
  std::optional<Program> newest_;  // of the current version, which it depends on
  std::optional<Program> trial_;   // has opened the version that was staged last to be tried
  std::optional<Program> left_;    // has done so with the one before, and goes on
  std::map<std::uint64_t, Record> records_;
  std::vector<unsigned> current_{1};    // versions that are depended upon; the last one is the current one
  std::map<unsigned, unsigned> since_;  // of each version: from which on the name is made of two
  unsigned highest_ = 1;
  unsigned staged_ = 0;
};

TEST(StagingModel, EveryProgramReadsWhatWasPutWhateverBecomesOfVersions) {
  for (unsigned seed = 1; seed <= kLives && !::testing::Test::HasFailure(); ++seed) Life(seed).run();
}

}  // namespace
}  // namespace instar
