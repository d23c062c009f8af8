#include "instar/engine/internal/storage/lmdb_binding.h"

#include <fcntl.h>
#include <lmdb.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "instar/engine/internal/storage/lmdb_error.h"

namespace instar::storage {
namespace {

static_assert(lmdb::kNotFound == MDB_NOTFOUND && lmdb::kPageNotFound == MDB_PAGE_NOTFOUND);
static_assert(lmdb::kCorrupted == MDB_CORRUPTED && lmdb::kPanic == MDB_PANIC);
static_assert(lmdb::kVersionMismatch == MDB_VERSION_MISMATCH && lmdb::kInvalid == MDB_INVALID);
static_assert(lmdb::kMapFull == MDB_MAP_FULL && lmdb::kTooManyTrees == MDB_DBS_FULL);
static_assert(lmdb::kReadersFull == MDB_READERS_FULL && lmdb::kTransactionFull == MDB_TXN_FULL);
static_assert(lmdb::kMapResized == MDB_MAP_RESIZED && lmdb::kIncompatible == MDB_INCOMPATIBLE);
static_assert(lmdb::kBadReaderSlot == MDB_BAD_RSLOT && lmdb::kBadTransaction == MDB_BAD_TXN);
static_assert(lmdb::kBadTree == MDB_BAD_DBI);

constexpr bool isNumbered(lmdb::Move move, MDB_cursor_op operation) noexcept {
  return static_cast<MDB_cursor_op>(move) == operation;
}
static_assert(isNumbered(lmdb::Move::first, MDB_FIRST) && isNumbered(lmdb::Move::last, MDB_LAST));
static_assert(isNumbered(lmdb::Move::next, MDB_NEXT) && isNumbered(lmdb::Move::previous, MDB_PREV));
static_assert(isNumbered(lmdb::Move::seek, MDB_SET_RANGE));

constexpr std::uint64_t kLargestMap = std::uint64_t{1} << 40;
constexpr std::uint64_t kSmallestPlentifulMap = std::uint64_t{1} << 30;

// LMDB's own two trees; a TreeId counts from behind them, so that none means one of these.
constexpr MDB_dbi kFreeTree = 0;
constexpr MDB_dbi kMainTree = 1;  // where the named trees are entries
constexpr MDB_dbi kFirstTree = 2;

MDB_dbi handleOf(TreeId tree) noexcept { return tree + kFirstTree; }

MDB_val valueOf(Bytes bytes) noexcept {
  return {bytes.size(), const_cast<std::byte*>(bytes.data())};  // LMDB only reads it
}

Bytes bytesOf(const MDB_val& value) noexcept {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

unsigned flagsOf(const LmdbHandle::Settings& settings) noexcept {
  unsigned flags = MDB_NOSUBDIR | MDB_NOTLS;
  if (settings.readOnly) flags |= MDB_RDONLY;
  if (settings.lockless) flags |= MDB_NOLOCK;
  if (settings.durability == Durability::normal) flags |= MDB_NOMETASYNC;
  if (settings.durability == Durability::off) flags |= MDB_NOSYNC;
  return flags;
}

int openOnce(const LmdbHandle::Settings& settings, std::uint64_t mapSize, MDB_env*& environment) noexcept {
  int code = mdb_env_create(&environment);
  if (code != 0) return code;
  code = mdb_env_set_mapsize(environment, mapSize);
  if (code == 0) code = mdb_env_set_maxreaders(environment, kMaxReaders);
  if (code == 0) code = mdb_env_set_maxdbs(environment, kMaxTrees);
  if (code == 0)
    code = mdb_env_open(environment, settings.path.c_str(), flagsOf(settings), settings.lockFileMode);
  if (code != 0) {
    mdb_env_close(environment);
    environment = nullptr;
  }
  return code;
}

int openWithPlentifulMap(const LmdbHandle::Settings& settings, MDB_env*& environment) noexcept {
  for (std::uint64_t mapSize = kLargestMap;; mapSize /= 2) {
    const int code = openOnce(settings, mapSize, environment);
    if (code != ENOMEM || mapSize <= kSmallestPlentifulMap) return code;
  }
}

// A program that this one starts must not inherit the data file.
void closeOnExecute(MDB_env* environment) noexcept {
  int descriptor = -1;
  if (mdb_env_get_fd(environment, &descriptor) == 0) ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

int renew(MDB_env* environment, MDB_txn*& transaction) noexcept {
  if (transaction == nullptr) return mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction);
  const int code = mdb_txn_renew(transaction);
  if (code != 0) mdb_txn_abort(std::exchange(transaction, nullptr));
  return code;
}

// A line of mdb_reader_list(): process, thread, and transaction or "-".
int addReader(const char* line, void* context) noexcept {
  char* rest = nullptr;
  const long process = std::strtol(line, &rest, 10);
  if (process <= 0) return 0;  // a heading
  std::strtoull(rest, &rest, 16);
  const std::uint64_t number = std::strtoull(rest, nullptr, 10);
  static_cast<std::vector<ReaderInfo>*>(context)->push_back(
      {.process = static_cast<pid_t>(process), .transaction = number});
  return 0;
}

}  // namespace

LmdbHandle::LmdbHandle(const Settings& settings) : lockless_(settings.lockless) {
  const int code = settings.mapSize != 0 ? openOnce(settings, settings.mapSize, environment_)
                                         : openWithPlentifulMap(settings, environment_);
  if (code != 0) throw lmdb::error(code, "mdb_env_open", settings.path);
  MDB_stat statistics{};
  mdb_env_stat(environment_, &statistics);
  pageSize_ = statistics.ms_psize;
  closeOnExecute(environment_);
}

LmdbHandle::~LmdbHandle() {
  if (environment_ != nullptr) mdb_txn_abort(witness_.load());
  mdb_env_close(environment_);
}

LmdbHandle::State LmdbHandle::state() const noexcept {
  MDB_envinfo info{};
  mdb_env_info(environment_, &info);
  return {info.me_mapsize, info.me_last_pgno, info.me_last_txnid};
}

EntryCheck LmdbHandle::checkOfSnapshots() const noexcept {
  // The map begins where a page of the system begins.
  static const long systemPage = ::sysconf(_SC_PAGESIZE);
  return pageSize_ <= static_cast<std::uint64_t>(systemPage) ? EntryCheck(pageSize_) : EntryCheck();
}

// LMDB takes the number of the newest commit first, then the roots of its trees from the page that the commit
// after the next one writes anew. Who is held up in between finds the roots of that one there, or a mixture.
// So it is asked again until nobody has come in between, which is nearly always at once.
int LmdbHandle::beginRead(MDB_txn*& transaction) const noexcept {
  for (;;) {
    int code = renew(environment_, transaction);
    if (code != 0 || lockless_ || isOfItsNumber(transaction, code)) return code;
    if (code == 0) {
      mdb_txn_reset(transaction);
    } else {
      mdb_txn_abort(std::exchange(transaction, nullptr));
      return code;
    }
  }
}

// The page is not written anew before the next commit is over. So if the newest number is still the same when
// the roots have been taken, they are its roots. The numbers in the pages show that where no commit has got
// so far; a commit that is waiting for the disk shows there already, but not to who begins a snapshot.
bool LmdbHandle::isOfItsNumber(MDB_txn* transaction, int& code) const noexcept {
  const std::uint64_t number = mdb_txn_id(transaction);
  std::atomic_thread_fence(std::memory_order_acquire);  // the roots were read before
  if (state().lastTransaction == number) [[likely]]
    return true;
  MDB_txn* witness = witness_.exchange(nullptr, std::memory_order_acquire);
  code = renew(environment_, witness);
  if (code != 0) return false;
  const bool isSame = mdb_txn_id(witness) == number;
  mdb_txn_reset(witness);
  MDB_txn* none = nullptr;
  if (!witness_.compare_exchange_strong(none, witness, std::memory_order_release, std::memory_order_relaxed))
    mdb_txn_abort(witness);
  return isSame;
}

int LmdbHandle::beginWrite(MDB_txn*& transaction) const noexcept {
  return mdb_txn_begin(environment_, nullptr, 0, &transaction);
}

int LmdbHandle::openTree(const std::string& name, bool create, TreeId& tree) const noexcept {
  MDB_txn* transaction = nullptr;
  int code = create ? beginWrite(transaction) : beginRead(transaction);
  if (code != 0) return code;
  MDB_dbi handle = 0;
  code = mdb_dbi_open(transaction, name.c_str(), create ? MDB_CREATE : 0, &handle);
  if (code != 0) {
    mdb_txn_abort(transaction);
    return code;
  }
  // Instar opens each tree in LMDB's own order. With other flags keys would be looked for in wrong places,
  // and rows that are there would not be found; with those of several values calls follow null pointers.
  unsigned flags = 0;
  code = mdb_dbi_flags(transaction, handle, &flags);
  if (code == 0 && flags != 0) code = lmdb::kOddTree;
  if (code != 0) {
    mdb_txn_abort(transaction);
    return code;
  }
  code =
      mdb_txn_commit(transaction);  // also of a read transaction: otherwise the handle would be closed again
  tree = handle - kFirstTree;
  return code;
}

int LmdbHandle::setMapSize(std::uint64_t size) const noexcept {
  return mdb_env_set_mapsize(environment_, size);
}

int LmdbHandle::sync() const noexcept { return mdb_env_sync(environment_, 1); }

int LmdbHandle::copy(int descriptor, bool compact) const noexcept {
  return mdb_env_copyfd2(environment_, descriptor, compact ? MDB_CP_COMPACT : 0);
}

int LmdbHandle::clearStaleReaders(unsigned& count) const noexcept {
  int dead = 0;
  const int code = mdb_reader_check(environment_, &dead);
  count = static_cast<unsigned>(dead);
  return code;
}

std::vector<ReaderInfo> LmdbHandle::readers() const {
  std::vector<ReaderInfo> readers;
  mdb_reader_list(environment_, addReader, &readers);
  return readers;
}

namespace lmdb {

Version version() noexcept {
  Version version;
  mdb_version(&version.major, &version.minor, &version.patch);
  return version;
}

std::uint64_t transactionId(MDB_txn* transaction) noexcept { return mdb_txn_id(transaction); }
void reset(MDB_txn* transaction) noexcept { mdb_txn_reset(transaction); }
void abort(MDB_txn* transaction) noexcept { mdb_txn_abort(transaction); }
int commit(MDB_txn* transaction) noexcept { return mdb_txn_commit(transaction); }

int get(MDB_txn* transaction, TreeId tree, Bytes key, const EntryCheck& check, Bytes& value) noexcept {
  MDB_val name = valueOf(key);
  MDB_val found;
  const int code = mdb_get(transaction, handleOf(tree), &name, &found);
  if (code != 0) return code;
  if (!check.isReadable(bytesOf(found))) return kCorrupted;
  value = bytesOf(found);
  return 0;
}

int reserve(MDB_txn* transaction, TreeId tree, Bytes key, std::size_t size,
            std::span<std::byte>& value) noexcept {
  MDB_val name = valueOf(key);
  MDB_val room{size, nullptr};
  const int code = mdb_put(transaction, handleOf(tree), &name, &room, MDB_RESERVE);
  if (code == 0) value = {static_cast<std::byte*>(room.mv_data), size};
  return code;
}

int erase(MDB_txn* transaction, TreeId tree, Bytes key) noexcept {
  MDB_val name = valueOf(key);
  return mdb_del(transaction, handleOf(tree), &name, nullptr);
}

int statistics(MDB_txn* transaction, TreeId tree, TreeStatistics& statistics) noexcept {
  MDB_stat found{};
  const int code = mdb_stat(transaction, handleOf(tree), &found);
  if (code != 0) return code;
  statistics = {found.ms_entries, found.ms_leaf_pages, found.ms_branch_pages, found.ms_overflow_pages,
                found.ms_depth};
  return 0;
}

// The keys of LMDB's list of free pages are commits, the values a count and as many page numbers.
int forEachFreed(MDB_txn* transaction, FreedVisitor visit) {
  MDB_cursor* cursor = nullptr;
  int code = mdb_cursor_open(transaction, kFreeTree, &cursor);
  if (code != 0) return code;
  MDB_val key;
  MDB_val value;
  while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
    std::uint64_t freedBy = 0;
    std::uint64_t pages = 0;
    std::memcpy(&freedBy, key.mv_data, std::min(key.mv_size, sizeof freedBy));
    std::memcpy(&pages, value.mv_data, std::min(value.mv_size, sizeof pages));
    visit(freedBy, pages);
  }
  mdb_cursor_close(cursor);
  return code == MDB_NOTFOUND ? 0 : code;
}

int countFreePages(MDB_txn* transaction, std::uint64_t& pages) {
  pages = 0;
  return forEachFreed(transaction, [&](std::uint64_t, std::uint64_t freed) { pages += freed; });
}

int countTrees(MDB_txn* transaction, std::uint64_t& count) noexcept {
  MDB_stat found{};
  const int code = mdb_stat(transaction, kMainTree, &found);
  count = found.ms_entries;
  return code;
}

int listTrees(MDB_txn* transaction, std::vector<std::string>& names) noexcept {
  MDB_cursor* cursor = nullptr;
  int code = mdb_cursor_open(transaction, kMainTree, &cursor);
  if (code != 0) return code;
  MDB_val key;
  MDB_val value;
  while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
    if (!EntryCheck().isReadable(bytesOf(key), bytesOf(value))) {
      code = kCorrupted;
      break;
    }
    try {
      names.emplace_back(static_cast<const char*>(key.mv_data), key.mv_size);
    } catch (const std::bad_alloc&) {
      code = ENOMEM;
      break;
    }
  }
  mdb_cursor_close(cursor);
  return code == MDB_NOTFOUND ? 0 : code;
}

int openCursor(MDB_txn* transaction, TreeId tree, MDB_cursor*& cursor) noexcept {
  return mdb_cursor_open(transaction, handleOf(tree), &cursor);
}

void closeCursor(MDB_cursor* cursor) noexcept { mdb_cursor_close(cursor); }

int move(MDB_cursor* cursor, Move move, const EntryCheck& check, Bytes& key, Bytes& value) noexcept {
  MDB_val foundKey = valueOf(key);
  MDB_val foundValue;
  const int code = mdb_cursor_get(cursor, &foundKey, &foundValue, static_cast<MDB_cursor_op>(move));
  if (code != 0) return code;
  if (!check.isReadable(bytesOf(foundKey), bytesOf(foundValue))) return kCorrupted;
  key = bytesOf(foundKey);
  value = bytesOf(foundValue);
  return 0;
}

int moveOn(MDB_cursor* cursor, Move move, const EntryCheck& check, std::span<Entry> entries,
           std::size_t& count) noexcept {
  int code = 0;
  std::size_t found = 0;
  for (; found < entries.size(); ++found) {
    MDB_val key;
    MDB_val value;
    code = mdb_cursor_get(cursor, &key, &value, static_cast<MDB_cursor_op>(move));
    if (code != 0) break;
    entries[found] = {bytesOf(key), bytesOf(value)};
    check.prefetch(entries[found].value);
  }
  for (count = 0; count < found; ++count) {
    if (!check.isReadable(entries[count].key, entries[count].value)) return kCorrupted;
  }
  return code;
}

}  // namespace lmdb
}  // namespace instar::storage
