#pragma once

// Which images of a recording are looked at: power cuts, each a point of the recording and a choice of what
// is there of the pending writes and names. A cut has a short text, by which it can be made again from the
// same recording. Pure.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "instar/tests/powercut/disk_model.h"

namespace instar::powercut {

enum class CutKind : std::uint8_t {
  everything = 1,  // all that is pending is there: as if the process had died
  nothing,
  sizes,         // files have grown, the bytes are zeros
  without,       // everything but write `index`
  only,          // nothing but write `index`
  front,         // everything before the last write, of which there are the first `number` sectors
  back,          // everything before the last write, of which the first `number` sectors are missing
  names,         // of names the first `index` changes, and all bytes
  namesAlone,    // of names the first `index` changes, and no bytes
  writesRandom,  // by seed `number`: whole writes
  pagesRandom,   // of 4096 bytes
  sectorsRandom,
  // Everything before the last write, of which one sector is torn: the first `number` and a part of the next
  // are there, or all but these.
  tornFront,
  tornBack,
  tornRandom,  // by seed `number`: sectors, many of which are torn
};

struct Cut {
  std::size_t point = 0;  // so many events have happened
  CutKind kind = CutKind::everything;
  std::size_t index = 0;
  std::uint64_t number = 0;

  friend auto operator<=>(const Cut&, const Cut&) = default;
};

// "412:without:3:0", and back; throws std::invalid_argument for other text.
std::string textOf(const Cut& cut);
Cut parseCut(std::string_view text);

// The model stands at the point of the cut.
Image imageOf(const DiskModel& model, const Cut& cut);

// At each point everything and nothing, in order of their points: every prefix of the recording.
std::vector<Cut> prefixCuts(const Recording& recording);

// All others but the random ones: at each point sizes without bytes; each number of names; each write
// missing, each one alone; each tear of the last write (of a long one some).
struct SystematicCuts {
  std::vector<Cut> whole;   // sizes, names
  std::vector<Cut> single;  // without, only, front, back, tornFront, tornBack
};
SystematicCuts systematicCuts(const Recording& recording, DiskModel::Syncs syncs);

// `count` cuts that are no prefixes, by seed, in order of their points: a third of them whole, a third
// single, or all of these where they are fewer, and random ones.
std::vector<Cut> chooseCuts(const Recording& recording, DiskModel::Syncs syncs, std::size_t count,
                            std::uint64_t seed);

}  // namespace instar::powercut
