#pragma once

// The environments that this process has open, by file. This is the one global of Instar: LMDB demands that a
// process opens a file once, because closing a second environment of it would drop the first one's locks.
//
// Any thread. The child of a fork starts with an empty registry.

#include <functional>
#include <memory>

#include "instar/engine/internal/storage/file_system.h"
#include "instar/engine/internal/storage/store_locks.h"

namespace instar::storage {

class LmdbEnvironment;

// The right to have an environment for a file, or to use a lock file. It ends when this object is gone, which
// must be after LMDB's closing.
class Registration {
 public:
  Registration(FileIdentity file, std::uint32_t generation) noexcept : file_(file), generation_(generation) {}
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;
  ~Registration();

  void publish(const std::shared_ptr<LmdbEnvironment>& environment);

 private:
  FileIdentity file_;
  std::uint32_t generation_;
};

struct Registered {
  std::shared_ptr<LmdbEnvironment> environment;  // the one that is open, or
  std::unique_ptr<Registration> registration;    // the right to open one
};

// Waits while another thread opens or closes an environment of this file; until the deadline, then
// Error(retry).
Registered findOrRegister(FileIdentity file, Deadline deadline);

// The right to a file that belongs to an environment. Null where another environment of this process has it.
std::unique_ptr<Registration> tryRegister(FileIdentity file);

// Calls `look` unless this process has registered the file, and registers none meanwhile. `look` is short and
// opens no environment.
void doWhileUnregistered(FileIdentity file, const std::function<void()>& look);

}  // namespace instar::storage
