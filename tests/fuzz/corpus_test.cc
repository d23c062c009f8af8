#include "instar/tests/fuzz/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <kj/debug.h>

#include <fstream>

#include "instar/tests/support/temporary_folder.h"

namespace instar::fuzz {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Corpora : public ::testing::TestWithParam<Fuzzer> {};

TEST_P(Corpora, BreakNoPromise) {
  const auto folder = std::filesystem::path(INSTAR_CORPUS) / GetParam().name;
  const CorpusReport report = runCorpus(GetParam(), folder);
  EXPECT_GT(report.inputs, 0U) << folder;
  EXPECT_THAT(report.broken, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(OfEachFuzzer, Corpora, ::testing::ValuesIn(fuzzers().begin(), fuzzers().end()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Corpus, HasAFolderForEachFuzzerAndNoOther) {
  std::size_t folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator(INSTAR_CORPUS)) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(std::ranges::any_of(fuzzers(), [&](const Fuzzer& one) { return one.name == name; })) << name;
    ++folders;
  }
  EXPECT_EQ(folders, fuzzers().size());
}

TEST(Corpus, OfAFuzzerThatFailsNamesTheInput) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "good") << "good";
  std::ofstream(folder / "worse") << "kj";
  std::ofstream(folder / "bad") << "bad";
  const Fuzzer failing{"failing", [](Bytes input) {
                         require(asText(input) != "bad", "nothing is bad");
                         KJ_REQUIRE(asText(input) != "kj");
                       }};
  const CorpusReport report = runCorpus(failing, folder.path());
  EXPECT_EQ(report.inputs, 3U);
  EXPECT_THAT(report.broken, ElementsAre("bad: nothing is bad", ::testing::HasSubstr("worse: ")));
}

}  // namespace
}  // namespace instar::fuzz
