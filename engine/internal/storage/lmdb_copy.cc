#include "instar/engine/internal/storage/lmdb_copy.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "instar/engine/internal/storage/file_system.h"
#include "instar/engine/internal/storage/fork_guard.h"
#include "instar/engine/internal/storage/lmdb_environment.h"
#include "instar/engine/internal/storage/lmdb_error.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/internal/storage/lmdb_transaction.h"
#include "instar/engine/internal/storage/storage_checks.h"

namespace instar::storage {
namespace {

constexpr std::size_t kPipeSize = std::size_t{1} << 20;
constexpr int kProgressMilliseconds = 100;
// A mixture of commits is so rare that several in a row are damage.
constexpr int kMaxCopies = 4;

// LMDB's end of the pipe. Ends early when the reading end is closed.
class Sender {
 public:
  Sender(const LmdbHandle& lmdb, FileDescriptor output, bool compact)
      : output_(std::move(output)), thread_([this, &lmdb, compact] { run(lmdb, compact); }) {}
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  ~Sender() {
    if (thread_.joinable()) thread_.join();
  }

  int finish() {
    thread_.join();
    return code_;
  }

 private:
  void run(const LmdbHandle& lmdb, bool compact) noexcept {
    // A write to a pipe that nobody reads is an error here, not the end of the process; and LMDB gives up
    // where a signal interrupts one. Signals about what the thread itself does are not to be blocked: the
    // program's handler would never see them.
    sigset_t signals;
    ::sigfillset(&signals);
    for (const int ownFault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) ::sigdelset(&signals, ownFault);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    code_ = lmdb.copy(output_.get(), compact);
    output_.close();
  }

  FileDescriptor output_;
  int code_ = 0;
  std::thread thread_;  // last, because it uses the others
};

// False where there is nothing to read yet.
bool waitForBytes(int descriptor, const std::filesystem::path& path) {
  struct pollfd request {
    descriptor, POLLIN, 0
  };
  const int ready = ::poll(&request, 1, kProgressMilliseconds);
  if (ready < 0 && errno != EINTR) throw systemError(errno, "poll", path);
  return ready > 0;
}

void writeAll(int descriptor, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw systemError(written < 0 ? errno : EIO, "write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

std::uint64_t bytesToCopy(const LmdbHandle& lmdb, bool compact) noexcept {
  std::uint64_t pages = lmdb.state().lastPage + 1;
  MDB_txn* transaction = nullptr;
  if (compact && lmdb.beginRead(transaction) == 0) {
    std::uint64_t free = 0;
    if (lmdb::countFreePages(transaction, free) == 0 && free < pages) pages -= free;
    lmdb::abort(transaction);
  }
  return pages * lmdb.pageSize();
}

using ReadTransaction = std::unique_ptr<MDB_txn, void (*)(MDB_txn*)>;

ReadTransaction beginSnapshot(const LmdbHandle& lmdb, const std::filesystem::path& path) {
  MDB_txn* transaction = nullptr;
  const int code = lmdb.beginRead(transaction);
  if (code != 0) throw lmdb::error(code, "mdb_txn_begin", path);
  return {transaction, lmdb::abort};
}

// How many entries a walk over the tree meets, or nothing where it meets them out of order.
std::optional<std::uint64_t> countInOrder(MDB_txn* snapshot, TreeId tree, const EntryCheck& check,
                                          const std::filesystem::path& path) {
  MDB_cursor* opened = nullptr;
  int code = lmdb::openCursor(snapshot, tree, opened);
  if (code != 0) throw lmdb::error(code, "mdb_cursor_open", path);
  const std::unique_ptr<MDB_cursor, void (*)(MDB_cursor*)> cursor(opened, lmdb::closeCursor);
  std::uint64_t count = 0;
  Bytes last;
  Bytes key;
  Bytes value;
  code = lmdb::move(opened, lmdb::Move::first, check, key, value);
  for (; code == 0; code = lmdb::move(opened, lmdb::Move::next, check, key, value)) {
    if (count++ != 0 && compareBytes(last, key) >= 0) return std::nullopt;
    last = key;
  }
  if (code != lmdb::kNotFound) throw lmdb::error(code, "mdb_cursor_get", path);
  return count;
}

// Nobody may have the file that is to be replaced open: its users would share a lock file with the users of
// the new one.
std::unique_ptr<StoreLocks> excludeUsersOf(const std::filesystem::path& target, FileIdentity source) {
  std::error_code ignored;  // opening will say what is wrong
  if (std::filesystem::status(target, ignored).type() == std::filesystem::file_type::not_found)
    return nullptr;
  FileDescriptor file = openRegularFile(target, O_RDWR);
  if (identityOf(statusOf(file.get(), target)) == source) {
    throw Error(ErrorCode::fixCall, "the target is the store itself: name another file",
                {{"path", target.string()}});
  }
  installForkHandlers();
  auto locks = std::make_unique<StoreLocks>(std::move(file), target);
  locks->lockOpening(std::chrono::steady_clock::now() + std::chrono::seconds(1));
  if (locks->excludeAll()) return locks;
  throw Error(ErrorCode::retry,
              "the file that is to be replaced is open as a store: close it, then try again",
              {{"path", target.string()}});
}

// Empties a file that is under construction, so that it can be written from the beginning.
void beginAnew(const TemporaryFile& file) {
  if (uninterrupted([&] { return ::ftruncate(file.descriptor(), 0); }) != 0)
    throw systemError(errno, "ftruncate", file.path());
  if (::lseek(file.descriptor(), 0, SEEK_SET) != 0) throw systemError(errno, "lseek", file.path());
}

// What copying would end with as well, when it has written all of the copy.
void refuseExisting(const std::filesystem::path& target) {
  struct stat status {};
  if (::lstat(target.c_str(), &status) != 0) return;  // opening will say what is wrong
  throw systemError(S_ISDIR(status.st_mode) ? EISDIR : EEXIST, "lstat", target);
}

}  // namespace

void copyEnvironment(const LmdbHandle& lmdb, const std::filesystem::path& path, int descriptor,
                     const std::filesystem::path& target, bool compact, const ProgressCallback& progress) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw systemError(errno, "pipe2", path);
  FileDescriptor output(ends[1]);
  ::fcntl(output.get(), F_SETPIPE_SZ, static_cast<int>(kPipeSize));  // may be refused, and is only for speed
  Progress state{0, progress ? bytesToCopy(lmdb, compact) : 0};
  std::vector<std::byte> buffer(kPipeSize);
  // The sender waits for its thread, which ends when this end of the pipe is closed: so this goes first.
  Sender sender(lmdb, std::move(output), compact);
  const FileDescriptor input(ends[0]);
  for (;;) {
    if (progress) progress(state);
    if (!waitForBytes(input.get(), path)) continue;
    const ssize_t count = ::read(input.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw systemError(errno, "read", path);
    if (count == 0) break;
    writeAll(descriptor, std::span(buffer).first(static_cast<std::size_t>(count)), target);
    state.done += static_cast<std::uint64_t>(count);
  }
  const int code = sender.finish();
  if (code == lmdb::kIncompatible)
    throw lmdb::error(lmdb::kCorrupted, "mdb_env_copyfd2", path);  // pages are lost
  if (code != 0) throw lmdb::error(code, "mdb_env_copyfd2", path);
  if (progress) progress({state.done, state.done});  // the total was an estimate
}

void checkCompactCopy(const std::filesystem::path& copy, const std::filesystem::path& source) {
  const auto refuse = [&](const std::string& tree) {
    throw Error(ErrorCode::restoreFromBackup,
                "the file has entries that cannot be reached, which a compact copy would lose for good: "
                "restore it from a backup",
                {{"path", source.string()}, {"tree", tree}});
  };
  LmdbHandle::Settings settings;
  settings.path = copy;
  settings.readOnly = true;
  settings.lockless = true;
  const LmdbHandle lmdb(settings);
  std::vector<std::string> names;
  {
    const ReadTransaction snapshot = beginSnapshot(lmdb, source);
    std::uint64_t count = 0;
    int code = lmdb::countTrees(snapshot.get(), count);
    if (code == 0) code = lmdb::listTrees(snapshot.get(), names);
    if (code != 0) throw lmdb::error(code, "mdb_cursor_get", source);
    if (names.size() != count) refuse("of the names of trees");
  }
  for (const std::string& name : names) {
    TreeId tree = 0;
    const int opened = lmdb.openTree(name, false, tree);
    if (opened == lmdb::kIncompatible || opened == lmdb::kTooManyTrees) continue;  // none of ours
    if (opened != 0) throw lmdb::error(opened, "mdb_dbi_open", source);
    const ReadTransaction snapshot = beginSnapshot(lmdb, source);
    TreeStatistics statistics;
    const int code = lmdb::statistics(snapshot.get(), tree, statistics);
    if (code != 0) throw lmdb::error(code, "mdb_stat", source);
    if (countInOrder(snapshot.get(), tree, lmdb.checkOfSnapshots(), source) != statistics.entries)
      refuse(name);
  }
}

// For a compact copy LMDB begins a snapshot of its own, and takes the number of a commit before the roots of
// its trees (see LmdbHandle::beginRead). Where two commits come in between it finds roots of different ones.
// None of their pages is used anew meanwhile, as `snapshot` and LMDB's are as old; so all rows that the copy
// has are of one commit, or LMDB and checkCompactCopy() count other pages or trees than there are, as they do
// where the file is damaged. Then it is made once more.
void LmdbEnvironment::copyTo(const std::filesystem::path& target, CopyOptions options) {
  checkNotForked();
  if (turn_.isMine()) {
    throw Error(ErrorCode::fixCall, "this thread has a write transaction open: end it before copying");
  }
  const auto snapshot =
      beginRead();  // keeps the map in place, and guards against writers without a lock file
  const std::filesystem::path resolved = resolveStorePath(target);
  const struct stat source = statusOf(descriptor(), path());
  std::unique_ptr<StoreLocks> replaced;
  if (options.replace) {
    replaced = excludeUsersOf(resolved, identityOf(source));
  } else {
    refuseExisting(resolved);
  }
  TemporaryFile copy(resolved, source.st_mode & 0777);
  copy.fill([&] {
    for (int attempt = 1;; ++attempt) {
      const std::uint64_t newest = lmdb_->state().lastTransaction;
      try {
        copyEnvironment(*lmdb_, path(), copy.descriptor(), copy.path(), options.compact, options.progress);
        if (options.compact) checkCompactCopy(copy.path(), path());
        return;
      } catch (const Error& error) {
        if (lockless()) checkSnapshotIsIntact(snapshot->id());
        const bool mayBeAMixture = options.compact && error.code() == ErrorCode::restoreFromBackup &&
                                   lmdb_->state().lastTransaction != newest;
        if (!mayBeAMixture || attempt == kMaxCopies) throw;
      }
      beginAnew(copy);
    }
  });
  if (lockless()) checkSnapshotIsIntact(snapshot->id());
  const auto existing = options.replace ? TemporaryFile::Existing::replace : TemporaryFile::Existing::refuse;
  if (!copy.publish(existing)) throw systemError(EEXIST, "rename", resolved);
}

}  // namespace instar::storage
