#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

#include "instar/format/checksum.h"
#include "instar/format/cold_block.h"
#include "instar/format/internal/block_header.h"
#include "instar/format/key.h"

namespace instar {
namespace {

// A block is full enough from here on; between aim and target there is room for what the guess misses by.
// With these, package records take 1.4 compressions a block and fill it to 94 %; asking for 90 % takes 1.6.
constexpr double kFullEnough = 0.86;
constexpr double kAim = 0.95;
constexpr int kMostTries = 3;

// Until the first block has been made.
constexpr double kRatioGuess = 0.3;
// How much of what was seen last goes into the ratio: rows that lie side by side are alike, but each block
// has its accidents.
constexpr double kNewest = 0.7;

// However well rows can be compressed: who reads one unpacks all of them.
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

BlockPacker::BlockPacker(std::uint16_t version, int level, std::shared_ptr<const Dictionary> dictionary,
                         std::size_t target)
    : version_(version), target_(target), compressor_(level, std::move(dictionary)), ratio_(kRatioGuess) {
  assert(version != 0 && target > kBlockHeaderLength + kMaxKeyLength);
}

// 1. Guess from the ratio seen so far how many rows will fill the block; compress them.
// 2. Too large: fewer in proportion. Not full, and there are more rows: more in proportion, but not as many
//    as were too large.
// 3. The fullest of a few tries that fit is taken; one row is taken even if it does not.
std::size_t BlockPacker::pack(std::span<const ColdRow> rows, std::uint64_t number,
                              std::vector<std::byte>& block) {
  assert(!rows.empty() && number != 0);
  rows = rows.first(std::min(rows.size(), kMaxBlockRows));
  shared_.clear();
  unpackedEnds_.clear();
  const auto room = static_cast<double>(target_ - kBlockHeaderLength - rows.front().key.size());
  std::size_t best = 0;
  std::size_t tooMany = rows.size() + 1;
  double unpacked = room * kAim / ratio_;
  for (int tries = 1;; ++tries) {
    std::size_t count = std::clamp(fittingRows(rows, unpacked), best + 1, tooMany - 1);
    if (tries > kMostTries) count = std::max<std::size_t>(1, tooMany / 2);
    const Bytes frame = compressRows(rows.first(count));
    const auto size = static_cast<double>(frame.size());
    const double ratio = size / unpackedEnds_[count - 1];
    ratio_ += (ratio - ratio_) * kNewest;
    if (size <= room || count == 1) {
      writeBlock(rows.first(count), number, frame, block);
      best = count;
      if (size >= room * kFullEnough || unpackedEnds_[count - 1] > kMostUnpacked * kFullEnough) return best;
    } else {
      tooMany = count;
    }
    if (best + 1 == tooMany || (tries >= kMostTries && best > 0)) return best;
    unpacked = room * kAim / ratio;
  }
}

// How many of the first rows take at most `unpackedLength` bytes before they are compressed. Measures no more
// of them than it needs.
std::size_t BlockPacker::fittingRows(std::span<const ColdRow> rows, double unpackedLength) {
  unpackedLength = std::min(unpackedLength, kMostUnpacked);
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

void BlockPacker::writeBlock(std::span<const ColdRow> rows, std::uint64_t number, Bytes frame,
                             std::vector<std::byte>& block) const {
  const Bytes firstKey = rows.front().key;
  BlockHeaderBytes header;
  header.version = version_;
  header.rows = static_cast<std::uint32_t>(rows.size());
  header.number = number;
  header.unpackedLength = unpackedEnds_[rows.size() - 1];
  header.dictionary = compressor_.dictionary() == nullptr ? 0 : compressor_.dictionary()->id();
  header.firstKeyLength = static_cast<std::uint16_t>(firstKey.size());

  block.resize(kBlockHeaderLength + firstKey.size() + frame.size());
  std::memcpy(block.data(), &header, sizeof header);
  std::memcpy(block.data() + kBlockHeaderLength, firstKey.data(), firstKey.size());
  std::memcpy(block.data() + kBlockHeaderLength + firstKey.size(), frame.data(), frame.size());

  std::uint64_t start;
  std::memcpy(&start, block.data(), sizeof start);
  const std::uint64_t checksum =
      blockChecksum(rows.back().key, start, Bytes(block).subspan(kChecksummedOffset));
  std::memcpy(block.data() + kChecksumOffset, &checksum, sizeof checksum);
}

}  // namespace instar
