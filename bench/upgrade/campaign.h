#pragma once
// Many runs, one after another, into one folder of results. One thread.

#include <chrono>
#include <filesystem>
#include <iosfwd>
#include <optional>
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

  // Forgets what the folder has of these.
  void forget(const std::vector<Scenario>& scenarios);

  // Those that the folder does not have yet. Repetition by repetition, in the order given, but what uses the
  // same filled files behind one another. At the end, and where a run has failed, what there is is reported.
  void run(const std::vector<Scenario>& scenarios, unsigned repetitions);

 private:
  struct Task {
    Scenario scenario;
    unsigned repetition;
  };

  std::vector<Task> missing(const std::vector<Scenario>& scenarios, unsigned repetitions) const;
  void announce(const Task& task, std::size_t number, std::size_t count);

  const Places places_;
  Results results_;
  std::ostream& tables_;
  std::ostream& messages_;
  const bool isTerminal_;
  std::chrono::steady_clock::time_point start_{};
};

}  // namespace instar::bench
