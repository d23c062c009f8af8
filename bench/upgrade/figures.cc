#include "instar/bench/upgrade/figures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>

namespace instar::bench {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr double kSecondsPerMicro = 1e-6;

std::string_view asView(capnp::Text::Reader text) noexcept { return {text.begin(), text.size()}; }

double stallOf(Run::Reader run, Latency::Reader latency) noexcept {
  if (latency.getCount() == 0) return kUnknown;
  return std::max(run.getOpenToFirstAnswer(), latency.getLongest() * kSecondsPerMicro);
}

double ifOf(std::uint64_t least, Latency::Reader latency, double microseconds) noexcept {
  return latency.getCount() < least ? kUnknown : microseconds * kSecondsPerMicro;
}

// Of the second in which `until` is: its share, as if there had been as many at each moment since the first
// answer.
double operationsUntil(Run::Reader run, double until) noexcept {
  double count = 0;
  const auto seconds = run.getSeconds();
  for (unsigned i = 0; i < seconds.size(); ++i) {
    const double from = std::max(seconds[i].getFrom(), run.getOpenToFirstAnswer());
    const double to = i + 1 < seconds.size() ? seconds[i + 1].getFrom() : run.getDuration();
    if (from >= until) break;
    const double share = to > from ? std::min(1.0, (until - from) / (to - from)) : 1;
    count +=
        share * static_cast<double>(seconds[i].getReads().getCount() + seconds[i].getWrites().getCount());
  }
  return count;
}

constexpr double kLeastOfThroughput = 1;  // seconds

// What throughput is counted until.
double endOf(Run::Reader run) noexcept {
  return run.getCompleteAfter() > 0 ? std::max(kLeastOfThroughput, run.getCompleteAfter())
                                    : run.getDuration();
}

std::optional<Scenario> scenarioIn(std::string_view name) {
  try {
    return scenarioOf(name);
  } catch (const std::invalid_argument&) {
    return {};
  }
}

}  // namespace

double longestStall(Run::Reader run) noexcept { return stallOf(run, run.getWrites()); }
double longestReadStall(Run::Reader run) noexcept { return stallOf(run, run.getReads()); }

double longestOpenStall(Run::Reader run) noexcept {
  return run.getWrites().getCount() == 0 ? kUnknown : run.getWrites().getLongest() * kSecondsPerMicro;
}

double writtenPerMigrated(Run::Reader run) noexcept {
  if (run.getBytesMigrated() == 0) {
    const std::string_view strategy = asView(run.getStrategy());
    const bool isAdditive =
        asView(run.getChange()) == textOf(Change::additive) && strategy != textOf(Strategy::none);
    return isAdditive || strategy == textOf(Strategy::lazy) ? 0 : kUnknown;
  }
  if (run.getBytesWrittenByLoad() == 0 && run.getWrites().getCount() > 0) return kUnknown;
  const double written =
      static_cast<double>(run.getBytesWritten()) - static_cast<double>(run.getBytesWrittenByLoad());
  return written / static_cast<double>(run.getBytesMigrated());
}

double processorOfMigration(Run::Reader run) noexcept {
  const double ofLoad = run.getProcessorSecondsOfLoad();
  return ofLoad > 0 ? std::max(run.getProcessorSeconds() - ofLoad, 0.0) : kUnknown;
}

double throughput(Run::Reader run) noexcept {
  if (run.getCompleteAfter() < kLeastOfThroughput) return throughputUntil(run, endOf(run));
  if (run.getPerSecond() != 0 || run.getOperationsUntilComplete() < 0) return kUnknown;
  return static_cast<double>(run.getOperationsUntilComplete()) / run.getCompleteAfter();
}

double throughputUntil(Run::Reader run, double seconds) noexcept {
  if (run.getPerSecond() != 0 || run.getDuration() <= 0) return kUnknown;
  if (seconds < run.getDuration()) return operationsUntil(run, seconds) / seconds;
  return static_cast<double>(run.getReads().getCount() + run.getWrites().getCount()) / run.getDuration();
}

double throughputShare(Run::Reader run, std::span<const Run::Reader> others) {
  const double end = endOf(run);
  return throughput(run) /
         spreadOf(others, [end](Run::Reader other) { return throughputUntil(other, end); }).median;
}

double p50Of(Latency::Reader latency) noexcept { return ifOf(kLeastForP50, latency, latency.getP50()); }
double p95Of(Latency::Reader latency) noexcept { return ifOf(kLeastForP95, latency, latency.getP95()); }
double p99Of(Latency::Reader latency) noexcept { return ifOf(kLeastForP99, latency, latency.getP99()); }
double p999Of(Latency::Reader latency) noexcept { return ifOf(kLeastForP999, latency, latency.getP999()); }

double bytesReadFromDisk(Run::Reader run) noexcept {
  return run.getIsCold() ? static_cast<double>(run.getBytesRead()) : kUnknown;
}

double lostByKill(Run::Reader run) noexcept {
  return run.getLostByKill() >= 0 ? run.getLostByKill() : kUnknown;
}

double memoryOfItsOwn(Run::Reader run) noexcept {
  return run.getMemoryHighest() > 0 ? static_cast<double>(run.getMemoryHighest()) : kUnknown;
}

double timeToCompletion(Run::Reader run) noexcept {
  return run.getCompleteAfter() > 0 ? run.getCompleteAfter() : kUnknown;
}

bool isUnfinished(Run::Reader run) noexcept {
  if (run.getCompleteAfter() > 0) return false;
  for (unsigned i = 0; i <= static_cast<unsigned>(Strategy::standard); ++i) {
    const auto strategy = static_cast<Strategy>(i);
    if (textOf(strategy) == asView(run.getStrategy())) return comesToAnEnd(strategy);
  }
  return false;
}

std::string counterpart(std::string_view name, System system, Strategy strategy) {
  const auto scenario = scenarioIn(name);
  return scenario ? nameOf(counterpart(*scenario, system, strategy)) : "";
}

std::string withoutMigration(std::string_view name) {
  const auto scenario = scenarioIn(name);
  return scenario ? nameOf(loadAlone(*scenario)) : "";
}

std::string referenceName(std::string_view name) {
  const auto scenario = scenarioIn(name);
  if (!scenario) return {};
  const System system = scenario->change == Change::own ? scenario->system : System::sqlite;
  return nameOf(counterpart(*scenario, system, Strategy::eager));
}

std::string seriesOf(std::string_view name) {
  const auto scenario = scenarioIn(name);
  return scenario ? seriesOf(*scenario) : std::string(name);
}

std::vector<Run::Reader> countedRuns(std::span<const Run::Reader> runs) {
  std::vector<Run::Reader> counted(runs.begin(), runs.end());
  if (!isDisturbed(runs))
    std::erase_if(counted, [](const Run::Reader& run) { return run.getDisturbance().getDisturbed(); });
  return counted;
}

bool isDisturbed(std::span<const Run::Reader> runs) {
  return std::ranges::all_of(runs,
                             [](const Run::Reader& run) { return run.getDisturbance().getDisturbed(); });
}

std::string textOf(Machine::Reader machine) {
  return std::string(machine.getBuild().cStr()) + "; " + machine.getProcessor().cStr() + ", " +
         std::to_string(machine.getProcessors()) + " processors, " + machine.getSystem().cStr() + ", " +
         machine.getFileSystem().cStr();
}

bool isMixed(std::span<const Run::Reader> runs) {
  std::set<std::string> machines;
  for (const Run::Reader& run : runs) machines.insert(textOf(run.getMachine()));
  return machines.size() > 1;
}

bool isOfOtherSittings(std::span<const Run::Reader> runs, std::span<const Run::Reader> others) {
  return std::ranges::none_of(runs, [&](const Run::Reader& run) {
    return run.getSitting().size() != 0 && std::ranges::any_of(others, [&](const Run::Reader& other) {
             return asView(other.getSitting()) == asView(run.getSitting());
           });
  });
}

std::vector<Run::Reader> runsNamed(std::span<const Run::Reader> runs, std::string_view name) {
  std::vector<Run::Reader> found;
  for (const Run::Reader& run : runs) {
    if (asView(run.getName()) == name) found.push_back(run);
  }
  return found;
}

Spread spreadOf(std::vector<double> values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (values.empty()) return {kUnknown, kUnknown, kUnknown};
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

Spread ratioOf(const Spread& one, const Spread& other) noexcept {
  return {one.median / other.median, one.least / other.most, one.most / other.least};
}

}  // namespace instar::bench
