#include "instar/tools/progress_line.h"

#include <gtest/gtest.h>

#include <sstream>

namespace instar::tools {
namespace {

class ProgressLineTest : public ::testing::Test {
 protected:
  ProgressLine::Clock clock() {
    return [this] { return now_; };
  }

  std::chrono::steady_clock::time_point now_{std::chrono::hours(1)};
  std::ostringstream terminal_;
};

TEST_F(ProgressLineTest, ShowsCountAndRateNowAndThen) {
  ProgressLine line(terminal_, true, "rows", clock());
  line.update(100);
  EXPECT_EQ(terminal_.str(), "");
  now_ += std::chrono::seconds(2);
  line.update(10'000);
  EXPECT_EQ(terminal_.str(), "\r\033[K10,000 rows, 5,000 per second");
  now_ += std::chrono::milliseconds(100);
  line.update(10'100);
  EXPECT_EQ(terminal_.str(), "\r\033[K10,000 rows, 5,000 per second");
  now_ += std::chrono::seconds(2);
  line.update(20'500, 1'000'000);
  EXPECT_EQ(terminal_.str(),
            "\r\033[K10,000 rows, 5,000 per second\r\033[K20,500 of 1,000,000 rows, 5,000 per second");
}

TEST_F(ProgressLineTest, TakesItsLineAwayAtTheEnd) {
  {
    ProgressLine line(terminal_, true, "rows", clock());
    now_ += std::chrono::seconds(1);
    line.callback()({.done = 7, .total = 0});
  }
  EXPECT_EQ(terminal_.str(), "\r\033[K7 rows, 7 per second\r\033[K");
}

TEST_F(ProgressLineTest, IsSilentWithoutATerminal) {
  ProgressLine line(terminal_, false, "rows", clock());
  now_ += std::chrono::seconds(9);
  line.update(7);
  line.clear();
  EXPECT_EQ(terminal_.str(), "");
  EXPECT_EQ(line.elapsed(), std::chrono::seconds(9));
}

TEST(PrintNumbers, GroupsDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(18446744073709551615U), "18,446,744,073,709,551,615");
  EXPECT_EQ(counted(1, "row"), "1 row");
  EXPECT_EQ(counted(2, "row"), "2 rows");
  EXPECT_EQ(printTime(1'700'000'000'000'000'000), "2023-11-14T22:13:20Z");
}

}  // namespace
}  // namespace instar::tools
