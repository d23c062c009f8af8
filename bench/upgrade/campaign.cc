#include "instar/bench/upgrade/campaign.h"

#include <capnp/message.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <ostream>
#include <stdexcept>

#include "instar/bench/upgrade/disturbance.h"
#include "instar/bench/upgrade/figures.h"
#include "instar/bench/upgrade/interruption.h"
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

// Of the milliseconds in which it began and its process.
std::string nameOfSitting() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) + "-" +
         std::to_string(::getpid());
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
    : places_(places),
      results_(places.out),
      tables_(tables),
      messages_(messages),
      isTerminal_(isTerminal),
      sitting_(nameOfSitting()) {}

std::string Campaign::machine() const {
  std::filesystem::create_directories(places_.data);
  capnp::MallocMessageBuilder message;
  auto here = message.initRoot<Machine>();
  describeMachine(places_.data, here);
  return textOf(here.asReader());
}

bool Campaign::isThere(const Task& task, const std::string& machine) const {
  const RunRecord* const run = results_.find(nameOf(task.scenario), task.repetition);
  return run != nullptr && textOf(run->reader().getMachine()) == machine;
}

std::vector<Campaign::Task> Campaign::missing(const std::vector<Scenario>& scenarios, unsigned repetitions,
                                              const std::vector<Scenario>& again) const {
  const std::string here = machine();
  std::vector<Task> tasks;
  for (std::size_t begin = 0, end = 0; begin < scenarios.size(); begin = end) {
    while (end < scenarios.size() && scenarios[end].change == scenarios[begin].change &&
           scenarios[end].rows == scenarios[begin].rows)
      ++end;
    for (unsigned repetition = 1; repetition <= repetitions; ++repetition) {
      std::vector<Scenario> some(scenarios.begin() + static_cast<std::ptrdiff_t>(begin),
                                 scenarios.begin() + static_cast<std::ptrdiff_t>(end));
      // What changes slowly on a machine falls on each of them as much as on the others.
      if (repetition % 2 == 0) std::ranges::reverse(some);
      for (const Scenario& scenario : some) {
        const Task task{scenario, repetition};
        if (std::ranges::find(again, scenario) != again.end() || !isThere(task, here)) tasks.push_back(task);
      }
    }
  }
  return tasks;
}

void Campaign::refuseOthers(const std::vector<Scenario>& scenarios) const {
  const std::string now = machine();
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

void Campaign::make(const std::vector<Task>& tasks, std::vector<std::string>& failures) {
  Runner runner(places_.program, places_.data, places_.own);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const auto& [scenario, repetition] = tasks[i];
    announce(tasks[i], i + 1, tasks.size());
    runner.keepOnly(scenario.change, scenario.rows);
    std::optional<RunRecord> run;
    try {
      run = runner.run(scenario, repetition);
    } catch (const Interrupted&) {
      throw;
    } catch (const std::exception& error) {
      failures.push_back(nameOf(scenario) + ", repetition " + std::to_string(repetition) + ": " +
                         error.what());
      messages_ << (isTerminal_ ? "\n" : "") << "failed: " << error.what() << std::endl;
    }
    if (!run) continue;
    run->builder().setSitting(sitting_);
    results_.add(std::move(*run));
  }
}

void Campaign::run(const std::vector<Scenario>& scenarios, unsigned repetitions,
                   const std::vector<Scenario>& again) {
  const std::vector<Task> tasks = missing(scenarios, repetitions, again);
  start_ = std::chrono::steady_clock::now();
  std::vector<std::string> failures;
  const auto failureText = [&] {
    std::string text =
        std::to_string(failures.size()) + " of " + std::to_string(tasks.size()) + " runs failed:";
    for (const std::string& failure : failures) text += "\n  " + failure;
    return text;
  };
  try {
    make(tasks, failures);
  } catch (...) {
    if (isTerminal_) messages_ << '\n';
    if (!failures.empty()) messages_ << failureText() << std::endl;
    results_.findLoads();
    writeFiles(results_);
    throw;
  }
  if (failures.empty()) {
    for (const Scenario& scenario : again) results_.forgetBeyond(nameOf(scenario), repetitions);
  }
  if (isTerminal_ && !tasks.empty()) messages_ << "\r\033[K" << std::flush;
  results_.findLoads();
  printTable(tables_, results_.runs(), namesOf(scenarios));
  tables_ << "results: " << results_.folder().string() << '\n';
  writeFiles(results_);
  if (!failures.empty()) throw std::runtime_error(failureText());
}

}  // namespace instar::bench
