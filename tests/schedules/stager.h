#pragma once

// Versions of the trial come and go: staged, served to ever other shares, promoted, aborted, given up,
// retired. What is to be done next follows from the file, so that a program which was killed goes on. One
// thread.

#include "instar/engine/staging.h"
#include "instar/tests/schedules/client.h"

namespace instar::schedules {

class Stager {
 public:
  explicit Stager(Client& client);

  void act();  // one change, or none

 private:
  void checkCounts(const StagingStatus& status);
  void stage(const Transaction& snapshot);
  void change(std::uint16_t version);
  void leave(std::uint16_t current);
  void open(std::uint16_t version);  // a version that is staged

  Client& client_;
  std::uint16_t opened_ = 0;
};

}  // namespace instar::schedules
