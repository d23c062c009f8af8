#pragma once
// Many runs, one after another, into one folder of results. One thread.

#include <chrono>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "instar/bench/upgrade/own.h"
#include "instar/bench/upgrade/results.h"
#include "instar/bench/upgrade/scenario.h"

namespace instar::bench {

// Writes the files that are made from runs, and prints the table of all of them.
void report(Results& results, std::ostream& out);

class Campaign {
 public:
  struct Places {
    std::filesystem::path out;                         // of results
    std::filesystem::path data;                        // of the files of runs
    std::filesystem::path program = "/proc/self/exe";  // that makes the runs: see Runner
    std::optional<OwnFile> own{};                      // likewise
  };

  // On `messages` it says what it does: on a terminal also how much time is left.
  Campaign(const Places& places, std::ostream& tables, std::ostream& messages, bool isTerminal);

  // Throws std::runtime_error where the folder has runs of these by another build or machine: what is to be
  // gone on with could not be compared.
  void refuseOthers(const std::vector<Scenario>& scenarios) const;

  // Those that the folder does not have yet by this build on this machine, and all of `again`, which are
  // some of them: a run goes when its successor is there, and one of a higher repetition when all successors
  // are. Repetition by repetition, in the order given and in the opposite one in turn, but what uses the
  // same filled files behind one another. Where a run fails the next one is made. At the end, and where it
  // is interrupted, what there is is reported. Then throws std::runtime_error that lists what has failed.
  void run(const std::vector<Scenario>& scenarios, unsigned repetitions,
           const std::vector<Scenario>& again = {});

 private:
  struct Task {
    Scenario scenario;
    unsigned repetition;
  };

  std::string machine() const;  // that this is
  bool isThere(const Task& task, const std::string& machine) const;
  std::vector<Task> missing(const std::vector<Scenario>& scenarios, unsigned repetitions,
                            const std::vector<Scenario>& again) const;
  // What has failed is added to `failures`.
  void make(const std::vector<Task>& tasks, std::vector<std::string>& failures);
  void announce(const Task& task, std::size_t number, std::size_t count);

  const Places places_;
  Results results_;
  std::ostream& tables_;
  std::ostream& messages_;
  const bool isTerminal_;
  const std::string sitting_;  // in all runs that it makes
  std::chrono::steady_clock::time_point start_{};
};

}  // namespace instar::bench
