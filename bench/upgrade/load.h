#pragma once
// The load on an application: a reading and a writing thread, which take the operations of a Workload in
// turn.
//
// In an open loop an operation is due at a fixed moment, from the opening of the file on, and its latency
// counts from then: what waited for the opening or behind a stall is counted too, and so is what the system
// takes to wake the thread (how much that is shows Strategy::none). All that was due before the end is
// carried out, and no more. In a closed loop each begins when the one before has ended, and neither thread
// runs ahead of the mix.

#include <atomic>
#include <cstdint>
#include <vector>

#include "instar/bench/upgrade/recorder.h"
#include "instar/bench/upgrade/subject.h"
#include "instar/bench/upgrade/workload.h"

namespace instar::bench {

struct LoadResult {
  explicit LoadResult(Series::Clock::time_point start) : reads(start), writes(start) {}
  Series reads;
  Series writes;
  std::vector<Operation> written{};  // in this order, each acknowledged
};

// When a load ends, which is found out while it goes on. Any thread.
class LoadEnd {
 public:
  using Clock = Series::Clock;

  // The first that is said is kept.
  void set(Clock::time_point end) noexcept {
    auto open = Clock::time_point::max();
    end_.compare_exchange_strong(open, end);
  }
  bool isSet() const noexcept { return end_.load() != Clock::time_point::max(); }
  bool isBefore(Clock::time_point time) const noexcept { return end_.load() <= time; }

 private:
  std::atomic<Clock::time_point> end_{Clock::time_point::max()};
};

struct LoadOptions {
  std::uint64_t seed = 1;                       // of the Workload
  std::atomic<std::uint64_t>* ended = nullptr;  // counts the operations that have ended, while they go on
};

// `start` is where the first second begins and the first operation is due: it may be long ago. Throws what a
// session has thrown; then the other thread ends too.
LoadResult runLoad(const Scenario& scenario, Session& reader, Session& writer,
                   Series::Clock::time_point start, const LoadEnd& end, const LoadOptions& options = {});

}  // namespace instar::bench
