#include "instar/bench/workspace.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <system_error>
#include <vector>

namespace instar::bench {
namespace {

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : number_(::open(path.c_str(), flags)) {
    if (number_ < 0) throw std::system_error(errno, std::generic_category(), path.string());
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(number_); }

  int number() const noexcept { return number_; }
  void sync() const {
    if (::fsync(number_) != 0) throw std::system_error(errno, std::generic_category(), "fsync");
  }

 private:
  int number_;
};

}  // namespace

Workspace::Workspace(const std::filesystem::path& parent)
    : folder_(std::filesystem::absolute(parent) / ("run-" + std::to_string(::getpid()))) {
  std::filesystem::create_directories(folder_);
}

Workspace::~Workspace() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void Workspace::remove(const std::filesystem::path& file) const {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    if (entry.path().filename().string().starts_with(file.filename().string())) found.push_back(entry.path());
  }
  for (const auto& path : found) std::filesystem::remove(path);
}

void copyDurably(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
  Descriptor(to, O_RDWR | O_CLOEXEC).sync();
}

void dropFromMemory(const std::filesystem::path& file) {
  const Descriptor descriptor(file, O_RDWR | O_CLOEXEC);
  descriptor.sync();  // only what is on the disk can be forgotten
  const int code = ::posix_fadvise(descriptor.number(), 0, 0, POSIX_FADV_DONTNEED);
  if (code != 0) throw std::system_error(code, std::generic_category(), "posix_fadvise");
}

}  // namespace instar::bench
