#include "instar/engine/internal/storage/lmdb_environment.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "instar/engine/internal/storage/fork_guard.h"
#include "instar/engine/internal/storage/lmdb_error.h"
#include "instar/engine/internal/storage/lmdb_file.h"
#include "instar/engine/internal/storage/lmdb_transaction.h"
#include "instar/engine/internal/storage/storage_checks.h"

namespace instar::storage {
namespace {

using std::chrono::milliseconds;

// A begin that is not over after so many recoveries never will be.
constexpr int kMaxAttempts = 4;
// How long a reader waits for this process's snapshots when the map has to be moved.
constexpr milliseconds kReaderWait{5000};
constexpr std::uint64_t kMapGranularity = std::uint64_t{1} << 16;

std::uint64_t roundUp(std::uint64_t size) noexcept {
  return (size + kMapGranularity - 1) / kMapGranularity * kMapGranularity;
}

milliseconds remaining(Deadline deadline) noexcept {
  return std::max(std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now()),
                  milliseconds(0));
}

// LMDB unmaps the old map before it tries the new one; a failure would leave it with none.
bool addressSpaceHasRoom(std::uint64_t size) noexcept {
  void* const address = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) return false;
  ::munmap(address, size);
  return true;
}

// Not a tree, a damaged one, or one too many: trying again changes nothing, and whoever asks for it by name
// is told.
bool staysUnopened(const Error& error) {
  const std::string_view code = error.fact("code");
  return code == std::to_string(lmdb::kIncompatible) || code == std::to_string(lmdb::kOddTree) ||
         code == std::to_string(lmdb::kTooManyTrees);
}

class ClosedGate {
 public:
  ClosedGate(ActivityGate& gate, milliseconds wait) noexcept : gate_(gate), isClosed_(gate.close(wait)) {}
  ClosedGate(const ClosedGate&) = delete;
  ClosedGate& operator=(const ClosedGate&) = delete;
  ~ClosedGate() {
    if (isClosed_) gate_.open();
  }
  bool isClosed() const noexcept { return isClosed_; }

 private:
  ActivityGate& gate_;
  bool isClosed_;
};

}  // namespace

// The turn and the lock among processes, until they are handed to a transaction.
class LmdbEnvironment::WriteLocks {
 public:
  WriteLocks(LmdbEnvironment& environment, Deadline deadline) : environment_(environment) {
    environment_.turn_.take(remaining(deadline));
    try {
      environment_.locks_->lockWriting(deadline);
    } catch (...) {
      environment_.turn_.giveBack();
      throw;
    }
  }
  WriteLocks(const WriteLocks&) = delete;
  WriteLocks& operator=(const WriteLocks&) = delete;
  ~WriteLocks() {
    if (!isHandedOver_) environment_.releaseWriteLocks();
  }
  void handOver() noexcept { isHandedOver_ = true; }

 private:
  LmdbEnvironment& environment_;
  bool isHandedOver_ = false;
};

LmdbEnvironment::LmdbEnvironment(Parts parts) noexcept
    : registration_(std::move(parts.registration)),
      locks_(std::move(parts.locks)),
      lockFile_(std::move(parts.lockFile)),
      settings_(std::move(parts.settings)),
      requestedMapSize_(settings_.mapSize),
      writeTimeout_(parts.writeTimeout),
      warnings_(std::move(parts.warnings)),
      generation_(forkGeneration()),
      pageSize_(parts.lmdb->pageSize()),
      checkOfSnapshots_(parts.lmdb->checkOfSnapshots()),
      lmdb_(std::move(parts.lmdb)) {}

LmdbEnvironment::~LmdbEnvironment() {
  if (turn_.isMine()) abortAbandoned();
  if (abandoned_.load() != nullptr) {
    // The thread that has LMDB's mutex still lives, and that mutex lies in LMDB's lock file.
    lmdb_->leak();
    static_cast<void>(lmdb_.release());
    static_cast<void>(lockFile_.release());
    static_cast<void>(registration_.release());
    return;
  }
  pool_.drain();
}

void LmdbEnvironment::checkNotForked() const {
  if (isForked()) throwForked();
}

std::unique_ptr<Transaction> LmdbEnvironment::begin(Access access, milliseconds wait) {
  checkNotForked();
  return access == Access::read ? beginRead() : beginWrite(wait);
}

int LmdbEnvironment::listUnopenedTrees(MDB_txn* transaction, std::vector<std::string>& names) const {
  std::uint64_t count = 0;
  int code = lmdb::countTrees(transaction, count);
  if (code != 0 || count <= treesSeen_.load(std::memory_order_acquire)) [[likely]]
    return code;
  code = lmdb::listTrees(transaction, names);
  if (code != 0) return code;
  return names.size() == count ? 0 : lmdb::kCorrupted;
}

void LmdbEnvironment::openTrees(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    try {
      openTree(name, Access::read);
    } catch (const Error& error) {
      if (!staysUnopened(error)) throw;
    }
  }
  std::uint64_t seen = treesSeen_.load(std::memory_order_relaxed);
  while (seen < names.size() &&
         !treesSeen_.compare_exchange_weak(seen, names.size(), std::memory_order_release)) {
  }
}

std::unique_ptr<LmdbTransaction> LmdbEnvironment::beginRead() {
  for (int attempt = 1;; ++attempt) {
    int code = lmdb::kPanic;
    std::vector<std::string> unopened;
    {
      Activity activity(gate_);
      MDB_txn* transaction = pool_.take();
      if (lmdb_) code = lmdb_->beginRead(transaction);
      const bool hasBegun = code == 0;
      if (hasBegun) code = listUnopenedTrees(transaction, unopened);
      if (hasBegun && (code != 0 || !unopened.empty())) {
        lmdb::reset(transaction);
        pool_.put(transaction);
      } else if (hasBegun) {
        auto result = own(shared_from_this(), transaction, Access::read, [&] {
          lmdb::reset(transaction);
          pool_.put(transaction);
        });
        activity.handOver();
        if (lockless()) checkNobodyWrites(result->id());
        return result;
      }
    }
    if (code == 0) {
      openTrees(unopened);
      continue;
    }
    if (attempt >= kMaxAttempts) throw lmdb::error(code, "mdb_txn_begin", path());
    recover(code, "mdb_txn_begin", kReaderWait);
  }
}

std::unique_ptr<LmdbTransaction> LmdbEnvironment::beginWrite(milliseconds wait) {
  if (readOnly()) throwReadOnlyStore();
  if (turn_.isMine()) abortAbandoned();
  const Deadline deadline = std::chrono::steady_clock::now() + wait;
  WriteLocks locks(*this, deadline);
  growWhereNeeded(remaining(deadline));
  for (int attempt = 1;; ++attempt) {
    int code = lmdb::kPanic;
    std::vector<std::string> unopened;
    {
      Activity activity(gate_);
      MDB_txn* transaction = nullptr;
      clearStaleReadersNowAndThen();
      if (lmdb_) code = lmdb_->beginWrite(transaction);
      const bool hasBegun = code == 0;
      if (hasBegun) code = listUnopenedTrees(transaction, unopened);
      if (hasBegun && (code != 0 || !unopened.empty())) {
        lmdb::abort(transaction);
      } else if (hasBegun) {
        auto result = own(shared_from_this(), transaction, Access::write, [&] { lmdb::abort(transaction); });
        activity.handOver();
        locks.handOver();
        return result;
      }
    }
    if (code == 0) {
      openTrees(unopened);
      continue;
    }
    if (attempt >= kMaxAttempts) throw lmdb::error(code, "mdb_txn_begin", path());
    recover(code, "mdb_txn_begin", remaining(deadline));
  }
}

void LmdbEnvironment::recover(int code, const char* call, milliseconds wait) {
  switch (code) {
    case lmdb::kReadersFull:
      return reclaimReaders();
    case lmdb::kPanic:
      return openAnew(wait);
    case lmdb::kMapResized:
    case lmdb::kMapFull: {
      const std::uint64_t size = code == lmdb::kMapFull ? mapState().mapSize * 2 : bytesInUse(mapState()) * 2;
      if (!growMap(size, wait)) throwSnapshotsInTheWay("the file has grown beyond the map");
      return;
    }
    default:
      throw lmdb::error(code, call, path());
  }
}

LmdbHandle::State LmdbEnvironment::mapState() noexcept {
  const Activity activity(gate_);
  return lmdb_ ? lmdb_->state() : LmdbHandle::State{};
}

std::uint64_t LmdbEnvironment::bytesInUse(const LmdbHandle::State& state) const noexcept {
  return (state.lastPage + 1) * pageSize_;
}

void LmdbEnvironment::requestLargerMap(std::size_t valueSize) noexcept {
  const std::uint64_t size = lmdb_->state().mapSize;
  wantedMapSize_.store(roundUp(std::max(size * 2, size + 2 * std::uint64_t{valueSize})));
}

void LmdbEnvironment::growWhereNeeded(milliseconds wait) {
  if (const std::uint64_t wanted = wantedMapSize_.load(); wanted != 0) {
    if (!growMap(wanted, wait)) throwSnapshotsInTheWay("the map must grow before the next write");
    return;
  }
  // Ahead of need, while no snapshot is in the way; if that does not work there is time.
  const LmdbHandle::State state = mapState();
  const std::uint64_t size = state.mapSize * 2;
  if (bytesInUse(state) > state.mapSize / 2 && addressSpaceHasRoom(size)) growMap(size, milliseconds(0));
}

bool LmdbEnvironment::growMap(std::uint64_t size, milliseconds wait) {
  const ClosedGate gate(gate_, wait);
  if (!gate.isClosed()) return false;
  size = roundUp(size);
  if (!lmdb_ || lmdb_->state().mapSize >= size) {
    wantedMapSize_.store(0);
    return true;
  }
  int code = addressSpaceHasRoom(size) ? 0 : ENOMEM;
  if (code == 0) {
    code = lmdb_->setMapSize(size);
    if (code != 0) close();
  }
  if (code != 0) throw lmdb::error(code, "mdb_env_set_mapsize", path()).with("bytes", std::to_string(size));
  if (settings_.mapSize != 0) settings_.mapSize = size;
  wantedMapSize_.store(0);
  return true;
}

void LmdbEnvironment::openAnew(milliseconds wait) {
  const ClosedGate gate(gate_, wait);
  if (!gate.isClosed()) throwSnapshotsInTheWay("a commit failed, and the store must be opened anew");
  if (lmdb_ && !isBroken()) return;  // another thread was faster
  close();
  auto lmdb = std::make_unique<LmdbHandle>(settings_);
  if (!filesHaveTheirNames()) {
    throw Error(
        ErrorCode::retry,
        "another file has taken the name of the open store, whose commit failed: close it and open again",
        {{"path", path().string()}});
  }
  TreeId expected = 0;
  for (const std::string& name : openedTrees()) {
    TreeId tree = 0;
    const int code = lmdb->openTree(name, false, tree);
    if (code != 0) throw lmdb::error(code, "mdb_dbi_open", path());
    if (tree != expected++) throw lmdb::error(lmdb::kBadTree, "mdb_dbi_open", path());
  }
  lmdb_ = std::move(lmdb);
}

bool LmdbEnvironment::filesHaveTheirNames() const {
  return stillNames(path(), identityOf(statusOf(descriptor(), path()))) &&
         (!lockFile_ || lockFile_->hasItsName());
}

void LmdbEnvironment::close() noexcept {
  pool_.drain();
  lmdb_.reset();
}

bool LmdbEnvironment::isBroken() noexcept {
  MDB_txn* transaction = pool_.take();  // keeps its slot: that all are taken is no sign of anything
  const int code = lmdb_->beginRead(transaction);
  if (code == 0) {
    lmdb::reset(transaction);
    pool_.put(transaction);
  }
  return code != 0;
}

bool LmdbEnvironment::commitIsUnknown() noexcept {
  MDB_txn* transaction = nullptr;
  const int code = lmdb_->beginWrite(transaction);  // needs no reader slot
  if (code == 0) lmdb::abort(transaction);
  return code != 0;
}

void LmdbEnvironment::throwSnapshotsInTheWay(const char* reason) {
  throw Error(ErrorCode::retry, "snapshots of this process are open for too long: close them, then try again",
              {{"path", path().string()}, {"reason", reason}, {"open", std::to_string(gate_.inside())}});
}

void LmdbEnvironment::checkNobodyWrites(std::uint64_t transaction) const {
  // In this order: a writer that comes between the two has committed, or has not touched what is seen here.
  if (!locks_->isOpenForWriting() && lmdb_->state().lastTransaction == transaction) return;
  throw Error(ErrorCode::retry,
              "another program writes to the store that is read without a lock file: open it again",
              {{"path", path().string()}});
}

void LmdbEnvironment::checkSnapshotIsIntact(std::uint64_t transaction) const {
  if (lmdb_->state().lastTransaction <= transaction + 1) [[likely]]
    return;
  throw Error(ErrorCode::retry,
              "another program has overwritten the snapshot, which no lock file guarded: open again",
              {{"path", path().string()}, {"transaction", std::to_string(transaction)}});
}

void LmdbEnvironment::endRead(MDB_txn* transaction) noexcept {
  lmdb::reset(transaction);
  pool_.put(transaction);
  gate_.leave();
}

void LmdbEnvironment::commitWrite(MDB_txn* transaction) {
  const int code = lmdb::commit(transaction);
  if (code == lmdb::kMapFull) requestLargerMap(0);
  const bool isUnknown = code != 0 && commitIsUnknown();
  gate_.leave();
  releaseWriteLocks();
  if (code == 0) return;
  const Error error = lmdb::error(code, "mdb_txn_commit", path());
  if (!isUnknown) throw Error(error);
  throw Error(ErrorCode::readBack,
              "the last page of a commit could not be written: read back whether it is stored",
              error.facts());
}

void LmdbEnvironment::abortWrite(MDB_txn* transaction) noexcept {
  lmdb::abort(transaction);
  gate_.leave();
  releaseWriteLocks();
}

void LmdbEnvironment::abandonWrite(MDB_txn* transaction) noexcept { abandoned_.store(transaction); }

void LmdbEnvironment::abortAbandoned() noexcept {
  if (MDB_txn* const transaction = abandoned_.exchange(nullptr)) abortWrite(transaction);
}

void LmdbEnvironment::releaseWriteLocks() noexcept {
  locks_->unlockWriting();
  turn_.giveBack();
}

std::optional<TreeId> LmdbEnvironment::openTree(std::string_view name, bool create) {
  checkNotForked();
  checkTreeName(name);
  if (const auto tree = openedTree(name)) return tree;
  if (turn_.isMine()) abortAbandoned();
  if (turn_.isMine()) {
    throw Error(ErrorCode::fixCall, "this thread has a write transaction open: open trees before it begins",
                {{"tree", std::string(name)}});
  }
  if (auto tree = openTree(std::string(name), Access::read)) return tree;
  if (!create) return std::nullopt;
  if (readOnly()) throwReadOnlyStore();
  const Deadline deadline = std::chrono::steady_clock::now() + writeTimeout_;
  const WriteLocks locks(*this, deadline);
  growWhereNeeded(remaining(deadline));
  return openTree(std::string(name), Access::write);
}

std::vector<std::string> LmdbEnvironment::openedTrees() {
  const std::lock_guard lock(treesMutex_);
  return trees_;
}

std::optional<TreeId> LmdbEnvironment::openedTree(std::string_view name) noexcept {
  const std::lock_guard lock(treesMutex_);
  const auto opened = std::find(trees_.begin(), trees_.end(), name);
  if (opened == trees_.end()) return std::nullopt;
  return static_cast<TreeId>(opened - trees_.begin());
}

std::optional<TreeId> LmdbEnvironment::openTree(std::string name, Access access) {
  for (int attempt = 1;; ++attempt) {
    int code = lmdb::kPanic;
    {
      const Activity activity(gate_);
      const std::lock_guard opening(openingTreeMutex_);
      if (const auto opened = openedTree(name)) return opened;
      std::unique_lock listing(treesMutex_);
      trees_.reserve(trees_.size() + 1);  // first, as LMDB also counts trees that are not listed
      listing.unlock();
      TreeId tree = 0;
      if (lmdb_) code = lmdb_->openTree(name, access == Access::write, tree);
      if (code == 0) {
        listing.lock();
        trees_.push_back(std::move(name));
        if (access == Access::write) treesSeen_.fetch_add(1, std::memory_order_release);
        return tree;
      }
      if (code == lmdb::kNotFound && access == Access::read) return std::nullopt;
    }
    if (attempt == kMaxAttempts) throw lmdb::error(code, "mdb_dbi_open", path());
    recover(code, "mdb_dbi_open", access == Access::write ? writeTimeout_ : kReaderWait);
  }
}

RowPlacement LmdbEnvironment::placement(std::size_t keyLength, std::size_t valueLength) const noexcept {
  return placementOf(pageSize_, keyLength, valueLength);
}

void LmdbEnvironment::sync() {
  checkNotForked();
  if (readOnly()) return;
  const Activity activity(gate_);
  const int code = lmdb_ ? lmdb_->sync() : lmdb::kPanic;
  if (code != 0) throw lmdb::error(code, "mdb_env_sync", path());
}

EnvironmentInfo LmdbEnvironment::info() {
  checkNotForked();
  const std::unique_ptr<LmdbTransaction> transaction = beginRead();  // also keeps lmdb_ in place
  const LmdbHandle::State state = lmdb_->state();
  const lmdb::Version version = lmdb::version();
  EnvironmentInfo info;
  info.pageSize = pageSize_;
  info.fileSize = static_cast<std::uint64_t>(statusOf(descriptor(), path()).st_size);
  info.mapSize = state.mapSize;
  info.freePages = transaction->countFreePages();
  info.usedPages = state.lastPage + 1 - info.freePages;
  info.lastTransaction = state.lastTransaction;
  info.readers = static_cast<std::uint32_t>(lmdb_->readers().size());
  info.maxReaders = kMaxReaders;
  info.storageVersion = "LMDB " + std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
                        std::to_string(version.patch);
  info.warnings = warnings_;
  if (auto warning = warningAboutLmdb(version.major, version.minor, version.patch)) {
    info.warnings.push_back(std::move(*warning));
  }
  return info;
}

bool LmdbEnvironment::tryLockCompaction() {
  checkNotForked();
  if (readOnly() || compacting_.exchange(true)) return false;
  if (!locks_->tryLockCompaction()) compacting_ = false;
  return compacting_;
}

}  // namespace instar::storage
