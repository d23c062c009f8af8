#include "instar/bench/upgrade/table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <span>

#include "instar/bench/upgrade/aims.h"
#include "instar/bench/upgrade/scenario.h"

namespace instar::bench {
namespace {

using Runs = std::vector<Run::Reader>;

template <class... Values>
std::string print(const char* format, Values... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

// Seconds as a time with three digits.
std::string printSeconds(double seconds) {
  if (!(seconds > 0)) return "-";
  if (seconds < 1e-3) return print("%.3g us", seconds * 1e6);
  if (seconds < 1) return print("%.3g ms", seconds * 1e3);
  return print("%.3g s", seconds);
}

std::string printSpread(const Spread& spread) {
  if (!(spread.least < spread.most)) return printSeconds(spread.median);
  return printSeconds(spread.median) + " [" + printSeconds(spread.least) + "-" + printSeconds(spread.most) +
         "]";
}

std::string referenceName(const std::string& name) {
  Scenario scenario = scenarioOf(name);
  if (scenario.change != Change::own) scenario.system = System::sqlite;
  scenario.strategy = Strategy::eager;
  scenario.rate = scenario.lockTime = 0;
  scenario.packs = false;
  return nameOf(scenario);
}

class Table {
 public:
  explicit Table(std::vector<std::string> titles) : lines_{std::move(titles)} {}
  void add(std::vector<std::string> line) { lines_.push_back(std::move(line)); }

  void print(std::ostream& out) const {
    std::vector<std::size_t> widths(lines_.front().size());
    for (const auto& line : lines_) {
      for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
    }
    for (const auto& line : lines_) {
      std::string text;
      for (std::size_t i = 0; i < line.size(); ++i) {
        const std::string space(widths[i] - line[i].size(), ' ');
        text += i == 0 ? line[i] + space : "  " + space + line[i];
      }
      text.erase(text.find_last_not_of(' ') + 1);
      out << text << '\n';
    }
  }

 private:
  std::vector<std::vector<std::string>> lines_;
};

double microseconds(double value) noexcept { return value / 1e6; }

std::string printStrategy(const std::string& name) {
  const std::size_t slash = name.find('/', name.find('/') + 1);
  return name.substr(0, slash);
}

std::string behindStrategy(const std::string& name) {
  const std::size_t slash = name.find('/', name.find('/') + 1);
  return slash == std::string::npos ? "" : name.substr(slash + 1);
}

// What is to be known about the runs before their figures are believed.
std::string remarkOn(const Runs& all) {
  const auto disturbed =
      std::ranges::count_if(all, [](const Run::Reader& run) { return run.getDisturbance().getDisturbed(); });
  std::string remark;
  if (disturbed > 0) {
    remark = std::to_string(disturbed) + " of " + std::to_string(all.size()) + " disturbed";
    if (!isDisturbed(all)) remark += ", left out";
  }
  if (isMixed(all)) remark += remark.empty() ? "builds or machines mixed" : "; builds or machines mixed";
  return remark;
}

void addLine(Table& table, const std::string& name, const Runs& all, const Runs& reference) {
  const Runs runs = countedRuns(all);
  const auto median = [&](const auto& value) { return spreadOf(runs, value).median; };
  const auto ofLatency = [](auto which, auto what) {
    return [=](Run::Reader run) {
      const Latency::Reader latency = (run.*which)();
      return latency.getCount() == 0 ? std::nan("") : microseconds((latency.*what)());
    };
  };
  const auto reads = &Run::Reader::getReads;
  const auto writes = &Run::Reader::getWrites;
  const auto p50 = &Latency::Reader::getP50;
  const auto p99 = &Latency::Reader::getP99;
  const Spread stall = spreadOf(runs, longestStall);
  const double ratio = spreadOf(countedRuns(reference), longestStall).median / stall.median;
  const double amplification = median(writtenPerMigrated);
  const double highest = median([](Run::Reader run) {
    return static_cast<double>(run.getFileHighest()) / static_cast<double>(run.getFileBefore());
  });
  const auto orNone = [](const char* format, double value) {
    return std::isfinite(value) ? print(format, value) : std::string("-");
  };
  table.add({printStrategy(name),
             printSpread(spreadOf(runs, [](Run::Reader run) { return run.getOpenToFirstAnswer(); })),
             printSeconds(median(timeToCompletion)), printSeconds(median(ofLatency(reads, p50))),
             printSeconds(median(ofLatency(reads, p99))), printSeconds(median(ofLatency(writes, p50))),
             printSeconds(median(ofLatency(writes, p99))), printSpread(stall), orNone("%.3g x", ratio),
             orNone("%.2f", amplification), orNone("%.2f s", median(processorOfMigration)),
             orNone("%.2f", highest), remarkOn(all)});
}

void printAims(std::ostream& out, std::span<const Run::Reader> runs) {
  Table table({"aim", "strategy", "measured", ""});
  std::vector<std::string> commands;
  for (const Aim& aim : aimsOf(runs)) {
    table.add({aim.title, aim.strategy, aim.measured.empty() ? "-" : aim.measured, aim.verdict});
    if (aim.verdict != "met" && aim.verdict != "missed" &&
        std::ranges::find(commands, aim.command) == commands.end())
      commands.push_back(aim.command);
  }
  table.print(out);
  if (!commands.empty()) out << "\nWhat is not decided is measured by:\n";
  for (const std::string& command : commands) out << "  " << command << '\n';
  out << '\n';
}

}  // namespace

void printTable(std::ostream& out, const std::vector<RunRecord>& runs,
                const std::vector<std::string>& names) {
  Runs all;
  for (const RunRecord& run : runs) all.push_back(run.reader());
  std::vector<std::string> groups;
  for (const std::string& name : names) {
    if (std::ranges::find(groups, behindStrategy(name)) == groups.end())
      groups.push_back(behindStrategy(name));
  }
  for (const std::string& group : groups) {
    Table table({group, "first answer", "complete", "read p50", "p99", "write p50", "p99", "longest stall",
                 "less than the reference", "written/migrated", "CPU of it", "highest/before", ""});
    for (const std::string& name : names) {
      const Runs found = runsNamed(all, name);
      if (behindStrategy(name) == group && !found.empty())
        addLine(table, name, found, runsNamed(all, referenceName(name)));
    }
    table.print(out);
    out << '\n';
  }
  printAims(out, all);
}

}  // namespace instar::bench
