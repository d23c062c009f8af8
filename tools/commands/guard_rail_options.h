#pragma once

// What the commands that try versions take alike: shares in percent, times, and guard rails. One thread.

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "instar/evolve/guard_rails.h"

namespace instar::tools {

// "5", "0.5%", "0.5 %": 0 to 100; nothing for everything else.
std::optional<double> parsePercent(std::string_view text);
// "90s", "15min", "1h", "2d"; without a unit seconds; nothing for everything else.
std::optional<std::chrono::seconds> parseTime(std::string_view text);

// Checks for options; empty where nothing is wrong.
std::string percentProblem(const std::string& text);
std::string timeProblem(const std::string& text);

struct GuardRailOptions {
  std::optional<std::uint64_t> minimumSamples = {};
  std::optional<std::string> maxErrors = {};
  std::optional<std::string> maxDivergence = {};
  std::optional<double> maxLatencyRatio = {};
  std::optional<std::string> holdFor = {};

  enum class Hold : std::uint8_t { yes, no };  // whether there is a time to be tried for
  void addTo(CLI::App& command, Hold hold);

  // With what is not given as in `otherwise`.
  GuardRails parse(const GuardRails& otherwise = {}) const;
};

// "12", "0.125"; six digits at the most.
std::string figure(double value);
// "5 %"
std::string printPercent(double percent);

}  // namespace instar::tools
