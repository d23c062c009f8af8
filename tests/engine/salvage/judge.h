#pragma once

// Whether what was salvaged of a damaged file is right. Every complaint is a broken promise. One thread.

#include <string>
#include <vector>

#include "instar/engine/salvage.h"
#include "instar/tests/engine/salvage/damage.h"
#include "instar/tests/support/memory_file.h"

namespace instar::testing {

struct Salvaged {
  SalvageReport report;
  State state;  // pre-images are under "preimages/" and the name
  bool swept = false;
  bool hasAudit = false;
};

// Salvages the bytes into memory. Throws what salvage() throws.
Salvaged salvageBytes(const std::string& bytes, bool swept);

std::vector<std::string> judge(const BaseFile& base, const DamagedFile& file, const Salvaged& salvaged);

// Of bytes that salvage() has refused: whether nothing could be had of them.
std::vector<std::string> judgeRefusal(const DamagedFile& file);

}  // namespace instar::testing
