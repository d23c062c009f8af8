#include "instar/bench/upgrade/table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <span>

#include "instar/bench/upgrade/aims.h"

namespace instar::bench {
namespace {

using Runs = std::vector<Run::Reader>;

template <class... Values>
std::string print(const char* format, Values... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

// A median, and in brackets under it least and most in the same unit where they differ.
struct Cell {
  std::string text;
  std::string spread{};
};

std::string printEdge(double value) { return print(value < 10 ? "%.2g" : "%.0f", value); }

// `factor` turns the figure into `unit`.
Cell cellOf(const Spread& spread, double factor, const char* format, const char* unit = "") {
  if (!std::isfinite(spread.median)) return {"-"};
  Cell cell{print(format, spread.median * factor) + unit};
  const std::string least = printEdge(spread.least * factor);
  const std::string most = printEdge(spread.most * factor);
  if (least != most) cell.spread = "[" + least + "-" + most + "]";
  return cell;
}

// Seconds as a time with three digits.
Cell timeCell(const Spread& seconds) {
  if (!(seconds.median > 0)) return {"-"};
  if (seconds.median < 1e-3) return cellOf(seconds, 1e6, "%.3g", " us");
  if (seconds.median < 1) return cellOf(seconds, 1e3, "%.3g", " ms");
  return cellOf(seconds, 1, seconds.median < 1000 ? "%.3g" : "%.0f", " s");
}

// Nothing where a strategy never ends by design; how long it was waited for where it should have.
Cell completionCell(const Runs& runs) {
  std::vector<double> waited;
  for (const Run::Reader& run : runs) {
    if (isUnfinished(run)) waited.push_back(std::floor(run.getDuration()));
  }
  if (waited.empty()) return timeCell(spreadOf(runs, timeToCompletion));
  Cell cell{print("not within %.0f s", *std::ranges::min_element(waited))};
  if (waited.size() < runs.size()) cell.spread = print("%zu of %zu", waited.size(), runs.size());
  return cell;
}

// Columns as wide as they have to be, and only those of which something is known. The first is of names.
class Table {
 public:
  struct Title {
    const char* first;
    const char* second = "";
    bool isOptional = false;
  };

  enum class Align : std::uint8_t { left, right };  // all columns but the first, which stands left

  explicit Table(std::vector<Title> titles, Align align = Align::right)
      : titles_(std::move(titles)), align_(align) {}
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }

  void print(std::ostream& out) const {
    std::vector<std::vector<std::string>> lines(2);
    for (const Title& title : titles_) {
      lines[0].emplace_back(title.first);
      lines[1].emplace_back(title.second);
    }
    for (const auto& row : rows_) {
      auto& texts = lines.emplace_back();
      for (const Cell& cell : row) texts.push_back(cell.text);
      auto& spreads = lines.emplace_back();
      for (const Cell& cell : row) spreads.push_back(cell.spread);
    }
    std::erase_if(lines, [](const auto& line) { return std::ranges::all_of(line, &std::string::empty); });
    printLines(out, lines);
  }

 private:
  bool isShown(std::size_t column) const {
    return !titles_[column].isOptional ||
           std::ranges::any_of(rows_, [&](const auto& row) { return row[column].text != "-"; });
  }

  void printLines(std::ostream& out, const std::vector<std::vector<std::string>>& lines) const {
    for (const auto& line : lines) {
      std::string text;
      for (std::size_t column = 0; column < line.size(); ++column) {
        if (!isShown(column)) continue;
        std::size_t width = 0;
        for (const auto& other : lines) width = std::max(width, other[column].size());
        const std::string space(width - line[column].size(), ' ');
        text += column == 0 ? "" : "  ";
        text += column == 0 || align_ == Align::left ? line[column] + space : space + line[column];
      }
      text.erase(text.find_last_not_of(' ') + 1);
      out << text << '\n';
    }
  }

  const std::vector<Title> titles_;
  const Align align_;
  std::vector<std::vector<Cell>> rows_;
};

std::string printStrategy(const std::string& name) {
  const std::size_t slash = name.find('/', name.find('/') + 1);
  return name.substr(0, slash);
}

std::string behindStrategy(const std::string& name) {
  const std::size_t slash = name.find('/', name.find('/') + 1);
  return slash == std::string::npos ? "" : name.substr(slash + 1);
}

constexpr double kMebibytes = 1.0 / (1 << 20);

// What is to be known about the runs before their figures are believed.
std::string remarkOn(const Runs& all, const Runs& reference) {
  const auto disturbed =
      std::ranges::count_if(all, [](const Run::Reader& run) { return run.getDisturbance().getDisturbed(); });
  std::string remark;
  if (disturbed > 0) {
    remark = std::to_string(disturbed) + " of " + std::to_string(all.size()) + " disturbed";
    if (!isDisturbed(all)) remark += ", left out";
  }
  const auto add = [&remark](const char* text) {
    remark += (remark.empty() ? "" : "; ") + std::string(text);
  };
  if (isMixed(all)) add("builds or machines mixed");
  const bool isCompared = !reference.empty() && reference.front().getName() != all.front().getName();
  if (isCompared && isOfOtherSittings(all, reference)) add("reference of another sitting");
  return remark;
}

Table tableOfRuns() {
  return Table({{"", "strategy"},
                {"first", "answer"},
                {"", "complete"},
                {"per", "second", true},
                {"reads", "p50"},
                {"", "p95", true},
                {"", "p99"},
                {"", "p99.9"},
                {"writes", "p50"},
                {"", "p95", true},
                {"", "p99"},
                {"", "p99.9"},
                {"longest", "stall"},
                {"less than", "reference"},
                {"written/", "migrated"},
                {"CPU", "of it"},
                {"highest/", "before"},
                {"memory of", "its own", true},
                {"read from", "disk", true},
                {"lost by", "a kill", true},
                {"", ""}});
}

void addRow(Table& table, const std::string& name, const Runs& all, const Runs& reference) {
  const Runs runs = countedRuns(all);
  const auto timeOf = [&](const auto& value) { return timeCell(spreadOf(runs, value)); };
  const auto ofReads = [&](auto percentile) {
    return timeOf([=](Run::Reader run) { return percentile(run.getReads()); });
  };
  const auto ofWrites = [&](auto percentile) {
    return timeOf([=](Run::Reader run) { return percentile(run.getWrites()); });
  };
  const Spread less = ratioOf(spreadOf(countedRuns(reference), longestStall), spreadOf(runs, longestStall));
  const Spread highest = spreadOf(runs, [](Run::Reader run) {
    return static_cast<double>(run.getFileHighest()) / static_cast<double>(run.getFileBefore());
  });
  table.add({{printStrategy(name)},
             timeOf([](Run::Reader run) { return run.getOpenToFirstAnswer(); }),
             completionCell(runs),
             cellOf(spreadOf(runs, throughput), 1, "%.0f"),
             ofReads(p50Of),
             ofReads(p95Of),
             ofReads(p99Of),
             ofReads(p999Of),
             ofWrites(p50Of),
             ofWrites(p95Of),
             ofWrites(p99Of),
             ofWrites(p999Of),
             timeOf(longestStall),
             cellOf(less, 1, "%.3g", " x"),
             cellOf(spreadOf(runs, writtenPerMigrated), 1, "%.2f"),
             cellOf(spreadOf(runs, processorOfMigration), 1, "%.2f", " s"),
             cellOf(highest, 1, "%.2f"),
             cellOf(spreadOf(runs, memoryOfItsOwn), kMebibytes, "%.3g", " MiB"),
             cellOf(spreadOf(runs, bytesReadFromDisk), kMebibytes, "%.3g", " MiB"),
             cellOf(spreadOf(runs, lostByKill), 1, "%.3g", " s"),
             {remarkOn(all, reference)}});
}

void printAims(std::ostream& out, std::span<const Run::Reader> runs) {
  Table table({{"aim"}, {"strategy"}, {""}, {"measured"}}, Table::Align::left);
  std::vector<std::string> commands;
  for (const Aim& aim : aimsOf(runs)) {
    table.add({{aim.title}, {aim.strategy}, {aim.verdict}, {aim.measured, aim.where}});
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
    Table table = tableOfRuns();
    for (const std::string& name : names) {
      const Runs found = runsNamed(all, name);
      if (behindStrategy(name) == group && !found.empty())
        addRow(table, name, found, runsNamed(all, referenceName(name)));
    }
    out << group << '\n';
    table.print(out);
    out << '\n';
  }
  printAims(out, all);
}

}  // namespace instar::bench
