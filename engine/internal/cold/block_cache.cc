#include "instar/engine/internal/cold/block_cache.h"

namespace instar {

std::shared_ptr<const UnpackedBlock> BlockCache::find(storage::TreeId tree, std::uint64_t number) {
  const Name name{tree, number};
  Shard& shard = shardOf(name);
  const std::lock_guard lock(shard.mutex);
  const auto place = shard.places.find(name);
  if (place == shard.places.end()) {
    ++shard.statistics.misses;
    return nullptr;
  }
  ++shard.statistics.hits;
  shard.entries.splice(shard.entries.begin(), shard.entries, place->second);
  return place->second->block;
}

void BlockCache::add(storage::TreeId tree, const std::shared_ptr<const UnpackedBlock>& block) {
  if (block->bytes() > bytesPerShard_) return;
  const Name name{tree, block->number()};
  Shard& shard = shardOf(name);
  std::list<Entry> gone;  // freed without the lock
  const std::lock_guard lock(shard.mutex);
  if (shard.places.contains(name)) return;  // another thread was faster
  shard.entries.push_front({name, block});
  shard.places.emplace(name, shard.entries.begin());
  shard.statistics.bytes += block->bytes();
  while (shard.statistics.bytes > bytesPerShard_) {
    shard.statistics.bytes -= shard.entries.back().block->bytes();
    shard.places.erase(shard.entries.back().name);
    gone.splice(gone.begin(), shard.entries, std::prev(shard.entries.end()));
  }
}

BlockCache::Statistics BlockCache::statistics() {
  Statistics sum;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    sum.hits += shard.statistics.hits;
    sum.misses += shard.statistics.misses;
    sum.bytes += shard.statistics.bytes;
  }
  return sum;
}

}  // namespace instar
