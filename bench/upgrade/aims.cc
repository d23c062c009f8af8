#include "instar/bench/upgrade/aims.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>
#include <string_view>

#include "instar/bench/upgrade/figures.h"

namespace instar::bench {
namespace {

using Runs = std::vector<Run::Reader>;

constexpr std::uint64_t kMillion = 1'000'000;
constexpr const char* kOpenLoop = "/rps=1000/seconds=10";  // as in the matrix
constexpr const char* kClosedLoop = "/seconds=10";

struct Evidence {
  std::string name{};
  std::vector<std::string> others{};  // names of those that it was compared with
  std::string command{};              // where names are not enough
  std::uint64_t rows = 0;
  double value = 0;
  std::string weakness{};  // why it decides nothing; empty: it does
};

struct Question {
  std::string title{};
  bool isLargeBad = true;
  double limit = 0;
  std::string comparedWith{};  // a system and strategy, of the same conditions; empty: nothing
  std::function<double(const Runs& runs, const Runs& others)> value{};
  std::function<std::string(double)> text{};
  std::vector<std::string> wanted{};  // what decides it, without system and strategy
  bool needsMillion = false;          // it is about so many rows
  bool needsSizes = false;            // it is about all sizes
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

// Operations from opening until then, those of the last second by its share.
double operationsUntil(Run::Reader run, double until) {
  double count = 0;
  const auto seconds = run.getSeconds();
  for (unsigned i = 0; i < seconds.size(); ++i) {
    const double from = seconds[i].getFrom();
    const double to = i + 1 < seconds.size() ? seconds[i + 1].getFrom() : run.getDuration();
    if (from >= until) break;
    const double share = to > from ? std::min(1.0, (until - from) / (to - from)) : 1;
    count +=
        share * static_cast<double>(seconds[i].getReads().getCount() + seconds[i].getWrites().getCount());
  }
  return count;
}

// Operations a second until the migration was complete (a second at least: what is shorter says nothing),
// against as long without one.
double shareOfThroughput(const Runs& runs, const Runs& others) {
  static constexpr double kLeast = 1;
  const auto rate = [](Run::Reader run, double until) {
    const double end = std::min(until, run.getDuration());
    return operationsUntil(run, end) / end;
  };
  const auto endOf = [](Run::Reader run) {
    return std::max(kLeast, run.getCompleteAfter() > 0 ? run.getCompleteAfter() : run.getDuration());
  };
  const double end = spreadOf(runs, endOf).median;
  const double beside = spreadOf(runs, [&](Run::Reader run) { return rate(run, endOf(run)); }).median;
  return beside / spreadOf(others, [&](Run::Reader run) { return rate(run, end); }).median;
}

std::vector<Question> questions() {
  const std::string base = "/derived/b/zipf/";
  const auto written = [](const Runs& runs, const Runs&) {
    return spreadOf(runs, writtenPerMigrated).median;
  };
  const auto ratio = [](double value) { return print("%.2f", value); };
  return {
      {.title = "first answer in less than 5 ms at any size",
       .limit = 5,
       .value =
           [](const Runs& runs, const Runs&) {
             return spreadOf(runs, [](Run::Reader run) { return run.getOpenToFirstAnswer() * 1e3; }).median;
           },
       .text = [](double value) { return print("%.3g ms", value); },
       .wanted = {base + "10000" + kOpenLoop, base + "1000000" + kOpenLoop},
       .needsSizes = true},
      {.title = "throughput beside the migration within 5 % of that without",
       .isLargeBad = false,
       .limit = 0.95,
       .comparedWith = "instar/none",
       .value =
           [](const Runs& runs, const Runs& others) {
             return runs.front().getPerSecond() == 0 ? shareOfThroughput(runs, others) : std::nan("");
           },
       .text = [](double value) { return print("%.1f %%", value * 100); },
       .wanted = {base + "1000000" + kClosedLoop}},
      {.title = "longest stall of a write 100 x shorter than SQLite's UPDATE of the same million rows",
       .isLargeBad = false,
       .limit = 100,
       .comparedWith = "sqlite/eager",
       .value =
           [](const Runs& runs, const Runs& others) {
             return spreadOf(others, longestStall).median / spreadOf(runs, longestStall).median;
           },
       .text = [](double value) { return print("%.3g x", value); },
       .wanted = {base + "1000000" + kOpenLoop},
       .needsMillion = true},
      {.title = "less than 0.5 bytes written per byte migrated, in place",
       .limit = 0.5,
       .comparedWith = "instar/none",
       .value = written,
       .text = ratio,
       .wanted = {base + "1000000" + kOpenLoop}},
      {.title = "less than 0.5 bytes written per byte migrated, packed",
       .limit = 0.5,
       .comparedWith = "instar/none",
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
    if (!question.comparedWith.empty()) {
      const std::size_t slash = question.comparedWith.find('/');
      evidence.others.push_back(
          counterpart(name, question.comparedWith.substr(0, slash), question.comparedWith.substr(slash + 1)));
      others = runsNamed(all, evidence.others.back());
      if (others.empty()) continue;
      if (evidence.weakness.empty()) evidence.weakness = weaknessOf(question, others);
      Runs both = runs;
      both.insert(both.end(), others.begin(), others.end());
      if (evidence.weakness.empty() && isMixed(both)) evidence.weakness = "builds or machines mixed";
    }
    evidence.value = question.value(countedRuns(runs), countedRuns(others));
    if (std::isfinite(evidence.value)) found.push_back(std::move(evidence));
  }
  return found;
}

std::string commandOf(const std::vector<std::string>& names) {
  std::string command = "./dev bench upgrade run";
  for (const std::string& name : names) command += " " + name;
  return command + " --repetitions 3";
}

std::string wantedCommand(const Question& question, const std::string& strategy) {
  std::vector<std::string> names;
  for (const std::string& conditions : question.wanted) {
    if (!question.comparedWith.empty()) names.push_back(question.comparedWith + conditions);
    names.push_back("instar/" + strategy + conditions + (question.packs ? "/packs" : ""));
  }
  return commandOf(names);
}

std::string againCommand(const Evidence& evidence) {
  if (!evidence.command.empty()) return evidence.command;
  std::vector<std::string> names = evidence.others;
  names.push_back(evidence.name);
  return commandOf(names);
}

// Whether there are both many rows and few, of which a figure can be said not to depend on them.
bool hasSizes(const std::vector<Evidence>& evidence) {
  const auto [least, most] = std::ranges::minmax(evidence, {}, &Evidence::rows);
  return most.rows >= kMillion && most.rows >= 10 * least.rows;
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
  const auto isWorse = [&](const Evidence& one, const Evidence& other) {
    return question.isLargeBad ? one.value > other.value : one.value < other.value;
  };
  const auto isMet = [&](const Evidence& one) {
    return question.isLargeBad ? one.value < question.limit : one.value >= question.limit;
  };
  std::vector<Evidence> solid = found;
  std::erase_if(solid, [](const Evidence& one) { return !one.weakness.empty(); });
  const bool isMissed = !std::ranges::all_of(solid, isMet);
  const bool isDecided = isMissed || (!solid.empty() && (!question.needsSizes || hasSizes(solid)));
  const std::vector<Evidence>& shown = solid.empty() ? found : solid;
  const Evidence& worst = *std::ranges::min_element(shown, isWorse);
  aim.measured = question.text(worst.value) + " (" + worst.name + ")";
  if (shown.size() > 1) aim.measured += ", the worst of " + std::to_string(shown.size()) + " scenarios";
  if (isMissed)
    aim.verdict = "missed";
  else if (isDecided)
    aim.verdict = "met";
  else
    aim.verdict =
        "undecided: " + (solid.empty() ? worst.weakness : std::string("not measured at other sizes"));
  aim.command = isDecided ? againCommand(worst) : wantedCommand(question, strategy);
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
