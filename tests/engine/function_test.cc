// Rows whose fields are made by functions of the program.

#include "instar/evolve/functions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/rehearsal.h"
#include "instar/engine/store.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using capnp::DynamicStruct;
using Rows = Collection<DynamicStruct>;
using Text = capnp::Text::Reader;

RecordSchema contact(const char* version, const char* fields) {
  return testing::parseDeclarations("struct Contact @0x8f1e2d3c4b5a6978 $Instar.version(" +
                                        std::string(version) + ") { id @0 :UInt64 $Instar.key(0); " + fields +
                                        " }",
                                    "Contact");
}

RecordSchema named() { return contact("1", "name @1 :Text;"); }

// "Lovelace, Ada" becomes "Ada Lovelace", and back.
RecordSchema turned() {
  return contact(
      "2",
      "name @1 :Text $Instar.mirrored(since = 2, call = (function = \"sorted\", from = [\"shown\"]));"
      "shown @2 :Text $Instar.derived(since = 2, call = (function = \"shown\", from = [\"name\"]));");
}

std::shared_ptr<const Functions> functions() {
  auto functions = std::make_shared<Functions>();
  functions->value("shown", [](Text name) {
    const std::string_view text(name.begin(), name.size());
    const auto comma = text.find(", ");
    if (comma == text.npos) throw UpgradeFailure("there is no comma");
    return std::string(text.substr(comma + 2)) + " " + std::string(text.substr(0, comma));
  });
  functions->value("sorted", [](Text shown) {
    const std::string_view text(shown.begin(), shown.size());
    const auto blank = text.rfind(' ');
    if (blank == text.npos) throw std::logic_error("not for other eyes");
    return std::string(text.substr(blank + 1)) + ", " + std::string(text.substr(0, blank));
  });
  return functions;
}

class FunctionTest : public ::testing::Test {
 protected:
  void put(const RecordSchema& schema, std::uint64_t id, const char* field, const char* value) const {
    const Rows rows = application.collection("contacts", schema);
    auto transaction = application.write();
    auto draft = rows.create();
    draft->set("id", id);
    draft->set(field, value);
    rows.put(transaction, draft);
    transaction.commit();
  }

  static std::string text(const Store& store, const Rows& rows, std::uint64_t id) {
    const auto snapshot = store.read();
    const auto row = rows.get(snapshot, id);
    return row ? kj::str(*row).cStr() : "none";
  }

  testing::TemporaryFolder folder;
  Store application = Store::open(folder / "store.instar", {.functions = functions()});
  Store other = Store::open(folder / "store.instar");  // a program without the functions
};

constexpr const char* kTurned = R"((id = 7, name = "Lovelace, Ada", shown = "Ada Lovelace"))";

TEST_F(FunctionTest, MakesTheFieldWhicheverWayTheRowIsRead) {
  put(named(), 7, "name", "Lovelace, Ada");
  const Rows rows = application.collection("contacts", turned());
  EXPECT_EQ(text(application, rows, 7), kTurned);
  EXPECT_EQ(text(application, application.collection("contacts"), 7), kTurned)
      << "through the schema in the file";
  const auto snapshot = application.read();
  for (const bool reverse : {false, true}) {
    for (const auto row : rows.scan(snapshot, {.reverse = reverse}))
      EXPECT_STREQ(kj::str(*row).cStr(), kTurned);
  }
  const auto transaction = application.write();
  EXPECT_STREQ(kj::str(*rows.get(transaction, 7)).cStr(), kTurned) << "in a write transaction";
}

TEST_F(FunctionTest, MirrorsWhatIsPut) {
  put(named(), 1, "name", "Lovelace, Ada");
  put(turned(), 7, "shown", "Grace Brewster Hopper");
  EXPECT_EQ(text(application, application.collection("contacts", named()), 7),
            R"((id = 7, name = "Hopper, Grace Brewster"))");
  put(named(), 7, "name", "Hopper, Grace");
  EXPECT_EQ(text(application, application.collection("contacts", turned()), 7),
            R"((id = 7, name = "Hopper, Grace", shown = "Grace Hopper"))");
  try {
    put(turned(), 8, "shown", "Cher");
    ADD_FAILURE() << "a record that older programs could not read was stored";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::fixInput);
    EXPECT_EQ(error.fact("function"), "sorted");
    EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("not for other eyes")));
  }
}

TEST_F(FunctionTest, ThatRefusesARowMakesItAnErrorOfItsOwn) {
  put(named(), 1, "name", "Cher");
  put(named(), 2, "name", "Lovelace, Ada");
  const Rehearsal rehearsal = rehearse(application, "contacts", turned());
  EXPECT_EQ(rehearsal.failed, 1U);
  EXPECT_EQ(rehearsal.unjudged, 0U);
  ASSERT_EQ(rehearsal.failures.size(), 1U);
  EXPECT_EQ(rehearsal.failures[0].field, "shown");
  EXPECT_EQ(rehearsal.failures[0].reason, "there is no comma");
  const Rows rows = application.collection("contacts", turned());
  EXPECT_ERROR(text(application, rows, 1), fixRow,
               "field: shown, function: shown, reason: there is no comma, collection: contacts, key: 1, "
               "version of the row: 1, version of the schema: 2");
  const CheckReport report = check(application);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::failedUpgrade);
  EXPECT_EQ(report.problems[0].key, "1");
  EXPECT_EQ(report.unjudgedRows, 0U);
}

TEST_F(FunctionTest, ThatIsMissingIsNamedBeforeAnythingIsWritten) {
  put(named(), 7, "name", "Lovelace, Ada");
  const auto commits = other.info().lastTransaction;
  EXPECT_ERROR(
      other.collection("contacts", turned()), fixCall,
      "type: Contact, field: shown, function: shown, reason: this program does not have the function, "
      "collection: contacts");
  EXPECT_EQ(other.info().lastTransaction, commits);
}

TEST_F(FunctionTest, ThatIsMissingLeavesOtherRowsReadable) {
  put(named(), 7, "name", "Lovelace, Ada");
  put(turned(), 8, "shown", "Grace Hopper");
  const Rows rows = other.collection("contacts");
  EXPECT_EQ(text(other, rows, 8), R"((id = 8, name = "Hopper, Grace", shown = "Grace Hopper"))");
  EXPECT_ERROR(
      text(other, rows, 7), fixRow,
      "field: shown, function: shown, reason: this program does not have the function, collection: contacts, "
      "key: 7, version of the row: 1, version of the schema: 2");
  const CheckReport report = check(other);
  EXPECT_TRUE(report.sound());
  EXPECT_EQ(report.unjudgedRows, 1U);
  EXPECT_EQ(check(application).unjudgedRows, 0U);
  EXPECT_EQ(rehearse(other, "contacts", turned()).unjudged, 1U);
  auto draft = rows.create();
  draft->set("id", 9);
  draft->set("shown", "Alan Turing");
  auto transaction = other.write();
  EXPECT_ERROR(rows.put(transaction, draft), fixInput, "function: sorted");
}

TEST_F(FunctionTest, MayBeMissingWhereTheProgramAllowsIt) {
  put(named(), 7, "name", "Lovelace, Ada");
  const Store tool = Store::open(folder / "store.instar", {.allowMissingFunctions = true});
  tool.collection("contacts", turned());
  EXPECT_EQ(tool.collections(tool.read())[0].currentVersion, 2);
}

using FunctionConcurrent = FunctionTest;

TEST_F(FunctionConcurrent, RowsAreUpgradedByManyThreadsAtOnce) {
  for (std::uint64_t id = 0; id < 50; ++id) put(named(), id, "name", "Lovelace, Ada");
  const Rows rows = application.collection("contacts", turned());
  std::vector<std::thread> threads;
  std::atomic<unsigned> right = 0;
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        const auto snapshot = application.read();
        for (const auto row : rows.scan(snapshot))
          right += row->get("shown").as<capnp::Text>() == "Ada Lovelace";
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 2U * 20 * 50);
}

}  // namespace
}  // namespace instar
