#pragma once
// Makes runs, each in processes of its own: one fills, another plays over a copy of what was filled, so that
// no run finds what another has left in memory. One thread.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "instar/bench/upgrade/own.h"
#include "instar/bench/upgrade/results.h"
#include "instar/bench/upgrade/scenario.h"

namespace instar::bench {

// As a shell takes it for one word.
std::string shellWord(const std::string& text);

class Runner {
 public:
  // `program` takes the hidden commands fill, play, migrate and count. Files lie in a folder of its own
  // inside `data`, which is removed at the end; those of processes that have come to another end are removed
  // now. `own` is for scenarios of Change::own.
  Runner(std::filesystem::path program, const std::filesystem::path& data, std::optional<OwnFile> own = {});
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  ~Runner();

  // Throws std::runtime_error where a process fails; it has said why on the standard error stream. Throws
  // Interrupted (interruption.h), and ends the process in progress.
  RunRecord run(const Scenario& scenario, unsigned repetition);

  // Removes what was filled for other changes or numbers of rows.
  void keepOnly(Change change, std::uint64_t rows);

 private:
  struct Filling {
    System system;
    Change change;
    std::uint64_t rows;
    bool isNew;  // by the new release
    auto operator<=>(const Filling&) const = default;
  };

  const std::filesystem::path& filled(const Scenario& scenario);
  std::filesystem::path copyOf(const Scenario& scenario);
  void findLossByKill(const Scenario& scenario, Run::Builder run);
  void findOwnDigest(const Scenario& scenario);
  // Of a process that kills itself.
  struct Kill {
    double after = 0;               // seconds
    std::filesystem::path attempt;  // see attempt.h
  };
  // Whether it has ended by itself; throws where it has failed.
  bool call(const char* command, const Scenario& scenario, const std::filesystem::path& folder,
            const std::filesystem::path& result = {}, const std::optional<Kill>& kill = {},
            unsigned seed = 1) const;

  const std::filesystem::path program_;
  const std::filesystem::path folder_;
  const std::optional<OwnFile> own_;
  std::string expectedDigest_;  // of the rows of `own`, as they are read without any migration
  std::map<Filling, std::filesystem::path> filled_;
};

}  // namespace instar::bench
