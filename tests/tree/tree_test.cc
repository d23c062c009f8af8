// The rules of the tree, applied to this one.

#include <gtest/gtest.h>

#include "instar/tests/tree/document_links.h"
#include "instar/tests/tree/tree_rules.h"

namespace instar::tree {
namespace {

const std::filesystem::path kRoot = INSTAR_SOURCE_FOLDER;

TEST(Tree, IsSeenByTheRules) {
  std::size_t includesOfOurs = 0;
  for (const SourceFile& file : readTree(kRoot)) {
    for (const Include& include : file.includes) includesOfOurs += include.header.starts_with("instar/");
  }
  EXPECT_GT(includesOfOurs, 50U);
  EXPECT_GT(documentLinks(kRoot).size(), 10U);
}

TEST(Tree, IncludesGoOneWay) { EXPECT_EQ(describe(wrongDirections(readTree(kRoot))), ""); }
TEST(Tree, InternalsStayInTheirLayer) { EXPECT_EQ(describe(foreignInternals(readTree(kRoot))), ""); }
TEST(Tree, HeadersAreSpelledAsWhenInstalled) { EXPECT_EQ(describe(wrongSpellings(readTree(kRoot))), ""); }
TEST(Tree, ThirdPartiesHaveOnePlace) { EXPECT_EQ(describe(scatteredThirdParties(readTree(kRoot))), ""); }
TEST(Tree, FilesAreShort) { EXPECT_EQ(describe(longFiles(readTree(kRoot))), ""); }
TEST(Tree, CommentsAreNarrow) { EXPECT_EQ(describe(wideComments(readTree(kRoot))), ""); }
TEST(Tree, LinksInDocumentsLeadSomewhere) { EXPECT_EQ(describe(deadLinks(kRoot)), ""); }
TEST(Tree, TopHoldsWhatTheDesignSays) { EXPECT_EQ(describe(strangersAtTheTop(kRoot)), ""); }

}  // namespace
}  // namespace instar::tree
