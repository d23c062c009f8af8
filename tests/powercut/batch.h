#pragma once

// Looks at numbered things in a child process, so that a signal is a finding like others: the next child goes
// on behind it. What is found goes into a file, and how much of it there is into memory that both share:
// where the file does not have all of it, or something was not looked at, await() throws. One thread.

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace instar::powercut {

struct Finding {
  std::size_t index = 0;
  std::string text;
};

class Batch {
 public:
  // What is wrong with one of them; empty: nothing. Must not throw.
  using Look = std::function<std::string(std::size_t index)>;

  // Begins at once. Nothing must be at the path, which is removed at the end.
  Batch(std::size_t count, Look look, std::filesystem::path findings);
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch();

  // Throws std::runtime_error where findings are lost.
  std::vector<Finding> await();

 private:
  struct Tally {
    std::size_t current;   // that is looked at
    std::size_t lookedAt;  // to the end
    std::size_t found;     // before it is written
  };

  void start(std::size_t first);
  bool note(std::size_t index, const std::string& text) const;
  std::vector<Finding> readFindings() const;

  const std::size_t count_;
  const Look look_;
  const std::filesystem::path findings_;
  Tally* tally_ = nullptr;
  pid_t process_ = 0;
};

}  // namespace instar::powercut
