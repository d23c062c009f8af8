// instar_upgrade_bench: an application that is upgraded, over Instar and over what others use, by every
// strategy that each has.
//
//     instar_upgrade_bench [quick] [--rows N] [--repetitions N] [--out FOLDER]   a first answer
//     instar_upgrade_bench run NAME… [--repetitions N] [--out FOLDER]           these scenarios
//     instar_upgrade_bench matrix [--rows N] [--only NAME] [--out FOLDER]       all; goes on where it was ended
//     instar_upgrade_bench own FILE COLLECTION --schema NEW.capnp:STRUCT [--mix …] [--access …] [--rps N]
//                              [--seconds N] [--durability …]                   the same over a file of yours
//     instar_upgrade_bench list [--rows N]                                      their names
//     instar_upgrade_bench report [--out FOLDER]                                tables from runs that were made

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>

#include "instar/bench/upgrade/campaign.h"
#include "instar/bench/upgrade/catalogue.h"
#include "instar/bench/upgrade/interruption.h"
#include "instar/bench/upgrade/play.h"
#include "instar/bench/upgrade/table.h"

namespace instar::bench {
namespace {

// What a process that Runner starts is told.
struct ChildTask {
  std::string scenario;
  std::filesystem::path folder;
  std::filesystem::path result;   // JSON of a Run
  std::filesystem::path attempt;  // that is shared, where it is to be killed
  double killAfter = 0;           // seconds
  std::uint64_t seed = 1;         // of the operations
  OwnFile own;
  std::string expectedDigest;
};

// As they stand in a scenario's name.
struct LoadArguments {
  std::string mix = "b";
  std::string access = "zipf";
  std::string durability = "full";
  std::optional<unsigned> perSecond{};  // nothing: what every system bears
  double seconds = 3;
};

struct Arguments {
  std::uint64_t quickRows = 100'000;
  double quickSeconds = 2;
  std::uint64_t matrixRows = 1'000'000;
  unsigned repetitions = 0;  // 0: as usual for the command
  std::string out = "build/bench-results";
  std::string ownOut = "build/bench-own";
  std::string data = "build/bench-data";
  std::vector<std::string> names;
  std::string only;
  OwnFile own;
  LoadArguments ownLoad;
  ChildTask task;
};

// The one of this name, or else all whose names begin so.
std::vector<Scenario> chosen(const std::vector<Scenario>& scenarios, const std::string& only) {
  std::vector<Scenario> found;
  for (const Scenario& one : scenarios) {
    if (nameOf(one) == only) return {one};
    if (nameOf(one).starts_with(only)) found.push_back(one);
  }
  if (!found.empty()) return found;
  std::string message = "no scenario's name begins with \"" + only + "\"; there are";
  for (const Scenario& one : scenarios) message += "\n  " + nameOf(one);
  throw std::invalid_argument(message);
}

std::vector<Scenario> named(const std::vector<std::string>& names) {
  std::vector<Scenario> scenarios;
  for (const std::string& name : names) {
    scenarios.push_back(scenarioOf(name));
    if (scenarios.back().change == Change::own)
      throw std::invalid_argument(name + ": the command own takes the file and its schema");
    if (const std::string why = whyNotOffered(scenarios.back()); !why.empty())
      throw std::invalid_argument(name + ": " + why);
  }
  return scenarios;
}

void storeResult(const RunRecord& run, const std::filesystem::path& path) {
  if (path.empty()) throw std::invalid_argument("--result is missing");
  writeText(path, toJson(run.reader()));
}

Stage stageOf(const ChildTask& task) {
  Stage stage{.scenario = scenarioOf(task.scenario), .seed = task.seed};
  if (stage.scenario.change == Change::own) {
    stage.own = task.own;
    stage.expectedDigest = task.expectedDigest;
  }
  return stage;
}

// The commands of the processes that Runner starts.
void addChildCommands(CLI::App& application, ChildTask& task) {
  const auto add = [&](const char* name, const std::function<void(const ChildTask&)>& work) {
    auto* const command = application.add_subcommand(name)->group("");
    command->add_option("scenario", task.scenario)->required();
    command->add_option("--folder", task.folder)->required();
    command->add_option("--result", task.result);
    command->add_option("--attempt", task.attempt);
    command->add_option("--kill-after", task.killAfter);
    command->add_option("--seed", task.seed);
    command->add_option("--own-file", task.own.file);
    command->add_option("--own-collection", task.own.collection);
    command->add_option("--own-schema", task.own.schema);
    command->add_option("--own-bytes", task.own.bytesOfRow);
    command->add_option("--expect", task.expectedDigest);
    command->final_callback([&task, work] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody would read the result
      work(task);
    });
  };
  add("fill", [](const ChildTask& task) { fillFolder(stageOf(task), task.folder); });
  add("play", [](const ChildTask& task) {
    RunRecord run;
    const Stage stage = stageOf(task);
    play(stage, *subjectOf(stage, task.folder), task.folder, run.builder());
    storeResult(run, task.result);
  });
  add("migrate", [](const ChildTask& task) {
    RunRecord run;
    const Stage stage = stageOf(task);
    const auto subject = subjectOf(stage, task.folder);
    Attempt own;
    std::optional<SharedAttempt> shared;
    if (!task.attempt.empty()) shared.emplace(task.attempt);
    migrateAlone(stage, *subject, shared ? **shared : own, task.killAfter, run.builder());
    storeResult(run, task.result);
  });
  add("count", [](const ChildTask& task) {
    RunRecord run;
    const Stage stage = stageOf(task);
    countOld(stage, *subjectOf(stage, task.folder), run.builder());
    storeResult(run, task.result);
  });
}

void addCommonOptions(CLI::App* command, Arguments& arguments, std::string& out) {
  command->add_option("--repetitions", arguments.repetitions, "Of each scenario")->check(CLI::PositiveNumber);
  command->add_option("--out", out, "Folder for results, " + out + " unless said");
  command->add_option("--data", arguments.data, "Folder for the files of the runs; emptied at the end");
}

// Throws std::invalid_argument where a word is not known.
Scenario ownScenario(const LoadArguments& load) {
  Scenario scenario =
      scenarioOf("instar/none/own/" + load.mix + "/" + load.access + "/1/durability=" + load.durability);
  scenario.seconds = load.seconds;
  scenario.perSecond = load.perSecond.value_or(bearable(scenario.mix));
  return scenario;
}

// Words of a command line, the last one first. Options alone are those of quick.
std::vector<std::string> wordsOf(int count, char** texts) {
  std::vector<std::string> words(texts + 1, texts + count);
  const bool isHelp = !words.empty() && (words[0] == "-h" || words[0] == "--help");
  if (words.empty() || (words[0].starts_with('-') && !isHelp)) words.insert(words.begin(), "quick");
  std::ranges::reverse(words);
  return words;
}

int run(int count, char** texts) {
  CLI::App application{
      "Upgrades an application over Instar, SQLite, LMDB and RocksDB, and measures what it costs.",
      "instar_upgrade_bench"};
  Arguments arguments;
  // Without `again` it goes on with runs that are there; otherwise these are made anew.
  const auto measure = [&](const std::vector<Scenario>& scenarios, unsigned repetitions,
                           const std::vector<Scenario>& again, const std::optional<OwnFile>& own = {}) {
    const Interruptible interruptible;
    Campaign campaign({.out = own ? arguments.ownOut : arguments.out, .data = arguments.data, .own = own},
                      std::cout, std::cerr, ::isatty(STDERR_FILENO) != 0);
    if (again.empty()) campaign.refuseOthers(scenarios);
    campaign.run(scenarios, arguments.repetitions == 0 ? repetitions : arguments.repetitions, again);
  };

  auto* const quick =
      application.add_subcommand("quick", "A first answer, in under two minutes (the default)");
  quick->add_option("--rows", arguments.quickRows)->check(CLI::PositiveNumber);
  quick->add_option("--seconds", arguments.quickSeconds, "Of load at least")->check(CLI::PositiveNumber);
  addCommonOptions(quick, arguments, arguments.out);
  quick->final_callback([&] {
    const std::vector<Scenario> scenarios = quickScenarios(arguments.quickRows, arguments.quickSeconds);
    measure(scenarios, 2, scenarios);
  });

  auto* const some = application.add_subcommand("run", "Scenarios by name");
  some->add_option("names", arguments.names, "instar/lazy/derived/b/zipf/100000; see list")->required();
  addCommonOptions(some, arguments, arguments.out);
  some->final_callback([&] {
    const std::vector<Scenario> scenarios = named(arguments.names);
    measure(withLoads(scenarios), 3, scenarios);
  });

  auto* const matrix = application.add_subcommand("matrix", "Everything; goes on where it was ended");
  matrix
      ->add_option("--rows", arguments.matrixRows,
                   "In the middle; others have a hundredth to ten times as many")
      ->check(CLI::PositiveNumber);
  matrix->add_option("--only", arguments.only, "The scenario of this name, or those whose names begin so");
  addCommonOptions(matrix, arguments, arguments.out);
  matrix->final_callback(
      [&] { measure(withLoads(chosen(matrixScenarios(arguments.matrixRows), arguments.only)), 3, {}); });

  auto* const own = application.add_subcommand("own", "Instar's strategies over copies of a file of yours");
  own->add_option("file", arguments.own.file, "Is only read")->required()->check(CLI::ExistingFile);
  own->add_option("collection", arguments.own.collection)->required();
  own->add_option("--schema", arguments.own.schema, "Of the next release: FILE.capnp:STRUCT")->required();
  own->add_option("--only", arguments.only, "The scenario of this name, or those whose names begin so");
  own->add_option("--mix", arguments.ownLoad.mix, "a, b, c or f: the others insert rows");
  own->add_option("--access", arguments.ownLoad.access, "uniform, zipf or latest");
  own->add_option("--rps", arguments.ownLoad.perSecond, "Operations a second; 0: as many as it takes");
  own->add_option("--seconds", arguments.ownLoad.seconds, "Of load at least")->check(CLI::PositiveNumber);
  own->add_option("--durability", arguments.ownLoad.durability, "full, normal or off");
  addCommonOptions(own, arguments, arguments.ownOut);
  own->final_callback([&] {
    Scenario middle = ownScenario(arguments.ownLoad);
    refuseWhatCannotBeMeasured(arguments.own, middle);
    measureOwn(arguments.own);
    middle.rows = arguments.own.rows;
    middle.collection = arguments.own.collection;
    const std::vector<Scenario> scenarios = withLoads(chosen(ownScenarios(middle), arguments.only));
    measure(scenarios, 3, scenarios, arguments.own);  // the file may be another one than it was
  });

  auto* const list = application.add_subcommand("list", "The scenarios of quick and matrix");
  list->add_option("--rows", arguments.matrixRows)->check(CLI::PositiveNumber);
  list->final_callback([&] {
    for (const Scenario& scenario : quickScenarios(arguments.quickRows, arguments.quickSeconds))
      std::cout << nameOf(scenario) << '\n';
    for (const Scenario& scenario : matrixScenarios(arguments.matrixRows))
      std::cout << nameOf(scenario) << '\n';
  });

  auto* const again = application.add_subcommand("report", "Tables and files from the runs of a folder");
  again->add_option("--out", arguments.out)->check(CLI::ExistingDirectory);
  again->final_callback([&] {
    Results results(arguments.out);
    report(results, std::cout);
  });

  addChildCommands(application, arguments.task);
  application.require_subcommand(1);
  try {
    application.parse(wordsOf(count, texts));
    return 0;
  } catch (const CLI::ParseError& error) {
    return application.exit(error) == 0 ? 0 : 2;
  }
}

}  // namespace
}  // namespace instar::bench

int main(int count, char** arguments) {
  try {
    return instar::bench::run(count, arguments);
  } catch (const instar::bench::Interrupted& error) {
    std::cerr << "instar_upgrade_bench: interrupted; what was measured is reported, and matrix goes on with "
                 "the rest\n";
    return 128 + error.signal();  // as a shell says it
  } catch (const std::invalid_argument& error) {
    std::cerr << "instar_upgrade_bench: " << error.what() << '\n';
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "instar_upgrade_bench: " << error.what() << '\n';
    return 1;
  }
}
