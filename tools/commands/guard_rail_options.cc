#include "instar/tools/commands/guard_rail_options.h"

#include <cmath>
#include <cstdio>
#include <utility>

#include "instar/format/number_text.h"
#include "instar/tools/commands/command.h"

namespace instar::tools {
namespace {

constexpr std::uint64_t kLongest = 10000;  // days; a version that is tried for longer is forgotten

std::string_view withoutSpaces(std::string_view text) {
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

double share(const std::string& percent) { return *parsePercent(percent) / 100; }

std::string ratioProblem(const std::string& text) {
  const auto ratio = parseNumber<double>(text);
  if (ratio && std::isfinite(*ratio) && *ratio >= 0) return {};
  return "expected how many times, as 2.5, found " + text;
}

}  // namespace

std::optional<double> parsePercent(std::string_view text) {
  if (text.ends_with('%')) text.remove_suffix(1);
  const auto number = parseNumber<double>(withoutSpaces(text));
  if (!number || !(*number >= 0 && *number <= 100)) return std::nullopt;  // NaN is neither
  return number;
}

std::optional<std::chrono::seconds> parseTime(std::string_view text) {
  constexpr std::pair<std::string_view, std::uint64_t> kUnits[] = {
      {"min", 60}, {"h", 3600}, {"d", 86400}, {"s", 1}};
  std::uint64_t seconds = 1;
  for (const auto& [unit, length] : kUnits) {
    if (!text.ends_with(unit)) continue;
    text.remove_suffix(unit.size());
    seconds = length;
    break;
  }
  const auto number = parseNumber<std::uint64_t>(withoutSpaces(text));
  if (!number || *number > kLongest * 86400 / seconds) return std::nullopt;
  return std::chrono::seconds(static_cast<std::int64_t>(*number * seconds));
}

std::string percentProblem(const std::string& text) {
  return parsePercent(text) ? "" : "expected 0 to 100 percent, as 5 or 0.5%, found " + text;
}

std::string timeProblem(const std::string& text) {
  return parseTime(text) ? "" : "expected a time, as 90s, 15min, 1h or 2d, found " + text;
}

void GuardRailOptions::addTo(CLI::App& command, Hold hold) {
  const GuardRails defaults;
  const std::string errors = printPercent(defaults.maxErrorShare * 100);
  command
      .add_option("--min-samples", minimumSamples,
                  "canary reads before anything is decided; " + std::to_string(defaults.minimumSamples) +
                      " where nothing is said")
      ->type_name("N")
      ->check(wholeNumberProblem);
  command
      .add_option("--max-errors", maxErrors,
                  "of these in percent, those that fail or break a rule, at most; " + errors)
      ->type_name("PERCENT")
      ->check(percentProblem);
  command
      .add_option("--max-divergence", maxDivergence,
                  "likewise those whose mirrored fields are not what they are made from; " +
                      printPercent(defaults.maxDivergenceShare * 100))
      ->type_name("PERCENT")
      ->check(percentProblem);
  command
      .add_option("--max-latency-ratio", maxLatencyRatio,
                  "how many times as long the new way may take, in the median; 0: not looked at")
      ->type_name("RATIO")
      ->check(ratioProblem);
  if (hold == Hold::no) return;
  command
      .add_option("--hold-for", holdFor,
                  "at least so long before it is promoted, as 90s, 15min, 1h or 2d; 1h where nothing is said")
      ->type_name("TIME")
      ->check(timeProblem);
}

GuardRails GuardRailOptions::parse(const GuardRails& otherwise) const {
  GuardRails rails = otherwise;
  if (minimumSamples) rails.minimumSamples = *minimumSamples;
  if (maxErrors) rails.maxErrorShare = share(*maxErrors);
  if (maxDivergence) rails.maxDivergenceShare = share(*maxDivergence);
  if (maxLatencyRatio) rails.maxLatencyRatio = *maxLatencyRatio;
  if (holdFor) rails.holdFor = *parseTime(*holdFor);
  return rails;
}

std::string figure(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value);
  return text;
}

std::string printPercent(double percent) { return figure(percent) + " %"; }

}  // namespace instar::tools
