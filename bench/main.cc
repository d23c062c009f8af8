// instar_bench: Instar beside LMDB and SQLite, in one run.
//
//     instar_bench [--rows N] [--json FILE] [--data DIR] [--benchmark_…]    figures with their references
//     instar_bench growth [--rows N] [--data DIR]                           opening and adding a version, small and large
//     instar_bench size [--rows N | --file FILE --collection NAME]          bytes before and after compaction
//     instar_bench compaction [--rows N …] [--durability LEVEL]             what compaction costs a row
//     instar_bench rate [--rows N] [--rates MIB …]                          whether compaction keeps to its rate
//     instar_bench foreground [--rows N] [--rate MIB]                       reads and writes beside a migration

#include <CLI/CLI.hpp>

#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>

#include "instar/bench/benchmarks.h"
#include "instar/bench/compaction_cost.h"
#include "instar/bench/foreground.h"
#include "instar/bench/growth.h"
#include "instar/bench/rate.h"
#include "instar/bench/size.h"

namespace instar::bench {
namespace {

constexpr const char* kDefaults[] = {"--benchmark_repetitions=5", "--benchmark_min_time=1"};

// Google Benchmark's own arguments; of two of the same name the later one counts.
void initialize(const std::vector<std::string>& given) {
  std::vector<std::string> texts{"instar_bench"};
  texts.insert(texts.end(), std::begin(kDefaults), std::end(kDefaults));
  texts.insert(texts.end(), given.begin(), given.end());
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) throw CLI::ExtrasError({"see --help"});
}

bool compareAll(const Workspace& workspace, const Sizes& sizes, const std::string& json) {
  SqliteReference::configure();
  Subjects subjects(workspace, sizes);
  std::vector<Figure> figures;
  addReadBenchmarks(subjects, figures);
  addVersionBenchmarks(subjects, figures);
  addUpgradeBenchmarks(subjects, figures);
  addChainBenchmarks(subjects, figures);
  addScanBenchmarks(subjects, figures);
  addWriteBenchmarks(subjects, figures);
  addColdBenchmarks(subjects, figures);
  addCanaryBenchmarks(subjects, figures);
  addFormatBenchmarks();
  addBlockBenchmarks();

  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector);
  benchmark::ClearRegisteredBenchmarks();  // some own a store
  printTable(std::cout, figures, collector.measurements());
  if (!json.empty()) {
    std::ofstream file(json);
    writeJson(file, figures, collector.measurements());
    if (!file) throw std::runtime_error("cannot write " + json);
  }
  return !collector.failed();
}

// A part of the program with options of its own.
struct Mode {
  CLI::App* command;
  std::function<void(const Workspace&)> measure;
};

Mode addSize(CLI::App& application) {
  const auto input = std::make_shared<SizeInput>();
  auto* const command = application.add_subcommand("size", "Bytes of rows, before and after compaction");
  command->add_option("--rows", input->rows, "Synthetic rows")->check(CLI::PositiveNumber);
  auto* const file =
      command->add_option("--file", input->file, "A store to be copied instead")->check(CLI::ExistingFile);
  command->add_option("--collection", input->collection, "Of that store")->needs(file);
  return {command, [input](const Workspace& workspace) { measureSize(workspace, *input, std::cout); }};
}

void addDurability(CLI::App* command, Durability& durability) {
  const std::map<std::string, Durability> levels = {
      {"full", Durability::full}, {"normal", Durability::normal}, {"off", Durability::off}};
  command->add_option("--durability", durability, "full, normal or off")
      ->transform(CLI::CheckedTransformer(levels));
}

Mode addCompaction(CLI::App& application) {
  const auto sizes = std::make_shared<CompactionSizes>();
  auto* const command = application.add_subcommand("compaction", "What compaction costs a row");
  command->add_option("--rows", sizes->rows, "One size or several")->check(CLI::PositiveNumber);
  addDurability(command, sizes->durability);
  command->add_option("--threads", sizes->threads, "That prepare, at most")->check(CLI::PositiveNumber);
  return {command, [sizes](const Workspace& workspace) { measureCompaction(workspace, *sizes, std::cout); }};
}

Mode addRate(CLI::App& application) {
  const auto options = std::make_shared<RateOptions>();
  auto* const command = application.add_subcommand("rate", "Whether compaction keeps to its rate");
  command->add_option("--rows", options->rows)->check(CLI::PositiveNumber);
  command->add_option("--rates", options->rates, "MiB a second")->check(CLI::PositiveNumber);
  return {command, [options](const Workspace& workspace) { measureRate(workspace, *options, std::cout); }};
}

Mode addForeground(CLI::App& application) {
  const auto options = std::make_shared<ForegroundOptions>();
  auto* const command =
      application.add_subcommand("foreground", "Reads and writes while all rows are rewritten");
  command->add_option("--rows", options->rows)->check(CLI::PositiveNumber);
  command->add_option("--rate", options->rate, "Of compaction, MiB a second");
  command->add_option("--seconds", options->seconds, "Without anything beside")->check(CLI::PositiveNumber);
  command->add_option("--gets", options->gets, "A second")->check(CLI::PositiveNumber);
  command->add_option("--puts", options->puts, "A second")->check(CLI::PositiveNumber);
  return {command,
          [options](const Workspace& workspace) { measureForeground(workspace, *options, std::cout); }};
}

int run(int count, char** arguments) {
  CLI::App application{
      "Measures Instar beside LMDB and SQLite. Takes the arguments of Google Benchmark too."};
  application.allow_extras();
  application.fallthrough();
  std::string data = "build/bench-data";
  std::string json;
  Sizes sizes;
  GrowthSizes growth;
  application.add_option("--data", data,
                         "Folder for files, several times the size of the rows; emptied at the end");
  application.add_option("--rows", sizes.rows, "Rows of about 200 bytes")->check(CLI::PositiveNumber);
  application.add_option("--transactions", sizes.transactions, "Transactions of 1,000 puts in a repetition")
      ->check(CLI::PositiveNumber);
  application.add_option("--json", json, "File for the figures as JSON");
  auto* command =
      application.add_subcommand("growth", "Opening and adding a version, in a small and in a large file");
  command->add_option("--data", data, "Folder for files, 250 bytes a row; emptied at the end");
  command->add_option("--rows", growth.rows, "Rows of the large file")->check(CLI::PositiveNumber);
  command->add_option("--small-rows", growth.smallRows, "Rows of the small file")->check(CLI::PositiveNumber);
  command->add_option("--repetitions", growth.repetitions)->check(CLI::PositiveNumber);
  const Mode modes[] = {addSize(application), addCompaction(application), addRate(application),
                        addForeground(application)};
  try {
    application.parse(count, arguments);
    const Workspace workspace(data);
    if (command->parsed()) {
      measureGrowth(workspace, growth, std::cout);
      return 0;
    }
    for (const Mode& mode : modes) {
      if (!mode.command->parsed()) continue;
      mode.measure(workspace);
      return 0;
    }
    initialize(application.remaining());
    return compareAll(workspace, sizes, json) ? 0 : 1;
  } catch (const CLI::ParseError& error) {
    return application.exit(error) == 0 ? 0 : 2;
  }
}

}  // namespace
}  // namespace instar::bench

int main(int count, char** arguments) {
  try {
    return instar::bench::run(count, arguments);
  } catch (const std::exception& exception) {
    std::cerr << "instar_bench: " << exception.what() << '\n';
    return 1;
  }
}
