#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <utility>

#include "instar/format/checksum.h"
#include "instar/format/cold_block.h"
#include "instar/format/internal/block_header.h"
#include "instar/format/key.h"

namespace instar {
namespace {

// The last section of a block leaves little enough from here on, of what there was for it; between aim and
// target there is room for what the guess misses by. With these, package records in blocks of one section
// take 1.4 compressions a block and fill it to 94 %; asking for 90 % takes 1.6.
constexpr double kFullEnough = 0.86;
constexpr double kAim = 0.95;
constexpr int kMostTries = 3;

// Of a section: what is left of a block for less stays free.
constexpr double kLeastSection = 0.25;

// Only a dictionary makes small sections nearly as good as large ones (docs/benchmarks.md).
constexpr BlockSettings kWithoutDictionary;
constexpr BlockSettings kWithDictionary = {.level = 4, .literals = Literals::plain, .section = 3 << 10};

// Until the first section has been made.
constexpr double kRatioGuess = 0.3;
// How much of what was seen last goes into the ratio: rows that lie side by side are alike, but each
// section has its accidents.
constexpr double kNewest = 0.7;

// Of a block, however well rows can be compressed: who puts one among them has all of them packed again.
constexpr double kMostUnpacked = 64 << 10;

std::size_t sharedPrefix(Bytes left, Bytes right) noexcept {
  const std::size_t length = std::min(left.size(), right.size());
  std::size_t shared = 0;
  for (; shared + 8 <= length; shared += 8) {
    std::uint64_t ours;
    std::uint64_t theirs;
    std::memcpy(&ours, left.data() + shared, 8);
    std::memcpy(&theirs, right.data() + shared, 8);
    if (ours != theirs) return shared + static_cast<std::size_t>(std::countr_zero(ours ^ theirs)) / 8;
  }
  while (shared < length && left[shared] == right[shared]) ++shared;
  return shared;
}

}  // namespace

BlockPacker::BlockPacker(std::uint16_t version, std::shared_ptr<const Dictionary> dictionary)
    : BlockPacker(version, dictionary, dictionary == nullptr ? kWithoutDictionary : kWithDictionary) {}

BlockPacker::BlockPacker(std::uint16_t version, std::shared_ptr<const Dictionary> dictionary,
                         const BlockSettings& settings)
    : version_(version),
      settings_(settings),
      compressor_(settings.level, std::move(dictionary), settings.literals),
      ratio_(kRatioGuess) {
  assert(version != 0 && settings.target > kBlockHeaderLength + kSectionEntryLength + kMaxKeyLength);
}

std::size_t BlockPacker::pack(std::span<const ColdRow> rows, std::uint64_t number,
                              std::vector<std::byte>& block) {
  assert(!rows.empty() && number != 0);
  rows = rows.first(std::min(rows.size(), kMaxBlockRows));
  ends_.clear();
  bounds_.clear();
  frames_.clear();
  std::size_t packed = 0;
  while (packed < rows.size() && ends_.size() < kMaxBlockSections) {
    Bytes bound = rows[packed].key;
    if (packed != 0) bound = bound.first(sharedPrefix(rows[packed - 1].key, bound) + 1);
    const std::size_t count = packSection(rows.subspan(packed), bound);
    if (count == 0) break;
    packed += count;
  }
  writeBlock(rows[packed - 1].key, number, block);
  return packed;
}

// Adds a section of some of the first rows, and returns how many: none where the block is full, but in an
// empty block at least one.
//
// 1. Guess from the ratio seen so far how much fits in what is left of the block, and so of how many sections
//    this is the first; compress its share.
// 2. It is the last, and too large: fewer rows in proportion. It leaves too much: more in proportion, but not
//    as many as were too large.
// 3. The fullest of a few tries that fit is taken.
std::size_t BlockPacker::packSection(std::span<const ColdRow> rows, Bytes bound) {
  const SectionEnds before = ends_.empty() ? SectionEnds() : ends_.back();
  const double room = static_cast<double>(settings_.target) -
                      static_cast<double>(kBlockHeaderLength + (ends_.size() + 1) * kSectionEntryLength +
                                          bounds_.size() + bound.size() + frames_.size());
  const double mostUnpacked = kMostUnpacked - before.unpacked;
  shared_.clear();
  unpackedEnds_.clear();
  double unpacked = std::min(room * kAim / ratio_, mostUnpacked);
  const auto section = static_cast<double>(settings_.section);
  if (!ends_.empty() && (unpacked < section * kLeastSection || fittingRows(rows, unpacked) == 0)) return 0;
  const double sections = std::round(unpacked / section);
  const bool isLast = sections <= 1;
  if (!isLast) unpacked /= sections;

  std::size_t best = 0;
  std::size_t tooMany = rows.size() + 1;
  for (int tries = 1; best + 1 < tooMany && (tries <= kMostTries || best == 0); ++tries) {
    std::size_t count =
        std::clamp(fittingRows(rows, std::min(unpacked, mostUnpacked)), best + 1, tooMany - 1);
    if (tries > kMostTries) count = std::max<std::size_t>(1, tooMany / 2);
    const Bytes frame = compressRows(rows.first(count));
    const auto size = static_cast<double>(frame.size());
    const double ratio = size / unpackedEnds_[count - 1];
    ratio_ += (ratio - ratio_) * kNewest;
    unpacked = room * kAim / ratio;
    if (size > room && (count > 1 || !ends_.empty())) {
      tooMany = count;
      continue;
    }
    best = count;
    frames_.resize(before.frame);
    frames_.insert(frames_.end(), frame.begin(), frame.end());
    if (!isLast || size >= room * kFullEnough || unpackedEnds_[count - 1] > mostUnpacked * kFullEnough) break;
  }
  if (best == 0) return 0;
  bounds_.insert(bounds_.end(), bound.begin(), bound.end());
  ends_.push_back({.frame = static_cast<std::uint32_t>(frames_.size()),
                   .unpacked = before.unpacked + unpackedEnds_[best - 1],
                   .rows = static_cast<std::uint16_t>(before.rows + best),
                   .bound = static_cast<std::uint16_t>(bounds_.size())});
  return best;
}

// How many of the first rows take at most `unpackedLength` bytes before they are compressed. Measures no more
// of them than it needs.
std::size_t BlockPacker::fittingRows(std::span<const ColdRow> rows, double unpackedLength) {
  while (unpackedEnds_.size() < rows.size() &&
         (unpackedEnds_.empty() || unpackedEnds_.back() <= unpackedLength)) {
    const std::size_t row = unpackedEnds_.size();
    const Bytes key = rows[row].key;
    assert(!key.empty() && key.size() <= kMaxKeyLength);
    assert(!rows[row].payload.empty() && rows[row].payload.size() % 8 == 0 &&
           rows[row].payload.size() <= kMostColdPayload);
    const std::size_t shared = row == 0 ? 0 : sharedPrefix(rows[row - 1].key, key);
    const std::size_t length = kRowLengthsLength + rows[row].payload.size() + key.size() - shared;
    shared_.push_back(static_cast<std::uint16_t>(shared));
    unpackedEnds_.push_back(static_cast<std::uint32_t>(length + (row == 0 ? 0 : unpackedEnds_.back())));
  }
  const auto end = std::ranges::upper_bound(unpackedEnds_, unpackedLength);
  return static_cast<std::size_t>(end - unpackedEnds_.begin());
}

// Lays out the rows, all of which have been measured, and compresses that. Borrowed until the next call.
Bytes BlockPacker::compressRows(std::span<const ColdRow> rows) {
  const std::size_t count = rows.size();
  assert(count <= unpackedEnds_.size());
  const std::size_t length = unpackedEnds_[count - 1];
  if (laidOut_.size() < length) laidOut_.resize(length);
  if (frame_.size() < Compressor::boundOf(length)) frame_.resize(Compressor::boundOf(length));

  auto* words = reinterpret_cast<std::uint32_t*>(laidOut_.data());
  auto* shared = reinterpret_cast<std::uint16_t*>(words + count);
  auto* ends = shared + count;
  std::byte* out = laidOut_.data() + count * kRowLengthsLength;
  for (std::size_t row = 0; row < count; ++row) {
    const Bytes payload = rows[row].payload;
    words[row] = static_cast<std::uint32_t>(payload.size() / 8);
    shared[row] = shared_[row];
    ends[row] = static_cast<std::uint16_t>(rows[row].key.size() - shared_[row]);
    std::memcpy(out, payload.data(), payload.size());
    out += payload.size();
  }
  for (std::size_t row = 0; row < count; ++row) {
    std::memcpy(out, rows[row].key.data() + shared_[row], ends[row]);
    out += ends[row];
  }
  const std::size_t size = compressor_.compress({laidOut_.data(), length}, frame_);
  assert(size != 0);
  return {frame_.data(), size};
}

void BlockPacker::writeBlock(Bytes lastKey, std::uint64_t number, std::vector<std::byte>& block) const {
  BlockHeaderBytes header;
  header.sections = static_cast<std::uint8_t>(ends_.size());
  header.version = version_;
  header.dictionary = compressor_.dictionary() == nullptr ? 0 : compressor_.dictionary()->id();
  header.number = number;
  block.clear();
  for (const auto part : {std::as_bytes(std::span(&header, 1)), std::as_bytes(std::span(ends_)),
                          Bytes(bounds_), Bytes(frames_)})
    block.insert(block.end(), part.begin(), part.end());

  std::uint64_t start;
  std::memcpy(&start, block.data(), sizeof start);
  const std::uint64_t checksum = blockChecksum(lastKey, start, Bytes(block).subspan(kChecksummedOffset));
  std::memcpy(block.data() + kChecksumOffset, &checksum, sizeof checksum);
}

}  // namespace instar
