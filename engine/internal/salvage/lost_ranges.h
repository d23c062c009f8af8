#pragma once

// Ranges of keys of which something is missing; none lies over another. One thread.

#include <map>
#include <string>

#include "instar/engine/salvage.h"
#include "instar/format/bytes.h"

namespace instar {

// The first key behind `key`; for the longest keys the key itself.
inline Key behind(Bytes key) {
  Key next(key);
  if (key.size() < kMaxKeyLength) next.append(asBytes(std::string_view("\0", 1)));
  return next;
}

class LostRanges {
 public:
  // What touches one that is there becomes part of it.
  void add(LostRange range) {
    auto place = ranges_.upper_bound(range.from);
    if (place != ranges_.begin() && reaches(std::prev(place)->second, range.from)) {
      --place;
      widen(place->second, range);
    } else {
      const Key from = range.from;
      place = ranges_.insert_or_assign(from, std::move(range)).first;
    }
    LostRange& joined = place->second;
    for (++place; place != ranges_.end() && reaches(joined, place->first); place = ranges_.erase(place))
      widen(joined, place->second);
  }

  bool has(Bytes key) const {
    const auto place = ranges_.upper_bound(Key(key));
    if (place == ranges_.begin()) return false;
    const LostRange& range = std::prev(place)->second;
    return !range.to || compareBytes(key, range.to->bytes()) < 0;
  }

  // All from `first` to `last` has been found, and nothing else lies between.
  void close(Bytes first, Bytes last) {
    auto place = ranges_.upper_bound(Key(first));
    if (place != ranges_.begin() && reaches(std::prev(place)->second, Key(first))) --place;
    while (place != ranges_.end() && compareBytes(place->first.bytes(), last) <= 0) {
      const LostRange range = place->second;
      place = ranges_.erase(place);
      if (compareBytes(range.from.bytes(), first) < 0) {
        LostRange before = range;
        before.to = Key(first);
        ranges_.emplace(before.from, before);
      }
      const Key next = behind(last);
      if (!range.to || next < *range.to) {
        LostRange after = range;
        after.from = next;
        ranges_.emplace(after.from, after);
      }
    }
  }

  void clear() noexcept { ranges_.clear(); }
  const std::map<Key, LostRange>& all() const noexcept { return ranges_; }

 private:
  static bool reaches(const LostRange& range, const Key& key) { return !range.to || key <= *range.to; }
  static void widen(LostRange& range, const LostRange& other) {
    if (range.to && (!other.to || *range.to < *other.to)) range.to = other.to;
  }

  std::map<Key, LostRange> ranges_;  // by where they begin
};

}  // namespace instar
