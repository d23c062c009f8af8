#include "instar/tests/frozen/states.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/compaction.h"
#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/compaction/worker.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/migration.h"
#include "instar/engine/reconciliation.h"
#include "instar/engine/staging.h"
#include "instar/evolve/functions.h"
#include "instar/format/file_format.h"
#include "instar/tests/frozen/maker.h"
#include "instar/tests/support/forwarding_storage.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::frozen {
namespace {

using namespace std::chrono_literals;
using Path = std::filesystem::path;

// --- what a file has

CollectionInfo people(const Store& store) { return store.collections(store.read()).at(0); }

VersionState stateOf(const Store& store, std::uint16_t number) {
  for (const VersionInfo& version : store.versions(store.read(), "people")) {
    if (version.number == number) return version.state;
  }
  throw std::logic_error("there is no such version");
}

CollectionProgress progressOf(const Store& store) {
  return compactionProgress(store, store.read()).collections.at(0);
}

bool isInTheMidstOfAPass(const Store& store) {
  const auto partitions = progressOf(store).partitions;
  const auto inProgress =
      std::ranges::count_if(partitions, [](const PartitionInfo& info) { return info.inProgress; });
  const auto done =
      std::ranges::count_if(partitions, [](const PartitionInfo& info) { return info.passedFor != 0; });
  return inProgress == 1 && done >= 1;
}

std::size_t versionsInRows(const Store& store) {
  return countVersions(store, store.read(), "people").versions.size();
}

bool has(const Store& store, AuditEvent event) {
  const AuditTrail trail = readAudit(store, store.read());
  return std::ranges::any_of(trail.entries, [&](const AuditEntry& entry) { return entry.event == event; });
}

// --- how it comes about

void makePlain(const Path& file) {
  const Maker maker(file);
  const Rows rows = maker.open("person_1");
  maker.fill(rows, 0, 40);
  maker.erase(rows, 5, 6, 5);
}

void makeSeveralVersions(const Path& file) {
  const Maker maker(file);
  const Rows first = maker.open("person_1");
  maker.fill(first, 0, 30);
  maker.fill(maker.open("person_2"), 20, 20);
  maker.edit(first, 15, 5, 3);
}

void makeMirrored(const Path& file) {
  const Maker maker(file);
  const Rows first = maker.open("person_1");
  maker.fill(first, 0, 20);
  const Rows third = maker.open("person_3");
  maker.fill(third, 15, 20);
  maker.edit(first, 18, 5, 3);
  maker.edit(third, 1, 5);
}

void makeWriterFloor(const Path& file) {
  const Maker maker(file);
  maker.fill(maker.open("person_1"), 0, 20);
  maker.fill(maker.open("person_3_without_mirror"), 15, 10);
}

void makeReplaced(const Path& file) {
  const Maker maker(file);
  maker.fill(maker.open("person_2"), 0, 20);
  maker.fill(maker.open("member_3"), 15, 10);
}

// --- compaction

void stopInTheMidst(const Path& file, CompactionMode mode, bool keepPreimages) {
  const Maker maker(file);
  maker.fill(maker.open("person_1"), 0, 120);
  maker.compact(maker.open("person_3"), mode, 3, keepPreimages);
}
void makeUpgrading(const Path& file) { stopInTheMidst(file, CompactionMode::upgrade, false); }
void makePacking(const Path& file) { stopInTheMidst(file, CompactionMode::compress, false); }
void makePreimages(const Path& file) { stopInTheMidst(file, CompactionMode::compress, true); }

void makeCompacted(const Path& file) {
  const Maker maker(file);
  const Rows rows = maker.open("person_2");
  maker.fill(rows, 0, 120, 2);
  maker.compactAll(rows, CompactionMode::compress);
  maker.mergePartitions(rows);
  maker.fill(rows, 101, 10, 2);  // between those in blocks
  maker.fill(rows, 20, 10, 4);   // over them
  maker.erase(rows, 60, 10, 2);
}

void makeDictionary(const Path& file) {
  const Maker maker(file);
  const Rows rows = maker.open("person_1");
  maker.fillWithPhrases(rows, 4100);
  migrate(maker.store(), "people", {.mode = CompactionMode::compress});
}

void makeMismatch(const Path& file) {
  {
    const Maker maker(file);
    maker.fill(maker.open("person_1"), 0, 100);
    const Rows rows = maker.open("person_2");
    Worker worker(maker.store().read().state().sharedStore(), instar::stateOf(rows),
                  {.mode = CompactionMode::compress, .rate = 1, .keepPreimages = true});
    while (!worker.step({.lower = {}, .packs = true}, [] {})) {
    }
  }
  flipBitInFirstBlock(file);
  try {
    migrate(Store::open(file), "people", {.mode = CompactionMode::compress});
  } catch (const Error& error) {
    if (error.code() == ErrorCode::restoreFromBackup) return;
    throw;
  }
  throw std::logic_error("the mismatch was not found");
}

void makeSettled(const Path& file) {
  const Maker maker(file);
  maker.fill(maker.open("person_1"), 0, 30);
  maker.open("person_3");
  migrate(maker.store(), "people");
}

void makeUnsettled(const Path& file) {
  const Maker maker(file);
  const Rows first = maker.open("person_1");
  maker.fill(first, 0, 30);
  maker.open("person_3");
  migrate(maker.store(), "people");
  maker.fill(first, 25, 10);
}

void makeRetired(const Path& file) {
  const Maker maker(file);
  maker.fill(maker.open("person_1"), 0, 20);
  maker.fill(maker.open("person_3"), 15, 10);
  const Rows rows = maker.open("person_4");
  migrate(maker.store(), "people");
  retireVersions(maker.store(), "people", 3);
  maker.fill(rows, 20, 10);
}

void makeWrittenBack(const Path& file) {
  Maker maker(file);
  maker.fill(maker.open("person_1"), 0, 20);
  maker.reopen({.writeBackRows = 100});
  const Rows third = maker.open("person_3");
  maker.read(third, 5, 10);
  maker.store().writeBack(6);
}

// A disk on which the thread of the store cannot write, as long as it is told so.
class FailingForOthers : public testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;

  std::unique_ptr<storage::Transaction> begin(storage::Access access,
                                              std::chrono::milliseconds wait) override {
    if (access == storage::Access::write && isFailing && std::this_thread::get_id() != mine_)
      throw Error(ErrorCode::fixEnvironment, "the disk reports an error");
    return ForwardingStorage::begin(access, wait);
  }

  std::atomic<bool> isFailing = true;

 private:
  const std::thread::id mine_ = std::this_thread::get_id();
};

template <class Condition>
void await(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("the thread does not come to it");
    std::this_thread::sleep_for(2ms);
  }
}

void makeByTheThread(const Path& file) {
  {
    const Maker maker(file);
    maker.fill(maker.open("person_1"), 0, 60);
  }
  StoreOptions options{.durability = Durability::off, .functions = programFunctions()};
  options.compaction = {.mode = CompactionMode::compress,
                        .rate = 0,
                        .minFreeDisk = 0,
                        .maxFailuresInARow = 1,
                        .backoffMin = 1ms,
                        .coldBelow = 1e9,
                        .lowPriority = false};
  const auto storage = std::make_shared<FailingForOthers>(storage::openLmdb(file, options));
  const Store store = Store::open(storage, options);
  store.collection("people", programSchema("person_3"));
  const Compaction compaction = store.compaction();
  await([&] { return compaction.status().wait == WaitReason::circuitOpen; });
  storage->isFailing = false;
  compaction.resume();
  await([&] { return has(store, AuditEvent::finished); });
  compaction.setRate(1 << 20);
  compaction.pause();
  compaction.stop();
}

// --- versions that are tried

void makeStaged(const Path& file) {
  const Maker maker(file);
  const Rows second = maker.open("person_2");
  maker.fill(second, 0, 30);
  maker.fillWithSingleNames(second, 30, 3);
  maker.read(maker.stage("person_3", {.shadow = 100}), 0, 33);
}

Rows stageAShare(const Maker& maker) {
  const Rows second = maker.open("person_2");
  maker.fill(second, 0, 40);
  const Rows third = maker.stage("person_3", {.percent = 25});
  setStagedPercent(maker.store(), "people", 3, 50);
  maker.fill(third, 30, 20);
  maker.edit(second, 25, 10);
  maker.edit(third, 1, 10);
  return third;
}

void makeStagedShare(const Path& file) {
  const Maker maker(file);
  stageAShare(maker);
}

void makePromoted(const Path& file) {
  const Maker maker(file);
  const Rows third = stageAShare(maker);
  promoteVersion(maker.store(), "people", 3, {.forced = true, .reason = "by hand"});
  maker.edit(third, 0, 5);
}

void makeAborted(const Path& file) {
  const Maker maker(file);
  const Rows third = stageAShare(maker);
  abortVersion(maker.store(), "people", 3, "by hand");
  maker.edit(third, 0, 5);
}

void makeTakenBack(const Path& file) {
  const Maker maker(file);
  const Rows third = stageAShare(maker);
  promoteVersion(maker.store(), "people", 3, {.forced = true, .reason = "by hand"});
  maker.edit(third, 0, 20);
  abortVersion(maker.store(), "people", 3, "taken back");
}

void makeReconciling(const Path& file) {
  const Maker maker(file);
  maker.fillWithSingleNames(maker.open("person_2"), 0, 60);
  maker.open("person_3");
  struct Ended {};
  int calls = 0;
  try {
    reconcile(maker.store(), "people", Follow::newer,
              {.lockTime = std::chrono::microseconds(0), .progress = [&](const Progress&) {
                 if (++calls == 10) throw Ended();
               }});
  } catch (const Ended&) {
    return;
  }
  throw std::logic_error("the reconciliation was not ended");
}

// --- what is not whole

void makeUnfinishedCreation(const Path& file) { storage::openLmdb(file, {})->openTree(kCatalogTree, true); }

void makeUnfinishedCollection(const Path& file) {
  { const Maker maker(file); }
  storage::openLmdb(file, {})->openTree(rowTreeName("people"), true);
}

// As it lies beside its target until it is whole.
void makeUnfinishedBackup(const Path& file) {
  makePlain(file);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
}

void makeDamagedRow(const Path& file) {
  {
    const Maker maker(file);
    maker.fill(maker.open("person_1"), 0, 30);
  }
  flipBitOf(file, "Liskov-14");
}

void makeDamagedBlock(const Path& file) {
  makeCompacted(file);
  flipBitInFirstBlock(file);
}

// LMDB has two, on the first two pages, and uses them by turns; the second one is of the first commit, the
// third and so on. The newest row is only in what is damaged.
void makeDamagedMetaPage(const Path& file) {
  makePlain(file);
  const Store store = Store::open(file);
  const Rows rows = store.collection("people", programSchema("person_1"));
  std::uint64_t id = 100;
  do {
    auto transaction = store.write();
    auto draft = rows.create();
    draft->set("id", id++);
    rows.put(transaction, draft);
    transaction.commit();
  } while (store.read().id() % 2 == 0 || id < 102);
  constexpr std::uint64_t kMagicOfTheSecond = 4096 + 16;
  flipBitAt(file, kMagicOfTheSecond);
}

void makeDamagedCatalog(const Path& file) {
  makePlain(file);
  flipBitOf(file, "record.capnp:Person");
}

// --- what is not ours, or not yet

void makeNewerFormat(const Path& file) {
  makePlain(file);
  const Store store = Store::open(file);
  TransactionState transaction(store.read().state().sharedStore(), storage::Access::write);
  Catalog(transaction).raiseFormat(UINT16_MAX);
  transaction.commit();
}

void makeForeign(const Path& file) {
  const auto environment = storage::openLmdb(file, {});
  const auto tree = environment->openTree("addresses", true);
  const auto transaction = environment->begin(storage::Access::write, 1s);
  std::ranges::fill(transaction->reserve(tree.value(), asBytes("Ada"), 9), std::byte{'a'});
  transaction->commit();
}

std::vector<FileState> makeStates() {
  const std::vector<std::string> kAdditive = {"person_1", "person_2"};
  const std::vector<std::string> kMirrored = {"person_1", "person_2", "person_3"};
  return {
      {"plain",
       Kind::sound,
       {"person_1"},
       makePlain,
       [](const Store& store) { return people(store).rows == 34; }},
      {"several_versions", Kind::sound, kAdditive, makeSeveralVersions,
       [](const Store& store) { return versionsInRows(store) == 2; }},
      {"mirrored",
       Kind::sound,
       {"person_1", "person_3"},
       makeMirrored,
       [](const Store& store) { return versionsInRows(store) == 2 && people(store).currentVersion == 3; }},
      {"writer_floor",
       Kind::sound,
       {"person_1", "person_3_without_mirror"},
       makeWriterFloor,
       [](const Store& store) { return people(store).writerFloor == 3 && people(store).readerFloor == 1; }},
      {"replaced",
       Kind::sound,
       {"person_2", "member_3"},
       makeReplaced,
       [](const Store& store) { return people(store).readerFloor == 3 && versionsInRows(store) == 2; },
       false,
       true},
      {"upgrading",
       Kind::sound,
       {"person_1", "person_3"},
       makeUpgrading,
       [](const Store& store) { return isInTheMidstOfAPass(store) && people(store).coldBlocks == 0; }},
      {"packing",
       Kind::sound,
       {"person_1", "person_3"},
       makePacking,
       [](const Store& store) {
         return isInTheMidstOfAPass(store) && people(store).coldBlocks > 0 && versionsInRows(store) == 2;
       }},
      {"preimages",
       Kind::sound,
       {"person_1", "person_3"},
       makePreimages,
       [](const Store& store) { return isInTheMidstOfAPass(store) && !verify(store).kept.empty(); }},
      {"compacted",
       Kind::sound,
       {"person_2"},
       makeCompacted,
       [](const Store& store) {
         return people(store).coldBlocks > 1 && progressOf(store).partitions.size() > 1 &&
                people(store).coldRows < people(store).rows;
       }},
      {"dictionary",
       Kind::sound,
       {"person_1"},
       makeDictionary,
       [](const Store& store) { return has(store, AuditEvent::dictionaryTrained); }},
      {"mismatch", Kind::damaged, kAdditive, makeMismatch,
       [](const Store& store) {
         return compactionProgress(store, store.read()).compactor->stoppedByMismatch &&
                !verify(store).kept.empty();
       }},
      {"settled",
       Kind::sound,
       {"person_1", "person_3"},
       makeSettled,
       [](const Store& store) { return stateOf(store, 3) == VersionState::settled; }},
      {"unsettled",
       Kind::sound,
       {"person_1", "person_3"},
       makeUnsettled,
       [](const Store& store) {
         return stateOf(store, 3) == VersionState::active && has(store, AuditEvent::unsettled);
       }},
      {"retired",
       Kind::sound,
       {"person_1", "person_3", "person_4"},
       makeRetired,
       [](const Store& store) {
         return stateOf(store, 3) == VersionState::retired && people(store).readerFloor == 4;
       }},
      {"written_back",
       Kind::sound,
       {"person_1", "person_3"},
       makeWrittenBack,
       [](const Store& store) {
         return versionsInRows(store) == 2 && people(store).currentVersion == 3 && people(store).rows == 20;
       }},
      {"by_the_thread",
       Kind::sound,
       {"person_1", "person_3"},
       makeByTheThread,
       [](const Store& store) {
         return has(store, AuditEvent::circuitClosed) && has(store, AuditEvent::stopped);
       },
       true},
      {"staged",
       Kind::sound,
       {"person_2", "person_3"},
       makeStaged,
       [](const Store& store) {
         const auto status = stagingStatus(store, store.read(), "people");
         return status->state == VersionState::staged && status->canary.samples == 33 &&
                divergences(store, store.read(), "people").size() == 3;
       },
       true},
      {"staged_share",
       Kind::sound,
       {"person_2", "person_3"},
       makeStagedShare,
       [](const Store& store) {
         const auto status = stagingStatus(store, store.read(), "people");
         return status->state == VersionState::staged && status->percent == 50 && versionsInRows(store) == 2;
       }},
      {"promoted", Kind::sound, kMirrored, makePromoted,
       [](const Store& store) {
         return people(store).currentVersion == 3 && has(store, AuditEvent::promoted);
       }},
      {"aborted",
       Kind::sound,
       {"person_2", "person_3"},
       makeAborted,
       [](const Store& store) {
         return stateOf(store, 3) == VersionState::aborted && versionsInRows(store) == 2;
       }},
      {"taken_back",
       Kind::sound,
       {"person_2", "person_3"},
       makeTakenBack,
       [](const Store& store) {
         return stateOf(store, 3) == VersionState::aborted && has(store, AuditEvent::promoted);
       }},
      {"reconciling",
       Kind::sound,
       {"person_2", "person_3"},
       makeReconciling,
       [](const Store& store) {
         const auto left = reconcile(store, "people", Follow::newer, {.dryRun = true}).diverged;
         return left > 0 && left < 60 && has(store, AuditEvent::reconciled);
       }},
      {"unfinished_creation", Kind::refused, {}, makeUnfinishedCreation},
      {"unfinished_collection",
       Kind::sound,
       {"person_1"},
       makeUnfinishedCollection,
       [](const Store& store) { return store.collections(store.read()).empty(); }},
      {"unfinished_backup", Kind::damaged, {"person_1"}, makeUnfinishedBackup},
      {"damaged_row",
       Kind::damaged,
       {"person_1"},
       makeDamagedRow,
       [](const Store& store) { return check(store).damagedCount == 1; }},
      {"damaged_block",
       Kind::damaged,
       {"person_2"},
       makeDamagedBlock,
       [](const Store& store) { return verify(store).problems == 1; }},
      {"damaged_meta_page", Kind::damaged, {"person_1"}, makeDamagedMetaPage},
      {"damaged_catalog", Kind::damaged, {"person_1"}, makeDamagedCatalog},
      {"newer_format", Kind::refused, {"person_1"}, makeNewerFormat},
      {"foreign", Kind::refused, {}, makeForeign},
  };
}

}  // namespace

const std::vector<FileState>& fileStates() {
  static const std::vector<FileState> states = makeStates();
  return states;
}

RecordSchema programSchema(const std::string& name) {
  std::ifstream file(std::filesystem::path(INSTAR_FROZEN_FOLDER) / "schemas" / (name + ".capnp"));
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  return testing::parseRecord(text, name.starts_with("member") ? "Member" : "Person");
}

std::shared_ptr<const Functions> programFunctions() {
  const auto functions = std::make_shared<Functions>();
  functions->conversion<capnp::DynamicStruct, capnp::DynamicStruct>(
      "memberFromPerson", [](capnp::DynamicStruct::Reader person, capnp::DynamicStruct::Builder member) {
        member.set("id", person.get("id"));
        member.set("title", person.get("name"));
      });
  return functions;
}

}  // namespace instar::frozen
