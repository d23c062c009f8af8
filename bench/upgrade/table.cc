#include "instar/bench/upgrade/table.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <optional>
#include <ostream>

#include "instar/bench/upgrade/scenario.h"

namespace instar::bench {
namespace {

struct Spread {
  double median = 0;
  double least = 0;
  double most = 0;
};

using Runs = std::vector<Run::Reader>;

Spread spreadOf(const Runs& runs, const std::function<double(Run::Reader)>& value) {
  std::vector<double> values;
  for (const Run::Reader& run : runs) values.push_back(value(run));
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

Runs runsOf(const std::vector<RunRecord>& runs, const std::string& name) {
  Runs found;
  for (const RunRecord& run : runs) {
    if (run.reader().getName().cStr() == name) found.push_back(run.reader());
  }
  return found;
}

template <class... Values>
std::string print(const char* format, Values... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

// Seconds as a time with three digits.
std::string printSeconds(double seconds) {
  if (seconds <= 0) return "-";
  if (seconds < 1e-3) return print("%.3g us", seconds * 1e6);
  if (seconds < 1) return print("%.3g ms", seconds * 1e3);
  return print("%.3g s", seconds);
}

std::string printSpread(const Spread& spread) {
  if (spread.least == spread.most) return printSeconds(spread.median);
  return printSeconds(spread.median) + " [" + printSeconds(spread.least) + "-" + printSeconds(spread.most) +
         "]";
}

std::string referenceName(const std::string& name) {
  Scenario scenario = scenarioOf(name);
  if (scenario.change != Change::own) scenario.system = System::sqlite;
  scenario.strategy = Strategy::eager;
  scenario.rate = 0;
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

void addLine(Table& table, const std::string& name, const Runs& runs, const Runs& reference) {
  const auto median = [&](const std::function<double(Run::Reader)>& value) {
    return spreadOf(runs, value).median;
  };
  const Spread stall = spreadOf(runs, longestStall);
  std::string ratio = "-";
  if (!reference.empty() && stall.median > 0)
    ratio = print("%.3g x", spreadOf(reference, longestStall).median / stall.median);
  const double amplification = median(writtenPerMigrated);
  const auto disturbed =
      std::ranges::count_if(runs, [](const Run::Reader& run) { return run.getDisturbance().getDisturbed(); });
  table.add({printStrategy(name),
             printSpread(spreadOf(runs, [](Run::Reader run) { return run.getOpenToFirstAnswer(); })),
             printSeconds(median([](Run::Reader run) { return run.getCompleteAfter(); })),
             printSeconds(median([](Run::Reader run) { return microseconds(run.getReads().getP50()); })),
             printSeconds(median([](Run::Reader run) { return microseconds(run.getReads().getP99()); })),
             printSeconds(median([](Run::Reader run) { return microseconds(run.getWrites().getP50()); })),
             printSeconds(median([](Run::Reader run) { return microseconds(run.getWrites().getP99()); })),
             printSpread(stall), ratio, amplification < 0 ? "-" : print("%.2f", amplification),
             print("%.2f s", median([](Run::Reader run) { return run.getProcessorSeconds(); })),
             print("%.2f", median([](Run::Reader run) {
                     return static_cast<double>(run.getFileHighest()) /
                            static_cast<double>(run.getFileBefore());
                   })),
             disturbed == 0
                 ? ""
                 : print("%d of %d disturbed", static_cast<int>(disturbed), static_cast<int>(runs.size()))});
}

}  // namespace

double longestStall(Run::Reader run) noexcept {
  return std::max(run.getOpenToFirstAnswer(), microseconds(run.getWrites().getLongest()));
}

double writtenPerMigrated(Run::Reader run) noexcept {
  if (run.getBytesMigrated() == 0 || run.getBytesWrittenByLoad() == 0) return -1;
  const double written =
      static_cast<double>(run.getBytesWritten()) - static_cast<double>(run.getBytesWrittenByLoad());
  return std::max(written, 0.0) / static_cast<double>(run.getBytesMigrated());
}

void printTable(std::ostream& out, const std::vector<RunRecord>& runs,
                const std::vector<std::string>& names) {
  std::vector<std::string> groups;
  for (const std::string& name : names) {
    if (std::ranges::find(groups, behindStrategy(name)) == groups.end())
      groups.push_back(behindStrategy(name));
  }
  for (const std::string& group : groups) {
    Table table({group, "first answer", "complete", "read p50", "p99", "write p50", "p99", "longest stall",
                 "less than the reference", "written/migrated", "CPU", "highest/before", ""});
    for (const std::string& name : names) {
      const Runs found = runsOf(runs, name);
      if (behindStrategy(name) == group && !found.empty())
        addLine(table, name, found, runsOf(runs, referenceName(name)));
    }
    table.print(out);
    out << '\n';
  }
}

}  // namespace instar::bench
