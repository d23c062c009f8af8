#pragma once

// What is behind the handles of a store. Shared by all of them; any thread.

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "instar/engine/internal/cold/block_cache.h"
#include "instar/engine/internal/compaction/heat_keeper.h"
#include "instar/engine/internal/write_back_queue.h"
#include "instar/engine/storage.h"
#include "instar/engine/store.h"

namespace instar {

class CanaryKeeper;
class Compactor;

class StoreState {
 public:
  StoreState(std::shared_ptr<storage::Environment> environment, const StoreOptions& options,
             storage::TreeId catalog)
      : environment_(std::move(environment)),
        options_(options),
        catalog_(catalog),
        writeBackQueue_(options.mode == OpenMode::readOnly ? 0 : options.writeBackRows),
        blockCache_(options.coldCacheBytes) {}

  storage::Environment& environment() const noexcept { return *environment_; }
  const StoreOptions& options() const noexcept { return options_; }
  storage::TreeId catalog() const noexcept { return catalog_; }
  WriteBackQueue& writeBackQueue() noexcept { return writeBackQueue_; }
  BlockCache& blockCache() noexcept { return blockCache_; }

  // Null where nothing compacts in this store.
  std::shared_ptr<HeatKeeper> heatOf(const std::string& collection);

  // Of waiting for the lock of writers and committing, lately; measured where something goes by it.
  // 0 where nobody has written for a second.
  std::chrono::nanoseconds foregroundLatency() const noexcept {
    const auto age = std::chrono::steady_clock::now().time_since_epoch().count() -
                     latencyAt_.load(std::memory_order_relaxed);
    if (std::chrono::steady_clock::duration(age) > std::chrono::seconds(1)) return {};
    return std::chrono::nanoseconds(latency_.load(std::memory_order_relaxed));
  }
  bool measuresLatency() const noexcept {
    return options_.compaction.latencyBudget.count() != 0 && !isCompactingThread() &&
           std::this_thread::get_id() != keepingThread_.load(std::memory_order_relaxed);
  }
  void noteLatency(std::chrono::nanoseconds latency) noexcept {
    const auto before = latency_.load(std::memory_order_relaxed);
    latency_.store(before - before / 8 + latency.count() / 8, std::memory_order_relaxed);
    latencyAt_.store(std::chrono::steady_clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  }
  bool isCompactingThread() const noexcept {
    return std::this_thread::get_id() == compactingThread_.load(std::memory_order_relaxed);
  }
  void setCompactingThread(std::thread::id thread) noexcept { compactingThread_ = thread; }
  void setKeepingThread(std::thread::id thread) noexcept { keepingThread_ = thread; }  // of canary reads
  // It was told something that it has not heard yet.
  bool isCompactionCalled() const noexcept { return isCompactionCalled_.load(std::memory_order_relaxed); }
  void callCompaction(bool isCalled) noexcept { isCompactionCalled_ = isCalled; }

  // Null where there is none.
  std::shared_ptr<Compactor> compactor() const noexcept { return compactor_.lock(); }
  void setCompactor(const std::shared_ptr<Compactor>& compactor) noexcept { compactor_ = compactor; }

  // Null in a store that is open for reading only.
  std::shared_ptr<CanaryKeeper> canaryKeeper() const noexcept { return canaryKeeper_.lock(); }
  void setCanaryKeeper(const std::shared_ptr<CanaryKeeper>& keeper) noexcept { canaryKeeper_ = keeper; }

  Verify verify() const noexcept { return options_.verifyChecksums ? Verify::yes : Verify::no; }

 private:
  std::shared_ptr<storage::Environment> environment_;
  StoreOptions options_;
  storage::TreeId catalog_;
  WriteBackQueue writeBackQueue_;
  BlockCache blockCache_;
  std::mutex heatMutex_;
  std::map<std::string, std::shared_ptr<HeatKeeper>> heats_;  // protected by heatMutex_
  std::atomic<std::chrono::nanoseconds::rep> latency_{0};
  std::atomic<std::chrono::steady_clock::rep> latencyAt_{0};
  std::atomic<std::thread::id> compactingThread_{};
  std::atomic<std::thread::id> keepingThread_{};
  std::atomic<bool> isCompactionCalled_{false};
  // Set before anybody else knows this object.
  std::weak_ptr<Compactor> compactor_;
  std::weak_ptr<CanaryKeeper> canaryKeeper_;
};

inline std::shared_ptr<HeatKeeper> StoreState::heatOf(const std::string& collection) {
  if (options_.compaction.mode == CompactionMode::off || options_.mode == OpenMode::readOnly) return nullptr;
  const std::lock_guard lock(heatMutex_);
  auto& heat = heats_[collection];
  if (!heat) heat = std::make_shared<HeatKeeper>(collection);
  return heat;
}

}  // namespace instar
