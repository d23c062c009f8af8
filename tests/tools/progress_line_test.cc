#include "instar/tools/progress_line.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <sstream>

#include "instar/tests/tools/command_runner.h"
#include "instar/tests/tools/records.h"
#include "instar/tools/commands/command.h"

namespace instar::tools {
namespace {

class ProgressLineTest : public ::testing::Test {
 protected:
  ProgressLine::Clock clock() {
    return [this] { return now_; };
  }

  std::chrono::steady_clock::time_point now_{std::chrono::hours(1)};
  std::ostringstream terminal_;
  Messages messages_{terminal_, true};
};

TEST_F(ProgressLineTest, ShowsCountAndRateNowAndThen) {
  ProgressLine line(messages_, "rows", clock());
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
    ProgressLine line(messages_, "rows", clock());
    now_ += std::chrono::seconds(1);
    line.callback()({.done = 7, .total = 0});
  }
  EXPECT_EQ(terminal_.str(), "\r\033[K7 rows, 7 per second\r\033[K");
}

TEST_F(ProgressLineTest, IsSilentWithoutATerminal) {
  Messages unseen(terminal_, false);
  ProgressLine line(unseen, "rows", clock());
  now_ += std::chrono::seconds(9);
  line.update(7);
  line.clear();
  EXPECT_EQ(terminal_.str(), "");
  EXPECT_EQ(line.elapsed(), std::chrono::seconds(9));
}

TEST_F(ProgressLineTest, MakesWayForMessagesAndGoesOnBelow) {
  ProgressLine line(messages_, "rows", clock());
  now_ += std::chrono::seconds(1);
  line.update(7);
  messages_.line("one");
  messages_.line("two");
  now_ += std::chrono::seconds(1);
  line.update(8);
  EXPECT_EQ(terminal_.str(), "\r\033[K7 rows, 7 per second\r\033[Kone\ntwo\n\r\033[K8 rows, 4 per second");
}

// Commands at a terminal, where each look at the clock takes a second: progress is shown for each row.
class CommandAtATerminal : public CommandTest {
 protected:
  std::string messages(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "instar");
    std::vector<const char*> words;
    for (const std::string& argument : arguments) words.push_back(argument.c_str());
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    std::ostringstream terminal;
    std::istringstream input;
    Output output(nowhere);
    Messages messages(terminal, true);
    Context context{.output = output, .messages = messages, .input = input, .clock = [this] {
                      return now_ += std::chrono::seconds(1);
                    }};
    runCommandLine(static_cast<int>(words.size()), words.data(), context);
    ::close(nowhere);
    return terminal.str();
  }

  // What the terminal shows in the end, a progress line that a message stands behind included.
  static std::string screen(std::string text) {
    for (std::size_t at = text.find("\r\033[K"); at != std::string::npos; at = text.find("\r\033[K")) {
      const std::size_t line = text.rfind('\n', at) + 1;  // npos + 1 is 0
      text.erase(line, at + 4 - line);
    }
    return text;
  }

  std::chrono::steady_clock::time_point now_{std::chrono::hours(1)};
};

// The message about a damaged row was written behind the progress line.
TEST_F(CommandAtATerminal, EveryMessageHasALineOfItsOwn) {
  const std::string file = makeContacts();
  Key key;
  const std::vector<KeyValue> values = {std::string_view("main"), std::uint64_t{2}};
  encodeKey(testSchema("contact_v1.capnp:Contact").key(), values, KeyForm::whole, key);
  tamper(file, "contacts", key.bytes(), [](std::span<std::byte> value) { value.back() ^= std::byte{1}; });
  const std::string lines =
      write("bad.ndjson", "{\"group\":\"a\",\"id\":1}\nbad\n{\"group\":\"a\",\"id\":2}\nbad\n");
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"dump", file},
                                             {"dump", file, "contacts", "--format", "hex"},
                                             {"dump", file, "contacts", "--keys-only"},
                                             {"import", file, "contacts", lines, "--skip-bad"}}) {
    const std::string text = messages(arguments);
    EXPECT_THAT(text, ::testing::HasSubstr("\r\033[K1 rows, ")) << arguments[0];
    std::istringstream shown(screen(text));
    std::size_t count = 0;
    for (std::string line; std::getline(shown, line); ++count)
      EXPECT_THAT(line, ::testing::StartsWith("instar: ")) << text;
    EXPECT_GT(count, 0U) << text;
  }
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
