#pragma once

// Numbers as people and files write them. Pure; any thread.

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace instar {

// A number that is all of the text, without spaces and in its type's range; nothing where it is not.
template <class Number>
std::optional<Number> parseNumber(std::string_view text) noexcept {
  Number number{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace instar
