#include <benchmark/benchmark.h>

#include <cstdio>

#include "instar/bench/benchmarks.h"
#include "instar/format/cold_block.h"
#include "instar/format/row.h"

namespace instar::bench {
namespace {

using benchmark::State;

constexpr std::uint64_t kRows = 20'000;
constexpr std::size_t kWhole = BlockSettings().section;
constexpr std::size_t kOffered = 1000;  // rows at a time to the packer, more than a block holds

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
  std::vector<ColdBlockHeader> headers;
  std::vector<Key> lastKeys;
};

Packed packAll(BlockPacker& packer) {
  Packed packed;
  for (std::span<const ColdRow> rest = orderedRows().all(); !rest.empty();) {
    std::vector<std::byte> block;
    const std::size_t count =
        packer.pack(rest.first(std::min(rest.size(), kOffered)), packed.blocks.size() + 1, block);
    decodeBlockHeader(packed.blocks.emplace_back(std::move(block)), packed.headers.emplace_back());
    packed.lastKeys.emplace_back(rest[count - 1].key);
    rest = rest.subspan(count);
  }
  return packed;
}

// Without the last block, which is as full as it happens to be.
std::string describe(const Packed& packed) {
  double bytes = 0;
  for (const auto& block : packed.blocks) bytes += static_cast<double>(block.size());
  const double full = bytes - static_cast<double>(packed.blocks.back().size());
  double sections = 0;
  for (const ColdBlockHeader& header : packed.headers) sections += header.sections;
  const auto blocks = static_cast<double>(packed.blocks.size());
  char text[120];
  std::snprintf(text, sizeof text, "%.1f bytes a row, %.1f rows a block, %.1f rows a section, %.1f %% full",
                bytes / kRows, kRows / blocks, kRows / sections, 100 * full / (kBlockTarget * (blocks - 1)));
  return text;
}

struct Setting {
  BlockSettings block;
  std::size_t dictionaryBytes;
};

void packRows(State& state, const Setting& setting) {
  BlockPacker packer(1, dictionaryOf(setting.dictionaryBytes), setting.block);
  std::string label;
  for (auto _ : state) {
    const Packed packed = packAll(packer);
    state.PauseTiming();
    label = describe(packed);
    state.ResumeTiming();
  }
  state.SetLabel(label);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRows));
}

void unpackSection(State& state, const Setting& setting) {
  const auto dictionary = dictionaryOf(setting.dictionaryBytes);
  BlockPacker packer(1, dictionary, setting.block);
  const Packed packed = packAll(packer);
  std::size_t i = 0;
  for (auto _ : state) {
    BlockDamage damage;
    const ColdBlockHeader& header = packed.headers[i];
    const auto section = UnpackedSection::unpack(packed.lastKeys[i].bytes(), header, i % header.sections,
                                                 dictionary.get(), damage);
    if (section == nullptr) return state.SkipWithError(describe(damage));
    i = (i + 1) % packed.blocks.size();
  }
  state.SetItemsProcessed(state.iterations());
}

void findRow(State& state) {
  BlockPacker packer(1);
  const Packed packed = packAll(packer);
  BlockDamage damage;
  const auto section =
      UnpackedSection::unpack(packed.lastKeys.front().bytes(), packed.headers.front(), 0, nullptr, damage);
  std::uint64_t number = 0;
  for (auto _ : state) {
    number = (number + 37) % section->rows();
    benchmark::DoNotOptimize(section->lowerBound(orderedRows().all()[number].key));
  }
  state.SetItemsProcessed(state.iterations());
}

}  // namespace

void addBlockBenchmarks() {
  constexpr std::size_t kDictionary = 16 << 10;
  const auto packed = [](int level, std::size_t section = kWhole) {
    return BlockSettings{.level = level, .section = section};
  };
  const auto plain = [](int level, std::size_t section) {
    return BlockSettings{.level = level, .literals = Literals::plain, .section = section};
  };
  for (const Setting& setting : std::initializer_list<Setting>{{packed(-5), 0},
                                                               {packed(-1), 0},
                                                               {packed(1), 0},
                                                               {packed(3), 0},
                                                               {packed(1, 8 << 10), 0},
                                                               {packed(1, 4 << 10), 0},
                                                               {packed(1), kDictionary},
                                                               {packed(3), kDictionary},
                                                               {packed(1, 4 << 10), kDictionary},
                                                               {plain(1, 4 << 10), kDictionary},
                                                               {plain(4, 3 << 10), kDictionary},
                                                               {plain(4, 4 << 10), kDictionary},
                                                               {plain(4, 6 << 10), kDictionary}}) {
    std::string name = "level " + std::to_string(setting.block.level);
    if (setting.dictionaryBytes != 0)
      name += ", dictionary of " + std::to_string(setting.dictionaryBytes >> 10) + " KiB";
    if (setting.block.section != kWhole)
      name += ", sections of " + std::to_string(setting.block.section >> 10) + " KiB";
    if (setting.block.literals == Literals::plain) name += ", plain literals";
    benchmark::RegisterBenchmark(("block/pack a row, " + name).c_str(), packRows, setting);
    benchmark::RegisterBenchmark(("block/unpack a section, " + name).c_str(), unpackSection, setting);
  }
  benchmark::RegisterBenchmark("block/find a row in an unpacked section", findRow);
}

}  // namespace instar::bench
