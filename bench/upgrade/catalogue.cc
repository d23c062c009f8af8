#include "instar/bench/upgrade/catalogue.h"

#include <algorithm>
#include <functional>
#include <tuple>

namespace instar::bench {
namespace {

constexpr System kSystems[] = {System::instar, System::sqlite, System::lmdb, System::rocksdb};
constexpr Strategy kStrategies[] = {
    Strategy::none, Strategy::eager,     Strategy::eagerLater, Strategy::rebuild,    Strategy::batches,
    Strategy::lazy, Strategy::writeBack, Strategy::paced,      Strategy::background, Strategy::standard};

class Collector {
 public:
  // Strategy by strategy, so that systems take turns.
  void addAll(const Scenario& middle, const std::function<bool(const Scenario&)>& wanted = {}) {
    for (const Strategy strategy : kStrategies) {
      for (const System system : kSystems) {
        Scenario scenario = middle;
        scenario.system = system;
        scenario.strategy = strategy;
        if (strategy == Strategy::paced) scenario.rate = kStandardRate;
        if (isOffered(scenario) && (!wanted || wanted(scenario)) && !isThere(scenario))
          scenarios_.push_back(scenario);
      }
    }
  }

  std::vector<Scenario> inOrder() {
    std::ranges::stable_sort(scenarios_, {},
                             [](const Scenario& one) { return std::tuple(one.rows, one.change); });
    return scenarios_;
  }

 private:
  bool isThere(const Scenario& scenario) const {
    return std::ranges::find(scenarios_, scenario) != scenarios_.end();
  }

  std::vector<Scenario> scenarios_;
};

}  // namespace

unsigned bearable(Mix mix) noexcept { return mix == Mix::a || mix == Mix::f ? 200 : 1000; }

std::vector<Scenario> quickScenarios(std::uint64_t rows, double seconds) {
  constexpr std::pair<System, Strategy> kWanted[] = {
      {System::instar, Strategy::none},       {System::sqlite, Strategy::none},
      {System::lmdb, Strategy::none},         {System::rocksdb, Strategy::none},
      {System::instar, Strategy::lazy},       {System::sqlite, Strategy::eager},
      {System::instar, Strategy::standard},   {System::sqlite, Strategy::eagerLater},
      {System::instar, Strategy::background}, {System::sqlite, Strategy::batches},
      {System::instar, Strategy::eager},      {System::lmdb, Strategy::eagerLater},
      {System::rocksdb, Strategy::batches}};
  std::vector<Scenario> scenarios;
  for (const auto& [system, strategy] : kWanted) {
    const Scenario scenario{
        .system = system, .strategy = strategy, .rows = rows, .perSecond = 1000, .seconds = seconds};
    if (isOffered(scenario)) scenarios.push_back(scenario);
  }
  return scenarios;
}

std::vector<Scenario> matrixScenarios(std::uint64_t rows) {
  const Scenario middle{.rows = rows, .perSecond = bearable(Mix::b), .seconds = 10};
  const auto with = [&](const std::function<void(Scenario&)>& change) {
    Scenario scenario = middle;
    change(scenario);
    return scenario;
  };
  Collector all;
  all.addAll(middle);
  for (const Change change : {Change::additive, Change::replaced, Change::history})
    all.addAll(with([&](Scenario& scenario) { scenario.change = change; }));
  for (const Mix mix : {Mix::a, Mix::c, Mix::d, Mix::e, Mix::f}) {
    all.addAll(with([&](Scenario& scenario) {
      scenario.mix = mix;
      scenario.perSecond = bearable(mix);
      if (mix == Mix::d) scenario.access = Access::latest;
    }));
  }
  all.addAll(with([](Scenario& scenario) { scenario.access = Access::uniform; }));
  for (const std::uint64_t size : {rows / 100, rows / 10, rows * 10})
    all.addAll(with([&](Scenario& scenario) { scenario.rows = std::max<std::uint64_t>(size, 1); }));
  all.addAll(with([](Scenario& scenario) { scenario.durability = Durability::normal; }));
  for (const Mix mix : {Mix::a, Mix::b, Mix::c}) {  // throughput
    all.addAll(with([&](Scenario& scenario) {
      scenario.mix = mix;
      scenario.perSecond = 0;
    }));
  }
  all.addAll(with([](Scenario& scenario) { scenario.packs = true; }));
  for (const std::uint64_t size : {rows / 100, rows, rows * 10}) {
    all.addAll(with([&](Scenario& scenario) {
                 scenario.cold = true;
                 scenario.rows = std::max<std::uint64_t>(size, 1);
               }),
               [](const Scenario& scenario) {
                 constexpr Strategy kWanted[] = {Strategy::none, Strategy::eager,      Strategy::batches,
                                                 Strategy::lazy, Strategy::background, Strategy::standard};
                 return std::ranges::find(kWanted, scenario.strategy) != std::end(kWanted);
               });
  }
  all.addAll(with([](Scenario& scenario) { scenario.kill = true; }),
             [](const Scenario& scenario) { return comesToAnEnd(scenario.strategy); });
  return all.inOrder();
}

std::vector<Scenario> withLoads(const std::vector<Scenario>& scenarios) {
  std::vector<Scenario> all;
  const auto add = [&](const Scenario& scenario) {
    if (std::ranges::find(all, scenario) == all.end()) all.push_back(scenario);
  };
  for (const Scenario& scenario : scenarios) {
    if (const Scenario load = loadAlone(scenario); isOffered(load)) add(load);
    add(scenario);
  }
  return all;
}

std::vector<Scenario> ownScenarios(Scenario middle) {
  Collector all;
  std::ranges::replace(middle.collection, '/', '_');
  all.addAll(middle);
  Scenario packing = middle;
  packing.packs = true;
  all.addAll(packing);
  return all.inOrder();
}

}  // namespace instar::bench
