#include <benchmark/benchmark.h>

#include <cstdio>

#include "instar/bench/benchmarks.h"
#include "instar/format/cold_block.h"
#include "instar/format/row.h"

namespace instar::bench {
namespace {

using benchmark::State;

constexpr std::uint64_t kRows = 20'000;
constexpr std::size_t kHalfPage = 2022;  // LMDB puts two such values, under keys of 8 bytes, on a page
constexpr std::size_t kOffered = 1000;   // rows at a time to the packer, more than a block holds

// Rows in the order of their keys, as compaction meets them.
class OrderedRows {
 public:
  OrderedRows() : stored_(kRows) {
    const RowEncoder encoder;
    for (std::uint64_t i = 0; i < kRows; ++i) {
      encoder.encode(sampleOf(storedId(i)), stored_[i]);
      RowView row;
      decodeRow(stored_[i].key.bytes(), stored_[i].value, Verify::no, row);
      rows_.push_back({stored_[i].key.bytes(), row.payload});
    }
  }
  std::span<const ColdRow> all() const { return rows_; }

 private:
  std::vector<StoredRow> stored_;
  std::vector<ColdRow> rows_;
};

const OrderedRows& orderedRows() {
  static const OrderedRows rows;
  return rows;
}

std::shared_ptr<const Dictionary> dictionaryOf(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  std::vector<Bytes> samples;
  for (std::size_t i = 0; i < kRows; i += 2) samples.push_back(orderedRows().all()[i].payload);
  return std::make_shared<const Dictionary>(1, Dictionary::train(samples, bytes));
}

struct Packed {
  std::vector<std::vector<std::byte>> blocks;
  std::vector<Key> lastKeys;
};

Packed packAll(BlockPacker& packer) {
  Packed packed;
  for (std::span<const ColdRow> rest = orderedRows().all(); !rest.empty();) {
    std::vector<std::byte> block;
    const std::size_t count =
        packer.pack(rest.first(std::min(rest.size(), kOffered)), packed.blocks.size() + 1, block);
    packed.blocks.push_back(std::move(block));
    packed.lastKeys.emplace_back(rest[count - 1].key);
    rest = rest.subspan(count);
  }
  return packed;
}

// Without the last block, which is as full as it happens to be.
std::string describe(const Packed& packed, std::size_t target) {
  double bytes = 0;
  for (const auto& block : packed.blocks) bytes += static_cast<double>(block.size());
  const double full = bytes - static_cast<double>(packed.blocks.back().size());
  char text[100];
  std::snprintf(text, sizeof text, "%.1f bytes a row, %.1f rows a block, %.1f %% full", bytes / kRows,
                double{kRows} / static_cast<double>(packed.blocks.size()),
                100 * full / static_cast<double>(target * (packed.blocks.size() - 1)));
  return text;
}

struct Setting {
  int level;
  std::size_t dictionaryBytes;
  std::size_t target = kBlockTarget;
};

void packRows(State& state, const Setting& setting) {
  BlockPacker packer(1, setting.level, dictionaryOf(setting.dictionaryBytes), setting.target);
  std::string label;
  for (auto _ : state) {
    const Packed packed = packAll(packer);
    state.PauseTiming();
    label = describe(packed, setting.target);
    state.ResumeTiming();
  }
  state.SetLabel(label);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRows));
}

void unpackBlock(State& state, const Setting& setting) {
  const auto dictionary = dictionaryOf(setting.dictionaryBytes);
  BlockPacker packer(1, setting.level, dictionary, setting.target);
  const Packed packed = packAll(packer);
  std::size_t i = 0;
  for (auto _ : state) {
    BlockDamage damage;
    const auto block =
        UnpackedBlock::unpack(packed.lastKeys[i].bytes(), packed.blocks[i], dictionary.get(), damage);
    if (block == nullptr) return state.SkipWithError(describe(damage));
    i = (i + 1) % packed.blocks.size();
  }
  state.SetItemsProcessed(state.iterations());
}

void findRow(State& state) {
  BlockPacker packer(1);
  const Packed packed = packAll(packer);
  BlockDamage damage;
  const auto block =
      UnpackedBlock::unpack(packed.lastKeys.front().bytes(), packed.blocks.front(), nullptr, damage);
  std::uint64_t number = 0;
  for (auto _ : state) {
    number = (number + 37) % block->rows();
    benchmark::DoNotOptimize(block->lowerBound(orderedRows().all()[number].key));
  }
  state.SetItemsProcessed(state.iterations());
}

}  // namespace

void addBlockBenchmarks() {
  for (const Setting& setting : std::initializer_list<Setting>{{-5, 0},
                                                               {-1, 0},
                                                               {1, 0},
                                                               {3, 0},
                                                               {-1, 16 << 10},
                                                               {1, 16 << 10},
                                                               {1, 32 << 10},
                                                               {3, 16 << 10},
                                                               {1, 0, kHalfPage},
                                                               {1, 16 << 10, kHalfPage}}) {
    std::string name = "level " + std::to_string(setting.level);
    if (setting.dictionaryBytes != 0)
      name += ", dictionary of " + std::to_string(setting.dictionaryBytes >> 10) + " KiB";
    if (setting.target == kHalfPage) name += ", half a page";
    benchmark::RegisterBenchmark(("block/pack a row, " + name).c_str(), packRows, setting);
    benchmark::RegisterBenchmark(("block/unpack a block, " + name).c_str(), unpackBlock, setting);
  }
  benchmark::RegisterBenchmark("block/find a row in an unpacked block", findRow);
}

}  // namespace instar::bench
