#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instar/engine/store.h"
#include "instar/tests/engine/contact.capnp.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ScanTest : public ::testing::Test {
 protected:
  ScanTest() {
    auto transaction = store.write();
    for (const char* place : {"Bath", "London", "Londonderry", "York"}) {
      for (const int hour : {-1, 5}) put(transaction, place, hour);
    }
    transaction.commit();
  }

  void put(WriteTransaction& transaction, const char* place, int hour) {
    auto visit = visits.create();
    visit->setPlace(place);
    visit->setHour(hour);
    visits.put(transaction, visit);
  }

  static std::string label(const Row<Visit>& row) {
    return std::string(row->getPlace().cStr()) + std::to_string(row->getHour());
  }

  std::vector<std::string> scan(ScanOptions options) {
    const auto snapshot = store.read();
    std::vector<std::string> found;
    for (const auto row : visits.scan(snapshot, options)) found.push_back(label(row));
    EXPECT_EQ(visits.count(snapshot, options), found.size());
    return found;
  }

  testing::TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar");
  Collection<Visit> visits = store.collection<Visit>("visits");
};

TEST_F(ScanTest, AllRowsComeInTheOrderOfTheirKeys) {
  EXPECT_THAT(scan({}), ElementsAre("Bath-1", "Bath5", "London-1", "London5", "Londonderry-1", "Londonderry5",
                                    "York-1", "York5"));
  EXPECT_THAT(scan({.reverse = true}), ElementsAre("York5", "York-1", "Londonderry5", "Londonderry-1",
                                                   "London5", "London-1", "Bath5", "Bath-1"));
}

TEST_F(ScanTest, FromBelongsToTheRangeAndToDoesNot) {
  const Key from = visits.key("Bath", 5);
  const Key to = visits.key("London", 5);
  EXPECT_THAT(scan({.from = from, .to = to}), ElementsAre("Bath5", "London-1"));
  EXPECT_THAT(scan({.from = from, .to = to, .reverse = true}), ElementsAre("London-1", "Bath5"));
  EXPECT_THAT(scan({.from = to, .to = from}), IsEmpty());
  EXPECT_THAT(scan({.from = to, .to = from, .reverse = true}), IsEmpty());
}

TEST_F(ScanTest, BoundsNeedNotBeKeysThatExist) {
  EXPECT_THAT(scan({.from = visits.key("C", 0), .to = visits.key("M", 0), .limit = 1}),
              ElementsAre("London-1"));
  EXPECT_THAT(scan({.to = visits.key("Z", 0), .reverse = true, .limit = 1}), ElementsAre("York5"));
  EXPECT_THAT(scan({.from = visits.key("Z", 0)}), IsEmpty());
  EXPECT_THAT(scan({.to = visits.key("A", 0), .reverse = true}), IsEmpty());
}

TEST_F(ScanTest, APrefixOfPartsMeansTheirValues) {
  EXPECT_THAT(scan({.prefix = visits.prefix("London")}), ElementsAre("London-1", "London5"));
  EXPECT_THAT(scan({.prefix = visits.prefix("London"), .reverse = true}), ElementsAre("London5", "London-1"));
  EXPECT_THAT(scan({.prefix = Key("London")}),
              ElementsAre("London-1", "London5", "Londonderry-1", "Londonderry5"));
  EXPECT_THAT(scan({.from = visits.key("London", 0), .prefix = visits.prefix("London")}),
              ElementsAre("London5"));
  EXPECT_THAT(scan({.prefix = visits.prefix("Leeds")}), IsEmpty());
}

TEST_F(ScanTest, APrefixOfHighestBytesReachesTheEnd) {
  const auto notes = store.collection<Note>("notes");
  auto transaction = store.write();
  for (const char* key : {"a", "\xff", "\xff\xff", "\xff\xff\x01"}) {
    auto note = notes.create();
    notes.put(transaction, Key(key), note);
  }
  transaction.commit();
  const auto snapshot = store.read();
  EXPECT_EQ(notes.count(snapshot, {.prefix = Key("\xff")}), 3U);
  EXPECT_EQ(notes.count(snapshot, {.prefix = Key("\xff\xff"), .reverse = true}), 2U);
}

TEST_F(ScanTest, TheLimitCountsRows) {
  EXPECT_THAT(scan({.limit = 0}), IsEmpty());
  EXPECT_THAT(scan({.limit = 2}), ElementsAre("Bath-1", "Bath5"));
}

TEST_F(ScanTest, ManyRowsComeAsFewDo) {
  auto transaction = store.write();
  for (int hour = 0; hour < 100; ++hour) put(transaction, "Leeds", hour);
  transaction.commit();
  for (const int first : {0, 1, 37}) {
    for (const int end : {37, 38, 45, 70, 100}) {
      for (const std::uint64_t limit : {1, 2, 3, 15, 16, 17, 64, 1000}) {
        std::vector<std::string> expected;
        for (int hour = first; hour < end; ++hour) expected.push_back("Leeds" + std::to_string(hour));
        const ScanOptions range{
            .from = visits.key("Leeds", first), .to = visits.key("Leeds", end), .limit = limit};
        const std::size_t rows = std::min<std::size_t>(expected.size(), limit);
        ScanOptions reverse = range;
        reverse.reverse = true;
        EXPECT_EQ(scan(range), std::vector(expected.begin(), expected.begin() + rows));
        EXPECT_EQ(scan(reverse), std::vector(expected.rbegin(), expected.rbegin() + rows));
      }
    }
  }
}

TEST_F(ScanTest, ASnapshotStaysAsItWas) {
  const auto snapshot = store.read();
  auto scan = visits.scan(snapshot);
  ASSERT_TRUE(scan.next());
  auto transaction = store.write();
  for (const char* place : {"Bath", "London", "Londonderry", "York"}) visits.erase(transaction, place, 5);
  transaction.commit();
  int rows = 1;
  while (scan.next()) ++rows;
  EXPECT_EQ(rows, 8);
}

TEST_F(ScanTest, AWriterMayChangeWhatItScans) {
  auto transaction = store.write();
  std::vector<std::string> found;
  for (const auto row : visits.scan(transaction)) {
    found.push_back(label(row));
    visits.erase(transaction, row->getPlace().cStr(), row->getHour());
    if (found.size() == 1) put(transaction, "Cork", 1);      // ahead of it
    if (found.size() == 2) put(transaction, "Aberdeen", 1);  // behind it
  }
  EXPECT_THAT(found, ElementsAre("Bath-1", "Bath5", "Cork1", "London-1", "London5", "Londonderry-1",
                                 "Londonderry5", "York-1", "York5"));
  EXPECT_EQ(visits.count(transaction), 1U);
}

TEST_F(ScanTest, AWriterMayChangeWhatItScansBackwards) {
  auto transaction = store.write();
  std::vector<std::string> found;
  for (const auto row : visits.scan(transaction, {.reverse = true})) {
    found.push_back(label(row));
    visits.erase(transaction, row->getPlace().cStr(), row->getHour());
    if (found.size() == 1) put(transaction, "Cork", 1);
  }
  EXPECT_THAT(found, ElementsAre("York5", "York-1", "Londonderry5", "Londonderry-1", "London5", "London-1",
                                 "Cork1", "Bath5", "Bath-1"));
}

TEST_F(ScanTest, ManyChangesDuringAScanOfManyRowsLoseNothing) {
  auto transaction = store.write();
  for (int hour = 0; hour < 20'000; ++hour) put(transaction, "Reading", hour);
  int seen = 0;
  for (const auto row : visits.scan(transaction, {.prefix = visits.prefix("Reading")})) {
    ASSERT_EQ(row->getHour(), seen);
    ++seen;
    auto visit = visits.edit(transaction, "Reading", row->getHour());
    visit->setGuest("a guest whose name needs more room than the row has had before");
    visits.put(transaction, visit);
  }
  EXPECT_EQ(seen, 20'000);
}

TEST_F(ScanTest, AScanMayBeOpenWhenItsTransactionEnds) {
  auto transaction = store.write();
  auto scan = visits.scan(transaction);
  ASSERT_TRUE(scan.next());
  transaction.commit();
  EXPECT_ERROR(scan.next(), fixCall, "has ended");
  EXPECT_ERROR(scan.key(), fixCall, "has ended");
}

}  // namespace
}  // namespace instar
