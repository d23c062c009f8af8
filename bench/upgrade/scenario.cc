#include "instar/bench/upgrade/scenario.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <span>
#include <stdexcept>

namespace instar::bench {
namespace {

using namespace std::string_view_literals;

// In the order of the enumerants.
constexpr std::array kSystems{"instar"sv, "sqlite"sv, "lmdb"sv, "rocksdb"sv};
constexpr std::array kStrategies{"none"sv, "eager"sv,      "eager-later"sv, "rebuild"sv, "batches"sv,
                                 "lazy"sv, "write-back"sv, "background"sv,  "paced"sv,   "standard"sv};
constexpr std::array kChanges{"additive"sv, "derived"sv, "replaced"sv, "history"sv, "own"sv};
constexpr std::array kMixes{"a"sv, "b"sv, "c"sv, "d"sv, "e"sv, "f"sv};
constexpr std::array kAccesses{"uniform"sv, "zipf"sv, "latest"sv};
constexpr std::array kDurabilities{"full"sv, "normal"sv, "off"sv};

[[noreturn]] void refuse(std::string_view name, const std::string& why) {
  throw std::invalid_argument("scenario \"" + std::string(name) + "\": " + why);
}

template <class Enum>
Enum enumOf(std::string_view name, std::string_view what, std::string_view text,
            std::span<const std::string_view> known) {
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (known[i] == text) return static_cast<Enum>(i);
  }
  std::string all;
  for (const std::string_view word : known) all.append(all.empty() ? "" : ", ").append(word);
  refuse(name, "\"" + std::string(text) + "\" is no " + std::string(what) + "; there are " + all);
}

template <class Number>
Number numberOf(std::string_view name, std::string_view what, std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    refuse(name, std::string(what) + " is a number, not \"" + std::string(text) + "\"");
  return number;
}

double secondsOf(std::string_view name, std::string_view text) {
  const auto seconds = numberOf<double>(name, "a time in seconds", text);
  if (!(seconds >= 0 && std::isfinite(seconds))) refuse(name, "a time in seconds is not negative");
  return seconds;
}

std::string textOfSeconds(double seconds) {
  std::array<char, 64> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), seconds).ptr};
}

std::uint64_t usualRateOf(Strategy strategy) noexcept {
  return strategy == Strategy::paced ? kStandardRate : 0;
}

void addRateAndLock(const Scenario& scenario, std::string& name) {
  if (scenario.rate != usualRateOf(scenario.strategy)) name += "/rate=" + std::to_string(scenario.rate);
  if (scenario.lockTime != 0) name += "/lock=" + std::to_string(scenario.lockTime);
}

void addLongest(const Scenario& scenario, std::string& name) {
  if (scenario.longest > 0) name += "/longest=" + textOfSeconds(scenario.longest);
}

void setOption(Scenario& scenario, std::string_view name, std::string_view part) {
  const std::size_t equals = part.find('=');
  const std::string_view key = part.substr(0, equals);
  const std::string_view value = equals == part.npos ? ""sv : part.substr(equals + 1);
  if (part == "cold") {
    scenario.cold = true;
  } else if (part == "packs") {
    scenario.packs = true;
  } else if (part == "kill") {
    scenario.kill = true;
  } else if (key == "durability") {
    scenario.durability = enumOf<Durability>(name, "durability", value, kDurabilities);
  } else if (key == "rate") {
    scenario.rate = numberOf<std::uint64_t>(name, "rate", value);
  } else if (key == "lock") {
    scenario.lockTime = numberOf<std::uint64_t>(name, "lock", value);
  } else if (key == "rps") {
    scenario.perSecond = numberOf<unsigned>(name, "rps", value);
  } else if (key == "seconds") {
    scenario.seconds = secondsOf(name, value);
  } else if (key == "longest") {
    scenario.longest = secondsOf(name, value);
  } else if (key == "collection") {
    scenario.collection = value;
  } else {
    refuse(name, "\"" + std::string(part) +
                     "\" is no option; there are cold, packs, kill, durability=, rate=, lock=, rps=, "
                     "seconds=, longest=, collection=");
  }
}

void setPart(Scenario& scenario, std::string_view name, std::size_t place, std::string_view part) {
  switch (place) {
    case 0:
      scenario.system = enumOf<System>(name, "system", part, kSystems);
      return;
    case 1:
      scenario.strategy = enumOf<Strategy>(name, "strategy", part, kStrategies);
      return;
    case 2:
      scenario.change = enumOf<Change>(name, "change", part, kChanges);
      return;
    case 3:
      scenario.mix = enumOf<Mix>(name, "mix", part, kMixes);
      return;
    case 4:
      scenario.access = enumOf<Access>(name, "access", part, kAccesses);
      return;
    default:
      scenario.rows = numberOf<std::uint64_t>(name, "rows", part);
      if (scenario.rows == 0) refuse(name, "it needs at least one row");
  }
}

constexpr std::size_t kParts = 6;  // before the options

}  // namespace

std::string_view textOf(System system) noexcept { return kSystems[static_cast<std::size_t>(system)]; }
std::string_view textOf(Strategy strategy) noexcept {
  return kStrategies[static_cast<std::size_t>(strategy)];
}
std::string_view textOf(Change change) noexcept { return kChanges[static_cast<std::size_t>(change)]; }
std::string_view textOf(Mix mix) noexcept { return kMixes[static_cast<std::size_t>(mix)]; }
std::string_view textOf(Access access) noexcept { return kAccesses[static_cast<std::size_t>(access)]; }
std::string_view textOf(Durability durability) noexcept {
  return kDurabilities[static_cast<std::size_t>(durability)];
}

bool comesToAnEnd(Strategy strategy) noexcept {
  return strategy != Strategy::none && strategy != Strategy::lazy && strategy != Strategy::writeBack;
}

double longestOf(const Scenario& scenario) noexcept {
  if (scenario.longest > 0) return scenario.longest;
  constexpr double kUsual = 600;
  if (scenario.strategy != Strategy::paced && scenario.strategy != Strategy::standard) return kUsual;
  const double slower =
      scenario.rate == 0 ? 1 : static_cast<double>(kStandardRate) / static_cast<double>(scenario.rate);
  return std::max(kUsual, kUsual * static_cast<double>(scenario.rows) / 1e6 * slower);
}

Scenario counterpart(Scenario scenario, System system, Strategy strategy) {
  scenario.system = system;
  scenario.strategy = strategy;
  scenario.rate = usualRateOf(strategy);
  scenario.lockTime = 0;
  scenario.longest = 0;
  scenario.packs = false;
  scenario.kill = scenario.kill && comesToAnEnd(strategy);
  return scenario;
}

Scenario loadAlone(const Scenario& scenario) {
  return counterpart(scenario, scenario.system, Strategy::none);
}

std::string seriesOf(const Scenario& scenario) {
  std::string series;
  series.append(textOf(scenario.system)).append("/").append(textOf(scenario.strategy));
  addRateAndLock(scenario, series);
  addLongest(scenario, series);
  if (scenario.packs) series += "/packs";
  return series;
}

std::string nameOf(const Scenario& scenario) {
  const Scenario standard;
  std::string name;
  for (const std::string_view part : {textOf(scenario.system), textOf(scenario.strategy),
                                      textOf(scenario.change), textOf(scenario.mix), textOf(scenario.access)})
    name.append(part).append("/");
  name += std::to_string(scenario.rows);
  if (scenario.durability != standard.durability)
    name.append("/durability=").append(textOf(scenario.durability));
  addRateAndLock(scenario, name);
  if (scenario.perSecond != standard.perSecond) name += "/rps=" + std::to_string(scenario.perSecond);
  if (scenario.seconds != standard.seconds) name += "/seconds=" + textOfSeconds(scenario.seconds);
  addLongest(scenario, name);
  if (scenario.cold) name += "/cold";
  if (scenario.packs) name += "/packs";
  if (scenario.kill) name += "/kill";
  if (!scenario.collection.empty()) name += "/collection=" + scenario.collection;
  return name;
}

Scenario scenarioOf(std::string_view name) {
  Scenario scenario;
  bool rateGiven = false;
  bool inOptions = false;
  std::size_t place = 0;
  for (std::size_t from = 0; from <= name.size(); ++place) {
    const std::size_t to = std::min(name.find('/', from), name.size());
    const std::string_view part = name.substr(from, to - from);
    from = to + 1;
    inOptions = inOptions || place >= kParts || part.find('=') != part.npos || part == "cold" ||
                part == "packs" || part == "kill";
    if (inOptions) {
      setOption(scenario, name, part);
      rateGiven = rateGiven || part.starts_with("rate=");
    } else {
      setPart(scenario, name, place, part);
    }
  }
  if (!rateGiven) scenario.rate = usualRateOf(scenario.strategy);
  return scenario;
}

}  // namespace instar::bench
