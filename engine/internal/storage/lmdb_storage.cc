#include "instar/engine/internal/storage/lmdb_storage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include "instar/engine/internal/storage/environment_registry.h"
#include "instar/engine/internal/storage/file_system.h"
#include "instar/engine/internal/storage/fork_guard.h"
#include "instar/engine/internal/storage/lmdb_copy.h"
#include "instar/engine/internal/storage/lmdb_environment.h"
#include "instar/engine/internal/storage/lmdb_error.h"
#include "instar/engine/internal/storage/lmdb_file.h"
#include "instar/engine/internal/storage/lock_file.h"
#include "instar/engine/internal/storage/storage_checks.h"
#include "instar/engine/internal/storage/store_locks.h"

namespace instar::storage {
namespace {

constexpr mode_t kNewFileMode = 0644;
mode_t permissionsOf(const struct stat& status) noexcept { return status.st_mode & 0777; }

// Releases the lock on opening at the end of the scope.
class OpeningLock {
 public:
  OpeningLock(std::shared_ptr<StoreLocks> locks, bool readOnly, Deadline deadline)
      : locks_(std::move(locks)) {
    readOnly ? locks_->lockOpeningShared(deadline) : locks_->lockOpening(deadline);
  }
  OpeningLock(const OpeningLock&) = delete;
  OpeningLock& operator=(const OpeningLock&) = delete;
  ~OpeningLock() { locks_->unlockOpening(); }

 private:
  std::shared_ptr<StoreLocks> locks_;
};

// An empty store. Where another process is faster its file stays.
void createStore(const std::filesystem::path& path) {
  TemporaryFile file(path, kNewFileMode);
  LmdbHandle::Settings settings;
  settings.path = file.path();
  settings.lockless = true;
  settings.mapSize = std::uint64_t{1} << 20;
  file.fill([&] { const LmdbHandle lmdb(settings); });  // LMDB writes the first pages of an empty file
  file.publish(TemporaryFile::Existing::refuse);
}

FileDescriptor openDataFile(const std::filesystem::path& path, const StoreOptions& options) {
  std::error_code ignored;  // opening will say what is wrong
  if (options.mode == OpenMode::createOrOpen && !std::filesystem::exists(path, ignored)) {
    LockFile::refuseUseWithout(path);
    createStore(path);
  }
  return openRegularFile(path, options.mode == OpenMode::readOnly ? O_RDONLY : O_RDWR);
}

void checkSharing(const StoreLocks& locks, const std::filesystem::path& path, const LockFile* lockFile) {
  if (lockFile && locks.isOpenWithOtherLockFile(lockFile->inode())) {
    throw Error(ErrorCode::fixEnvironment,
                "another process has the file open under another name: use one name, or close it there",
                {{"path", path.string()}});
  }
  if (!lockFile && locks.isOpenForWriting()) {
    throw Error(ErrorCode::fixEnvironment,
                "another process writes to the store: to read meanwhile, make its lock file writable",
                {{"path", lockFileOf(path).string()}});
  }
}

void checkCompatible(const LmdbEnvironment& environment, const StoreOptions& options) {
  const auto refuse = [&](const char* option) {
    throw Error(ErrorCode::fixCall, "the store is open in this process with other options: use the same",
                {{"path", environment.path().string()}, {"option", option}});
  };
  const bool readOnly = options.mode == OpenMode::readOnly;
  if (environment.readOnly() != readOnly) refuse("mode");
  if (!readOnly && environment.settings().durability != options.durability) refuse("durability");
  if (options.mapSize != 0 && environment.requestedMapSize() != options.mapSize) refuse("mapSize");
}

// Before the first look at any page but LMDB's own two.
void checkHandleIsWhole(const LmdbHandle& lmdb, int descriptor, const std::filesystem::path& path) {
  constexpr int kAttempts = 100;  // each time two commits must have come in between
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    MDB_txn* snapshot = nullptr;
    const int code = lmdb.beginRead(snapshot);
    if (code != 0) throw lmdb::error(code, "mdb_txn_begin", path);
    const std::unique_ptr<MDB_txn, void (*)(MDB_txn*)> guard(snapshot, lmdb::abort);
    if (checkIsWhole(descriptor, path, lmdb::transactionId(snapshot))) return;
  }
  throw Error(ErrorCode::retry, "the file changes too fast to be checked: try again",
              {{"path", path.string()}});
}

// The file is worth being opened by LMDB, and after that by everything else.
std::unique_ptr<LmdbHandle> openWhole(const LmdbHandle::Settings& settings, int descriptor,
                                      bool clearStaleReaders) {
  auto lmdb = std::make_unique<LmdbHandle>(settings);
  unsigned stale = 0;
  if (clearStaleReaders) lmdb->clearStaleReaders(stale);  // they keep pages from being used again
  checkHandleIsWhole(*lmdb, descriptor, settings.path);
  return lmdb;
}

// What a fork's child must not take apart stays in its memory.
void closeUnlessForked(LmdbEnvironment* environment) noexcept {
  if (!environment->isForked()) delete environment;
}

struct OpenFile {
  std::filesystem::path path;
  FileDescriptor descriptor;
  struct stat status;
};

// Null where the path, or the lock file's, has come to name another file meanwhile.
std::shared_ptr<LmdbEnvironment> openRegistered(OpenFile file, std::unique_ptr<Registration> registration,
                                                std::vector<std::string> warnings,
                                                const StoreOptions& options, Deadline deadline) {
  Registration& registered = *registration;
  const bool readOnly = options.mode == OpenMode::readOnly;
  const FileIdentity identity = identityOf(file.status);
  const auto locks = std::make_shared<StoreLocks>(std::move(file.descriptor), file.path);
  const OpeningLock opening(locks, readOnly, deadline);
  if (!stillNames(file.path, identity)) return nullptr;
  checkLooksLikeLmdb(locks->descriptor(), file.path);
  auto lockFile = LockFile::use(file.path, file.status, readOnly);
  checkSharing(*locks, file.path, lockFile.get());
  locks->enter(lockFile ? lockFile->inode() : 0, !readOnly);
  LmdbHandle::Settings settings{file.path,          readOnly,        !lockFile,
                                options.durability, options.mapSize, permissionsOf(file.status)};
  auto lmdb = openWhole(settings, locks->descriptor(), options.clearStaleReaders);
  // LMDB opens them by name.
  if (!stillNames(file.path, identity) || (lockFile && !lockFile->hasItsName())) return nullptr;
  const std::shared_ptr<LmdbEnvironment> environment(
      new LmdbEnvironment({std::move(registration), locks, std::move(lockFile), std::move(settings),
                           std::move(lmdb), options.writeTimeout, std::move(warnings)}),
      closeUnlessForked);
  registered.publish(environment);
  return environment;
}

enum class Shared : bool { underSameOptions, underAny };

// The environment of the file that this process has open, or a new one.
std::shared_ptr<LmdbEnvironment> openOrShare(const std::filesystem::path& path, const StoreOptions& options,
                                             Shared shared) {
  const Deadline deadline = std::chrono::steady_clock::now() + options.writeTimeout;
  for (;;) {
    OpenFile file;
    file.path = resolveStorePath(path);
    file.descriptor = openDataFile(file.path, options);
    file.status = statusOf(file.descriptor.get(), file.path);
    auto warnings = judgeFileSystem(fileSystemKindOf(file.descriptor.get(), file.path), file.path,
                                    options.allowNetworkFileSystem);
    Registered registered = findOrRegister(identityOf(file.status), deadline);
    if (registered.environment) {
      if (shared == Shared::underSameOptions) checkCompatible(*registered.environment, options);
      return registered.environment;
    }
    if (auto environment = openRegistered(std::move(file), std::move(registered.registration),
                                          std::move(warnings), options, deadline)) {
      return environment;
    }
  }
}

}  // namespace

std::filesystem::path resolveStorePath(const std::filesystem::path& path) {
  if (path.empty() || path.native().find('\0') != std::string::npos) {
    throw Error(ErrorCode::fixCall, "the path is empty or contains a zero byte: name a file");
  }
  std::error_code error;
  std::filesystem::path resolved = std::filesystem::canonical(path, error);
  if (!error) return resolved;
  const bool isMissing =
      error.value() == ENOENT && path.has_filename() && !std::filesystem::is_symlink(path, error);
  if (!isMissing) throw systemError(error.value() == 0 ? ENOENT : error.value(), "realpath", path);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  resolved = std::filesystem::canonical(folder, error);
  if (error) throw systemError(error.value(), "realpath", folder);
  return resolved / path.filename();
}

std::shared_ptr<Environment> openLmdb(const std::filesystem::path& path, const StoreOptions& options) {
  return openOrShare(path, options, Shared::underSameOptions);
}

std::shared_ptr<const void> holdPages(const std::filesystem::path& path) {
  const StoreOptions options{.mode = OpenMode::readOnly, .clearStaleReaders = false};
  return openOrShare(path, options, Shared::underAny)->holdPages();
}

void compactInPlace(const std::filesystem::path& path, const ProgressCallback& progress) {
  const Deadline deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  const std::filesystem::path resolved = resolveStorePath(path);
  FileDescriptor file = openRegularFile(resolved, O_RDWR);
  const struct stat status = statusOf(file.get(), resolved);
  const Registered registered = findOrRegister(identityOf(status), deadline);
  const std::vector<Error::Fact> facts{{"path", resolved.string()}};
  if (registered.environment) {
    throw Error(ErrorCode::retry, "this process has the store open: close it before compacting", facts);
  }
  const auto locks = std::make_shared<StoreLocks>(std::move(file), resolved);
  const OpeningLock opening(locks, false, deadline);
  if (!stillNames(resolved, identityOf(status)) || !locks->excludeAll()) {
    throw Error(ErrorCode::retry, "another process has the store open: close it there before compacting",
                facts);
  }
  checkLooksLikeLmdb(locks->descriptor(), resolved);
  LmdbHandle::Settings settings;
  settings.path = resolved;
  settings.readOnly = true;
  settings.lockless = true;
  const LmdbHandle lmdb(settings);
  checkHandleIsWhole(lmdb, locks->descriptor(), resolved);
  TemporaryFile copy(resolved, permissionsOf(status));
  ::fchmod(copy.descriptor(), permissionsOf(status));
  if (::fchown(copy.descriptor(), status.st_uid, status.st_gid) != 0) errno = 0;  // root's to give away
  copy.fill([&] {
    copyEnvironment(lmdb, resolved, copy.descriptor(), copy.path(), true, progress);
    checkCompactCopy(copy.path(), resolved);
  });
  copy.publish(TemporaryFile::Existing::replace);
}

}  // namespace instar::storage
