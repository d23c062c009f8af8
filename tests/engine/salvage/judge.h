#pragma once

// Whether what was salvaged of a damaged file is right. Every complaint is a broken promise. One thread.

#include <string>
#include <vector>

#include "instar/engine/salvage.h"
#include "instar/tests/engine/salvage/damage.h"

namespace instar::testing {

struct Salvaged {
  SalvageReport report;
  State state;
  bool swept = false;
};

// Salvages the bytes into memory. Throws what salvage() throws.
Salvaged salvageBytes(const std::string& bytes, bool swept);

std::vector<std::string> judge(const BaseFile& base, const DamagedFile& file, const Salvaged& salvaged);

// Of bytes that salvage() has refused: whether nothing could be had of them.
std::vector<std::string> judgeRefusal(const DamagedFile& file);

// A file descriptor of bytes in memory, which is closed with this object.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& bytes);
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile();
  int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_ = -1;
};

}  // namespace instar::testing
