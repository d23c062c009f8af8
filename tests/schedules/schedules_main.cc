// Hostile schedules for as long as asked: `./dev schedules`.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>

#include "instar/tests/schedules/schedule.h"
#include "instar/tests/schedules/work.h"

namespace instar::schedules {
namespace {

// Prints it; the folder stays.
ScheduleResult playRound(const ScheduleOptions& options) {
  std::filesystem::remove_all(options.folder);
  ScheduleResult result = runSchedule(options);
  std::cout << describe(result, options.plant == Plant::none ? 20U : 2U) << std::endl;
  return result;
}

// Rounds in which programs hardly came to work prove nothing.
bool hasWorked(const ScheduleResult& all, std::chrono::milliseconds length) {
  if (length < kEnoughForAllWork) {
    std::cout << "whether all programs came to work is not looked at, below " << kEnoughForAllWork.count()
              << " s of rounds\n";
    return true;
  }
  const std::vector<std::string> missing = missingWork(all);
  for (const std::string& what : missing) std::cout << "FAILED: too little work, " << what << '\n';
  if (missing.empty()) std::cout << "all programs came to work\n";
  return missing.empty();
}

int play(unsigned seconds, unsigned round, unsigned seed, const std::filesystem::path& folder) {
  for (const PlantedBug& bug : kPlantedBugs) {
    std::cout << "with the planted " << bug.name << ", a " << nameOf(bug.fault)
              << " that has to be found: " << std::flush;
    const ScheduleOptions options{
        .length = std::chrono::seconds(3), .plant = bug.plant, .folder = folder / bug.name};
    if (!isFound(bug, playRound(options).verdict)) {
      std::cout << "FAILED: it was not found; what each thread has said: " << options.folder.string() << '\n';
      return EXIT_FAILURE;
    }
    std::filesystem::remove_all(options.folder);
  }
  std::cout << "seeds from " << seed << " on\n";
  unsigned failed = 0;
  ScheduleResult all;
  std::chrono::milliseconds played{0};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  for (;; ++seed) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left <= std::chrono::milliseconds(0)) break;
    std::cout << "seed " << seed << ": " << std::flush;
    const auto length = std::min<std::chrono::milliseconds>(std::chrono::seconds(round), left);
    const ScheduleOptions options{
        .seed = seed, .length = length, .folder = folder / ("seed-" + std::to_string(seed))};
    const ScheduleResult result = playRound(options);
    add(all, result);
    played += length;
    if (result.verdict.isGood()) {
      std::filesystem::remove_all(options.folder);
      continue;
    }
    ++failed;
    std::cout << "  the store and what each thread has said: " << options.folder.string() << '\n';
  }
  if (failed != 0) std::cout << "FAILED: " << failed << " rounds\n";
  return hasWorked(all, played) && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace instar::schedules

int main(int argumentCount, char** arguments) {
  CLI::App app(
      "Hostile schedules: programs that share a store and are stopped, killed and misled by the clock");
  unsigned seconds = 60;
  unsigned round = 10;
  unsigned seed = std::random_device()() >> 2;
  std::string folder = "schedules";
  app.add_option("SECONDS", seconds, "for how long, behind the planted bugs");
  app.add_option("--seed", seed,
                 "of the first round, otherwise another one each time; the next ones count up");
  app.add_option("--round", round, "seconds that a round takes, with one store")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--folder", folder, "for stores and logs; those of rounds that fail stay");
  CLI11_PARSE(app, argumentCount, arguments);
  return instar::schedules::play(seconds, round, seed, folder);
}
