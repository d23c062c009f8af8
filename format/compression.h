#pragma once

// Compression, and the one place that knows zstd. A frame is what `compress` makes: it carries no sizes, no
// checksum and no dictionary's id, because whoever stores a frame has a header of his own for them.
//
// A Dictionary never changes and may be shared by threads; a Compressor is used by one thread at a time;
// `decompress` may be called by any thread. std::bad_alloc where there is no memory.

#include <cstdint>
#include <memory>
#include <vector>

#include "instar/format/bytes.h"

namespace instar {

// 3 makes blocks some percent smaller and takes twice as long (docs/benchmarks.md).
inline constexpr int kCompressionLevel = 1;

// Bytes that the rows of a collection have in common, known to both sides before they start.
class Dictionary {
 public:
  // A dictionary of at most `mostBytes` bytes. Empty where the samples are too few or too much alike to train
  // one; zstd wants at least some ten, and a hundred times `mostBytes` in all. Takes tenths of a second.
  static std::vector<std::byte> train(std::span<const Bytes> samples, std::size_t mostBytes);

  // `id` is the caller's own number, never 0. Copies `content`; Error(restoreFromBackup) where it has the
  // form of a trained dictionary but is damaged.
  explicit Dictionary(std::uint32_t id, Bytes content);
  ~Dictionary();
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  std::uint32_t id() const noexcept { return id_; }
  Bytes content() const noexcept { return content_; }

 private:
  friend bool decompress(Bytes frame, std::span<std::byte> out, const Dictionary* dictionary);
  struct Prepared;
  std::uint32_t id_;
  std::vector<std::byte> content_;
  std::unique_ptr<const Prepared> prepared_;
};

// The bytes that no match covers: packed by Huffman's code, which makes frames some tenth smaller, or as they
// are, which takes a third less time to unpack (docs/benchmarks.md).
enum class Literals : std::uint8_t { packed, plain };

// Keep one for many calls: it owns tables of some hundred KiB, and prepares the dictionary once.
class Compressor {
 public:
  explicit Compressor(int level = kCompressionLevel, std::shared_ptr<const Dictionary> dictionary = nullptr,
                      Literals literals = Literals::packed);
  ~Compressor();
  Compressor(Compressor&&) noexcept;
  Compressor& operator=(Compressor&&) noexcept;

  // Bytes of the frame, or 0 where it does not fit in `out`. `boundOf(data.size())` bytes are always enough,
  // and make it a little faster.
  std::size_t compress(Bytes data, std::span<std::byte> out);
  static std::size_t boundOf(std::size_t bytes) noexcept;

  const std::shared_ptr<const Dictionary>& dictionary() const noexcept { return dictionary_; }

 private:
  struct Context;
  std::shared_ptr<const Dictionary> dictionary_;
  std::unique_ptr<Context> context_;
};

// Whether `frame` is sound and fills exactly `out`; what `out` holds otherwise is of no use. `dictionary` is
// the one it was compressed with, null if there was none.
bool decompress(Bytes frame, std::span<std::byte> out, const Dictionary* dictionary);

}  // namespace instar
