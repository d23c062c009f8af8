// Recordings made by hand, and what the model says a power cut may leave of them. The disk model decides what
// all other tests of power cuts can find, so what it allows is spelled out here.

#include "instar/tests/powercut/disk_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "instar/tests/powercut/cuts.h"

namespace instar::powercut {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr std::size_t kSector = kSectorSize;

Event create(std::uint32_t file, std::string name) {
  return {Operation::create, file, 0, 0, std::move(name)};
}
Event write(std::uint32_t file, std::uint64_t offset, std::string bytes) {
  return {Operation::write, file, 0, offset, std::move(bytes)};
}
Event writeThrough(std::uint32_t file, std::uint64_t offset, std::string bytes) {
  return {Operation::writeThrough, file, 0, offset, std::move(bytes)};
}
Event syncBegin(std::uint32_t file, std::uint32_t number) {
  return {Operation::syncBegin, file, number, 0, {}};
}
Event syncEnd(std::uint32_t file, std::uint32_t number) { return {Operation::syncEnd, file, number, 0, {}}; }
Event folderSyncBegin(std::uint32_t number) { return {Operation::folderSyncBegin, 0, number, 0, "."}; }
Event folderSyncEnd(std::uint32_t number) { return {Operation::folderSyncEnd, 0, number, 0, "."}; }
Event rename(const std::string& from, const std::string& to) {
  return {Operation::rename, 0, 0, 0, from + '\0' + to};
}
Event unlink(std::string name) { return {Operation::unlink, 0, 0, 0, std::move(name)}; }
Event mark(std::string text) { return {Operation::mark, 0, 0, 0, std::move(text)}; }

std::string sectors(const std::string& letters) {
  std::string content;
  for (const char letter : letters) content += std::string(kSector, letter);
  return content;
}

// A letter for each sector, "." for zeros; a sector that is not all of one kind is "?".
std::string lettersOf(const std::string& content) {
  std::string letters;
  for (std::size_t start = 0; start < content.size(); start += kSector) {
    const std::string sector = content.substr(start, kSector);
    const bool isUniform = sector == std::string(sector.size(), sector[0]);
    letters += !isUniform ? '?' : sector[0] == '\0' ? '.' : sector[0];
  }
  return letters;
}

// A file "f" whose name is durable.
std::vector<Event> onFile(std::vector<Event> events) {
  std::vector<Event> all{create(1, "f"), folderSyncBegin(100), folderSyncEnd(100)};
  all.insert(all.end(), events.begin(), events.end());
  return all;
}

// What the file may be after a cut at the end: by every systematic cut, and by many
// random ones, where no sector is torn.
std::set<std::string> outcomes(const std::vector<Event>& events, const std::string& name = "f",
                               DiskModel::Syncs syncs = DiskModel::Syncs::kept) {
  const Recording recording(events);
  DiskModel model(recording, syncs);
  model.advanceTo(events.size());
  std::set<std::string> found;
  const auto add = [&](const Cut& cut) {
    const Image image = imageOf(model, cut);
    const auto file = image.find(name);
    found.insert(file == image.end() ? "absent" : lettersOf(file->second));
  };
  const SystematicCuts cuts = systematicCuts(recording, syncs);
  const std::vector<Cut> prefixes = prefixCuts(recording);
  for (const auto* group : {&prefixes, &cuts.whole, &cuts.single}) {
    for (const Cut& cut : *group)
      if (cut.point == events.size() && cut.kind < CutKind::tornFront) add(cut);
  }
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    for (const CutKind kind : {CutKind::writesRandom, CutKind::pagesRandom, CutKind::sectorsRandom})
      add({events.size(), kind, 0, seed});
  }
  return found;
}

constexpr std::uint64_t kPage = 4096;

std::vector<Event> shifted(std::vector<Event> events, std::uint64_t by) {
  for (Event& event : events) {
    if (event.operation == Operation::write) event.offset += by;
  }
  return events;
}

// The sector of "f" at `offset` by cuts that tear: its letters in turn, each once.
std::set<std::string> tornOutcomes(const std::vector<Event>& events, std::uint64_t offset,
                                   DiskModel::MetaPages metaPages = DiskModel::MetaPages::whole) {
  const Recording recording(events);
  DiskModel model(recording, DiskModel::Syncs::kept, metaPages);
  model.advanceTo(events.size());
  std::set<std::string> found;
  const auto add = [&](const Cut& cut) {
    std::string letters = imageOf(model, cut).at("f").substr(offset, kSector);
    letters.erase(std::unique(letters.begin(), letters.end()), letters.end());
    found.insert(letters);
  };
  for (const Cut& cut : systematicCuts(recording, DiskModel::Syncs::kept).single)
    if (cut.point == events.size()) add(cut);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) add({events.size(), CutKind::tornRandom, 0, seed});
  return found;
}

TEST(DiskModel, WhatIsSyncedIsThereWhateverElseIsMissing) {
  EXPECT_THAT(outcomes(onFile({write(1, 0, sectors("ab")), syncBegin(1, 1), syncEnd(1, 1)})),
              ElementsAre("ab"));
  EXPECT_THAT(outcomes(onFile(
                  {write(1, 0, sectors("ab")), syncBegin(1, 1), syncEnd(1, 1), write(1, 0, sectors("x"))})),
              UnorderedElementsAre("ab", "xb"));
}

TEST(DiskModel, AWriteMayBeTornAtEverySector) {
  const auto found = outcomes(
      onFile({write(1, 0, sectors("....")), syncBegin(1, 1), syncEnd(1, 1), write(1, 0, sectors("abcd"))}));
  EXPECT_EQ(found.size(), 16U);  // each of four sectors is there or not
}

TEST(DiskModel, WritesMayComeInAnyOrder) {
  const auto found =
      outcomes(onFile({write(1, 0, sectors("zzz")), syncBegin(1, 1), syncEnd(1, 1), write(1, 0, sectors("a")),
                       write(1, kSector, sectors("b")), write(1, 2 * kSector, sectors("c"))}));
  EXPECT_THAT(found, UnorderedElementsAre("zzz", "azz", "zbz", "zzc", "abz", "azc", "zbc", "abc"));
}

TEST(DiskModel, ASectorHoldsWhatItHeldAtSomeTimeSinceTheSync) {
  const auto found = outcomes(onFile({write(1, 0, sectors("a")), syncBegin(1, 1), syncEnd(1, 1),
                                      write(1, 0, sectors("b")), write(1, 0, sectors("c"))}));
  EXPECT_THAT(found, UnorderedElementsAre("a", "b", "c"));
}

// From either side, at any byte; what was there before is underneath.
TEST(DiskModel, ASectorMayBeTorn) {
  const auto events = onFile({write(1, 0, sectors("a")), syncBegin(1, 1), syncEnd(1, 1),
                              write(1, 0, sectors("b")), write(1, 0, sectors("c"))});
  // Meta pages are at the beginning, so what is torn lies behind them.
  const auto found = tornOutcomes(shifted(events, 2 * kPage), 2 * kPage);
  for (const auto& [before, behind] : {std::pair("c", "b"), std::pair("b", "c"), std::pair("b", "a")})
    EXPECT_THAT(found, Contains(std::string(before) + behind));
  for (const char* const whole : {"a", "b", "c"}) EXPECT_THAT(found, Contains(whole));
  EXPECT_THAT(found, Each(SizeIs(Le(2U)))) << "of two writes, one behind the other";
  EXPECT_THAT(found, AllOf(Not(Contains("ca")), Not(Contains("ac"))));
}

TEST(DiskModel, WhatIsSyncedIsNotTorn) {
  EXPECT_THAT(
      tornOutcomes(onFile({write(1, 2 * kPage, sectors("a")), syncBegin(1, 1), syncEnd(1, 1)}), 2 * kPage),
      ElementsAre("a"));
}

TEST(DiskModel, MetaPagesAreTornWhereThatIsAskedForOnly) {
  for (const std::uint64_t page : {std::uint64_t{0}, kPage}) {
    const auto events =
        onFile({write(1, page, sectors("a")), syncBegin(1, 1), syncEnd(1, 1), write(1, page, sectors("b"))});
    EXPECT_THAT(tornOutcomes(events, page), UnorderedElementsAre("a", "b"));
    EXPECT_THAT(tornOutcomes(events, page, DiskModel::MetaPages::torn),
                UnorderedElementsAre("a", "b", "ab", "ba"));
  }
}

TEST(DiskModel, ASectorIsWholeWhereNothingIsTorn) {
  const auto found = outcomes(onFile({write(1, 0, sectors("ab")), syncBegin(1, 1), syncEnd(1, 1),
                                      write(1, 100, std::string(50, 'x')), write(1, 200, "y")}));
  EXPECT_THAT(found, UnorderedElementsAre("ab", "?b"));
}

TEST(DiskModel, AFileGrowsWithItsBytesOrWithoutThemOrNotAtAll) {
  const auto found = outcomes(
      onFile({write(1, 0, sectors("a")), syncBegin(1, 1), syncEnd(1, 1), write(1, kSector, sectors("b"))}));
  EXPECT_THAT(found, UnorderedElementsAre("a", "a.", "ab"));
}

TEST(DiskModel, WhatIsWrittenDuringASyncIsNotPartOfIt) {
  const auto found = outcomes(
      onFile({write(1, 0, sectors("aa")), syncBegin(1, 1), write(1, kSector, sectors("b")), syncEnd(1, 1)}));
  EXPECT_THAT(found, UnorderedElementsAre("aa", "ab"));
}

TEST(DiskModel, ASyncThatHasNotEndedPromisesNothing) {
  EXPECT_THAT(outcomes(onFile({write(1, 0, sectors("a")), syncBegin(1, 1)})),
              UnorderedElementsAre("", ".", "a"));
}

TEST(DiskModel, ASyncIsOfOneFile) {
  EXPECT_THAT(outcomes(onFile({create(2, "g"), write(1, 0, sectors("a")), write(2, 0, sectors("b")),
                               syncBegin(2, 1), syncEnd(2, 1)})),
              UnorderedElementsAre("", ".", "a"));
}

// LMDB writes its meta page so: taken for a sync of the whole file, no commit whose sync is missing would be
// found.
TEST(DiskModel, AWriteThroughMakesItselfDurableAndNothingElse) {
  const auto found = outcomes(onFile({write(1, 0, sectors("zz")), syncBegin(1, 1), syncEnd(1, 1),
                                      write(1, 0, sectors("a")), writeThrough(1, kSector, sectors("m"))}));
  EXPECT_THAT(found, UnorderedElementsAre("zm", "am"));
}

TEST(DiskModel, AWriteThroughTakesItsSectorAlong) {
  const auto found = outcomes(onFile({write(1, 0, sectors("zz")), syncBegin(1, 1), syncEnd(1, 1),
                                      write(1, 0, sectors("ab")), writeThrough(1, kSector + 8, "m")}));
  EXPECT_THAT(found, UnorderedElementsAre("z?", "a?"));
}

TEST(DiskModel, AWriteThroughThatCanBeTornIsRefused) {
  const Recording recording(onFile({writeThrough(1, 0, sectors("ab"))}));
  DiskModel model(recording);
  EXPECT_THROW(model.advanceTo(recording.events().size()), std::runtime_error);
}

TEST(DiskModel, ANameIsDurableWithItsFolder) {
  const std::vector<Event> made{create(1, "f"), write(1, 0, sectors("a")), syncBegin(1, 1), syncEnd(1, 1)};
  EXPECT_THAT(outcomes(made), UnorderedElementsAre("absent", "a"));
  std::vector<Event> synced = made;
  synced.insert(synced.end(), {folderSyncBegin(2), folderSyncEnd(2)});
  EXPECT_THAT(outcomes(synced), ElementsAre("a"));
}

TEST(DiskModel, ARenameIsThereAsAWholeOrNotAtAll) {
  const std::vector<Event> events =
      onFile({write(1, 0, sectors("a")), syncBegin(1, 1), syncEnd(1, 1), create(2, "t"),
              write(2, 0, sectors("b")), syncBegin(2, 2), syncEnd(2, 2), rename("t", "f")});
  EXPECT_THAT(outcomes(events, "f"), UnorderedElementsAre("a", "b"));
  EXPECT_THAT(outcomes(events, "t"), UnorderedElementsAre("absent", "b"));
}

TEST(DiskModel, ARenameSaysNothingOfTheBytes) {
  EXPECT_THAT(outcomes({create(2, "t"), write(2, 0, sectors("b")), rename("t", "f"), folderSyncBegin(1),
                        folderSyncEnd(1)}),
              UnorderedElementsAre("", ".", "b"));
}

TEST(DiskModel, AnUnlinkIsDurableWithItsFolder) {
  EXPECT_THAT(outcomes(onFile({unlink("f")})), UnorderedElementsAre("", "absent"));
  EXPECT_THAT(outcomes(onFile({unlink("f"), folderSyncBegin(1), folderSyncEnd(1)})), ElementsAre("absent"));
}

TEST(DiskModel, ALyingDiskKeepsNothing) {
  EXPECT_THAT(outcomes(onFile({write(1, 0, sectors("a")), syncBegin(1, 1), syncEnd(1, 1)}), "f",
                       DiskModel::Syncs::ignored),
              UnorderedElementsAre("absent", "", ".", "a"));
}

TEST(Recording, AllowsWhatWasAcknowledgedAndWhatWasBegunSince) {
  const Recording recording({mark("begin s"), mark("state s\none\n"), mark("acknowledged s"), mark("begin s"),
                             mark("state s\ntwo\n"), mark("unpromised s")});
  EXPECT_THAT(recording.stores(), ElementsAre(Pair("s", ElementsAre("absent\n", "one\n", "two\n"))));
  EXPECT_EQ(recording.allowedAt(1).at("s"), (Allowed{0, 1}));
  EXPECT_EQ(recording.allowedAt(3).at("s"), (Allowed{1, 1}));
  EXPECT_EQ(recording.allowedAt(4).at("s"), (Allowed{1, 2}));
  EXPECT_TRUE(recording.allowedAt(6).at("s").anything);
}

// A commit that was refused and begun again left a state that was nothing: an empty store was allowed then.
TEST(Recording, ThatHasAStateWithoutATextIsRefused) {
  EXPECT_THROW(Recording({mark("begin s"), mark("begin s"), mark("state s\none\n")}), std::runtime_error);
  EXPECT_THROW(Recording({mark("begin s"), mark("acknowledged s")}), std::runtime_error);
  EXPECT_NO_THROW(Recording({mark("begin s"), mark("state s\n"), mark("acknowledged s")}));
}

TEST(Cuts, AreMadeAgainFromTheirText) {
  for (const CutKind kind : {CutKind::everything, CutKind::namesAlone, CutKind::sectorsRandom}) {
    const Cut cut{412, kind, 3, UINT64_MAX};
    EXPECT_EQ(parseCut(textOf(cut)), cut);
  }
  for (const char* text : {"", "1", "1:never:2:3", "1:only:2", "1:only:2:x", "1:only:2:3:4"})
    EXPECT_THROW(parseCut(text), std::invalid_argument) << text;
}

TEST(Cuts, AreTheSameForTheSameSeed) {
  const Recording recording(
      onFile({write(1, 0, sectors("abcdefgh")), write(1, 4096, sectors("abcdefgh")), syncBegin(1, 1)}));
  const auto cuts = [&](std::uint64_t seed) {
    return chooseCuts(recording, DiskModel::Syncs::kept, 200, seed);
  };
  EXPECT_EQ(cuts(1), cuts(1));
  EXPECT_NE(cuts(1), cuts(2));
}

}  // namespace
}  // namespace instar::powercut
