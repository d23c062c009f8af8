#pragma once

// Benchmarks of several subjects that take turns. On a machine that does other things too, a figure of now
// and one of a second later cannot be compared; blocks of some milliseconds that alternate can: what disturbs
// one, disturbs all.
//
// A group is one benchmark of Google Benchmark. An iteration runs one block of each subject, in rotating
// order; each subject's nanoseconds per item become a counter of that name. One thread.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace instar::bench {

// A piece of a contender's work. Only `run` is measured.
struct Block {
  std::function<void()> prepare = [] {};
  std::function<void()> run;
};

struct Contender {
  std::string name;
  std::function<Block()> open;  // before each repetition; what the block holds is closed after it
};

// Processor time leaves out what other programs take; but waiting for a disk is part of a commit.
enum class Measured : std::uint8_t { processorTime, realTime };

struct Group {
  std::string name;
  Measured measured = Measured::processorTime;
  std::uint64_t itemsPerBlock = 1;
  std::uint64_t blocks = 0;  // of each contender in a repetition; 0: as many as --benchmark_min_time asks for
  std::vector<Contender> contenders;
};

void add(Group group);

// A block that does the same `items` times.
template <class Operation>
Block repeat(std::uint64_t items, Operation operation) {
  return {.run = [items, operation]() mutable {
    for (std::uint64_t i = 0; i < items; ++i) operation();
  }};
}

}  // namespace instar::bench
