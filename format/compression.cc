#include "instar/format/compression.h"

#define ZSTD_STATIC_LINKING_ONLY  // for ZSTD_c_literalCompressionMode
#include <zdict.h>
#include <zstd.h>

#include <cassert>
#include <new>
#include <string>
#include <utility>

#include "instar/format/error.h"

namespace instar {
namespace {

struct Free {
  void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  void operator()(ZSTD_DDict* dictionary) const noexcept { ZSTD_freeDDict(dictionary); }
};

template <class Object>
using Owned = std::unique_ptr<Object, Free>;

template <class Object>
Object* orBadAlloc(Object* object) {
  if (object == nullptr) throw std::bad_alloc();
  return object;
}

// One for each thread: making one costs as much as unpacking a block.
ZSTD_DCtx* threadContext() {
  static thread_local const Owned<ZSTD_DCtx> context(orBadAlloc(ZSTD_createDCtx()));
  return context.get();
}

}  // namespace

struct Dictionary::Prepared {
  Owned<ZSTD_DDict> forReading;
};

std::vector<std::byte> Dictionary::train(std::span<const Bytes> samples, std::size_t mostBytes) {
  std::vector<std::byte> together;
  std::vector<std::size_t> lengths;
  lengths.reserve(samples.size());
  for (const Bytes sample : samples) {
    together.insert(together.end(), sample.begin(), sample.end());
    lengths.push_back(sample.size());
  }
  std::vector<std::byte> content(mostBytes);
  const std::size_t length = ZDICT_trainFromBuffer(content.data(), content.size(), together.data(),
                                                   lengths.data(), static_cast<unsigned>(lengths.size()));
  content.resize(ZDICT_isError(length) != 0 ? 0 : length);
  return content;
}

Dictionary::Dictionary(std::uint32_t id, Bytes content) : id_(id), content_(content.begin(), content.end()) {
  assert(id != 0);
  Owned<ZSTD_DDict> forReading(ZSTD_createDDict(content_.data(), content_.size()));
  // zstd does not say why: a dictionary that it trained and does not recognize, or no memory.
  if (!forReading)
    throw Error(ErrorCode::restoreFromBackup, "a dictionary of compressed blocks is damaged",
                {{"dictionary", std::to_string(id)}});
  prepared_ = std::make_unique<const Prepared>(Prepared{std::move(forReading)});
}

Dictionary::~Dictionary() = default;

struct Compressor::Context {
  Owned<ZSTD_CCtx> context;
};

Compressor::Compressor(int level, std::shared_ptr<const Dictionary> dictionary, Literals literals)
    : dictionary_(std::move(dictionary)), context_(std::make_unique<Context>()) {
  ZSTD_CCtx* context = orBadAlloc(ZSTD_createCCtx());
  context_->context.reset(context);
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  for (const ZSTD_cParameter field : {ZSTD_c_contentSizeFlag, ZSTD_c_checksumFlag, ZSTD_c_dictIDFlag})
    ZSTD_CCtx_setParameter(context, field, 0);
  // A library that does not know it packs them, and any can read either.
  if (literals == Literals::plain)
    ZSTD_CCtx_setParameter(context, ZSTD_c_literalCompressionMode, ZSTD_ps_disable);
  if (dictionary_ == nullptr) return;
  const Bytes content = dictionary_->content();
  if (ZSTD_isError(ZSTD_CCtx_loadDictionary(context, content.data(), content.size())) != 0)
    throw std::bad_alloc();
}

Compressor::~Compressor() = default;
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;

std::size_t Compressor::compress(Bytes data, std::span<std::byte> out) {
  const std::size_t length =
      ZSTD_compress2(context_->context.get(), out.data(), out.size(), data.data(), data.size());
  return ZSTD_isError(length) != 0 ? 0 : length;
}

std::size_t Compressor::boundOf(std::size_t bytes) noexcept { return ZSTD_compressBound(bytes); }

bool decompress(Bytes frame, std::span<std::byte> out, const Dictionary* dictionary) {
  const ZSTD_DDict* prepared = dictionary == nullptr ? nullptr : dictionary->prepared_->forReading.get();
  const std::size_t length = ZSTD_decompress_usingDDict(threadContext(), out.data(), out.size(), frame.data(),
                                                        frame.size(), prepared);
  return ZSTD_isError(length) == 0 && length == out.size();
}

}  // namespace instar
