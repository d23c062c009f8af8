#include "instar/bench/comparison.h"

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <set>

namespace instar::bench {
namespace {

struct Compared {
  const Figure& figure;
  const Repetitions& subject;
  const Repetitions& reference;
  Repetitions quotients;  // of the same repetition

  bool hasAim() const noexcept { return figure.aim > 0; }
  bool within() const { return quotients.median() <= figure.aim; }
};

std::vector<Compared> compare(const std::vector<Figure>& figures, const Measurements& measurements) {
  std::vector<Compared> compared;
  for (const Figure& figure : figures) {
    const auto subject = measurements.find(figure.group + '/' + figure.subject);
    const auto reference = measurements.find(figure.group + '/' + figure.reference);
    if (subject == measurements.end() || reference == measurements.end()) continue;
    Compared& added = compared.emplace_back(Compared{figure, subject->second, reference->second, {}});
    for (std::size_t i = 0; i < added.subject.values().size(); ++i) {
      added.quotients.add(added.subject.values()[i] / added.reference.values()[i]);
    }
  }
  return compared;
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, pattern, values...);
  return line;
}

}  // namespace

double Repetitions::median() const {
  std::vector<double> sorted = values_;
  std::ranges::sort(sorted);
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double Repetitions::least() const { return *std::ranges::min_element(values_); }
double Repetitions::most() const { return *std::ranges::max_element(values_); }

bool Collector::ReportContext(const Context& context) {
  PrintBasicContext(&GetErrorStream(), context);
  return true;
}

void Collector::ReportRuns(const std::vector<Run>& runs) {
  std::set<std::string> measured;
  std::string label;  // what it says about itself
  for (const Run& run : runs) {
    if (run.run_type != Run::RT_Iteration) continue;
    const std::string& group = run.run_name.function_name;
    if (run.error_occurred) {
      failed_ = true;
      GetErrorStream() << group << ": " << run.error_message << '\n';
      continue;
    }
    label = run.report_label;
    for (const auto& [name, counter] : run.counters) {
      // What has no contenders reports how many items it did in a second.
      const bool alone = name == "items_per_second";
      const std::string& full = *measured.insert(alone ? group : group + '/' + name).first;
      measurements_[full].add(alone ? 1e9 / counter : counter.value);
    }
  }
  for (const std::string& name : measured) {
    const Repetitions& times = measurements_[name];
    GetOutputStream() << format("%-52s %10s   (%s to %s)", name.c_str(), printTime(times.median()).c_str(),
                                printTime(times.least()).c_str(), printTime(times.most()).c_str())
                      << (label.empty() ? "" : "   ") << label << '\n';
  }
  GetOutputStream() << std::flush;
}

std::string printTime(double nanoseconds) {
  if (nanoseconds >= 1e9) return format("%.2f s", nanoseconds / 1e9);
  if (nanoseconds >= 1e6) return format("%.2f ms", nanoseconds / 1e6);
  if (nanoseconds >= 1e4) return format("%.1f us", nanoseconds / 1e3);
  return format("%.*f ns", nanoseconds >= 100 ? 0 : 1, nanoseconds);
}

void printTable(std::ostream& out, const std::vector<Figure>& figures, const Measurements& measurements) {
  out << format("\n%-44s %-20s %-22s %10s %10s  %5s %6s %5s  %s\n", "medians for one item", "", "against", "",
                "", "ratio", "spread", "aim", "within");
  for (const Compared& compared : compare(figures, measurements)) {
    const Figure& figure = compared.figure;
    const std::string aim = compared.hasAim() ? format("%.2f", figure.aim) : "";
    const char* within = !compared.hasAim() ? "" : compared.within() ? "yes" : "NO";
    out << format("%-44s %-20s %-22s %10s %10s  %5.2f %5.0f%% %5s  %s\n", figure.group.c_str(),
                  figure.subject.c_str(), figure.reference.c_str(),
                  printTime(compared.subject.median()).c_str(),
                  printTime(compared.reference.median()).c_str(), compared.quotients.median(),
                  compared.quotients.spread() * 100, aim.c_str(), within);
  }
  out << std::flush;
}

void writeJson(std::ostream& out, const std::vector<Figure>& figures, const Measurements& measurements) {
  const auto quoted = [](const std::string& text) {
    return '"' + text + '"';
  };  // our own names: nothing to escape
  const auto range = [](const Repetitions& values) {
    return format("{\"median\": %.4f, \"least\": %.4f, \"most\": %.4f, \"repetitions\": %zu}",
                  values.median(), values.least(), values.most(), values.values().size());
  };
  const char* separator = "";
  out << "{\"figures\": [";
  for (const Compared& compared : compare(figures, measurements)) {
    const Figure& figure = compared.figure;
    out << separator << "\n  {\"group\": " << quoted(figure.group)
        << ", \"subject\": " << quoted(figure.subject) << ", \"reference\": " << quoted(figure.reference)
        << ", \"ratio\": " << range(compared.quotients);
    if (compared.hasAim()) {
      out << format(", \"aim\": %.2f, \"within\": %s", figure.aim, compared.within() ? "true" : "false");
    }
    out << '}';
    separator = ",";
  }
  separator = "";
  out << "\n], \"nanosecondsPerItem\": {";
  for (const auto& [name, times] : measurements) {
    out << separator << "\n  " << quoted(name) << ": " << range(times);
    separator = ",";
  }
  out << "\n}}\n";
}

}  // namespace instar::bench
