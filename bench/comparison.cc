#include "instar/bench/comparison.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <ostream>

namespace instar::bench {
namespace {

struct Compared {
  const Figure& figure;
  const Repetitions& subject;
  const Repetitions& reference;

  double quotient() const noexcept { return subject.median() / reference.median(); }
  bool hasAim() const noexcept { return figure.aim > 0; }
  bool within() const noexcept { return quotient() <= figure.aim; }
};

std::vector<Compared> compare(const std::vector<Figure>& figures, const Measurements& measurements) {
  std::vector<Compared> compared;
  for (const Figure& figure : figures) {
    const auto subject = measurements.find(figure.subject);
    const auto reference = measurements.find(figure.reference);
    if (subject == measurements.end() || reference == measurements.end()) continue;
    compared.push_back({figure, subject->second, reference->second});
  }
  return compared;
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, pattern, values...);
  return line;
}

std::string printMeasurement(const Repetitions& repetitions) {
  return format("%10s %4.0f%%", printTime(repetitions.median()).c_str(), repetitions.spread() * 100);
}

}  // namespace

void Repetitions::add(double nanoseconds) {
  sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), nanoseconds), nanoseconds);
}

double Repetitions::median() const noexcept {
  const std::size_t middle = sorted_.size() / 2;
  return sorted_.size() % 2 == 1 ? sorted_[middle] : (sorted_[middle - 1] + sorted_[middle]) / 2;
}

bool Collector::ReportContext(const Context& context) {
  PrintBasicContext(&GetErrorStream(), context);
  return true;
}

void Collector::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (run.run_type != Run::RT_Iteration) continue;
    const std::string& name = run.run_name.function_name;
    if (run.error_occurred) {
      failed_ = true;
      GetErrorStream() << name << ": " << run.error_message << '\n';
      continue;
    }
    measurements_[name].add(1e9 / run.counters.at("items_per_second"));
  }
  if (runs.empty()) return;
  const auto found = measurements_.find(runs.front().run_name.function_name);
  if (found == measurements_.end()) return;
  const Repetitions& repetitions = found->second;
  GetOutputStream() << format("%-46s %10s   (%s to %s, %zu repetitions)\n", found->first.c_str(),
                              printTime(repetitions.median()).c_str(), printTime(repetitions.least()).c_str(),
                              printTime(repetitions.most()).c_str(), repetitions.count())
                    << std::flush;
}

std::string printTime(double nanoseconds) {
  struct Unit {
    double size;
    const char* name;
  };
  for (const Unit unit : {Unit{1e9, "s"}, Unit{1e6, "ms"}, Unit{1e3, "us"}}) {
    if (nanoseconds >= unit.size * 10 || (unit.size > 1e3 && nanoseconds >= unit.size)) {
      return format("%.*f %s", nanoseconds >= unit.size * 100 ? 0 : 2, nanoseconds / unit.size, unit.name);
    }
  }
  return format("%.*f ns", nanoseconds >= 100 ? 0 : 1, nanoseconds);
}

void printTable(std::ostream& out, const std::vector<Figure>& figures, const Measurements& measurements) {
  out << format("\n%-50s %16s %16s %6s %6s  %s\n", "medians, spread from least to most", "Instar",
                "reference", "ratio", "aim", "within");
  for (const Compared& compared : compare(figures, measurements)) {
    const std::string aim = compared.hasAim() ? format("%.2f", compared.figure.aim) : "";
    const char* within = !compared.hasAim() ? "" : compared.within() ? "yes" : "NO";
    out << format("%-50s %s %s %6.2f %6s  %s\n", compared.figure.name.c_str(),
                  printMeasurement(compared.subject).c_str(), printMeasurement(compared.reference).c_str(),
                  compared.quotient(), aim.c_str(), within);
  }
  out << std::flush;
}

void writeJson(std::ostream& out, const std::vector<Figure>& figures, const Measurements& measurements) {
  const auto quoted = [](const std::string& text) {
    return '"' + text + '"';
  };  // our own names: nothing to escape
  const char* separator = "";
  out << "{\"figures\": [";
  for (const Compared& compared : compare(figures, measurements)) {
    out << separator << "\n  {\"figure\": " << quoted(compared.figure.name)
        << ", \"subject\": " << quoted(compared.figure.subject)
        << ", \"reference\": " << quoted(compared.figure.reference)
        << format(", \"ratio\": %.4f", compared.quotient());
    if (compared.hasAim()) {
      out << format(", \"aim\": %.2f, \"within\": %s", compared.figure.aim,
                    compared.within() ? "true" : "false");
    }
    out << '}';
    separator = ",";
  }
  separator = "";
  out << "\n], \"nanosecondsPerItem\": {";
  for (const auto& [name, repetitions] : measurements) {
    out << separator << "\n  " << quoted(name)
        << format(": {\"median\": %.2f, \"least\": %.2f, \"most\": %.2f, \"repetitions\": %zu}",
                  repetitions.median(), repetitions.least(), repetitions.most(), repetitions.count());
    separator = ",";
  }
  out << "\n}}\n";
}

}  // namespace instar::bench
