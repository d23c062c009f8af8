#include "instar/bench/upgrade/campaign.h"

#include <capnp/message.h>

#include <algorithm>
#include <ostream>
#include <stdexcept>

#include "instar/bench/upgrade/disturbance.h"
#include "instar/bench/upgrade/page/page.h"
#include "instar/bench/upgrade/runner.h"
#include "instar/bench/upgrade/table.h"

namespace instar::bench {
namespace {

std::vector<std::string> namesOf(const std::vector<Scenario>& scenarios) {
  std::vector<std::string> names;
  for (const Scenario& scenario : scenarios) names.push_back(nameOf(scenario));
  return names;
}

std::string minutes(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
  const std::string rest = std::to_string(whole % 60);
  return std::to_string(whole / 60) + (rest.size() < 2 ? ":0" : ":") + rest;
}

void writeFiles(const Results& results) {
  results.writeCsv();
  writePage(results.asJson(), results.folder() / "index.html");
}

}  // namespace

void report(Results& results, std::ostream& out) {
  results.findLoads();
  std::vector<std::string> names;
  for (const RunRecord& run : results.runs()) {
    const std::string name = run.reader().getName().cStr();
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  printTable(out, results.runs(), names);
  writeFiles(results);
}

Campaign::Campaign(const Places& places, std::ostream& tables, std::ostream& messages, bool isTerminal)
    : places_(places), results_(places.out), tables_(tables), messages_(messages), isTerminal_(isTerminal) {}

std::vector<Campaign::Task> Campaign::missing(const std::vector<Scenario>& scenarios,
                                              unsigned repetitions) const {
  std::vector<Task> tasks;
  for (std::size_t begin = 0, end = 0; begin < scenarios.size(); begin = end) {
    while (end < scenarios.size() && scenarios[end].change == scenarios[begin].change &&
           scenarios[end].rows == scenarios[begin].rows)
      ++end;
    for (unsigned repetition = 1; repetition <= repetitions; ++repetition) {
      for (std::size_t i = begin; i < end; ++i) {
        if (!results_.has(nameOf(scenarios[i]), repetition)) tasks.push_back({scenarios[i], repetition});
      }
    }
  }
  return tasks;
}

void Campaign::refuseOthers(const std::vector<Scenario>& scenarios) const {
  std::filesystem::create_directories(places_.data);
  capnp::MallocMessageBuilder message;
  auto here = message.initRoot<Machine>();
  describeMachine(places_.data, here);
  const std::string now = textOf(here.asReader());
  const std::vector<std::string> names = namesOf(scenarios);
  for (const RunRecord& run : results_.runs()) {
    if (std::ranges::find(names, run.reader().getName().cStr()) == names.end()) continue;
    const std::string then = textOf(run.reader().getMachine());
    if (then == now) continue;
    throw std::runtime_error(
        places_.out.string() + " has runs by another build or machine (" + then + ") than this one (" + now +
        "), which cannot be compared; take another --out, or remove " + (places_.out / "runs").string());
  }
}

void Campaign::forget(const std::vector<Scenario>& scenarios) {
  for (const Scenario& scenario : scenarios) results_.forget(nameOf(scenario));
}

void Campaign::announce(const Task& task, std::size_t number, std::size_t count) {
  if (isTerminal_) messages_ << "\r\033[K";
  messages_ << number << "/" << count << " " << nameOf(task.scenario) << ", repetition " << task.repetition;
  if (isTerminal_ && number > 1) {
    const double taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const auto done = static_cast<double>(number - 1);
    messages_ << ", about " << minutes(taken / done * (static_cast<double>(count) - done)) << " left";
  }
  if (!isTerminal_) messages_ << '\n';
  messages_ << std::flush;
}

void Campaign::run(const std::vector<Scenario>& scenarios, unsigned repetitions) {
  const std::vector<Task> tasks = missing(scenarios, repetitions);
  start_ = std::chrono::steady_clock::now();
  try {
    Runner runner(places_.program, places_.data, places_.own);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      announce(tasks[i], i + 1, tasks.size());
      runner.keepOnly(tasks[i].scenario.change, tasks[i].scenario.rows);
      results_.add(runner.run(tasks[i].scenario, tasks[i].repetition));
    }
  } catch (...) {
    if (isTerminal_) messages_ << '\n';
    results_.findLoads();
    writeFiles(results_);
    throw;
  }
  if (isTerminal_ && !tasks.empty()) messages_ << "\r\033[K" << std::flush;
  results_.findLoads();
  printTable(tables_, results_.runs(), namesOf(scenarios));
  tables_ << "results: " << results_.folder().string() << '\n';
  writeFiles(results_);
}

}  // namespace instar::bench
