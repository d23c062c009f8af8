#include "instar/tests/powercut/cuts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>
#include <stdexcept>
#include <utility>

namespace instar::powercut {
namespace {

constexpr std::array<std::string_view, 16> kKindNames{
    "",         "everything", "nothing", "sizes",        "without",     "only",          "front",
    "back",     "names",      "alone",   "writesRandom", "pagesRandom", "sectorsRandom", "tornFront",
    "tornBack", "tornRandom"};
constexpr std::uint64_t kMostTears = 8;  // of one write

std::size_t asInMemory(std::uint32_t, std::size_t sizes) { return sizes - 1; }
std::size_t asDurable(std::uint32_t, std::size_t) { return 0; }

// One value for the same number, whenever it is asked for.
std::uint64_t mixed(std::uint64_t seed, std::uint64_t a, std::uint64_t b) {
  std::uint64_t value = seed + a * 0x9e3779b97f4a7c15 + b * 0xc2b2ae3d27d4eb4f;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// Within the bytes of the write that are in the sector, and either side of it.
Tear tearBy(std::uint64_t value, bool isFront, const PendingWrite& write, std::uint64_t sector) {
  const std::uint64_t start = (write.firstSector() + sector) * kSectorSize;
  const std::uint64_t begin = std::max(write.offset, start) - start;
  const std::uint64_t end = std::min(write.offset + write.bytes.size() - start, kSectorSize);
  if (end - begin < 2) return Tear();
  const std::uint64_t byte = begin + 1 + value % (end - begin - 1);
  return isFront ? Tear{0, byte} : Tear{byte, kSectorSize};
}

// All before the last write, which is torn within sector `number`.
Image tornImage(const DiskModel& model, const Cut& cut) {
  const std::size_t last = model.writes().empty() ? 0 : model.writes().size() - 1;
  const bool isFront = cut.kind == CutKind::tornFront;
  Survival survival;
  survival.sector = [&, last](std::size_t write, std::uint64_t sector) {
    return write != last || sector == cut.number || (sector < cut.number) == isFront;
  };
  survival.size = asInMemory;
  survival.name = [](std::size_t) { return true; };
  survival.tear = [&, last](std::size_t write, std::uint64_t sector) {
    if (write != last || sector != cut.number) return Tear();
    return tearBy(mixed(cut.number, cut.point, 0), isFront, model.writes()[write], sector);
  };
  return model.build(survival);
}

Image randomImage(const DiskModel& model, const Cut& cut) {
  constexpr std::uint64_t kForShare = UINT64_MAX;
  constexpr std::uint64_t kForNames = UINT64_MAX - 1;
  constexpr std::uint64_t kForSizes = UINT64_MAX - 2;
  const std::uint64_t seed = cut.number;
  const std::uint64_t percent = std::array{10, 50, 50, 90}[mixed(seed, kForShare, 0) % 4];
  Survival survival;
  survival.sector = [&, percent](std::size_t write, std::uint64_t sector) {
    const std::uint64_t first = model.writes()[write].firstSector();
    std::uint64_t unit = 0;
    if (cut.kind == CutKind::pagesRandom) unit = (first + sector) / kSectorsOfAPage;
    if (cut.kind == CutKind::sectorsRandom || cut.kind == CutKind::tornRandom) unit = first + sector;
    return mixed(seed, write, unit) % 100 < percent;
  };
  if (cut.kind == CutKind::tornRandom) {
    survival.tear = [&model, seed](std::size_t write, std::uint64_t sector) {
      const std::uint64_t value = mixed(seed + 1, write, sector);
      return value % 2 == 0 ? Tear() : tearBy(value / 4, value / 2 % 2 == 0, model.writes()[write], sector);
    };
  }
  survival.size = [=](std::uint32_t file, std::size_t sizes) -> std::size_t {
    // Half of them with all of the bytes that are there: of these sizes one is right.
    if (mixed(seed, kForSizes, file) % 2 == 0) return sizes - 1;
    return mixed(seed, kForSizes, file + 0x1000) % sizes;
  };
  // A journal keeps the order of names; not every file system has one.
  const std::uint64_t names = model.names().size();
  const bool isJournaled = mixed(seed, kForNames, 0) % 2 == 0;
  const std::uint64_t first = mixed(seed, kForNames, 1) % (names + 1);
  survival.name = [=](std::size_t name) {
    return isJournaled ? name < first : mixed(seed, kForNames, name + 2) % 2 == 0;
  };
  return model.build(survival);
}

}  // namespace

std::string textOf(const Cut& cut) {
  return std::to_string(cut.point) + ":" + std::string(kKindNames[static_cast<std::size_t>(cut.kind)]) + ":" +
         std::to_string(cut.index) + ":" + std::to_string(cut.number);
}

Cut parseCut(std::string_view text) {
  const auto fail = [&] { throw std::invalid_argument("not a cut: " + std::string(text)); };
  std::array<std::string_view, 4> parts;
  std::string_view rest = text;
  for (std::string_view& part : parts) {
    const auto end = std::min(rest.find(':'), rest.size());
    part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const auto numberOf = [&](std::string_view part) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc() || end != part.data() + part.size()) fail();
    return number;
  };
  const auto kind = std::find(kKindNames.begin() + 1, kKindNames.end(), parts[1]);
  if (kind == kKindNames.end() || !rest.empty()) fail();
  return {numberOf(parts[0]), static_cast<CutKind>(kind - kKindNames.begin()), numberOf(parts[2]),
          numberOf(parts[3])};
}

Image imageOf(const DiskModel& model, const Cut& cut) {
  const std::size_t last = model.writes().empty() ? 0 : model.writes().size() - 1;
  const auto always = [](std::size_t) { return true; };
  const auto first = [&](std::size_t name) { return name < cut.index; };
  const auto all = [](std::size_t, std::uint64_t) { return true; };
  const auto none = [](std::size_t, std::uint64_t) { return false; };
  switch (cut.kind) {
    case CutKind::everything:
      return model.buildWithEverything();
    case CutKind::nothing:
      return model.build({none, asDurable, [](std::size_t) { return false; }});
    case CutKind::sizes:
      return model.build({none, asInMemory, always});
    case CutKind::without:
      return model.build(
          {[&](std::size_t write, std::uint64_t) { return write != cut.index; }, asInMemory, always});
    case CutKind::only:
      return model.build(
          {[&](std::size_t write, std::uint64_t) { return write == cut.index; }, asInMemory, always});
    case CutKind::front:
      return model.build(
          {[&](std::size_t write, std::uint64_t sector) { return write != last || sector < cut.number; },
           asInMemory, always});
    case CutKind::back:
      return model.build(
          {[&](std::size_t write, std::uint64_t sector) { return write != last || sector >= cut.number; },
           asInMemory, always});
    case CutKind::names:
      return model.build({all, asInMemory, first});
    case CutKind::namesAlone:
      return model.build({none, asDurable, first});
    case CutKind::writesRandom:
    case CutKind::pagesRandom:
    case CutKind::sectorsRandom:
    case CutKind::tornRandom:
      return randomImage(model, cut);
    case CutKind::tornFront:
    case CutKind::tornBack:
      return tornImage(model, cut);
  }
  throw std::logic_error("a kind of cut without an image");
}

std::vector<Cut> prefixCuts(const Recording& recording) {
  std::vector<Cut> cuts;
  for (std::size_t point = 1; point <= recording.events().size(); ++point) {
    for (const CutKind kind : {CutKind::everything, CutKind::nothing}) cuts.push_back({point, kind});
  }
  return cuts;
}

SystematicCuts systematicCuts(const Recording& recording, DiskModel::Syncs syncs) {
  SystematicCuts cuts;
  DiskModel model(recording, syncs);
  for (std::size_t point = 1; point <= recording.events().size(); ++point) {
    model.advanceTo(point);
    cuts.whole.push_back({point, CutKind::sizes});
    for (std::size_t names = 0; names < model.names().size(); ++names) {
      cuts.whole.push_back({point, CutKind::names, names});
      cuts.whole.push_back({point, CutKind::namesAlone, names + 1});
    }
    for (std::size_t write = 0; write < model.writes().size(); ++write) {
      cuts.single.push_back({point, CutKind::without, write});
      cuts.single.push_back({point, CutKind::only, write});
    }
    if (model.writes().empty() || model.writes().back().event + 1 != point) continue;
    const std::uint64_t sectors = model.writes().back().sectors();
    const std::uint64_t step = std::max<std::uint64_t>(1, sectors / kMostTears);
    for (std::uint64_t torn = 0; torn < sectors; torn += step) {
      cuts.single.push_back({point, CutKind::tornFront, 0, torn});
      cuts.single.push_back({point, CutKind::tornBack, 0, torn});
    }
    for (std::uint64_t tear = 1; tear < sectors; tear += step) {
      cuts.single.push_back({point, CutKind::front, 0, tear});
      cuts.single.push_back({point, CutKind::back, 0, tear});
    }
  }
  return cuts;
}

std::vector<Cut> chooseCuts(const Recording& recording, DiskModel::Syncs syncs, std::size_t count,
                            std::uint64_t seed) {
  std::mt19937_64 random(seed);
  SystematicCuts systematic = systematicCuts(recording, syncs);
  std::vector<Cut> cuts;
  for (std::vector<Cut>* group : {&systematic.whole, &systematic.single}) {
    std::shuffle(group->begin(), group->end(), random);
    const std::size_t share = std::min(group->size(), count / 3);
    cuts.insert(cuts.end(), group->begin(), group->begin() + static_cast<std::ptrdiff_t>(share));
  }
  constexpr std::array kKinds{CutKind::writesRandom, CutKind::pagesRandom, CutKind::sectorsRandom,
                              CutKind::tornRandom};
  while (cuts.size() < count) {
    const std::size_t point = 1 + random() % recording.events().size();
    cuts.push_back({point, kKinds[random() % kKinds.size()], 0, random()});
  }
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

}  // namespace instar::powercut
