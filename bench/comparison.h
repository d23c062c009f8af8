#pragma once

// From single runs to a table: each figure is the median over the repetitions of what one contender of a
// group took, set against what another one took in the same repetition. One thread.

#include <benchmark/benchmark.h>

#include <iosfwd>
#include <map>
#include <string>
#include <vector>

namespace instar::bench {

// Two contenders of a group, and what the quotient should not exceed.
struct Figure {
  std::string group;
  std::string subject;
  std::string reference;
  double aim = 0;  // 0: for information only
};

// Values of the repetitions, in their order. Not empty where anything is asked of it.
class Repetitions {
 public:
  void add(double value) { values_.push_back(value); }
  const std::vector<double>& values() const noexcept { return values_; }
  double median() const;
  double least() const;
  double most() const;
  // From the least to the most, as a share of the median.
  double spread() const { return (most() - least()) / median(); }

 private:
  std::vector<double> values_;
};

// Nanoseconds per item, by "group/contender".
using Measurements = std::map<std::string, Repetitions>;

// Collects the runs, and prints a line for each contender once all repetitions are done.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;

  const Measurements& measurements() const noexcept { return measurements_; }
  bool failed() const noexcept { return failed_; }

 private:
  Measurements measurements_;
  bool failed_ = false;
};

// Figures that were not measured are left out.
void printTable(std::ostream& out, const std::vector<Figure>& figures, const Measurements& measurements);
void writeJson(std::ostream& out, const std::vector<Figure>& figures, const Measurements& measurements);

// "1234 ns", "12.34 us", "4.56 ms".
std::string printTime(double nanoseconds);

}  // namespace instar::bench
