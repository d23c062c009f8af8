#pragma once

// SIGINT, SIGTERM and SIGHUP for a command that has to clean up behind itself: while an Interruption lives
// they do not end the process, but make its check() throw, so that what was begun is removed on the way out.
// A signal that was ignored before, as under nohup, stays so. One at a time; check() on the thread that made
// it.

#include <array>
#include <csignal>

namespace instar::tools {

// A signal has come; the command ends with 128 and its number.
struct Interrupted {
  int signal = 0;
};

class Interruption {
 public:
  Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption();

  // Throws Interrupted where a signal has come. Costs nothing.
  void check() const;

 private:
  static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace instar::tools
