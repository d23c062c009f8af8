#pragma once
// What others do on the machine meanwhile, and what machine it is.

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "instar/bench/upgrade/kernel_threads.h"
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

// The machine and this process at one moment; times are seconds.
struct MachineLook {
  double at = 0;  // of the steady clock
  ProcessorTimes processors;
  double own = 0;     // ownProcessorSeconds()
  double kernel = 0;  // that threads of the kernel have taken: they write what a run has put into its files
  double sync = 0;    // milliseconds: measureSync(). In the first look and the last.
};

// Now, but for the sync.
MachineLook lookAtMachine(KernelThreads& kernel);

// What others did from the first look to the last, and in the worst of the pieces between them that are not
// much shorter than a second, and whether that is more than a fair comparison bears. There are two looks at
// least. Pure.
void describeDisturbance(std::span<const MachineLook> looks, Disturbance::Builder disturbance);

// Looks once a second, in a thread of its own, from its making to describe(), which is called once. One
// thread.
class DisturbanceWatch {
 public:
  explicit DisturbanceWatch(const std::filesystem::path& folder);
  DisturbanceWatch(const DisturbanceWatch&) = delete;
  DisturbanceWatch& operator=(const DisturbanceWatch&) = delete;
  ~DisturbanceWatch() { stop(); }

  void describe(Disturbance::Builder disturbance);

 private:
  void stop();
  void run();

  const std::filesystem::path folder_;
  KernelThreads kernel_;  // of the thread until it has ended, like the looks
  std::vector<MachineLook> looks_;
  std::mutex mutex_;  // the next one
  bool ended_ = false;
  std::condition_variable isEnded_;
  std::thread thread_;
};

// `folder` is where the data lies. The build has the commit that it is of, "unknown" outside of a repository.
void describeMachine(const std::filesystem::path& folder, Machine::Builder machine);

}  // namespace instar::bench
