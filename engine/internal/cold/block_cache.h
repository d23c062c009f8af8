#pragma once

// Unpacked sections of blocks that were read lately, within a limit of bytes. Where one has to go it is the
// oldest; but one that was used since it came, or since it was spared, is spared once: nearly as good as the
// order of use, and finding one writes nothing but a flag beside it. A block is known by its tree and its
// number, which no other block of the file ever has: what is in here needs no second look at the file. Any
// thread.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "instar/engine/storage.h"
#include "instar/format/cold_block.h"

namespace instar {

class BlockCache {
 public:
  explicit BlockCache(std::size_t bytes) : bytesPerShard_(bytes / kShards) {}

  // Null where it is not there.
  std::shared_ptr<const UnpackedSection> find(storage::TreeId tree, std::uint64_t number,
                                              std::size_t section);
  // A section that is larger than its share of the memory is not kept.
  void add(storage::TreeId tree, const std::shared_ptr<const UnpackedSection>& section);

 private:
  static constexpr std::size_t kShards = 4;  // so that readers seldom meet

  struct Name {
    storage::TreeId tree;
    std::uint64_t number;  // of the block
    std::size_t section;
    friend bool operator==(const Name&, const Name&) = default;
  };
  struct Hash {
    std::size_t operator()(const Name& name) const noexcept {
      return ((name.number * kMaxBlockSections + name.section) ^ std::uint64_t{name.tree} << 48) *
                 0x9e3779b97f4a7c15U >>
             16;
    }
  };
  struct Entry {
    std::shared_ptr<const UnpackedSection> section;
    bool isUsed = false;
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<Name, Entry, Hash> entries;
    std::deque<Name> names;  // of all entries, the oldest first
    std::size_t bytes = 0;
  };

  Shard& shardOf(const Name& name) noexcept { return shards_[Hash()(name) % kShards]; }

  const std::size_t bytesPerShard_;
  std::array<Shard, kShards> shards_;
};

}  // namespace instar
