#include "instar/tools/output.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace instar::tools {
namespace {

constexpr std::size_t kBufferSize = 64 * 1024;

}  // namespace

void Output::write(std::string_view bytes) {
  buffer_.append(bytes);
  if (buffer_.size() >= kBufferSize) flush();
}

void Output::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EINTR) continue;
    const int failure = errno;
    buffer_.clear();
    if (failure == EPIPE) throw OutputClosed();
    throw OutputFailed("the output cannot be written: " + std::generic_category().message(failure));
  }
  buffer_.clear();
}

}  // namespace instar::tools
