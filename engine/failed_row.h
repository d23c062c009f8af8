#pragma once

// A row that cannot be upgraded, or that breaks a rule, as those list it who go over many.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace instar {

struct FailedRow {
  std::vector<std::byte> key;
  std::uint16_t version = 0;
  std::string field{};     // that cannot be derived; empty where it is the whole row
  std::string function{};  // that refuses the row, or whose rule the row breaks; empty where none does
  bool isBroken = false;   // it can be upgraded, and breaks a rule then
  std::string reason{};    // without the value, which may be sensitive
};

}  // namespace instar
