#pragma once

// From single runs to a table: each figure is the median of a benchmark's repetitions, set against the median of its
// reference. One thread.

#include <benchmark/benchmark.h>

#include <iosfwd>
#include <map>
#include <string>
#include <vector>

namespace instar::bench {

// Two benchmarks that are compared, and what the quotient should not exceed.
struct Figure {
  std::string name;
  std::string subject;
  std::string reference;
  double aim = 0;  // 0: for information only
};

// Nanoseconds per item, one for each repetition.
class Repetitions {
 public:
  void add(double nanoseconds);  // keeps them sorted
  std::size_t count() const noexcept { return sorted_.size(); }
  double median() const noexcept;
  double least() const noexcept { return sorted_.front(); }
  double most() const noexcept { return sorted_.back(); }
  // From the least to the most, as a share of the median.
  double spread() const noexcept { return (most() - least()) / median(); }

 private:
  std::vector<double> sorted_;
};

using Measurements = std::map<std::string, Repetitions>;

// Collects the runs, and prints a line for each benchmark once all its repetitions are done.
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

// Figures of which a side was not measured are left out.
void printTable(std::ostream& out, const std::vector<Figure>& figures, const Measurements& measurements);
void writeJson(std::ostream& out, const std::vector<Figure>& figures, const Measurements& measurements);

// "1234 ns", "12.3 us", "4.56 ms": three or four digits.
std::string printTime(double nanoseconds);

}  // namespace instar::bench
