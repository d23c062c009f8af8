#pragma once

// Borrowed bytes, as keys, rows and pages are passed around. Compared as LMDB compares keys: bytewise,
// shorter first.

#include <compare>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace instar {

using Bytes = std::span<const std::byte>;

inline Bytes asBytes(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline std::string_view asText(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::strong_ordering compareBytes(Bytes left, Bytes right) noexcept {
  return asText(left) <=> asText(right);
}

inline bool startsWith(Bytes bytes, Bytes prefix) noexcept {
  return asText(bytes).starts_with(asText(prefix));
}

}  // namespace instar
