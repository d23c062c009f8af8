#pragma once
// SIGINT and SIGTERM while runs are made: the present one ends, and what there is already is reported. A
// second signal ends the program at once.

#include <signal.h>

#include <stdexcept>

namespace instar::bench {

class Interrupted : public std::runtime_error {
 public:
  explicit Interrupted(int signal) : std::runtime_error("interrupted"), signal_(signal) {}
  int signal() const noexcept { return signal_; }

 private:
  const int signal_;
};

// From its making to its end these signals are noted instead; those that were ignored still are. There is one
// at a time.
class Interruptible {
 public:
  Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  ~Interruptible();

 private:
  struct sigaction before_[2];
};

// That has come since the last Interruptible was made; 0: none. Any thread.
int interruptedBy() noexcept;

}  // namespace instar::bench
