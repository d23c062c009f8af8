#pragma once

// Numbers that a job of ./dev gives to a test. Any thread, as long as none changes the environment.

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace instar::testing {

inline std::uint64_t fromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return otherwise;
  char* end = nullptr;
  const std::uint64_t number = std::strtoull(text, &end, 10);
  if (*end != 0 || number == 0) throw std::runtime_error(std::string(name) + " is no number above 0");
  return number;
}

}  // namespace instar::testing
