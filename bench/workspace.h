#pragma once

// The folder in which a run keeps its files, and the sizes that it was asked for. Removed with everything in
// it when the run ends. One thread.

#include <cstdint>
#include <filesystem>

namespace instar::bench {

struct Sizes {
  std::uint64_t rows = 1'000'000;    // in a store that is read, scanned and put into
  std::uint64_t transactions = 200;  // of 1,000 puts each, in a repetition
};

class Workspace {
 public:
  // A folder of its own inside `parent`, which is created where it is missing.
  explicit Workspace(const std::filesystem::path& parent);
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace();

  std::filesystem::path file(const char* name) const { return folder_ / name; }

  // Removes a store, a database or an environment with what lies beside it under its name (locks, logs).
  void remove(const std::filesystem::path& file) const;

 private:
  std::filesystem::path folder_;
};

// A copy that is on the disk when this returns, so that its writing is not measured with something else.
// `from` is not open in this process: closing it here would drop the locks on it.
void copyDurably(const std::filesystem::path& from, const std::filesystem::path& to);

// Asks the system to forget what it keeps of the file in memory.
void dropFromMemory(const std::filesystem::path& file);

}  // namespace instar::bench
