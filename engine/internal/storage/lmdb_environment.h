#pragma once

// An environment over LMDB: who may begin when, and what to do when LMDB says that the map is too small, the
// reader table is full or a commit has broken it. LMDB's calls are in lmdb_binding.h, the opening in
// lmdb_storage.h.
//
// A write transaction takes, in this order: the turn among this process's threads, the write lock among
// processes, a place inside the gate, LMDB's own mutex. A read transaction takes only a place inside the
// gate. To move the map, or to open LMDB anew after a failed commit, the gate is closed: nothing may be
// active in this process.
//
// A reader without a lock file ("lockless") is invisible to writers. It begins only while nobody has the
// store open for writing, and looks after each read that at most one commit has happened since its snapshot:
// LMDB reuses the pages of a snapshot from the third commit on, and starts to write that once the second is
// done.

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "instar/engine/internal/storage/activity_gate.h"
#include "instar/engine/internal/storage/environment_registry.h"
#include "instar/engine/internal/storage/fork_guard.h"
#include "instar/engine/internal/storage/lmdb_binding.h"
#include "instar/engine/internal/storage/lock_file.h"
#include "instar/engine/internal/storage/reader_pool.h"
#include "instar/engine/internal/storage/store_locks.h"
#include "instar/engine/internal/storage/write_turn.h"
#include "instar/engine/storage.h"

namespace instar::storage {

class LmdbTransaction;

class LmdbEnvironment final : public Environment, public std::enable_shared_from_this<LmdbEnvironment> {
 public:
  struct Parts {
    std::unique_ptr<Registration> registration;
    std::shared_ptr<StoreLocks> locks;
    std::unique_ptr<LockFile> lockFile;  // null if lockless
    LmdbHandle::Settings settings;
    std::unique_ptr<LmdbHandle> lmdb;        // opened with these settings
    std::chrono::milliseconds writeTimeout;  // for the creation of trees
    std::vector<std::string> warnings;
  };
  explicit LmdbEnvironment(Parts parts) noexcept;
  ~LmdbEnvironment() override;

  bool readOnly() const override { return settings_.readOnly; }
  std::unique_ptr<Transaction> begin(Access access, std::chrono::milliseconds wait) override;
  std::optional<TreeId> openTree(std::string_view name, bool create) override;
  RowPlacement placement(std::size_t keyLength, std::size_t valueLength) const noexcept override;
  void sync() override;
  EnvironmentInfo info() override;
  std::vector<ReaderInfo> readers() override;
  unsigned clearStaleReaders() override;
  bool tryLockCompaction() override;
  void unlockCompaction() noexcept override {
    locks_->unlockCompaction();
    compacting_ = false;
  }
  Pressure pressure() override { return {turn_.waiting(), freeBytesOf(path())}; }
  std::shared_ptr<const void> holdPages();  // as of lmdb_storage.h
  void copyTo(const std::filesystem::path& target, CopyOptions options) override;

  const std::filesystem::path& path() const noexcept { return settings_.path; }
  const LmdbHandle::Settings& settings() const noexcept { return settings_; }
  std::uint64_t requestedMapSize() const noexcept { return requestedMapSize_; }
  int descriptor() const noexcept { return locks_->descriptor(); }

  // For transactions.
  bool lockless() const noexcept { return settings_.lockless; }
  EntryCheck checkOfSnapshots() const noexcept { return checkOfSnapshots_; }
  void checkSnapshotIsIntact(std::uint64_t transaction) const;
  void endRead(MDB_txn* transaction) noexcept;
  void commitWrite(MDB_txn* transaction);
  void abortWrite(MDB_txn* transaction) noexcept;
  void abandonWrite(MDB_txn* transaction) noexcept;
  void requestLargerMap(std::size_t valueSize) noexcept;  // a value of so many bytes did not fit

  bool isForked() const noexcept { return generation_ != forkGeneration(); }

 private:
  class WriteLocks;

  void checkNotForked() const;  // Error(fixCall) in the child of a fork

  // All names, where the snapshot has trees that this process has not opened, which it could therefore not
  // read: once they are opened, begin again. LMDB's code, which is kCorrupted where the file counts more
  // trees than it has: it would count them again each time.
  int listUnopenedTrees(MDB_txn* transaction, std::vector<std::string>& names) const;
  void openTrees(const std::vector<std::string>& names);

  std::unique_ptr<LmdbTransaction> beginRead();
  std::unique_ptr<LmdbTransaction> beginWrite(std::chrono::milliseconds wait);
  std::optional<TreeId> openTree(std::string name, Access access);
  std::optional<TreeId> openedTree(std::string_view name) noexcept;
  std::vector<std::string> openedTrees();
  void abortAbandoned() noexcept;  // on the thread that began it
  void releaseWriteLocks() noexcept;
  void checkNobodyWrites(std::uint64_t transaction) const;

  // Deals with the code of a failed begin, so that it can be tried again; throws where that cannot be dealt
  // with.
  void recover(int code, const char* call, std::chrono::milliseconds wait);
  void reclaimReaders();
  void clearStaleReadersNowAndThen() noexcept;  // inside the gate
  void notePinned(std::vector<ReaderInfo>& readers);
  void growWhereNeeded(std::chrono::milliseconds wait);
  bool growMap(std::uint64_t size, std::chrono::milliseconds wait);  // false where snapshots were in the way
  void openAnew(std::chrono::milliseconds wait);
  bool filesHaveTheirNames() const;
  void close() noexcept;
  // A commit has failed on its last page, after which LMDB begins nothing more.
  bool isBroken() noexcept;         // inside the closed gate; also where that cannot be told
  bool commitIsUnknown() noexcept;  // for the thread that has the write locks, after its commit has failed
  LmdbHandle::State mapState() noexcept;
  std::uint64_t bytesInUse(const LmdbHandle::State& state) const noexcept;
  [[noreturn]] void throwSnapshotsInTheWay(const char* reason);

  std::unique_ptr<Registration> registration_;  // first, so that it ends last
  std::shared_ptr<StoreLocks> locks_;
  std::unique_ptr<LockFile> lockFile_;  // null if lockless
  LmdbHandle::Settings settings_;
  const std::uint64_t requestedMapSize_;
  const std::chrono::milliseconds writeTimeout_;
  const std::vector<std::string> warnings_;
  const std::uint32_t generation_;
  const std::uint32_t pageSize_;  // bytes
  const EntryCheck checkOfSnapshots_;

  std::atomic<bool> compacting_{false};  // by a thread of this process
  ActivityGate gate_;
  WriteTurn turn_;
  ReaderPool pool_;

  // Replaced only while the gate is closed, read only inside it. Null where opening anew has failed.
  std::unique_ptr<LmdbHandle> lmdb_;

  std::atomic<std::uint64_t> writesBegun_{0};
  std::atomic<std::uint64_t> wantedMapSize_{0};  // what the next write transaction enlarges the map to
  std::atomic<MDB_txn*> abandoned_{nullptr};     // ended on another thread than the owner's

  std::atomic<std::uint64_t> treesSeen_{0};  // how many the file had when all of them were last opened

  std::mutex openingTreeMutex_;     // LMDB opens trees one after the other; before LMDB's own mutexes
  std::mutex treesMutex_;           // after all others
  std::vector<std::string> trees_;  // protected by treesMutex_; the index is the TreeId
};

}  // namespace instar::storage
