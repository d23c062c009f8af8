#pragma once
// What others do on the machine meanwhile, and what machine it is.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "instar/bench/upgrade/run.capnp.h"

namespace instar::bench {

// Of all processors since the system was started, in seconds.
struct ProcessorTimes {
  double all = 0;
  double busy = 0;    // stolen time left out
  double stolen = 0;  // that the host took
};
ProcessorTimes processorTimes();

// User and system, of this process; of those that it has started and that have ended.
double ownProcessorSeconds();
double endedProcessorSeconds();

// Milliseconds that a write of 4 KiB and its sync take in this folder: the median of several.
double measureSync(const std::filesystem::path& folder);

// The machine and this process at one moment.
struct MachineLook {
  ProcessorTimes processors;
  double own = 0;   // ownProcessorSeconds()
  double sync = 0;  // milliseconds: measureSync()
};

// What others did between two looks, and whether that is more than a fair comparison bears. Pure.
void describeDisturbance(const MachineLook& before, const MachineLook& after,
                         Disturbance::Builder disturbance);

// From its making to describe().
class DisturbanceWatch {
 public:
  explicit DisturbanceWatch(const std::filesystem::path& folder);
  void describe(Disturbance::Builder disturbance) const;

 private:
  std::filesystem::path folder_;
  MachineLook before_;
};

// What makes runs comparable: all but the memory, of which a kernel takes more or less.
std::string textOf(Machine::Reader machine);

// `folder` is where the data lies. The build has the commit that it is of, "unknown" outside of a repository.
void describeMachine(const std::filesystem::path& folder, Machine::Builder machine);

}  // namespace instar::bench
