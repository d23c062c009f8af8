#include "instar/bench/upgrade/interruption.h"

#include <csignal>
#include <cstddef>
#include <iterator>

namespace instar::bench {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};

volatile std::sig_atomic_t noted = 0;  // a handler is given nothing else to write to

void note(int signal) { noted = signal; }

}  // namespace

Interruptible::Interruptible() {
  noted = 0;
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_RESETHAND;  // and no SA_RESTART: what is waited for is looked at again
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    ::sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
  }
}

Interruptible::~Interruptible() {
  for (std::size_t i = 0; i < std::size(kSignals); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
}

int interruptedBy() noexcept { return noted; }

}  // namespace instar::bench
