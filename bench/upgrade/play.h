#pragma once
// One run in this process: the new release opens a filled folder, answers under load and migrates. What is
// stored afterwards is compared with a model of what was done; where it differs the run fails.

#include <filesystem>
#include <optional>
#include <string>

#include "instar/bench/upgrade/attempt.h"
#include "instar/bench/upgrade/own.h"
#include "instar/bench/upgrade/run.capnp.h"
#include "instar/bench/upgrade/subject.h"

namespace instar::bench {

struct Stage {
  Scenario scenario;
  // Where the change is Change::own; then nothing is known of what has to be stored but this digest.
  std::optional<OwnFile> own{};
  std::string expectedDigest{};
  std::uint64_t seed = 1;  // of the operations
};

// Fills an empty folder.
void fillFolder(const Stage& stage, const std::filesystem::path& folder);

std::unique_ptr<Subject> subjectOf(const Stage& stage, const std::filesystem::path& folder);

// Fills in all of a run but its repetition and command, and what is found from others or by a kill. Throws
// std::runtime_error where the rows are not what they must be, or the subject says that it is complete and
// is not.
void play(const Stage& stage, Subject& subject, const std::filesystem::path& folder, Run::Builder run);

// Opens the subject and migrates without any load; fills in completeAfter, rowsMigrated and what is stored
// then. Throws as play(), and where a strategy that comes to an end has not. After `killAfter` seconds,
// where they are not 0, the process kills itself, unless it is complete. How it goes on is in `attempt`,
// which is new.
void migrateAlone(const Stage& stage, Subject& subject, Attempt& attempt, double killAfter, Run::Builder run);

// Opens the subject, which is not to migrate by itself, and fills in how many rows are left in the old form.
void countOld(const Stage& stage, Subject& subject, Run::Builder run);

}  // namespace instar::bench
