#include "instar/engine/internal/compaction/io_account.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>
#include <utility>

namespace instar {
namespace {

std::uint64_t valueOf(std::string_view name, std::string_view account) {
  const std::size_t at = account.find(name);
  std::uint64_t value = 0;
  if (at != std::string_view::npos)
    std::from_chars(account.data() + at + name.size(), account.data() + account.size(), value);
  return value;
}

}  // namespace

IoAccount::IoAccount() noexcept
    : file_(::open("/proc/thread-self/io", O_RDONLY | O_CLOEXEC)), start_(look()) {}

IoAccount::~IoAccount() {
  if (file_ >= 0) ::close(file_);
}

IoBytes IoAccount::total() const noexcept {
  const std::optional<IoBytes> now = look();
  if (!start_ || !now) return taken_;  // what is not said now is in what is said next
  return {.written = now->written - start_->written, .read = now->read - start_->read};
}

IoBytes IoAccount::take() noexcept {
  const IoBytes before = std::exchange(taken_, total());
  return {.written = taken_.written - before.written, .read = taken_.read - before.read};
}

std::optional<IoBytes> IoAccount::look() const noexcept {
  std::array<char, 512> text;  // seven lines of at most 44
  const ssize_t size = file_ < 0 ? -1 : ::pread(file_, text.data(), text.size(), 0);
  if (size <= 0) return std::nullopt;
  const std::string_view account(text.data(), static_cast<std::size_t>(size));
  return IoBytes{.written = valueOf("\nwchar: ", account), .read = valueOf("\nread_bytes: ", account)};
}

}  // namespace instar
