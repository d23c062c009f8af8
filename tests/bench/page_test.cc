// The page of the upgrade benchmark, as a text. How it looks is for ./dev bench page-check.

#include "instar/bench/upgrade/page/page.h"

#include <capnp/compat/json.h>
#include <capnp/message.h>
#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "instar/bench/upgrade/run.capnp.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string runNamed(const std::string& name, const std::string& reason = "") {
  capnp::MallocMessageBuilder message;
  auto run = message.initRoot<Run>();
  run.setName(name);
  run.setSystem("instar");
  run.setStrategy("lazy");
  run.setRows(18446744073709551615U);
  run.setOpenToFirstAnswer(0.0045);
  run.setCommand("./dev bench upgrade run " + name);
  run.initSeconds(1)[0].initReads().setCount(7);
  auto disturbance = run.initDisturbance();
  disturbance.setDisturbed(!reason.empty());
  disturbance.setReason(reason);
  return capnp::JsonCodec().encode(run).cStr();
}

capnp::JsonValue::Reader memberOf(capnp::JsonValue::Reader object, std::string_view name) {
  for (const auto field : object.getObject()) {
    if (field.getName().cStr() == name) return field.getValue();
  }
  throw std::out_of_range(std::string(name));
}

std::size_t countOf(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

class Page : public ::testing::Test {
 protected:
  std::string pageOf(const std::vector<std::string>& runs) const {
    writePage(runs, folder_ / "index.html");
    std::ifstream file(folder_ / "index.html");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // What the script reads.
  static std::string dataOf(const std::string& page) {
    constexpr std::string_view kBegin = "<script type=\"application/json\" id=\"data\">";
    const std::size_t begin = page.find(kBegin) + kBegin.size();
    return page.substr(begin, page.find("</script>", begin) - begin);
  }

  testing::TemporaryFolder folder_;
};

TEST_F(Page, HoldsEveryRunForTheScriptAndForThoseWithout) {
  const std::string page = pageOf({runNamed("instar/lazy/derived"), runNamed("sqlite/eager/derived")});
  const std::string data = dataOf(page);
  capnp::MallocMessageBuilder message;
  auto read = message.initRoot<capnp::JsonValue>();
  capnp::JsonCodec().decodeRaw(kj::arrayPtr(data.data(), data.size()), read);
  EXPECT_EQ(memberOf(read.asReader(), "runs").getArray().size(), 2U);
  EXPECT_EQ(memberOf(memberOf(read.asReader(), "derived"), "figures").getArray().size(), 2U);
  for (const char* name : {"instar/lazy/derived", "sqlite/eager/derived"}) {
    EXPECT_THAT(data, HasSubstr("\"" + std::string(name) + "\""));
    EXPECT_THAT(page, HasSubstr("<th scope=\"row\">" + std::string(name) + "</th>"));
  }
  EXPECT_THAT(data, HasSubstr("18446744073709551615"));
  EXPECT_THAT(page, HasSubstr("<td>0.0045</td>"));
}

TEST_F(Page, IsWholeAndFilledIn) {
  const std::string page = pageOf({runNamed("one")});
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  EXPECT_THAT(page, Not(HasSubstr("{{")));
  EXPECT_THAT(page, Not(HasSubstr("@INSTAR")));
  for (const std::string tag : {"html", "head", "body", "main", "style", "noscript", "table", "header"}) {
    EXPECT_EQ(countOf(page, "<" + tag + ">") + countOf(page, "<" + tag + " "), 1U) << tag;
    EXPECT_EQ(countOf(page, "</" + tag + ">"), 1U) << tag;
  }
  for (const char* part :
       {"function runOf(", "function labelPlaces(", "function latencyPanel(", "function update("}) {
    EXPECT_EQ(countOf(page, part), 1U) << part;
  }
}

TEST_F(Page, TakesATextOfARunForNothingButText) {
  const std::string hostile = "</script><script>alert(1)</script><!--";
  const std::string page = pageOf({runNamed(hostile, "<img src=x> & \"so\"")});
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("<!--")));
  EXPECT_EQ(countOf(page, "</script>"), 3U);
  EXPECT_THAT(dataOf(page), HasSubstr("\\u003c/script>\\u003cscript>alert(1)"));
  EXPECT_THAT(page, HasSubstr("(disturbed: &lt;img src=x&gt; &amp; &quot;so&quot;)"));
}

TEST_F(Page, AsksNobodyForAnything) {
  const std::string page = pageOf({runNamed("one")});
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  for (const char* asking : {"http://", "https://", " src=", "<link", "@import", "fetch(", "XMLHttpRequest",
                             "innerHTML", "import(", "eval("}) {
    EXPECT_THAT(page, Not(HasSubstr(asking)));
  }
}

TEST_F(Page, RefusesWhatIsNoRun) {
  const std::filesystem::path to = folder_ / "index.html";
  try {
    writePage(std::vector<std::string>{runNamed("one"), "{\"name\": 1"}, to);
    FAIL() << "it was taken";
  } catch (const std::invalid_argument& e) {
    EXPECT_THAT(e.what(), HasSubstr("text 2 of the page"));
  }
  EXPECT_FALSE(std::filesystem::exists(to));
  EXPECT_THROW(writePage(std::vector<std::string>{}, folder_ / "absent" / "index.html"), std::runtime_error);
}

TEST_F(Page, CanBeWithoutRuns) { EXPECT_THAT(dataOf(pageOf({})), HasSubstr("\"runs\": [\n]")); }

}  // namespace
}  // namespace instar::bench
