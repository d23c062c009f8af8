#pragma once

// Damage as a failing disk does it to the pages of a data file. One thread.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

namespace instar::testing {

// Changes numbers in the header of the newest page that holds `text`: [6] is where the list of its entries
// ends, [8] the place of the first entry.
inline void tamperPage(const std::filesystem::path& path, std::string_view text,
                       const std::function<void(std::span<std::uint16_t>)>& change) {
  constexpr std::size_t kPageSize = 4096;
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  const std::size_t found = content.rfind(text);
  ASSERT_NE(found, std::string::npos);
  const std::size_t start = found / kPageSize * kPageSize;
  std::array<std::uint16_t, 16> numbers;
  std::memcpy(numbers.data(), content.data() + start, sizeof numbers);
  change(numbers);
  file.seekp(static_cast<std::streamoff>(start));
  file.write(reinterpret_cast<const char*>(numbers.data()), sizeof numbers);
}

}  // namespace instar::testing
