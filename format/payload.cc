#include "instar/format/payload.h"

#include <cstdint>

namespace instar {
namespace {

// A pointer as Cap'n Proto stores it; its encoding document calls the fields A, B, C and D.
class Pointer {
 public:
  enum class Kind : std::uint8_t { structure, list, far, other };
  enum class Element : std::uint8_t { none, bit, byte, twoBytes, fourBytes, eightBytes, pointer, composite };

  explicit Pointer(std::uint64_t word) noexcept : word_(word) {}

  bool isNull() const noexcept { return word_ == 0; }
  bool isBytes() const noexcept {
    return (word_ & 0x7'0000'0003) == 0x2'0000'0001;
  }  // a list of bytes, or text
  Kind kind() const noexcept { return static_cast<Kind>(word_ & 3); }
  std::int64_t offset() const noexcept { return static_cast<std::int32_t>(word_) >> 2; }  // words
  std::uint64_t dataWords() const noexcept { return word_ >> 32 & 0xffff; }
  std::uint64_t pointers() const noexcept { return word_ >> 48; }
  Element element() const noexcept { return static_cast<Element>(word_ >> 32 & 7); }
  std::uint64_t count() const noexcept { return word_ >> 35; }  // elements, or words of a composite list
  std::uint64_t tagCount() const noexcept {
    return word_ >> 2 & 0x3fff'ffff;
  }  // elements of a composite list

  // Words of a list that is not composite.
  std::uint64_t listWords() const noexcept {
    constexpr std::uint64_t kBits[] = {0, 1, 8, 16, 32, 64, 64};
    return (count() * kBits[static_cast<unsigned>(element())] + 63) / 64;
  }

 private:
  std::uint64_t word_;
};

// Visits every object that may hold pointers once. Such objects never overlap, so together they have no more
// words than the message: a budget that also bounds the time for bytes that only look like a message.
class Walk {
 public:
  explicit Walk(Bytes payload) noexcept
      : payload_(payload), words_(payload.size() / sizeof(std::uint64_t)), budget_(words_) {}

  bool isWhole() noexcept {
    if (!take(0, 1)) return false;
    const Pointer root = at(0);
    return root.isNull() || follow(root, targetOf(root, 0), kMaxWholeNesting);
  }

 private:
  Pointer at(std::uint64_t position) const noexcept {
    std::uint64_t word;
    std::memcpy(&word, payload_.data() + position * sizeof word, sizeof word);
    return Pointer(word);
  }

  // What lies before the beginning wraps to a position far behind the end, which take() refuses.
  static std::uint64_t targetOf(Pointer pointer, std::uint64_t position) noexcept {
    return position + 1 + static_cast<std::uint64_t>(pointer.offset());
  }

  bool isInside(std::uint64_t start, std::uint64_t size) const noexcept {
    return start <= words_ && size <= words_ - start;
  }

  bool take(std::uint64_t start, std::uint64_t size) noexcept {
    if (!isInside(start, size) || size > budget_) return false;
    budget_ -= size;
    return true;
  }

  // The pointers of most rows are all to text or bytes: what else there is stays out of the way of these.
  bool followAll(std::uint64_t position, std::uint64_t count, unsigned depth) noexcept {
    if (count == 0) return true;
    if (depth == 0) return false;
    for (const std::uint64_t end = position + count; position < end; ++position) {
      const Pointer pointer = at(position);
      if (pointer.isBytes()) {
        if (!isInside(targetOf(pointer, position), (pointer.count() + 7) / 8)) return false;
      } else if (!pointer.isNull() && !follow(pointer, targetOf(pointer, position), depth - 1)) {
        return false;
      }
    }
    return true;
  }

  [[gnu::noinline]] bool follow(Pointer pointer, std::uint64_t target, unsigned depth) noexcept {
    if (pointer.kind() == Pointer::Kind::list) return followList(pointer, target, depth);
    return followStruct(pointer, target, depth);
  }

  bool followStruct(Pointer pointer, std::uint64_t target, unsigned depth) noexcept {
    if (pointer.kind() != Pointer::Kind::structure) return false;
    if (!take(target, pointer.dataWords() + pointer.pointers())) return false;
    return followAll(target + pointer.dataWords(), pointer.pointers(), depth);
  }

  bool followList(Pointer list, std::uint64_t target, unsigned depth) noexcept {
    if (list.element() == Pointer::Element::composite) return followComposite(list, target, depth);
    if (!take(target, list.listWords())) return false;
    return list.element() != Pointer::Element::pointer || followAll(target, list.count(), depth);
  }

  bool followComposite(Pointer list, std::uint64_t target, unsigned depth) noexcept {
    if (!take(target, list.count() + 1)) return false;
    const Pointer tag = at(target);
    const std::uint64_t size = tag.dataWords() + tag.pointers();
    if (tag.kind() != Pointer::Kind::structure || tag.tagCount() * size > list.count()) return false;
    if (tag.pointers() == 0) return true;
    std::uint64_t pointers = target + 1 + tag.dataWords();
    for (std::uint64_t i = 0; i < tag.tagCount(); ++i, pointers += size) {
      if (!followAll(pointers, tag.pointers(), depth)) return false;
    }
    return true;
  }

  const Bytes payload_;
  const std::uint64_t words_;
  std::uint64_t budget_;  // words that may still be visited
};

}  // namespace

bool isWhole(Bytes payload) noexcept { return Walk(payload).isWhole(); }

}  // namespace instar
