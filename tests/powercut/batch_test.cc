// That nothing which is found wrong with an image gets lost on its way to the parent.

#include "instar/tests/powercut/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <stdexcept>
#include <string>

#include "instar/tests/support/temporary_folder.h"

namespace instar::powercut {
namespace {

using ::testing::ElementsAre;
using ::testing::FieldsAre;
using ::testing::IsEmpty;

class BatchTest : public ::testing::Test {
 protected:
  std::vector<Finding> look(const Batch::Look& look, std::size_t count = 5) {
    return Batch(count, look, folder_ / "findings").await();
  }

  instar::testing::TemporaryFolder folder_;
};

TEST_F(BatchTest, BringsWhatIsFoundInOrder) {
  EXPECT_THAT(look([](std::size_t) { return ""; }), IsEmpty());
  EXPECT_THAT(look([](std::size_t index) { return index % 2 == 0 ? "" : "odd\nand long"; }),
              ElementsAre(FieldsAre(1, "odd\nand long"), FieldsAre(3, "odd\nand long")));
}

TEST_F(BatchTest, GoesOnBehindWhateverEndsTheProgram) {
  const auto ends = [](std::size_t index) {
    if (index == 1) ::raise(SIGKILL);
    if (index == 2) ::_exit(0);
    if (index == 4) ::_exit(3);
    return index == 3 ? "three" : "";
  };
  EXPECT_THAT(look(ends), ElementsAre(FieldsAre(1, "the program ended with signal 9"),
                                      FieldsAre(2, "the program ended with status 0"), FieldsAre(3, "three"),
                                      FieldsAre(4, "the program ended with status 3")));
}

TEST_F(BatchTest, FailsWhereWhatIsFoundCannotBeWritten) {
  // A full disk: the findings were appended to a file that nobody looked after, and all seemed to be well.
  const auto allWrong = [](std::size_t) { return "wrong"; };
  EXPECT_THROW(Batch(3, allWrong, "/dev/full").await(), std::runtime_error);
  EXPECT_THROW(Batch(3, allWrong, folder_ / "no folder" / "findings").await(), std::runtime_error);
  EXPECT_THROW(Batch(
                   3,
                   [](std::size_t) -> std::string {
                     ::raise(SIGKILL);
                     return {};
                   },
                   "/dev/full")
                   .await(),
               std::runtime_error);
}

TEST_F(BatchTest, FailsWhereTheFindingsAreGone) {
  const auto findings = folder_ / "findings";
  const auto removesThem = [&](std::size_t index) {
    if (index == 2) std::filesystem::remove(findings);
    return index == 0 ? "wrong" : "";
  };
  EXPECT_THROW(look(removesThem), std::runtime_error);
}

}  // namespace
}  // namespace instar::powercut
