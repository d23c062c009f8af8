#pragma once

// The command's data on its way to a file descriptor, buffered. Nothing is lost silently: whoever writes
// learns of a full disk at the latest from flush(). SIGPIPE must be ignored. One thread.

#include <stdexcept>
#include <string>
#include <string_view>

namespace instar::tools {

// The output could not be written; what() names the reason.
class OutputFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The reader of the output has gone, as in `instar dump … | head`: end quietly.
class OutputClosed {};

class Output {
 public:
  explicit Output(int descriptor) : descriptor_(descriptor) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Both throw OutputFailed or OutputClosed.
  void write(std::string_view bytes);
  void flush();

  void line(std::string_view text) {
    write(text);
    write("\n");
  }

 private:
  int descriptor_;
  std::string buffer_;
};

}  // namespace instar::tools
