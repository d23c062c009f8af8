#include "instar/bench/upgrade/instar_strategy.h"

#include <chrono>
#include <limits>
#include <thread>

#include "instar/bench/lmdb_reference.h"
#include "instar/engine/migration.h"

namespace instar::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookEvery = 5ms;
constexpr std::size_t kRememberedRows = 100'000;  // for write-back
constexpr std::size_t kRowsPerWriteBack = 1000;

class Stopped : public std::exception {};

CompactionMode modeOf(const Scenario& scenario) noexcept {
  return scenario.packs ? CompactionMode::compress : CompactionMode::upgrade;
}

void inBatches(const Store& store, const std::string& collection, const Scenario& scenario,
               MigrationProgress& progress, const std::atomic<bool>& stop) {
  MigrationOptions options{.mode = modeOf(scenario)};
  if (scenario.lockTime != 0) options.lockTime = std::chrono::microseconds(scenario.lockTime);
  const auto note = [&](const Migration& now) { progress.reach(std::max(now.rewritten, now.packed)); };
  options.committed = note;
  options.progress = [&](const Progress&) {
    if (stop) throw Stopped();
  };
  try {
    const Migration migration = migrate(store, collection, options);
    if (migration.failed != 0) throw std::runtime_error("rows could not be upgraded");
    note(migration);
    progress.complete = true;
  } catch (const Stopped&) {
  }
}

void writeBack(const Store& store, MigrationProgress& progress, const std::atomic<bool>& stop) {
  while (!stop) {
    const std::size_t rewritten = store.writeBack(kRowsPerWriteBack);
    progress.add(rewritten);
    if (rewritten == 0) std::this_thread::sleep_for(kLookEvery);
  }
}

// The store's own thread does it; this one looks on.
void watchThread(const Store& store, const std::string& collection, const Scenario& scenario,
                 MigrationProgress& progress, const std::atomic<bool>& stop) {
  const Compaction compaction = store.compaction();
  const auto isSettled = [&] {
    for (const auto& one : compactionProgress(store, store.read()).collections) {
      if (one.name == collection) return one.isSettled();
    }
    return false;
  };
  while (!stop) {
    const CompactionStatus status = compaction.status();
    progress.reach(scenario.packs ? std::max(status.rewritten, status.packed) : status.rewritten);
    if (status.failed != 0) throw std::runtime_error("rows could not be upgraded: " + status.detail);
    if (status.wait == WaitReason::idle && isSettled()) {
      progress.complete = true;
      return;
    }
    std::this_thread::sleep_for(kLookEvery);
  }
}

}  // namespace

StoreOptions storeOptions(const Scenario& scenario) {
  StoreOptions options{.durability = scenario.durability, .mapSize = kMapSize, .writeTimeout = kWriteTimeout};
  switch (scenario.strategy) {
    case Strategy::writeBack:
      options.writeBackRows = kRememberedRows;
      break;
    case Strategy::background:
    case Strategy::paced:  // neither waits until a partition is cold, nor for space on the disk
      options.compaction = {.mode = modeOf(scenario),
                            .rate = scenario.rate,
                            .minFreeDisk = 0,
                            .coldBelow = std::numeric_limits<double>::max()};
      break;
    case Strategy::standard:
      options.compaction.mode = modeOf(scenario);
      break;
    default:
      break;
  }
  if (scenario.lockTime != 0) options.compaction.lockTime = std::chrono::microseconds(scenario.lockTime);
  return options;
}

void migrateBeside(const Store& store, const std::string& collection, const Scenario& scenario,
                   MigrationProgress& progress, const std::atomic<bool>& stop) {
  switch (scenario.strategy) {
    case Strategy::batches:
      return inBatches(store, collection, scenario, progress, stop);
    case Strategy::writeBack:
      return writeBack(store, progress, stop);
    case Strategy::background:
    case Strategy::paced:
    case Strategy::standard:
      return watchThread(store, collection, scenario, progress, stop);
    default:
      return;
  }
}

}  // namespace instar::bench
