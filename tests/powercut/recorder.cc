// A library for LD_PRELOAD: writes down what a program does to the files below one folder, in the order in
// which it happens, over all threads. One lock is held over each call and its record, except for syncs: these
// have a record before and one behind them, since others write meanwhile.
//
// A call that changes such a file in a way that is not modelled is recorded as unknown, and the recording is
// refused. What goes past these functions is found out as well: the driver compares the files with what the
// records make of them. Shared maps that can be written to are LMDB's lock file alone; what is in it is
// recorded, as writes, at each mark.

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "instar/tests/powercut/log_record.h"

namespace instar::powercut {
namespace {

using Identity = std::pair<dev_t, ino_t>;

template <class Function>
Function* next(const char* name) noexcept {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

struct MappedFile {
  std::string path;  // absolute
  std::string content;
};

class Recorder {
 public:
  static Recorder& instance() {
    static Recorder* const recorder = new Recorder;  // calls come until the very end of the process
    return *recorder;
  }

  std::recursive_mutex mutex;

  bool isOn() const noexcept { return log_ >= 0; }

  // Relative to the folder; empty where the path leads elsewhere. The last part need not exist.
  std::string placeOf(int folder, const char* path) const {
    if (!isOn() || path == nullptr || *path == '\0') return {};
    const char* slash = strrchr(path, '/');
    std::string parent = slash == nullptr ? "." : std::string(path, slash == path ? path + 1 : slash);
    if (*path != '/' && folder != AT_FDCWD) parent = "/proc/self/fd/" + std::to_string(folder) + "/" + parent;
    char resolved[PATH_MAX];
    if (::realpath(parent.c_str(), resolved) == nullptr) return {};
    const std::string name = slash == nullptr ? path : slash + 1;
    if (resolved == folder_) return name;
    const std::string_view below(resolved);
    if (below.substr(0, folder_.size() + 1) != folder_ + "/") return {};
    return std::string(below.substr(folder_.size() + 1)) + "/" + name;
  }

  std::string folderOf(int descriptor) const {
    char target[PATH_MAX];
    const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
    const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
    if (size <= 0) return {};
    const std::string_view path(target, static_cast<std::size_t>(size));
    if (path == folder_) return ".";
    if (path.substr(0, folder_.size() + 1) != folder_ + "/") return {};
    return std::string(path.substr(folder_.size() + 1));
  }

  // 0 where the descriptor is no file of ours.
  std::uint32_t fileOf(int descriptor) const {
    struct stat status {};
    if (!isOn() || files_.empty() || ::fstat(descriptor, &status) != 0) return 0;
    const auto found = files_.find({status.st_dev, status.st_ino});
    return found == files_.end() ? 0 : found->second;
  }

  bool isFolder(int descriptor) const {
    struct stat status {};
    return isOn() && ::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
  }

  void created(int descriptor, const std::string& path) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) return;
    files_[{status.st_dev, status.st_ino}] = ++lastFile_;  // numbers of files that are gone are given again
    record(Operation::create, path, lastFile_);
  }

  void mapped(int descriptor) {
    const std::uint32_t file = fileOf(descriptor);
    if (file == 0 || mapped_.contains(file)) return;
    const std::string path = folderOf(descriptor);
    constexpr std::string_view kLockFile = "-lock";
    if (path.size() < kLockFile.size() || path.substr(path.size() - kLockFile.size()) != kLockFile)
      return unknown("a shared map of " + path);
    mapped_[file] = {folder_ + "/" + path, {}};
  }

  void mark(std::string_view text) {
    for (auto& [file, known] : mapped_) recordChanges(file, known);
    record(Operation::mark, text);
  }

  void unknown(const std::string& call) { record(Operation::unknown, call); }

  std::uint32_t nextSync() noexcept { return ++lastSync_; }

  void record(Operation operation, std::string_view payload, std::uint32_t file = 0, std::uint64_t offset = 0,
              std::uint32_t number = 0) {
    RecordHeader header;
    header.operation = operation;
    header.file = file;
    header.number = number;
    header.offset = offset;
    header.size = payload.size();
    append(&header, sizeof header);
    append(payload.data(), payload.size());
  }

 private:
  Recorder() {
    const char* const folder = ::getenv(kFolderVariable);
    const char* const log = ::getenv(kLogVariable);
    if (folder == nullptr || log == nullptr) return;
    folder_ = folder;
    log_ = static_cast<int>(
        ::syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
    if (log_ < 0) stop("cannot write its log");
  }

  // Not by way of the functions below.
  void append(const void* data, std::size_t size) const {
    const char* bytes = static_cast<const char*>(data);
    while (size > 0) {
      const long written = ::syscall(SYS_write, log_, bytes, size);
      if (written <= 0) stop("cannot write its log");
      bytes += written;
      size -= static_cast<std::size_t>(written);
    }
  }

  [[noreturn]] static void stop(const char* reason) {
    ::fprintf(stderr, "powercut recorder: %s\n", reason);
    ::_exit(3);
  }

  void recordChanges(std::uint32_t file, MappedFile& known) {
    constexpr std::size_t kSector = 512;
    std::string now;
    const int descriptor =
        static_cast<int>(::syscall(SYS_openat, AT_FDCWD, known.path.c_str(), O_RDONLY | O_CLOEXEC, 0));
    if (descriptor < 0) return;
    char buffer[4096];
    for (ssize_t size; (size = ::read(descriptor, buffer, sizeof buffer)) > 0;)
      now.append(buffer, static_cast<std::size_t>(size));
    ::syscall(SYS_close, descriptor);
    known.content.resize(now.size());
    for (std::size_t start = 0; start < now.size(); start += kSector) {
      const std::string_view sector = std::string_view(now).substr(start, kSector);
      if (sector != std::string_view(known.content).substr(start, kSector))
        record(Operation::write, sector, file, start);
    }
    known.content = std::move(now);
  }

  std::string folder_;
  int log_ = -1;
  std::map<Identity, std::uint32_t> files_;
  std::map<std::uint32_t, MappedFile> mapped_;
  std::uint32_t lastFile_ = 0;
  std::uint32_t lastSync_ = 0;
};

using Lock = std::lock_guard<std::recursive_mutex>;

// Keeps errno as the call has left it.
class ErrnoGuard {
 public:
  ErrnoGuard() = default;
  ErrnoGuard(const ErrnoGuard&) = delete;
  ErrnoGuard& operator=(const ErrnoGuard&) = delete;
  ~ErrnoGuard() { errno = errno_; }

 private:
  int errno_ = errno;
};

template <class Call>
ssize_t recordWrite(int descriptor, off_t offset, std::string_view bytes, Call call) {
  Recorder& recorder = Recorder::instance();
  const Lock lock(recorder.mutex);
  const std::uint32_t file = recorder.fileOf(descriptor);
  if (file == 0) return call();
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (offset < 0) offset = ::lseek(descriptor, 0, (flags & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
  const ssize_t written = call();
  const ErrnoGuard guard;
  if (written > 0) {
    recorder.record((flags & O_DSYNC) != 0 ? Operation::writeThrough : Operation::write,
                    bytes.substr(0, static_cast<std::size_t>(written)), file,
                    static_cast<std::uint64_t>(offset));
  }
  return written;
}

std::string joined(const iovec* parts, int count) {
  std::string bytes;
  for (int index = 0; index < count; ++index)
    bytes.append(static_cast<const char*>(parts[index].iov_base), parts[index].iov_len);
  return bytes;
}

template <class Call>
int recordSync(int descriptor, Call call) {
  Recorder& recorder = Recorder::instance();
  std::uint32_t file = 0;
  std::uint32_t number = 0;
  std::string folder;
  {
    const Lock lock(recorder.mutex);
    file = recorder.fileOf(descriptor);
    if (file == 0 && recorder.isFolder(descriptor)) folder = recorder.folderOf(descriptor);
    if (file == 0 && folder.empty()) return call();
    number = recorder.nextSync();
    recorder.record(file != 0 ? Operation::syncBegin : Operation::folderSyncBegin, folder, file, 0, number);
  }
  const int result = call();
  const ErrnoGuard guard;
  if (result == 0) {
    const Lock lock(recorder.mutex);
    recorder.record(file != 0 ? Operation::syncEnd : Operation::folderSyncEnd, folder, file, 0, number);
  }
  return result;
}

// `change` is a function of a descriptor that only `what` would have to be modelled for.
template <class Call>
auto refuseFor(int descriptor, const char* what, Call call) {
  Recorder& recorder = Recorder::instance();
  const Lock lock(recorder.mutex);
  if (recorder.fileOf(descriptor) != 0) recorder.unknown(what);
  return call();
}

template <class Call>
int recordOpen(int folder, const char* path, int flags, Call call) {
  Recorder& recorder = Recorder::instance();
  const Lock lock(recorder.mutex);
  if ((flags & O_CREAT) == 0 && (flags & O_TRUNC) == 0) return call();
  const std::string place = recorder.placeOf(folder, path);
  if (place.empty()) return call();
  struct stat status {};
  const bool existed = ::fstatat(folder, path, &status, 0) == 0;
  const int descriptor = call();
  const ErrnoGuard guard;
  if (descriptor < 0) return descriptor;
  if (!existed)
    recorder.created(descriptor, place);
  else if ((flags & O_TRUNC) != 0)
    recorder.record(Operation::truncate, {}, recorder.fileOf(descriptor), 0);
  return descriptor;
}

int recordTruncate(int descriptor, off_t size) {
  static auto* const real = next<int(int, off_t)>("ftruncate");
  Recorder& recorder = Recorder::instance();
  const Lock lock(recorder.mutex);
  const int result = real(descriptor, size);
  const ErrnoGuard guard;
  const std::uint32_t file = result == 0 ? recorder.fileOf(descriptor) : 0;
  if (file != 0) recorder.record(Operation::truncate, {}, file, static_cast<std::uint64_t>(size));
  return result;
}

template <class Call>
int recordNames(Operation operation, int fromFolder, const char* from, int toFolder, const char* to,
                Call call) {
  Recorder& recorder = Recorder::instance();
  const Lock lock(recorder.mutex);
  const std::string source = recorder.placeOf(fromFolder, from);
  const std::string target = recorder.placeOf(toFolder, to);
  const int result = call();
  const ErrnoGuard guard;
  if (result != 0 || (source.empty() && target.empty())) return result;
  if (source.empty() || target.empty())
    recorder.unknown("a name that comes from another folder, or goes there");
  else
    recorder.record(operation, source + '\0' + target);
  return result;
}

template <class Call>
int recordUnlink(int folder, const char* path, Call call) {
  Recorder& recorder = Recorder::instance();
  const Lock lock(recorder.mutex);
  const std::string place = recorder.placeOf(folder, path);
  const int result = call();
  const ErrnoGuard guard;
  if (result == 0 && !place.empty()) recorder.record(Operation::unlink, place);
  return result;
}

template <class Call>
int refuseFolder(const char* path, Call call) {
  Recorder& recorder = Recorder::instance();
  const Lock lock(recorder.mutex);
  if (!recorder.placeOf(AT_FDCWD, path).empty()) recorder.unknown("a folder that is made or removed");
  return call();
}

void* recordMap(int descriptor, int protection, int flags, void* address) {
  if (address == MAP_FAILED || descriptor < 0 || (flags & MAP_SHARED) == 0 || (protection & PROT_WRITE) == 0)
    return address;
  Recorder& recorder = Recorder::instance();
  const Lock lock(recorder.mutex);
  recorder.mapped(descriptor);
  return address;
}

mode_t modeOf(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace
}  // namespace instar::powercut

using namespace instar::powercut;

extern "C" {

void instarPowercutMark(const char* text, std::uint64_t size) {
  Recorder& recorder = Recorder::instance();
  const Lock lock(recorder.mutex);
  if (recorder.isOn()) recorder.mark({text, size});
}

#define INSTAR_RECORD_OPEN(name)                                                       \
  int name(const char* path, int flags, ...) {                                         \
    static auto* const real = next<int(const char*, int, ...)>(#name);                 \
    va_list arguments;                                                                 \
    va_start(arguments, flags);                                                        \
    const mode_t mode = modeOf(flags, arguments);                                      \
    va_end(arguments);                                                                 \
    return recordOpen(AT_FDCWD, path, flags, [&] { return real(path, flags, mode); }); \
  }
INSTAR_RECORD_OPEN(open)
INSTAR_RECORD_OPEN(open64)

#define INSTAR_RECORD_OPENAT(name)                                                           \
  int name(int folder, const char* path, int flags, ...) {                                   \
    static auto* const real = next<int(int, const char*, int, ...)>(#name);                  \
    va_list arguments;                                                                       \
    va_start(arguments, flags);                                                              \
    const mode_t mode = modeOf(flags, arguments);                                            \
    va_end(arguments);                                                                       \
    return recordOpen(folder, path, flags, [&] { return real(folder, path, flags, mode); }); \
  }
INSTAR_RECORD_OPENAT(openat)
INSTAR_RECORD_OPENAT(openat64)

ssize_t write(int descriptor, const void* data, size_t size) {
  static auto* const real = next<ssize_t(int, const void*, size_t)>("write");
  return recordWrite(descriptor, -1, {static_cast<const char*>(data), size},
                     [&] { return real(descriptor, data, size); });
}

#define INSTAR_RECORD_PWRITE(name)                                                   \
  ssize_t name(int descriptor, const void* data, size_t size, off_t offset) {        \
    static auto* const real = next<ssize_t(int, const void*, size_t, off_t)>(#name); \
    return recordWrite(descriptor, offset, {static_cast<const char*>(data), size},   \
                       [&] { return real(descriptor, data, size, offset); });        \
  }
INSTAR_RECORD_PWRITE(pwrite)
INSTAR_RECORD_PWRITE(pwrite64)

ssize_t writev(int descriptor, const iovec* parts, int count) {
  static auto* const real = next<ssize_t(int, const iovec*, int)>("writev");
  return recordWrite(descriptor, -1, joined(parts, count), [&] { return real(descriptor, parts, count); });
}

#define INSTAR_RECORD_PWRITEV(name)                                                \
  ssize_t name(int descriptor, const iovec* parts, int count, off_t offset) {      \
    static auto* const real = next<ssize_t(int, const iovec*, int, off_t)>(#name); \
    return recordWrite(descriptor, offset, joined(parts, count),                   \
                       [&] { return real(descriptor, parts, count, offset); });    \
  }
INSTAR_RECORD_PWRITEV(pwritev)
INSTAR_RECORD_PWRITEV(pwritev64)

int fsync(int descriptor) {
  static auto* const real = next<int(int)>("fsync");
  return recordSync(descriptor, [&] { return real(descriptor); });
}

int fdatasync(int descriptor) {
  static auto* const real = next<int(int)>("fdatasync");
  return recordSync(descriptor, [&] { return real(descriptor); });
}

// Gives no promise: it neither flushes the disk's cache nor writes what is needed to find the data.
int sync_file_range(int descriptor, off64_t offset, off64_t size, unsigned flags) {
  static auto* const real = next<int(int, off64_t, off64_t, unsigned)>("sync_file_range");
  return real(descriptor, offset, size, flags);
}

int ftruncate(int descriptor, off_t size) noexcept { return recordTruncate(descriptor, size); }
int ftruncate64(int descriptor, off64_t size) noexcept { return recordTruncate(descriptor, size); }

#define INSTAR_REFUSE_ALLOCATION(name)                                                   \
  int name(int descriptor, off_t offset, off_t size) {                                   \
    static auto* const real = next<int(int, off_t, off_t)>(#name);                       \
    return refuseFor(descriptor, #name, [&] { return real(descriptor, offset, size); }); \
  }
INSTAR_REFUSE_ALLOCATION(posix_fallocate)
INSTAR_REFUSE_ALLOCATION(posix_fallocate64)

int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  static auto* const real = next<int(int, int, off_t, off_t)>("fallocate");
  if (mode == FALLOC_FL_KEEP_SIZE) return real(descriptor, mode, offset, size);  // only takes space
  return refuseFor(descriptor, "fallocate", [&] { return real(descriptor, mode, offset, size); });
}

ssize_t copy_file_range(int from, off64_t* fromOffset, int to, off64_t* toOffset, size_t size,
                        unsigned flags) {
  static auto* const real = next<ssize_t(int, off64_t*, int, off64_t*, size_t, unsigned)>("copy_file_range");
  return refuseFor(to, "copy_file_range", [&] { return real(from, fromOffset, to, toOffset, size, flags); });
}

ssize_t sendfile(int to, int from, off_t* offset, size_t size) noexcept {
  static auto* const real = next<ssize_t(int, int, off_t*, size_t)>("sendfile");
  return refuseFor(to, "sendfile", [&] { return real(to, from, offset, size); });
}

int rename(const char* from, const char* to) noexcept {
  static auto* const real = next<int(const char*, const char*)>("rename");
  return recordNames(Operation::rename, AT_FDCWD, from, AT_FDCWD, to, [&] { return real(from, to); });
}

int renameat(int fromFolder, const char* from, int toFolder, const char* to) noexcept {
  static auto* const real = next<int(int, const char*, int, const char*)>("renameat");
  return recordNames(Operation::rename, fromFolder, from, toFolder, to,
                     [&] { return real(fromFolder, from, toFolder, to); });
}

int renameat2(int fromFolder, const char* from, int toFolder, const char* to, unsigned flags) noexcept {
  static auto* const real = next<int(int, const char*, int, const char*, unsigned)>("renameat2");
  if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE)) != 0) {
    Recorder& recorder = Recorder::instance();
    const Lock lock(recorder.mutex);
    if (recorder.isOn()) recorder.unknown("renameat2 that exchanges two files");
  }
  return recordNames(Operation::rename, fromFolder, from, toFolder, to,
                     [&] { return real(fromFolder, from, toFolder, to, flags); });
}

int link(const char* from, const char* to) noexcept {
  static auto* const real = next<int(const char*, const char*)>("link");
  return recordNames(Operation::link, AT_FDCWD, from, AT_FDCWD, to, [&] { return real(from, to); });
}

int unlink(const char* path) noexcept {
  static auto* const real = next<int(const char*)>("unlink");
  return recordUnlink(AT_FDCWD, path, [&] { return real(path); });
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  static auto* const real = next<int(int, const char*, int)>("unlinkat");
  return recordUnlink(folder, path, [&] { return real(folder, path, flags); });
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* const real = next<int(const char*, mode_t)>("mkdir");
  return refuseFolder(path, [&] { return real(path, mode); });
}

int rmdir(const char* path) noexcept {
  static auto* const real = next<int(const char*)>("rmdir");
  return refuseFolder(path, [&] { return real(path); });
}

#define INSTAR_RECORD_MMAP(name)                                                                           \
  void* name(void* place, size_t size, int protection, int flags, int descriptor, off_t offset) noexcept { \
    static auto* const real = next<void*(void*, size_t, int, int, int, off_t)>(#name);                     \
    return recordMap(descriptor, protection, flags,                                                        \
                     real(place, size, protection, flags, descriptor, offset));                            \
  }
INSTAR_RECORD_MMAP(mmap)
INSTAR_RECORD_MMAP(mmap64)

}  // extern "C"
