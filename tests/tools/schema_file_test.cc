#include "instar/tools/schema_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "instar/format/error.h"
#include "instar/tools/schema_limits.h"

namespace instar::tools {
namespace {

namespace fs = std::filesystem;

class SchemaFileTest : public testing::Test {
 protected:
  SchemaFileTest() {
    root_ = fs::path(testing::TempDir()) / ("schema_file_" + std::to_string(getpid()));
    fs::create_directories(root_ / "own");
    fs::create_directories(root_ / "shared");
  }
  ~SchemaFileTest() override { fs::remove_all(root_); }

  void write(const char* name, const std::string& text) const { std::ofstream(root_ / name) << text; }

  RecordSchema load(const char* name, const std::vector<fs::path>& folders = {}) const {
    return loadSchemaFile((root_ / name).string(), folders);
  }

  // The fact of the error, or its message.
  std::string failure(const char* name, std::string_view fact,
                      const std::vector<fs::path>& folders = {}) const {
    try {
      load(name, folders);
    } catch (const Error& error) {
      return std::string(fact.empty() ? std::string_view(error.message()) : error.fact(fact));
    }
    return "no error";
  }

  fs::path root_;
};

const std::string kHead = "@0xd5b31b6a4c2f7e90;\nusing Instar = import \"/instar/schema.capnp\";\n";

TEST_F(SchemaFileTest, AnnotationsOfInstarAndCxxAreBuiltIn) {
  write("own/a.capnp", kHead +
                           "using Cxx = import \"/capnp/c++.capnp\";\n$Cxx.namespace(\"a\");\n"
                           "struct A $Instar.version(4) { id @0 :UInt32 $Instar.key(0); }\n");
  const RecordSchema schema = load("own/a.capnp:A");
  EXPECT_EQ(schema.version(), 4);
  EXPECT_EQ(schema.key().size(), 1U);
}

TEST_F(SchemaFileTest, NestedStructsAreNamedWithDots) {
  write("own/a.capnp", kHead + "struct Outer { struct Inner $Instar.version(9) { x @0 :Text; } }\n");
  EXPECT_EQ(load("own/a.capnp:Outer.Inner").version(), 9);
}

TEST_F(SchemaFileTest, MistakesHaveFileLineAndColumn) {
  write("own/a.capnp", kHead + "struct A {\n  x @0 :Nonsense;\n  y @2 :Text;\n}\n");
  const std::string mistakes = failure("own/a.capnp:A", "mistakes");
  EXPECT_NE(mistakes.find("own/a.capnp:4:9: Not defined: Nonsense"), std::string::npos) << mistakes;
  EXPECT_NE(mistakes.find("own/a.capnp:5:6: Skipped ordinal @1"), std::string::npos) << mistakes;
}

TEST_F(SchemaFileTest, MistakesInImportedFilesAreReportedThere) {
  write("own/b.capnp", "@0xa0b31b6a4c2f7e91;\nstruct B { x @0 :Nonsense; }\n");
  write("own/a.capnp", kHead + "using B = import \"b.capnp\";\nstruct A { b @0 :B.B; }\n");
  const std::string mistakes = failure("own/a.capnp:A", "mistakes");
  EXPECT_NE(mistakes.find("own/b.capnp:2:18: Not defined: Nonsense"), std::string::npos) << mistakes;
}

TEST_F(SchemaFileTest, WhatCannotBeNamedIsRefused) {
  write("own/a.capnp", kHead + "struct A { x @0 :Text; }\nenum E { x @0; }\n");
  EXPECT_EQ(failure("own/a.capnp", ""), "a schema is named as FILE.capnp:Struct");
  EXPECT_EQ(failure("own/a.capnp:", ""), "a schema is named as FILE.capnp:Struct");
  EXPECT_EQ(failure("own/a.capnp:B", "struct"), "B");
  EXPECT_EQ(failure("own/a.capnp:A.B", "struct"), "A.B");
  EXPECT_EQ(failure("own/a.capnp:E", ""), "the name is not that of a struct");
  EXPECT_EQ(failure("own/missing.capnp:A", ""), "the schema file cannot be read");
}

TEST_F(SchemaFileTest, ImportFoldersAreSearchedForAbsoluteImports) {
  write("shared/b.capnp", "@0xa0b31b6a4c2f7e91;\nstruct B { x @0 :Text; }\n");
  write("own/a.capnp", kHead + "using B = import \"/b.capnp\";\nstruct A { b @0 :B.B; }\n");
  EXPECT_EQ(load("own/a.capnp:A", {root_ / "shared"}).typeName(), "A");
  EXPECT_NE(failure("own/a.capnp:A", "mistakes").find("Import failed: /b.capnp"), std::string::npos);
  EXPECT_EQ(failure("own/a.capnp:A", "", {root_ / "nowhere"}), "the import folder cannot be read");
}

TEST_F(SchemaFileTest, NothingOutsideOfTheFoldersIsRead) {
  write("shared/b.capnp", "@0xa0b31b6a4c2f7e91;\nstruct B { x @0 :Text; }\n");
  write("own/a.capnp", kHead + "using B = import \"../shared/b.capnp\";\nstruct A { b @0 :B.B; }\n");
  EXPECT_NE(failure("own/a.capnp:A", "mistakes").find("leads out of the schema's folder"), std::string::npos);
  fs::create_symlink(root_ / "shared/b.capnp", root_ / "own/link.capnp");
  write("own/c.capnp", kHead + "using B = import \"link.capnp\";\nstruct C { b @0 :B.B; }\n");
  EXPECT_NE(failure("own/c.capnp:C", "mistakes").find("leads out of the schema's folder"), std::string::npos);
  EXPECT_NO_THROW(load("own/c.capnp:C", {root_ / "shared"}));
  write("own/d.capnp",
        kHead + "const secret :Data = embed \"../shared/b.capnp\";\nstruct D { x @0 :Data = .secret; }\n");
  EXPECT_NE(failure("own/d.capnp:D", "mistakes").find("leads out of the schema's folder"), std::string::npos);
}

TEST_F(SchemaFileTest, HugeFilesAreRefused) {
  write("own/a.capnp", kHead + "struct A { x @0 :Text; }\n#" + std::string(kMaxSchemaFileSize, 'x') + "\n");
  EXPECT_EQ(failure("own/a.capnp:A", ""), "the schema file is too large");
}

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

TEST_F(SchemaFileTest, WhatIsNestedTooDeeplyIsRefused) {
  // Cap'n Proto's compiler follows all of these on its stack: files of 100 KB ended the process with a
  // signal.
  const auto refused = [&](const std::string& text, const char* message) {
    write("own/a.capnp", kHead + text);
    EXPECT_EQ(failure("own/a.capnp:A", ""), message) << text.substr(0, 60);
  };
  const char* const nested = "the schema is nested too deeply: declare inner types outside";
  refused("struct A { x @0 :" + repeated("List(", 20000) + "Text" + repeated(")", 20000) + "; }\n", nested);
  refused("struct A { x @0 :Int64 = " + repeated("(", 100000) + "1" + repeated(")", 100000) + "; }\n",
          nested);
  refused("const y :List(Text) = " + repeated("[", 100000) + "; struct A { x @0 :Text; }\n", nested);
  refused(repeated("struct A {", 20000) + repeated("}", 20000) + "\n", nested);
  refused("# \"\nstruct A { \"a\\\"b#\" " + repeated("{", 20000) + "\n", nested);
  refused("struct A { x @0 :A" + repeated(".A", 100000) + "; }\n",
          "a name in the schema has too many parts: give it a shorter one");
}

TEST_F(SchemaFileTest, ExpressionsOfManyApplicationsAreRefused) {
  // Brackets began a new count, and were not counted themselves: what was chained with them went on to the
  // compiler, which ended with a signal as it does for names of many parts.
  const auto refused = [&](const std::string& expression) {
    write("own/a.capnp", kHead + "const x :" + expression + " = 0; struct A { x @0 :Text; }\n");
    EXPECT_EQ(failure("own/a.capnp:A", ""), "a name in the schema has too many parts: give it a shorter one")
        << expression.substr(0, 60);
  };
  refused("a" + repeated("()", 100000));
  refused("a" + repeated("(b, c)", 100000));
  refused("a" + repeated(".b(c)", 50000));
  std::string nested = "a";
  for (int i = 0; i < 90; ++i) nested = "a" + repeated(".b", 90) + "(" + nested + ")";
  refused(nested);
}

TEST_F(SchemaFileTest, AnnotationsAndDefaultsMayHaveManyParts) {
  std::string defaults;
  for (int i = 0; i < 300; ++i) defaults += (i == 0 ? "" : ", ") + std::to_string(i) + ".5";
  std::string fields;
  for (int i = 2; i < 200; ++i)
    fields += "f" + std::to_string(i) + " @" + std::to_string(i) + " :Text $Instar.sensitive;\n";
  write("own/a.capnp", kHead + "struct A { id @0 :UInt32 $Instar.key(0); x @1 :List(Float64) = [" + defaults +
                           "];\n" + fields + "}\n");
  EXPECT_EQ(load("own/a.capnp:A").typeName(), "A");
}

TEST_F(SchemaFileTest, TooManyDeclarationsAreRefusedAlsoInSeveralFiles) {
  // Types, constants and names that lead to one another were followed on the stack likewise.
  const char* const message =
      "the schema has too many declarations: import fewer files, or keep other types elsewhere";
  const auto chain = [](const std::string& before, const std::string& after, int from, int to) {
    std::string text;
    for (int i = from; i < to; ++i)
      text += before + std::to_string(i) + after + std::to_string(i + 1) + ";" +
              (before[0] == 's' ? "}\n" : "\n");
    return text;
  };
  write("own/a.capnp", kHead + "struct A { x @0 :S0; }\n" + chain("struct S", " { a @0 :S", 0, 8000));
  EXPECT_EQ(failure("own/a.capnp:A", ""), message);
  write("own/b.capnp",
        kHead + "struct A { x @0 :Text = .c0; }\n" + chain("const c", " :Text = .c", 0, 20000));
  EXPECT_EQ(failure("own/b.capnp:A", ""), message);
  write("own/c.capnp", kHead + "struct A { x @0 :U0; }\n" + chain("using U", " = U", 0, 20000));
  EXPECT_EQ(failure("own/c.capnp:A", ""), message);
  std::string imports = kHead;
  for (int file = 0; file < 3; ++file) {
    const std::string name = "part" + std::to_string(file) + ".capnp";
    write(("own/" + name).c_str(), "@0xa0b31b6a4c2f7e9" + std::to_string(file) + ";\n" +
                                       chain("struct S", " { a @0 :S", 0, 450) + "struct S450 {}\n");
    imports += "using P" + std::to_string(file) + " = import \"" + name + "\";\n";
  }
  write("own/d.capnp", imports + "struct A { a @0 :P0.S0; b @1 :P1.S0; c @2 :P2.S0; }\n");
  EXPECT_EQ(failure("own/d.capnp:A", ""), message);
}

// Thirty lines, each of which names the one before twice, were written out by the compiler until there was no
// memory left, far below all limits of text.
TEST_F(SchemaFileTest, WhatTakesTooMuchMemoryIsRefused) {
#if defined(INSTAR_SANITIZES_ADDRESSES) || defined(INSTAR_SANITIZES_THREADS)
  GTEST_SKIP() << "there is no bound under sanitizers";
#endif
  const char* const message =
      "the schema takes too much memory to compile: name types and constants less often inside of others";
  constexpr int kLines = 30;
  std::string types = "struct P(A, B) { a @0 :A; b @1 :B; }\nstruct E {}\nusing U0 = P(E, E);\n";
  std::string constants = "const c0 :List(Text) = [\"a text\"];\n";
  std::string type = "List(Text)";
  for (int i = 1; i <= kLines; ++i) {
    const std::string number = std::to_string(i);
    const std::string before = std::to_string(i - 1);
    types += "using U" + number + " = P(U" + before + ", U" + before + ");\n";
    type = "List(" + type + ")";
    constants += "const c" + number + " :" + type + " = [.c" + before + ", .c" + before + "];\n";
  }
  write("own/a.capnp", kHead + types + "struct A { x @0 :U30; }\n");
  EXPECT_EQ(failure("own/a.capnp:A", ""), message);
  write("own/b.capnp", kHead + constants + "struct A { x @0 :" + type + " = .c30; }\n");
  EXPECT_EQ(failure("own/b.capnp:A", ""), message);
  write("own/c.capnp", kHead + "struct A { x @0 :Text; }\n");
  EXPECT_EQ(load("own/c.capnp:A").typeName(), "A");
}

TEST_F(SchemaFileTest, CommentsAndStringsMayHaveBrackets) {
  write("own/a.capnp", kHead + "# " + repeated("(", 1000) + "\nstruct A { x @0 :Text = \"" +
                           repeated("[", 1000) + "\\\"{\"; }\n");
  EXPECT_NO_THROW(load("own/a.capnp:A"));
}

// What is embedded is content, not a schema: a picture was refused for the brackets in it.
TEST_F(SchemaFileTest, EmbeddedFilesMayHoldAnything) {
  std::ofstream(root_ / "own/picture", std::ios::binary) << repeated("({[", 1000) << std::string(10, '\0');
  write("own/a.capnp", kHead +
                           "const picture :Data = embed # of the product\n \"picture\";\n"
                           "struct A { x @0 :Data = .picture; }\n");
  EXPECT_NO_THROW(load("own/a.capnp:A"));
}

TEST_F(SchemaFileTest, WhatIsEmbeddedAndImportedIsJudgedAsASchema) {
  write("own/b.capnp", "@0xa0b31b6a4c2f7e91;\nconst y :List(Text) = " + repeated("[", 100000) + ";\n");
  const char* const nested = "the schema is nested too deeply: declare inner types outside";
  for (const char* const import : {"import \"b.capnp\"", "import \"./b.capnp\"", "import \"\\x62.capnp\"",
                                   "import # embed\n\"b.capnp\""}) {
    write("own/a.capnp", kHead + "const text :Data = embed \"b.capnp\";\nusing B = " + import +
                             ";\nstruct A { x @0 :Data = .text; y @1 :List(Text) = B.y; }\n");
    EXPECT_EQ(failure("own/a.capnp:A", ""), nested) << import;
  }
}

TEST_F(SchemaFileTest, ManyLargeFilesAreRefused) {
  std::string text = kHead + "struct A { x @0 :Text;\n";
  for (std::size_t file = 0; file <= kMaxSchemaBytes / kMaxSchemaFileSize; ++file) {
    const std::string name = std::to_string(file);
    write(("own/" + name).c_str(), std::string(kMaxSchemaFileSize - 1, 'x'));
    text += "f" + name + " @" + std::to_string(file + 1) + " :Data = embed \"" + name + "\";\n";
  }
  write("own/a.capnp", text + "}\n");
  EXPECT_EQ(failure("own/a.capnp:A", ""),
            "the schema is too large with all that it imports: import fewer files");
}

// It was read to its end, though its size had been looked at before.
TEST_F(SchemaFileTest, AFileThatDoesNotSayItsSizeIsReadUpToTheLimit) {
  std::ifstream file("/proc/kallsyms");
  file.ignore(kMaxSchemaFileSize + 1);
  if (file.gcount() <= static_cast<std::streamsize>(kMaxSchemaFileSize))
    GTEST_SKIP() << "no large file of the system";
  ASSERT_EQ(fs::file_size("/proc/kallsyms"), 0U);
  EXPECT_EQ(failure("../../../../../../../../proc/kallsyms:A", ""), "the schema file is too large");
}

TEST_F(SchemaFileTest, AbsoluteImportsLeadIntoTheGivenFoldersOnly) {
  write("shared/b.capnp", "@0xa0b31b6a4c2f7e91;\nstruct B { x @0 :Text; }\n");
  const std::string absolute = (root_ / "shared/b.capnp").string();
  write("own/a.capnp", kHead + "using B = import \"" + absolute + "\";\nstruct A { b @0 :B.B; }\n");
  EXPECT_NE(failure("own/a.capnp:A", "mistakes").find("Import failed"), std::string::npos);
  EXPECT_NE(failure("own/a.capnp:A", "mistakes", {root_ / "own"}).find("Import failed"), std::string::npos);
  write("own/c.capnp", kHead +
                           "const secret :Data = embed \"/../shared/b.capnp\";\n"
                           "struct A { x @0 :Data = .secret; }\n");
  EXPECT_NE(failure("own/c.capnp:A", "mistakes", {root_ / "own"}).find("leads out"), std::string::npos);
  EXPECT_THROW(load("own/c.capnp:A"), Error);
}

TEST_F(SchemaFileTest, WhatCannotBeARecordIsRefused) {
  write("own/a.capnp", kHead + "struct A $Instar.version(0) { x @0 :Text; }\n");
  EXPECT_THROW(load("own/a.capnp:A"), Error);
}

}  // namespace
}  // namespace instar::tools
