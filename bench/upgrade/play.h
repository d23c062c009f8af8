#pragma once
// One run in this process: the new release opens a filled folder, answers under load and migrates. What is
// stored afterwards is compared with a model of what was done; where it differs the run fails.

#include <filesystem>
#include <optional>
#include <string>

#include "instar/bench/upgrade/own.h"
#include "instar/bench/upgrade/run.capnp.h"
#include "instar/bench/upgrade/subject.h"

namespace instar::bench {

struct Stage {
  Scenario scenario;
  // Where the change is Change::own; then nothing is known of what has to be stored but this digest.
  std::optional<OwnFile> own{};
  std::string expectedDigest{};
};

// Fills an empty folder.
void fillFolder(const Stage& stage, const std::filesystem::path& folder);

// Fills in all of a run but its repetition, command, bytesWrittenByLoad and lostByKill. Throws
// std::runtime_error where the rows are not what they must be.
void play(const Stage& stage, const std::filesystem::path& folder, Run::Builder run);

// Opens the folder and migrates without any load; fills in completeAfter and what is stored then. After
// `killAfter` seconds, where they are not 0, the process kills itself.
void migrateAlone(const Stage& stage, const std::filesystem::path& folder, double killAfter,
                  Run::Builder run);

}  // namespace instar::bench
