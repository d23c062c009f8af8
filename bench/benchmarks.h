#pragma once

// The benchmarks, by what they measure. Each registers itself with Google Benchmark, and names in `figures`
// what is to be compared with what. `subjects` must outlive the run.

#include <vector>

#include "instar/bench/comparison.h"
#include "instar/bench/subjects.h"

namespace instar::bench {

void addReadBenchmarks(Subjects& subjects, std::vector<Figure>& figures);
void addScanBenchmarks(Subjects& subjects, std::vector<Figure>& figures);
void addVersionBenchmarks(Subjects& subjects, std::vector<Figure>& figures);
void addUpgradeBenchmarks(Subjects& subjects, std::vector<Figure>& figures);
void addChainBenchmarks(Subjects& subjects, std::vector<Figure>& figures);
void addWriteBenchmarks(Subjects& subjects, std::vector<Figure>& figures);
void addColdBenchmarks(Subjects& subjects, std::vector<Figure>& figures);
void addCanaryBenchmarks(Subjects& subjects, std::vector<Figure>& figures);
void addFormatBenchmarks();
void addBlockBenchmarks();

}  // namespace instar::bench
