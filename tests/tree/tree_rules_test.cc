// Each rule of the tree finds what it forbids, and only that, in a small tree made for the purpose.

#include "instar/tests/tree/tree_rules.h"

#include <gtest/gtest.h>

#include <fstream>

#include "instar/tests/support/temporary_folder.h"
#include "instar/tests/tree/document_links.h"

namespace instar::tree {
namespace {

namespace fs = std::filesystem;

class TreeRules : public ::testing::Test {
 protected:
  void write(const fs::path& path, std::string_view text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  void writeLines(const fs::path& path, std::size_t count) {
    std::string text;
    for (std::size_t line = 0; line < count; ++line) text += "//\n";
    write(path, text);
  }

  std::vector<SourceFile> files() const { return readTree(root_); }

  const instar::testing::TemporaryFolder folder_;
  const fs::path root_ = folder_.path();
};

// The files that break a rule, with lines: "engine/store.cc:1 ".
std::string places(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& violation : violations) {
    text += violation.file.string() + ':' + std::to_string(violation.line) + ' ';
  }
  return text;
}

TEST_F(TreeRules, LayersMayUseThoseBelow) {
  write("format/row.h", "#include <span>\n");
  write("evolve/plan.h", "#include \"instar/format/row.h\"\n");
  write("engine/store.h", "#include \"instar/evolve/plan.h\"\n#include \"instar/schema.capnp.h\"\n");
  write("tools/dump.cc", "#include \"instar/instar.h\"\n");
  write("bench/get.cc", "#include \"instar/tools/dump.h\"\n#include \"instar/bench/data.h\"\n");
  write("tests/engine/store_test.cc",
        "#include <instar/instar.h>\n#include \"instar/tests/support/file.h\"\n");
  EXPECT_EQ(describe(wrongDirections(files())), "");
}

TEST_F(TreeRules, UpwardIncludesAreFound) {
  write("format/row.h", "// Rows.\n#include \"instar/evolve/plan.h\"\n");
  write("evolve/plan.h", "#  include <instar/engine/store.h>\n");
  write("evolve/verdict.h", "#include \"instar/instar.h\"\n");
  write("engine/store.h", "\t#include \"instar/tools/dump.h\"\n");
  EXPECT_EQ(places(wrongDirections(files())),
            "engine/store.h:1 evolve/plan.h:1 evolve/verdict.h:1 format/row.h:2 ");
}

TEST_F(TreeRules, NothingUsesTestsOrBenchmarks) {
  write("tools/dump.cc", "#include \"instar/tests/support/file.h\"\n");
  write("bench/get.cc", "#include \"instar/tests/support/file.h\"\n");
  write("tests/engine/store_test.cc", "#include \"instar/bench/data.h\"\n");
  write("tests/bench/data_test.cc", "#include \"instar/bench/data.h\"\n");
  EXPECT_EQ(places(wrongDirections(files())), "bench/get.cc:1 tests/engine/store_test.cc:1 tools/dump.cc:1 ");
}

TEST_F(TreeRules, InternalsOfAnotherLayerAreFound) {
  write("engine/store.cc",
        "#include \"instar/engine/internal/pool.h\"\n#include \"instar/evolve/internal/walk.h\"\n");
  write("bench/get.cc", "#include \"instar/engine/internal/pool.h\"\n");
  write("tests/engine/pool_test.cc", "#include \"instar/engine/internal/pool.h\"\n");
  EXPECT_EQ(places(foreignInternals(files())), "bench/get.cc:1 engine/store.cc:2 ");
}

TEST_F(TreeRules, OurHeadersAreSpelledAsWhenInstalled) {
  write("engine/store.cc",
        "#include \"instar/engine/store.h\"\n"
        "#include \"store.h\"\n"
        "#include \"engine/store.h\"\n"
        "#include \"demo/package.capnp.h\"\n"
        "#include <lmdb.h>\n");
  EXPECT_EQ(places(wrongSpellings(files())), "engine/store.cc:2 engine/store.cc:3 ");
}

TEST_F(TreeRules, ThirdPartyInTwoFilesIsFound) {
  write("engine/internal/storage/lmdb_storage.cc", "#include <lmdb.h>\n");
  write("engine/store.cc", "#include \"lmdb.h\"\n");
  write("format/cold_block.cc", "#include <zstd.h>\n#include <zdict.h>\n");
  write("bench/get.cc", "#include <lmdb.h>\n");
  EXPECT_EQ(places(scatteredThirdParties(files())), "engine/store.cc:1 ");

  write("tools/train.cc", "#include <zdict.h>\n");
  EXPECT_EQ(places(scatteredThirdParties(files())), "engine/store.cc:1 tools/train.cc:1 ");
}

TEST_F(TreeRules, LongFilesAreFound) {
  writeLines("engine/store.cc", 500);
  writeLines("engine/scan.cc", 501);
  writeLines("tests/engine/store_test.cc", 900);
  writeLines("bench/get.cc", 901);
  EXPECT_EQ(places(longFiles(files())), "bench/get.cc:0 engine/scan.cc:0 ");
}

// Nobody looked at their width, and one of 173 columns stayed.
TEST_F(TreeRules, WideCommentsAreFound) {
  const std::string wide = "// " + std::string(107, 'x') + "\n";
  write("engine/store.h", "#pragma once\n" + wide + "  " + wide + "int value;  " + wide);
  std::string letters = "// ";
  for (int i = 0; i < 107; ++i) letters += "\u00e9";
  write("bench/get.cc", letters + "\n" + letters + "x\n");
  const auto table = [](std::size_t columns) { return "//     " + std::string(columns - 7, 'x') + "\n"; };
  write("format/row.h", table(130) + table(131));
  EXPECT_EQ(places(wideComments(files())), "bench/get.cc:2 engine/store.h:3 format/row.h:2 ");
}

TEST_F(TreeRules, StrangersAtTheTopAreFound) {
  for (const char* folder :
       {"format", "evolve", "engine", "tools", "bench", "tests", "docs", "build", ".git"}) {
    fs::create_directory(root_ / folder);
  }
  for (const char* file : {"CMakeLists.txt", "CMakePresets.json", "README.md", "dev", ".gitignore"})
    write(file, "");
  EXPECT_EQ(describe(strangersAtTheTop(root_)), "");

  fs::create_directory(root_ / "scripts");
  write("notes.txt", "");
  EXPECT_EQ(places(strangersAtTheTop(root_)), "notes.txt:0 scripts:0 ");
}

TEST_F(TreeRules, LinksThatLeadSomewhereAreFine) {
  write("README.md",
        "# Instar\n[Limits](docs/limits.md) · [key](docs/limits.md#keys-and-rows) [same](#a--b-its_1)\n"
        "[site](https://example.org/x.md) [mail](mailto:a@example.org) [titled](dev \"the jobs\")\n"
        "## A & `b`: it's_1\n");
  write("docs/limits.md",
        "[back](../README.md#instar) [folder](decisions) [second](#keys-and-rows-1)\n[it]: ../dev\n"
        "## Keys and rows\n## Keys and rows\n");
  write("docs/decisions/README.md", "[first](../limits.md)\n");
  write("dev", "");
  EXPECT_EQ(describe(deadLinks(root_)), "");
  EXPECT_EQ(documentLinks(root_).size(), 9U);
}

TEST_F(TreeRules, DeadLinksAreFound) {
  write("README.md",
        "# Instar\n\n[a](docs/limits.md) [b](docs/none.md)\n[c](#none) [d](docs/limits.md#none)\n");
  write("docs/limits.md",
        "# Limits\n[e](README.md)\n[f](../../elsewhere) ![g](/etc/hostname)\n[h]: none.md\n");
  write("docs/decisions/one.md", "[i](../none.md)\n");
  EXPECT_EQ(places(deadLinks(root_)),
            "README.md:3 README.md:4 README.md:4 docs/decisions/one.md:1 docs/limits.md:2 docs/limits.md:3 "
            "docs/limits.md:3 docs/limits.md:4 ");
}

TEST_F(TreeRules, CodeHasNoLinksAndNoHeadings) {
  write("README.md",
        "`[a](none)` and [b](#real)\n```cpp\nlist[0](none);\n# not-real\n```\n    [c](none)\n# "
        "Real\n[d](#not-real)\n");
  EXPECT_EQ(places(deadLinks(root_)), "README.md:8 ");
}

TEST_F(TreeRules, OnlyDirectivesCountAsIncludes) {
  write("format/row.h",
        "// #include \"instar/tools/dump.h\"\nconst char* text = \"#include <lmdb.h>\";\n#pragma once\n");
  EXPECT_EQ(files().at(0).includes.size(), 0U);
  EXPECT_EQ(files().at(0).lines, 3U);
}

}  // namespace
}  // namespace instar::tree
