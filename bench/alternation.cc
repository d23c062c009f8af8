#include "instar/bench/alternation.h"

#include <benchmark/benchmark.h>

#include <ctime>
#include <utility>

namespace instar::bench {
namespace {

double nanoseconds(Measured measured) noexcept {
  timespec time{};
  clock_gettime(measured == Measured::processorTime ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double timeOf(const Block& block, Measured measured) {
  block.prepare();
  const double begin = nanoseconds(measured);
  block.run();
  return nanoseconds(measured) - begin;
}

void runGroup(benchmark::State& state, const Group& group) {
  std::vector<Block> blocks;
  for (const Contender& contender : group.contenders) blocks.push_back(contender.open());
  if (group.blocks == 0) {
    for (const Block& block : blocks) timeOf(block, group.measured);  // into the caches
  }
  std::vector<double> times(blocks.size());
  std::size_t turn = 0;
  for (auto _ : state) {
    double all = 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const std::size_t next = (i + turn) % blocks.size();
      const double time = timeOf(blocks[next], group.measured);
      times[next] += time;
      all += time;
    }
    ++turn;
    state.SetIterationTime(all / 1e9);
  }
  const double items = static_cast<double>(state.iterations()) * static_cast<double>(group.itemsPerBlock);
  for (std::size_t i = 0; i < blocks.size(); ++i) state.counters[group.contenders[i].name] = times[i] / items;
}

}  // namespace

void add(Group group) {
  const std::string name = group.name;
  const std::uint64_t blocks = group.blocks;
  auto* registered = benchmark::RegisterBenchmark(
      name.c_str(), [group = std::move(group)](benchmark::State& state) { runGroup(state, group); });
  registered->UseManualTime();
  if (blocks != 0) registered->Iterations(static_cast<benchmark::IterationCount>(blocks));
}

}  // namespace instar::bench
