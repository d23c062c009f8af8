#include "instar/engine/compaction_options.h"

#include <gtest/gtest.h>

#include <set>

#include "instar/tests/support/expect_error.h"

namespace instar {
namespace {

using std::chrono::minutes;

constexpr int at(int hour, int minute) { return hour * 60 + minute; }

TEST(AllowedHours, ANightWrapsMidnight) {
  const AllowedHours night = parseAllowedHours("22:00-06:30");
  EXPECT_EQ(night, (AllowedHours{at(22, 0), at(6, 30)}));
  for (const int inside : {at(22, 0), at(23, 59), at(0, 0), at(6, 29)}) {
    EXPECT_TRUE(night.contains(inside)) << inside;
    EXPECT_EQ(night.until(inside), minutes(0)) << inside;
  }
  for (const int outside : {at(6, 30), at(12, 0), at(21, 59)})
    EXPECT_FALSE(night.contains(outside)) << outside;
  EXPECT_EQ(night.until(at(21, 59)), minutes(1));
  EXPECT_EQ(night.until(at(6, 30)), minutes(15 * 60 + 30));
}

TEST(AllowedHours, ThoseOfADayDoNotWrap) {
  const AllowedHours lunch = parseAllowedHours("12:00-13:00");
  EXPECT_TRUE(lunch.contains(at(12, 0)));
  EXPECT_FALSE(lunch.contains(at(13, 0)));
  EXPECT_FALSE(lunch.contains(at(0, 0)));
  EXPECT_EQ(lunch.until(at(13, 0)), minutes(23 * 60));
}

TEST(AllowedHours, EqualEndsAreTheWholeDay) {
  const AllowedHours all = parseAllowedHours("08:00-08:00");
  for (const int minute : {at(0, 0), at(7, 59), at(8, 0), at(23, 59)}) EXPECT_TRUE(all.contains(minute));
}

TEST(AllowedHours, WhatIsNotAPartOfTheDayIsRefusedWithAnExample) {
  for (const char* text : {"", "22:00", "22:00-", "22-06", "24:00-06:00", "22:60-06:00", "2a:00-06:00",
                           "22:00-06:00 ", "22:00 06:00", "-1:00-06:00"}) {
    SCOPED_TRACE(text);
    EXPECT_ERROR(parseAllowedHours(text), fixInput, "write it as 22:00-06:00");
  }
}

TEST(WaitReason, EachIsDescribedInItsOwnWords) {
  std::set<std::string_view> words;
  for (int reason = 0; reason <= static_cast<int>(WaitReason::stopped); ++reason)
    words.insert(describe(static_cast<WaitReason>(reason)));
  EXPECT_EQ(words.size(), static_cast<std::size_t>(WaitReason::stopped) + 1);
  EXPECT_FALSE(words.contains("unknown"));
}

}  // namespace
}  // namespace instar
