#pragma once

// What can be had of a damaged file, as a file of its own for as long as this object lives, in the folder for
// temporary files, readable by its user alone. One thread.

#include <filesystem>
#include <string>

#include "instar/engine/salvage.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/interruption.h"

namespace instar::tools {

class SalvagedCopy {
 public:
  // Throws as salvage() does, and Interrupted.
  SalvagedCopy(Context& context, const Interruption& interruption, const std::string& file);
  SalvagedCopy(const SalvagedCopy&) = delete;
  SalvagedCopy& operator=(const SalvagedCopy&) = delete;
  ~SalvagedCopy();

  const std::string& path() const noexcept { return file_; }
  bool isIncomplete() const noexcept { return !report_.isComplete(); }
  // Says what is missing of the collection; of all of them where the name is empty.
  void tell(Context& context, const std::string& collection) const;

 private:
  void remove() const noexcept;  // takes no memory, for want of which the copy may be over

  std::string folder_;
  std::string file_;
  std::string lockFile_;
  SalvageReport report_;
};

}  // namespace instar::tools
