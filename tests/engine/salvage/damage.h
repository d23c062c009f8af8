#pragma once

// Damage as disks, controllers and file systems do it, from a seed. Pure.

#include <cstdint>
#include <random>
#include <set>
#include <string>

#include "instar/tests/engine/salvage/base_files.h"

namespace instar::testing {

enum class DamageKind : std::uint8_t {
  bits = 1,
  sectorsFlipped,
  pagesFlipped,
  sectorsZeroed,
  pagesZeroed,
  pagesSwapped,
  truncated,
  oldPages,
};
inline constexpr int kDamageKinds = 8;
const char* nameOf(DamageKind kind) noexcept;

struct DamagedFile {
  DamageKind kind = DamageKind::bits;
  std::string bytes;
  std::set<std::uint64_t> touched;  // pages that are not as they were
};

DamagedFile damage(const BaseFile& base, std::uint64_t seed);

}  // namespace instar::testing
