#include "instar/engine/internal/storage/environment_registry.h"

#include <chrono>
#include <map>
#include <thread>
#include <tuple>

#include "instar/engine/internal/storage/fork_guard.h"

namespace instar::storage {
namespace {

using RegistryKey = std::tuple<std::uint32_t, dev_t, ino_t>;  // fork generation, device, inode

// Protected by forkSafeMutex(). An entry that cannot be locked is one that is being opened or closed.
using Entries = std::map<RegistryKey, std::weak_ptr<LmdbEnvironment>>;
Entries& entries() {
  static Entries* const instance = new Entries;  // never destroyed: environments may outlive static objects
  return *instance;
}

// Of an entry that this thread has just made; without memory for it there is no such entry.
std::unique_ptr<Registration> registrationOf(Entries::iterator entry, FileIdentity file) {
  try {
    return std::make_unique<Registration>(file, forkGeneration());
  } catch (...) {
    entries().erase(entry);
    throw;
  }
}

}  // namespace

Registration::~Registration() {
  if (generation_ != forkGeneration()) return;
  const std::lock_guard lock(forkSafeMutex());
  entries().erase({generation_, file_.device, file_.inode});
}

void Registration::publish(const std::shared_ptr<LmdbEnvironment>& environment) {
  const std::lock_guard lock(forkSafeMutex());
  entries()[{generation_, file_.device, file_.inode}] = environment;
}

Registered findOrRegister(FileIdentity file, Deadline deadline) {
  installForkHandlers();
  const RegistryKey key{forkGeneration(), file.device, file.inode};
  // Polled: a condition variable would not survive a fork.
  for (;; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
    const std::lock_guard lock(forkSafeMutex());
    const auto [entry, isNew] = entries().try_emplace(key);
    if (isNew) return {nullptr, registrationOf(entry, file)};
    if (auto environment = entry->second.lock()) return {std::move(environment), nullptr};
    if (std::chrono::steady_clock::now() >= deadline) {
      throw Error(ErrorCode::retry, "another thread is opening or closing the store: try again later");
    }
  }
}

std::unique_ptr<Registration> tryRegister(FileIdentity file) {
  installForkHandlers();
  const std::lock_guard lock(forkSafeMutex());
  const auto [entry, isNew] = entries().try_emplace({forkGeneration(), file.device, file.inode});
  return isNew ? registrationOf(entry, file) : nullptr;
}

void doWhileUnregistered(FileIdentity file, const std::function<void()>& look) {
  installForkHandlers();
  const std::lock_guard lock(forkSafeMutex());
  if (!entries().contains({forkGeneration(), file.device, file.inode})) look();
}

}  // namespace instar::storage
