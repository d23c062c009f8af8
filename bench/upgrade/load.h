#pragma once
// The load on an application: a reading and a writing thread, which take the operations of a Workload in
// turn.
//
// In an open loop an operation is due at a fixed moment and its latency counts from then, so that what waits
// behind a stall is counted too; where only the system woke the thread late it counts from when it began. In a
// closed loop each begins when the one before has ended, and neither thread runs ahead of the mix.

#include <atomic>
#include <cstdint>
#include <functional>
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

// Until `ended` is set, which is looked at before each operation is due. `seriesFrom` is where the first
// second begins. Throws what a session has thrown; then the other thread ends too.
LoadResult runLoad(const Scenario& scenario, Session& reader, Session& writer,
                   Series::Clock::time_point seriesFrom, const std::atomic<bool>& ended);

}  // namespace instar::bench
