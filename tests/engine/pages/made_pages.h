#pragma once

// Pages as LMDB writes them, and with any number in them that a test wants. One thread.

#include <cstdint>
#include <string>

#include "instar/engine/internal/pages/page.h"

namespace instar::testing {

inline constexpr std::size_t kMadePage = 4096;

inline void storeNumber(std::string& bytes, std::size_t place, std::uint64_t number, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) bytes[place + i] = static_cast<char>(number >> (8 * i));
}

inline std::string numberKey(std::uint64_t number) {
  std::string key(8, '\0');
  storeNumber(key, 0, number, 8);
  return key;
}

// Entries fill it from its end on, in the order in which they are added.
class MadePage {
 public:
  MadePage(pages::PageNumber number, unsigned flags) : bytes_(kMadePage, '\0') {
    storeNumber(bytes_, 0, number, 8);
    storeNumber(bytes_, 10, flags, 2);
  }

  MadePage& entry(const std::string& key, const std::string& value, unsigned flags = 0) {
    add(key, value);
    storeNumber(bytes_, upper_, value.size(), 4);
    storeNumber(bytes_, upper_ + 4, flags, 2);
    return *this;
  }
  MadePage& largeValue(const std::string& key, std::uint32_t length, pages::PageNumber page) {
    add(key, numberKey(page));
    storeNumber(bytes_, upper_, length, 4);
    storeNumber(bytes_, upper_ + 4, 0x01, 2);
    return *this;
  }
  MadePage& child(const std::string& key, pages::PageNumber page) {
    add(key, "");
    storeNumber(bytes_, upper_, page, 6);
    return *this;
  }
  MadePage& put(std::size_t place, std::uint64_t number, std::size_t width) {
    storeNumber(bytes_, place, number, width);
    return *this;
  }

  std::size_t lastEntry() const { return upper_; }
  const std::string& bytes() const { return bytes_; }

 private:
  void add(const std::string& key, const std::string& value) {
    upper_ -= (8 + key.size() + value.size() + 1) / 2 * 2;
    storeNumber(bytes_, 16 + 2 * nodes_, upper_, 2);
    ++nodes_;
    storeNumber(bytes_, 12, 16 + 2 * nodes_, 2);
    storeNumber(bytes_, 14, upper_, 2);
    storeNumber(bytes_, upper_ + 6, key.size(), 2);
    bytes_.replace(upper_ + 8, key.size(), key);
    bytes_.replace(upper_ + 8 + key.size(), value.size(), value);
  }

  std::string bytes_;
  std::size_t nodes_ = 0;
  std::size_t upper_ = kMadePage;
};

inline MadePage madeLeaf(pages::PageNumber number) { return {number, 0x02}; }
inline MadePage madeBranch(pages::PageNumber number) { return {number, 0x01}; }
// The first of `count` pages.
inline std::string madeRun(pages::PageNumber number, std::uint32_t count) {
  return MadePage(number, 0x04).put(12, count, 4).bytes() + std::string((count - 1) * kMadePage, 'x');
}

inline std::string madeMeta(pages::PageNumber number, std::uint64_t transaction) {
  MadePage page(number, 0x08);
  page.put(16, 0xbeefc0de, 4).put(20, 1, 4);
  page.put(40, kMadePage, 4).put(44, 0x4008, 2).put(80, pages::kNoPage, 8).put(128, pages::kNoPage, 8);
  page.put(136, 1, 8).put(144, transaction, 8);
  return page.bytes();
}

}  // namespace instar::testing
