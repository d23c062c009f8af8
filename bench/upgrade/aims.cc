#include "instar/bench/upgrade/aims.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <optional>
#include <set>
#include <string_view>

#include "instar/bench/upgrade/figures.h"

namespace instar::bench {
namespace {

using Runs = std::vector<Run::Reader>;

constexpr std::uint64_t kMillion = 1'000'000;
constexpr std::uint64_t kFewRows = 10'000;
constexpr std::uint64_t kManyRows = 10'000'000;
constexpr const char* kOpenLoop = "/rps=1000/seconds=10";  // as in the matrix
constexpr const char* kClosedLoop = "/seconds=10";

struct Evidence {
  std::string name{};
  std::vector<std::string> others{};  // names of those that it was compared with
  std::string command{};              // where names are not enough
  std::uint64_t rows = 0;
  Spread value{};
  std::string weakness{};  // why it decides nothing; empty: it does
};

struct Question {
  std::string title{};
  bool isLargeBad = true;
  double limit = 0;
  struct Other {
    System system;
    Strategy strategy;
  };
  std::optional<Other> comparedWith{};  // under the same conditions
  std::function<Spread(const Runs& runs, const Runs& others)> value{};
  std::function<std::string(double)> text{};
  std::vector<std::string> wanted{};  // what decides it, without system and strategy
  bool needsMillion = false;          // it is about so many rows
  bool needsSizes = false;            // it is about kFewRows, kManyRows and what lies between
  bool packs = false;                 // it is about rows that are packed as well
};

std::string print(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

bool hasOption(std::string_view name, std::string_view option) {
  return name.ends_with(option) || name.find(std::string(option) + "/") != name.npos;
}

std::vector<Question> questions() {
  const std::string base = "/derived/b/zipf/";
  const auto written = [](const Runs& runs, const Runs&) {
    return spreadOf(runs, [](Run::Reader run) {
      return run.getBytesMigrated() == 0 ? std::nan("") : writtenPerMigrated(run);
    });
  };
  const auto ratio = [](double value) { return print("%.2f", value); };
  return {
      {.title = "first answer in less than 5 ms at any size, file in memory",
       .limit = 5,
       .value =
           [](const Runs& runs, const Runs&) {
             return spreadOf(runs, [](Run::Reader run) { return run.getOpenToFirstAnswer() * 1e3; });
           },
       .text = [](double value) { return print("%.3g ms", value); },
       .wanted = {base + "10000" + kOpenLoop, base + "1000000" + kOpenLoop, base + "10000000" + kOpenLoop},
       .needsSizes = true},
      {.title = "throughput beside the migration within 5 % of that without",
       .isLargeBad = false,
       .limit = 0.95,
       .comparedWith = Question::Other{System::instar, Strategy::none},
       .value =
           [](const Runs& runs, const Runs& others) {
             // Shares are of the median without, which has a spread too.
             const Spread without = spreadOf(others, throughput);
             const Spread around{1, without.least / without.median, without.most / without.median};
             return ratioOf(spreadOf(runs, [&](Run::Reader run) { return throughputShare(run, others); }),
                            around);
           },
       .text = [](double value) { return print("%.1f %%", value * 100); },
       .wanted = {base + "1000000" + kClosedLoop}},
      {.title = "longest stall of a write 100 x shorter than SQLite's UPDATE of the same million rows",
       .isLargeBad = false,
       .limit = 100,
       .comparedWith = Question::Other{System::sqlite, Strategy::eager},
       .value =
           [](const Runs& runs, const Runs& others) {
             return ratioOf(spreadOf(others, longestStall), spreadOf(runs, longestStall));
           },
       .text = [](double value) { return print("%.3g x", value); },
       .wanted = {base + "1000000" + kOpenLoop},
       .needsMillion = true},
      {.title = "less than 0.5 bytes written per byte migrated, in place",
       .limit = 0.5,
       .comparedWith = Question::Other{System::instar, Strategy::none},
       .value = written,
       .text = ratio,
       .wanted = {base + "1000000" + kOpenLoop}},
      {.title = "less than 0.5 bytes written per byte migrated, packed",
       .limit = 0.5,
       .comparedWith = Question::Other{System::instar, Strategy::none},
       .value = written,
       .text = ratio,
       .wanted = {base + "1000000" + kOpenLoop},
       .packs = true}};
}

std::string weaknessOf(const Question& question, const Runs& runs) {
  if (isDisturbed(runs)) return "disturbed";
  if (countedRuns(runs).size() < 2) return "one undisturbed repetition only";
  if (question.needsMillion && runs.front().getRows() < kMillion) return "fewer than a million rows";
  return isMixed(runs) ? "builds or machines mixed" : "";
}

std::vector<Evidence> evidenceFor(const Question& question, std::string_view strategy,
                                  std::span<const Run::Reader> all) {
  std::set<std::string> names;
  for (const Run::Reader& run : all) {
    const std::string name = run.getName().cStr();
    if (name.starts_with("instar/" + std::string(strategy) + "/") && !hasOption(name, "/kill") &&
        !hasOption(name, "/cold") && hasOption(name, "/packs") == question.packs)
      names.insert(name);
  }
  std::vector<Evidence> found;
  for (const std::string& name : names) {
    const Runs runs = runsNamed(all, name);
    Evidence evidence{.name = name, .rows = runs.front().getRows(), .weakness = weaknessOf(question, runs)};
    if (runs.front().getChange() == kj::StringPtr("own")) evidence.command = runs.front().getCommand().cStr();
    Runs others;
    if (const auto& other = question.comparedWith) {
      evidence.others.push_back(counterpart(name, other->system, other->strategy));
      others = runsNamed(all, evidence.others.back());
      if (others.empty()) continue;
      if (evidence.weakness.empty()) evidence.weakness = weaknessOf(question, others);
      Runs both = runs;
      both.insert(both.end(), others.begin(), others.end());
      if (evidence.weakness.empty() && isMixed(both)) evidence.weakness = "builds or machines mixed";
      if (evidence.weakness.empty() && isOfOtherSittings(countedRuns(runs), countedRuns(others)))
        evidence.weakness = "what it is compared with is of another sitting";
    }
    evidence.value = question.value(countedRuns(runs), countedRuns(others));
    if (std::isfinite(evidence.value.median)) found.push_back(std::move(evidence));
  }
  return found;
}

constexpr unsigned kUsualRepetitions = 3;
constexpr unsigned kManyRepetitions = 9;  // where three lie on both sides of a limit

std::string withRepetitions(const std::string& command, unsigned repetitions) {
  return command + " --repetitions " + std::to_string(repetitions);
}

std::string commandOf(const std::vector<std::string>& names, unsigned repetitions) {
  std::string command = "./dev bench upgrade run";
  for (const std::string& name : names) command += " " + name;
  return withRepetitions(command, repetitions);
}

std::string wantedCommand(const Question& question, const std::string& strategy) {
  std::vector<std::string> names;
  for (const std::string& conditions : question.wanted) {
    if (const auto& other = question.comparedWith)
      names.push_back(std::string(textOf(other->system)) + "/" + std::string(textOf(other->strategy)) +
                      conditions);
    names.push_back("instar/" + strategy + conditions + (question.packs ? "/packs" : ""));
  }
  return commandOf(names, kUsualRepetitions);
}

std::string againCommand(const Evidence& evidence, unsigned repetitions) {
  if (!evidence.command.empty()) return withRepetitions(evidence.command, repetitions);
  std::vector<std::string> names = evidence.others;
  names.push_back(evidence.name);
  return commandOf(names, repetitions);
}

// What has to be there for a figure to be said not to depend on the rows, and is not.
std::string missingSize(const std::vector<Evidence>& evidence) {
  const auto [least, most] = std::ranges::minmax(evidence, {}, &Evidence::rows);
  if (most.rows < kManyRows) return "10,000,000";
  return least.rows > kFewRows ? "10,000" : "";
}

enum class Standing : std::uint8_t { missed, spread, met };  // the worst first

// Where all repetitions of a scenario lie.
Standing standingOf(const Question& question, const Spread& value) {
  const auto isWithin = [&](double one) {
    return question.isLargeBad ? one < question.limit : one >= question.limit;
  };
  if (isWithin(value.least) != isWithin(value.most)) return Standing::spread;
  return isWithin(value.median) ? Standing::met : Standing::missed;
}

std::string printMeasured(const Question& question, const Evidence& one) {
  std::string text = question.text(one.value.median);
  if (one.value.least < one.value.most)
    text += " [" + question.text(one.value.least) + " to " + question.text(one.value.most) + "]";
  return text;
}

Aim answer(const Question& question, const std::string& strategy, std::span<const Run::Reader> all) {
  Aim aim;
  aim.title = question.title;
  aim.strategy = strategy;
  const std::vector<Evidence> found = evidenceFor(question, strategy, all);
  if (found.empty()) {
    aim.verdict = "not measured";
    aim.command = wantedCommand(question, strategy);
    return aim;
  }
  const auto standing = [&](const Evidence& one) { return standingOf(question, one.value); };
  std::vector<Evidence> solid = found;
  std::erase_if(solid, [](const Evidence& one) { return !one.weakness.empty(); });
  const std::vector<Evidence>& shown = solid.empty() ? found : solid;
  const auto isWorse = [&](const Evidence& one, const Evidence& other) {
    if (standing(one) != standing(other)) return standing(one) < standing(other);
    return question.isLargeBad ? one.value.median > other.value.median
                               : one.value.median < other.value.median;
  };
  const Evidence& worst = *std::ranges::min_element(shown, isWorse);
  aim.measured = printMeasured(question, worst);
  aim.where = worst.name;
  if (shown.size() > 1) aim.where += ", the worst of " + std::to_string(shown.size()) + " scenarios";
  if (solid.empty()) {
    aim.verdict = "undecided: " + worst.weakness;
    aim.command = wantedCommand(question, strategy);
  } else if (standing(worst) == Standing::spread) {
    aim.verdict = "undecided: spread crosses the limit";
    aim.command = againCommand(worst, kManyRepetitions);
  } else if (const std::string size = question.needsSizes ? missingSize(solid) : "";
             standing(worst) == Standing::met && !size.empty()) {
    aim.verdict = "undecided: not measured at " + size + " rows";
    aim.command = wantedCommand(question, strategy);
  } else {
    aim.verdict = standing(worst) == Standing::met ? "met" : "missed";
    aim.command = againCommand(worst, kUsualRepetitions);
  }
  return aim;
}

}  // namespace

std::vector<Aim> aimsOf(std::span<const Run::Reader> runs) {
  std::vector<Aim> aims;
  for (const Question& question : questions()) {
    for (const char* strategy : {"standard", "background"}) aims.push_back(answer(question, strategy, runs));
  }
  return aims;
}

}  // namespace instar::bench
