// docs/evolution.md says for each change what its verdict is and what becomes of older programs. Its examples
// that have both versions, the older one in a comment, are judged here and have to come out as the section
// around them says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <kj/exception.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "instar/evolve/difference.h"
#include "instar/evolve/verdict.h"
#include "instar/format/error.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kOlderVersion = "# version ";

struct Part {
  bool isExample = false;
  std::string text;  // of a paragraph without line ends
};

struct Section {
  std::string heading;
  std::vector<Part> parts;
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

std::vector<Section> sectionsOf(std::istream& document) {
  std::vector<Section> sections(1);
  std::string fence;  // of the block of code around the line
  bool continues = false;
  for (std::string line; std::getline(document, line);) {
    std::vector<Part>& parts = sections.back().parts;
    if (line.starts_with("```")) {
      fence = fence.empty() ? line : "";
      if (!fence.empty()) parts.push_back({fence == "```capnp", ""});
      continues = false;
    } else if (!fence.empty()) {
      parts.back().text += line + '\n';
    } else if (line.starts_with("## ")) {
      sections.push_back({line.substr(3), {}});
    } else if (continues && !line.empty()) {
      parts.back().text += ' ' + line;
    } else {
      if (!line.empty()) parts.push_back({false, line});
      continues = !line.empty();
    }
  }
  return sections;
}

// --- what the document says

// The first one that a paragraph names and that is not a refusal: examples show what is allowed.
std::optional<Verdict> namedIn(const std::string& paragraph) {
  std::optional<Verdict> named;
  auto first = paragraph.npos;
  for (const Verdict verdict : {Verdict::additive, Verdict::derived, Verdict::replaced}) {
    const auto found = paragraph.find("`" + std::string(verdictName(verdict)) + "`");
    if (found >= first) continue;
    first = found;
    named = verdict;
  }
  return named;
}

std::optional<Verdict> saidVerdict(const Section& section, std::size_t example) {
  for (std::size_t i = example; i-- > 0;) {
    if (section.parts[i].isExample) continue;
    if (const auto verdict = namedIn(section.parts[i].text)) return verdict;
  }
  return std::nullopt;
}

// Of what the writer's floor makes of older programs, and both.
std::optional<FloorEffect> floorsFor(std::string_view words) {
  if (contains(words, "neither read nor write")) return FloorEffect::readerAndWriter;
  if (contains(words, "only read") || contains(words, "read, and do not write")) return FloorEffect::writer;
  if (contains(words, "read and write")) return FloorEffect::none;
  return std::nullopt;
}

// "**Older programs** read and write with mirrors; only read without." speaks of two kinds of examples.
std::optional<FloorEffect> saidOfOlderPrograms(std::string_view paragraph, bool isMirrored) {
  const std::string_view sentence = paragraph.substr(0, paragraph.find(". "));
  const auto end = std::min(sentence.find(';'), sentence.size());
  const std::string_view otherwise = sentence.substr(end);
  return floorsFor(!isMirrored && contains(otherwise, "without") ? otherwise : sentence.substr(0, end));
}

// Each place of the section that says something.
std::vector<FloorEffect> saidFloors(const Section& section, const std::string& example) {
  std::vector<FloorEffect> said;
  for (const Part& part : section.parts) {
    if (part.text.starts_with("**Verdict.**") && contains(part.text, "and both floors rise"))
      said.push_back(FloorEffect::readerAndWriter);
    if (part.text.starts_with("**Verdict.**") && contains(part.text, "and the writer floor rises"))
      said.push_back(FloorEffect::writer);
    if (!part.text.starts_with("**Older programs**")) continue;
    if (const auto floors = saidOfOlderPrograms(part.text, contains(example, "$Instar.mirrored")))
      said.push_back(*floors);
  }
  return said;
}

// --- what the code says

// Fields are those of a struct Contact; others are whole structs.
RecordSchema schemaOf(const std::string& text, unsigned version) {
  constexpr std::string_view kStruct = "struct ";
  if (text.starts_with(kStruct)) {
    const auto end = text.find(' ', kStruct.size());
    return parseDeclarations(text, text.substr(kStruct.size(), end - kStruct.size()));
  }
  return parseDeclarations("struct Contact @0xa000000000000001 $Instar.version(" + std::to_string(version) +
                               ") {\n  id @0 :UInt64 $Instar.key(0);\n" + text + "}\n",
                           "Contact");
}

std::vector<Judgement> judgeExample(const std::string& example) {
  const auto number = static_cast<unsigned>(std::stoul(example.substr(kOlderVersion.size())));
  const auto begin = example.find(": ") + 2;
  const auto end = example.find('\n');
  const RecordSchema older = schemaOf(example.substr(begin, end - begin) + "\n", number);
  return judge(difference(older, schemaOf(example.substr(end + 1), number + 1)));
}

std::string nameOf(FloorEffect floors) {
  constexpr const char* kNames[] = {"no floor rises", "the writer floor rises", "both floors rise"};
  return kNames[static_cast<std::size_t>(floors)];
}

std::string contradiction(const Section& section, std::size_t number) {
  const std::string& example = section.parts[number].text;
  const auto said = saidVerdict(section, number);
  if (!said) return "no verdict is named before the example";
  const std::vector<FloorEffect> floors = saidFloors(section, example);
  if (floors.empty()) return "nothing is said of older programs";
  Verdict verdict = Verdict::additive;
  const std::vector<Judgement> judgements = judgeExample(example);
  for (const Judgement& judgement : judgements) verdict = std::max(verdict, judgement.verdict);
  if (verdict != *said) return "judged as " + std::string(verdictName(verdict)) + "\n" + describe(judgements);
  const FloorEffect effect = floorEffect(judgements);
  const bool agree =
      std::all_of(floors.begin(), floors.end(), [&](FloorEffect one) { return one == effect; });
  return agree ? "" : nameOf(effect) + "\n" + describe(judgements);
}

// A text for each example that is judged otherwise than its section says.
std::vector<std::string> contradictions(std::istream& document, std::size_t* examples = nullptr) {
  std::vector<std::string> found;
  for (const Section& section : sectionsOf(document)) {
    for (std::size_t i = 0; i < section.parts.size(); ++i) {
      const Part& part = section.parts[i];
      if (!part.isExample || !part.text.starts_with(kOlderVersion)) continue;
      if (examples != nullptr) ++*examples;
      std::string text;
      try {
        text = contradiction(section, i);
      } catch (const kj::Exception& exception) {
        text = exception.getDescription().cStr();
      } catch (const Error& error) {
        text = error.what();
      }
      if (!text.empty()) found.push_back(section.heading + ": " + text + "\n" + part.text);
    }
  }
  return found;
}

TEST(EvolutionDocument, ItsExamplesAreJudgedAsItSays) {
  std::ifstream document(INSTAR_EVOLUTION_DOCUMENT);
  ASSERT_TRUE(document);
  std::size_t examples = 0;
  EXPECT_THAT(contradictions(document, &examples), IsEmpty());
  std::ifstream again(INSTAR_EVOLUTION_DOCUMENT);
  std::size_t marks = 0;
  for (std::string line; std::getline(again, line);) marks += line.starts_with(kOlderVersion);
  EXPECT_EQ(examples, marks) << "an example that is not looked at";
  EXPECT_GT(examples, 20U);
}

TEST(EvolutionDocument, AnExampleThatIsJudgedOtherwiseIsFound) {
  const auto found = [](const std::string& verdict, const std::string& older, const std::string& example) {
    std::istringstream document("## Change\n\n**Verdict.** " + verdict +
                                "\n\n```capnp\n# version 1: a @1 :Text;\n" + example + "```\n\n" + older +
                                "\n");
    return contradictions(document);
  };
  const std::string constant = "a @1 :Text;\nb @2 :Text $Instar.derived(since = 2, constant = \"x\");\n";
  const std::string mirrored =
      "a @1 :Text $Instar.mirrored(since = 2, copy = \"b\");\n"
      "b @2 :Text $Instar.derived(since = 2, copy = \"a\");\n";
  EXPECT_THAT(found("`additive`.", "**Older programs** read and write.", "b @1 :Text;\n"), IsEmpty());
  EXPECT_THAT(found("`derived`.", "**Older programs** read and write; only read without.", constant),
              IsEmpty());
  EXPECT_THAT(found("`derived`.", "**Older programs** read and write; only read without.", mirrored),
              IsEmpty());

  EXPECT_THAT(found("`derived`.", "**Older programs** read and write.", "b @1 :Text;\n"),
              ElementsAre(HasSubstr("judged as additive")));
  EXPECT_THAT(found("`refused`. Write `additive`.", "**Older programs** read and write.", "a @1 :UInt8;\n"),
              ElementsAre(HasSubstr("judged as refused")));
  EXPECT_THAT(found("`derived`.", "**Older programs** read and write.", constant),
              ElementsAre(HasSubstr("the writer floor rises")));
  EXPECT_THAT(found("`derived`.", "**Older programs** neither read nor write.", mirrored),
              ElementsAre(HasSubstr("no floor rises")));
  EXPECT_THAT(found("`derived`, and both floors rise.", "**Older programs** only read.", constant),
              ElementsAre(HasSubstr("the writer floor rises")));
  EXPECT_THAT(found("`additive`.", "", "b @1 :Text;\n"), ElementsAre(HasSubstr("nothing is said")));
  EXPECT_THAT(found("None.", "**Older programs** read and write.", "b @1 :Text;\n"),
              ElementsAre(HasSubstr("no verdict")));
  EXPECT_THAT(found("`additive`.", "**Older programs** read and write.", "b @1 :Txt;\n"),
              ElementsAre(HasSubstr("Txt")));
}

}  // namespace
}  // namespace instar::testing
