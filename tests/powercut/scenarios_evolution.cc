// Power cuts while versions come, are tried, are promoted, given up and retired, and while rows of older
// versions are rewritten and packed.

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include "instar/engine/migration.h"
#include "instar/engine/reconciliation.h"
#include "instar/engine/staging.h"
#include "instar/tests/powercut/play.h"

namespace instar::powercut {
namespace {

Rows add(const Play& play, const Store& store, const char* name, const RecordSchema& schema) {
  return play.change(store, [&] { return store.collection(name, schema); });
}

void fill(const Play& play, const Store& store, const Rows& rows, std::uint64_t count,
          std::uint64_t first = 0) {
  constexpr std::uint64_t kAtOnce = 100;
  for (std::uint64_t id = first; id < first + count; id += kAtOnce) {
    play.commit(store, [&](WriteTransaction& transaction) {
      putNotes(rows, transaction, id, std::min(kAtOnce, first + count - id), 7);
    });
  }
}

// What compaction does shows only as a version that is settled, which counts as active: the rows stay as they
// are at every moment.
void compact(const Play& play, const Store& store, const MigrationOptions& options) {
  play.begin();
  migrate(store, "notes", options);
  play.acknowledge(store);
}

// Additive, derived with a mirror, derived without one: that raises a floor.
void evolve(const Play& play) {
  const Store store = play.create();
  fill(play, store, add(play, store, "notes", mirroredNote(1)), 120);
  const Rows derived = add(play, store, "notes", mirroredNote(2));
  fill(play, store, derived, 20, 100);
  const Rows mirrored = add(play, store, "notes", mirroredNote(3));
  fill(play, store, mirrored, 20, 110);
  fill(play, store, add(play, store, "others", noteVersion(1)), 30);
  for (int version = 2; version <= 4; ++version) {
    const Rows rows = add(play, store, "others", noteVersion(version));
    fill(play, store, rows, 10, static_cast<std::uint64_t>(version) * 10);
  }
}

// Nothing is proved by a scenario that does not come to what it is about.
void require(bool isSo, const char* what) {
  if (!isSo) throw std::runtime_error(std::string("this did not happen: ") + what);
}

void migrateRows(const Play& play, std::uint64_t count, CompactionMode mode, bool keepsPreimages) {
  const Store store = play.create();
  fill(play, store, add(play, store, "notes", noteVersion(1)), count);
  for (int version = 2; version <= 3; ++version) {
    const Rows rows = add(play, store, "notes", noteVersion(version));
    compact(play, store,
            {.mode = mode, .lockTime = std::chrono::microseconds(0), .keepPreimages = keepsPreimages});
    play.commit(store, [&](WriteTransaction& transaction) {
      for (std::uint64_t id = 0; id < count; id += 9) {
        if (id % 2 == 0)
          rows.erase(transaction, id);
        else
          putNote(rows, transaction, id, id + 5);
      }
    });
  }
  compact(play, store,
          {.mode = mode, .lockTime = std::chrono::microseconds(0), .keepPreimages = keepsPreimages});
  const bool hasBlocks = store.collections(store.read()).front().coldBlocks > 0;
  require(hasBlocks == (mode == CompactionMode::compress), "rows are packed");
}

void upgrade(const Play& play) { migrateRows(play, 150, CompactionMode::upgrade, false); }
void pack(const Play& play) { migrateRows(play, 400, CompactionMode::compress, false); }
void packKeepingPreimages(const Play& play) { migrateRows(play, 300, CompactionMode::compress, true); }

// As few rows as a dictionary is made for, and alike enough that it is worth while.
void trainDictionary(const Play& play) {
  const Store store = play.create();
  const Rows rows = add(play, store, "notes", noteVersion(1));
  constexpr std::string_view kWords[] = {"order ",        "parcel ",      "weighs ",  "north ",
                                         "delivered to ", "the port of ", "is late ", "paid for "};
  play.commit(store, [&](WriteTransaction& transaction) {
    constexpr std::uint64_t kRows = 4100;
    for (std::uint64_t id = 0; id < kRows; ++id) {
      std::string filler;
      for (std::uint64_t rest = id * 2654435761 % 1'000'003; rest > 0; rest /= 8) filler += kWords[rest % 8];
      auto draft = rows.create();
      draft->set("id", id);
      draft->set("number", std::to_string(id * 7919).c_str());
      draft->set("filler", filler.c_str());
      rows.put(transaction, draft);
    }
  });
  compact(play, store, {.mode = CompactionMode::compress, .lockTime = std::chrono::milliseconds(20)});
  const AuditTrail trail = readAudit(store, store.read());
  require(std::any_of(trail.entries.begin(), trail.entries.end(),
                      [](const AuditEntry& entry) { return entry.event == AuditEvent::dictionaryTrained; }),
          "a dictionary is trained");
}

// The thread of the store compacts while the program writes and a version comes.
void compactInThread(const Play& play) {
  StoreOptions options;
  options.compaction.mode = CompactionMode::compress;
  options.compaction.rate = 0;
  options.compaction.lockTime = std::chrono::microseconds(0);
  options.compaction.minFreeDisk = 0;
  options.compaction.lowPriority = false;
  options.compaction.coldBelow = 1e9;
  const Store store = play.create(options);
  fill(play, store, add(play, store, "notes", noteVersion(1)), 300);
  const Rows rows = add(play, store, "notes", noteVersion(2));
  for (std::uint64_t number = 0; number < 12; ++number) {
    play.commit(store, [&](WriteTransaction& transaction) {
      for (std::uint64_t id = number; id < 300; id += 40) putNote(rows, transaction, id, number);
      rows.erase(transaction, number * 11 + 1);
    });
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!compactionProgress(store, store.read()).collections.at(0).isSettled()) {
    if (std::chrono::steady_clock::now() > end)
      throw std::runtime_error("compaction does not come to its end");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  play.commit(store, [&](WriteTransaction& transaction) { putNote(rows, transaction, 1000, 1); });
}

// Staged with a share of the keys, put to by both programs.
Rows stage(const Play& play, const Store& store) {
  const Rows older = add(play, store, "notes", trialNote(1));
  fill(play, store, older, 60);
  const Rows staged = play.change(store, [&] { return store.stage("notes", trialNote(2), {.percent = 50}); });
  fill(play, store, staged, 20, 30);
  play.commit(store, [&](WriteTransaction& transaction) { putNotes(older, transaction, 35, 10, 70); });
  play.change(store, [&] { setStagedPercent(store, "notes", 2, 100); });
  fill(play, store, staged, 10, 55);
  return staged;
}

// A program with a fault: it takes for durable that the share has grown, and has not asked for it to be so.
void growShareWithFault(const Play& play) {
  {
    const Store store = play.create();
    stage(play, store);
  }
  const Store store = play.open({.durability = Durability::off});
  for (const double percent : {60.0, 40.0})
    play.change(store, [&] { setStagedPercent(store, "notes", 2, percent); });
}

void promote(const Play& play) {
  const Store store = play.create();
  const Rows staged = stage(play, store);
  play.change(store, [&] { promoteVersion(store, "notes", 2, {.forced = true, .reason = "by hand"}); });
  fill(play, store, staged, 20, 10);
  compact(play, store, {.lockTime = std::chrono::microseconds(0)});
}

// Given up while it is tried, and another one after its promotion.
void abort(const Play& play) {
  const Store store = play.create();
  const Rows staged = stage(play, store);
  play.change(store, [&] { abortVersion(store, "notes", 2, "by hand"); });
  fill(play, store, staged, 20, 10);
  const Rows next = play.change(store, [&] { return store.stage("notes", trialNote(3), {.percent = 10}); });
  play.change(store, [&] { promoteVersion(store, "notes", 3, {.forced = true, .reason = "by hand"}); });
  fill(play, store, next, 20, 20);
  play.change(store, [&] { abortVersion(store, "notes", 3, "taken back"); });
}

// Both versions go together with the fields that only they had.
void retire(const Play& play) {
  const Store store = play.create();
  fill(play, store, add(play, store, "notes", noteVersion(1)), 150);
  fill(play, store, add(play, store, "notes", noteVersion(2)), 50, 100);
  const Rows rows = add(play, store, "notes", noteVersion(3));
  compact(play, store, {.lockTime = std::chrono::microseconds(0)});
  play.change(store, [&] { retireVersions(store, "notes", 1); });
  fill(play, store, rows, 20, 10);
  play.change(store, [&] { retireVersions(store, "notes", 2); });
  compact(play, store, {.mode = CompactionMode::compress, .lockTime = std::chrono::microseconds(0)});
}

// Every batch is a state of its own.
void reconcileRows(const Play& play) {
  const Store store = play.create();
  const Rows older = add(play, store, "notes", mirroredNote(2));
  play.commit(store, [&](WriteTransaction& transaction) {
    for (std::uint64_t id = 0; id < 120; ++id) {
      auto draft = older.create();
      draft->set("id", id);
      draft->set("number", std::to_string(id).c_str());
      draft->set("value", id % 3 == 0 ? id + 1000 : id);
      draft->set("filler", std::string(100, 'f').c_str());
      older.put(transaction, draft);
    }
  });
  add(play, store, "notes", mirroredNote(3));
  ReconciliationOptions options;
  options.lockTime = std::chrono::microseconds(0);
  options.progress = [&](const Progress&) {
    play.acknowledge(store);
    play.begin();
  };
  play.begin();
  reconcile(store, "notes", Follow::newer, options);
  play.acknowledge(store);
}

// Rows that were upgraded when they were read are stored so.
void writeBack(const Play& play) {
  const Store store = play.create({.writeBackRows = 200});
  fill(play, store, add(play, store, "notes", noteVersion(1)), 120);
  const Rows rows = add(play, store, "notes", noteVersion(2));
  for (std::uint64_t first = 0; first < 120; first += 30) {
    for (std::uint64_t id = first; id < first + 30; ++id) rows.get(store.read(), id);
    play.begin();
    while (store.writeBack(10) > 0) {
    }
    play.acknowledge(store);
  }
}

}  // namespace

Group evolutionScenarios() {
  return {{"evolve", evolve},
          {"upgrade", upgrade},
          {"pack", pack},
          {"pack_keeping_preimages", packKeepingPreimages},
          {"train_dictionary", trainDictionary},
          {"compact_in_thread", compactInThread},
          {"share_with_fault", growShareWithFault},
          {"promote", promote},
          {"abort", abort},
          {"retire", retire},
          {"reconcile", reconcileRows},
          {"write_back", writeBack}};
}

}  // namespace instar::powercut
