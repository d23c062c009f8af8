#include "instar/engine/internal/cold/block_cache.h"

namespace instar {

std::shared_ptr<const UnpackedSection> BlockCache::find(storage::TreeId tree, std::uint64_t number,
                                                        std::size_t section) {
  const Name name{tree, number, section};
  Shard& shard = shardOf(name);
  const std::lock_guard lock(shard.mutex);
  const auto entry = shard.entries.find(name);
  if (entry == shard.entries.end()) return nullptr;
  entry->second.isUsed = true;
  return entry->second.section;
}

void BlockCache::add(storage::TreeId tree, const std::shared_ptr<const UnpackedSection>& section) {
  if (section->bytes() > bytesPerShard_) return;
  const Name name{tree, section->number(), section->section()};
  Shard& shard = shardOf(name);
  std::vector<std::shared_ptr<const UnpackedSection>> gone;  // freed without the lock
  const std::lock_guard lock(shard.mutex);
  const auto [added, isNew] = shard.entries.try_emplace(name, Entry{section});
  if (!isNew) return;  // another thread was faster
  try {
    shard.names.push_back(name);
  } catch (...) {
    shard.entries.erase(added);
    throw;
  }
  shard.bytes += section->bytes();
  // What takes memory comes first: each entry has its name among them at all times.
  while (shard.bytes > bytesPerShard_) {
    const auto oldest = shard.entries.find(shard.names.front());
    if (std::exchange(oldest->second.isUsed, false)) {
      shard.names.push_back(oldest->first);
    } else {
      gone.push_back(oldest->second.section);
      shard.bytes -= oldest->second.section->bytes();
      shard.entries.erase(oldest);
    }
    shard.names.pop_front();
  }
}

}  // namespace instar
