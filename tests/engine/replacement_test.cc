// Rows of a struct that another one has replaced.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/rehearsal.h"
#include "instar/engine/store.h"
#include "instar/evolve/functions.h"
#include "instar/tests/engine/customer.capnp.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using capnp::DynamicStruct;
using testing::Customer;
using ::testing::ElementsAre;
using testing::Person;

// Version 2 of the old struct, from whose generated code nothing is left.
RecordSchema secondPerson() {
  return testing::parseDeclarations(
      "struct Person @0xd3b5f8102c6e9a47 $Instar.version(2) { id @0 :UInt64 $Instar.key(0); name @1 :Text;"
      " age @2 :UInt8; first @3 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \")); }",
      "Person");
}

// Replaces the one that has replaced the first, and derives another field.
RecordSchema client(const char* fields = "") {
  return testing::parseDeclarations(
      "struct Client @0xc4d6e8fa1b3c5d7f $Instar.version(5) "
      "$Instar.replaces(since = 4, type = 0xe8a2407bd91f3c65, call = \"clientFromCustomer\") {"
      " id @0 :UInt64 $Instar.key(0); label @1 :Text; "
      " shout @2 :Text $Instar.derived(since = 5, concat = [(field = \"label\"), (text = \"!\")]); " +
          std::string(fields) + "}",
      "Client");
}

std::string fullName(Customer::Reader customer) {
  std::string text;
  for (const auto name : customer.getNames()) text += (text.empty() ? "" : " ") + std::string(name.cStr());
  return text;
}

void fromPerson(DynamicStruct::Reader person, Customer::Builder customer) {
  const auto first = person.get("first").as<capnp::Text>();
  const auto name = person.get("name").as<capnp::Text>();
  if (name.size() == 0) throw UpgradeFailure("nobody has no name");
  const bool hasTwo = first.size() < name.size();
  auto names = customer.initNames(hasTwo ? 2 : 1);
  names.set(0, first);
  if (hasTwo) names.set(1, name.cStr() + first.size() + 1);
  customer.setId(person.get("id").as<std::uint64_t>());
  customer.setAdult(person.get("age").as<unsigned>() >= 18);
}

std::shared_ptr<Functions> functions() {
  auto functions = std::make_shared<Functions>();
  functions->conversion<DynamicStruct, Customer>("customerFromPerson", fromPerson);
  functions->conversion<Customer, DynamicStruct>(
      "clientFromCustomer", [](Customer::Reader customer, DynamicStruct::Builder client) {
        client.set("id", customer.getId());
        client.set("label", fullName(customer).c_str());
      });
  return functions;
}

class ReplacementTest : public ::testing::Test {
 protected:
  void putPerson(std::uint64_t id, const char* name, unsigned age, bool ofTheFirstVersion = false) const {
    const auto rows =
        ofTheFirstVersion
            ? application.collection("people", RecordSchema::fromStruct(capnp::Schema::from<Person>()))
            : application.collection("people", secondPerson());
    auto transaction = application.write();
    auto draft = rows.create();
    draft->set("id", id);
    draft->set("name", name);
    draft->set("age", age);
    if (!ofTheFirstVersion) draft->set("first", "Second");
    rows.put(transaction, draft);
    transaction.commit();
  }

  // One of each version of the old struct.
  void putPeople() const {
    putPerson(1, "Ada Lovelace", 36, true);
    putPerson(2, "Second Child", 7);
  }

  testing::TemporaryFolder folder;
  Store application = Store::open(folder / "store.instar", {.functions = functions()});
  Store other = Store::open(folder / "store.instar");  // a program without the functions
};

TEST_F(ReplacementTest, ConvertsRowsWhicheverWayTheyAreRead) {
  putPeople();
  const auto rows = application.collection<Customer>("people");
  const auto snapshot = application.read();
  const auto ada = rows.get(snapshot, std::uint64_t{1});
  ASSERT_TRUE(ada);
  EXPECT_EQ(fullName(*ada), "Ada Lovelace");
  EXPECT_TRUE(ada->getAdult());
  EXPECT_EQ(ada.version(), 1) << "that it was written with";
  std::vector<std::string> names;
  for (const auto row : rows.scan(snapshot, {.reverse = true})) names.push_back(fullName(*row));
  EXPECT_THAT(names, ElementsAre("Second Child", "Ada Lovelace"));
  const auto atRunTime = application.collection("people");
  EXPECT_STREQ(kj::str(*atRunTime.get(snapshot, std::uint64_t{2})).cStr(),
               R"((names = ["Second", "Child"], id = 2, adult = false))");
}

TEST_F(ReplacementTest, EndsWhenTheRowIsPut) {
  putPeople();
  const auto rows = application.collection<Customer>("people");
  {
    auto transaction = application.write();
    auto draft = rows.edit(transaction, std::uint64_t{1});
    draft->setAdult(false);
    rows.put(transaction, draft);
    transaction.commit();
  }
  const auto snapshot = application.read();
  EXPECT_EQ(rows.get(snapshot, std::uint64_t{1}).version(), 3);
  EXPECT_FALSE(rows.get(snapshot, std::uint64_t{1})->getAdult());
  EXPECT_EQ(rows.count(snapshot), 2U);
  EXPECT_TRUE(check(application).sound());
}

// The release behind the one that has replaced the struct: its field lies where the old struct has another.
RecordSchema laterCustomer() {
  return testing::parseDeclarations(
      "struct Customer @0xe8a2407bd91f3c65 $Instar.version(4) "
      "$Instar.replaces(since = 3, type = 0xd3b5f8102c6e9a47, call = \"customerFromPerson\") {"
      " names @0 :List(Text); id @1 :UInt64 $Instar.key(0); adult @2 :Bool; note @3 :Text; }",
      "Customer");
}

class PutOverAnotherStructTest : public ReplacementTest {
 protected:
  static void fill(Customer::Builder customer) {
    customer.setId(2);
    customer.initNames(1).set(0, "Grace");
  }

  std::string asTheLaterRelease() const {
    const auto rows = application.collection("people", laterCustomer());
    const auto snapshot = application.read();
    return kj::str(*rows.get(snapshot, std::uint64_t{2})).cStr();
  }

  static constexpr const char* kGrace = "(names = [\"Grace\"], id = 2, adult = false)";
};

TEST_F(PutOverAnotherStructTest, ByTheReleaseThatReplacesItTakesNothing) {
  putPeople();
  const auto rows = application.collection<Customer>("people");
  auto transaction = application.write();
  auto draft = rows.create();
  fill(*draft);
  rows.put(transaction, draft);
  transaction.commit();
  EXPECT_EQ(asTheLaterRelease(), kGrace);
}

// A program keeps what it does not know of a newer row; the fields of another struct are nothing of the kind.
TEST_F(PutOverAnotherStructTest, ByAnOlderReleaseTakesNothing) {
  putPeople();
  const auto rows = application.collection<Customer>("people");
  application.collection("people", laterCustomer());
  auto transaction = application.write();
  auto draft = rows.create();
  fill(*draft);
  rows.put(transaction, draft);
  transaction.commit();
  EXPECT_EQ(asTheLaterRelease(), kGrace);
  EXPECT_TRUE(check(application).sound());
}

TEST_F(PutOverAnotherStructTest, FromADraftOfAnEarlierTransactionTakesNothing) {
  putPeople();
  const auto rows = application.collection<Customer>("people");
  application.collection("people", laterCustomer());
  auto first = application.write();
  auto draft = rows.edit(first, std::uint64_t{2});
  rows.erase(first, std::uint64_t{1});
  first.commit();
  fill(*draft);
  auto second = application.write();
  rows.put(second, draft);
  second.commit();
  EXPECT_EQ(asTheLaterRelease(), kGrace);
}

TEST_F(ReplacementTest, IsRepeatedForAChainOfStructs) {
  putPeople();
  application.collection<Customer>("people");
  const auto rows = application.collection("people", client());
  const auto snapshot = application.read();
  EXPECT_STREQ(kj::str(*rows.get(snapshot, std::uint64_t{1})).cStr(),
               R"((id = 1, label = "Ada Lovelace", shout = "Ada Lovelace!"))");
  EXPECT_STREQ(kj::str(*rows.get(snapshot, std::uint64_t{2})).cStr(),
               R"((id = 2, label = "Second Child", shout = "Second Child!"))");
  EXPECT_TRUE(check(application).sound());
  EXPECT_ERROR(other.collection("people", client()), fixCall, "function: customerFromPerson");
}

TEST_F(ReplacementTest, ShutsOlderProgramsOut) {
  putPeople();
  const auto older = application.collection<Person>("people");
  application.collection<Customer>("people");
  const auto snapshot = application.read();
  EXPECT_ERROR(older.get(snapshot, std::uint64_t{1}), upgradeProgram, "lowest version allowed: 3");
  EXPECT_ERROR(application.collection<Person>("people"), upgradeProgram, "lowest version: 3");
}

TEST_F(ReplacementTest, ThatNothingDeclaresIsRefused) {
  putPeople();
  const auto bare = testing::parseDeclarations(
      "struct Customer @0xe8a2407bd91f3c65 $Instar.version(3) { id @0 :UInt64 $Instar.key(0); }", "Customer");
  EXPECT_ERROR(application.collection("people", bare), fixSchema, "$Instar.replaces");
  EXPECT_ERROR(application.collection("people", client()), fixSchema, "open the file first with the release");
}

TEST_F(ReplacementTest, WithoutTheFunctionReadsOnlyWhatIsNew) {
  putPeople();
  const auto commits = other.info().lastTransaction;
  EXPECT_ERROR(
      other.collection<Customer>("people"), fixCall,
      "type: Customer, function: customerFromPerson, reason: this program does not have the function, "
      "collection: people");
  EXPECT_EQ(other.info().lastTransaction, commits) << "something was written before";
  application.collection<Customer>("people");
  const auto rows = other.collection("people");
  EXPECT_ERROR(
      rows.get(other.read(), std::uint64_t{1}), fixRow,
      "function: customerFromPerson, reason: this program does not have the function, collection: people, "
      "key: 1, version of the row: 1, version of the schema: 3");
  EXPECT_EQ(check(other).unjudgedRows, 2U);
  EXPECT_TRUE(check(other).sound());
}

TEST_F(ReplacementTest, ThatFailsIsAnErrorOfTheRow) {
  putPeople();
  putPerson(3, "", 50);
  const auto schema = RecordSchema::fromStruct(capnp::Schema::from<Customer>());
  const Rehearsal rehearsal = rehearse(application, "people", schema);
  EXPECT_EQ(rehearsal.older, 3U);
  ASSERT_EQ(rehearsal.failures.size(), 1U);
  EXPECT_EQ(rehearsal.failures[0].function, "customerFromPerson");
  EXPECT_EQ(rehearsal.failures[0].reason, "nobody has no name");
  const auto rows = application.collection<Customer>("people");
  EXPECT_ERROR(rows.get(application.read(), std::uint64_t{3}), fixRow,
               "function: customerFromPerson, reason: nobody has no name, collection: people, key: 3");
  const CheckReport report = check(application);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::failedUpgrade);
}

TEST_F(ReplacementTest, MayNotChangeTheKey) {
  putPerson(1, "Ada Lovelace", 36, true);
  auto forgetful = std::make_shared<Functions>();
  forgetful->conversion<Person, Customer>("customerFromPerson",
                                          [](Person::Reader person, Customer::Builder customer) {
                                            customer.initNames(1).set(0, person.getName());
                                          });
  const Store store = Store::open(folder / "store.instar", {.functions = forgetful});
  const auto rows = store.collection<Customer>("people");
  EXPECT_ERROR(rows.get(store.read(), std::uint64_t{1}), fixRow,
               "let it fill the $key fields as they were (function: customerFromPerson, reason");
}

TEST_F(ReplacementTest, NeedsAFunctionForTheseStructs) {
  putPeople();
  auto wrong = std::make_shared<Functions>();
  wrong->conversion<Customer, Customer>("customerFromPerson", [](Customer::Reader, Customer::Builder) {});
  const Store store = Store::open(folder / "store.instar", {.functions = wrong});
  EXPECT_ERROR(store.collection<Customer>("people"), fixCall,
               "reason: it reads Customer, the record is Person");
}

using ReplacementConcurrent = ReplacementTest;

TEST_F(ReplacementConcurrent, RowsAreConvertedByManyThreadsAtOnce) {
  for (std::uint64_t id = 0; id < 20; ++id)
    putPerson(id, id < 10 ? "Ada Lovelace" : "Second Lovelace", 36, id < 10);
  application.collection<Customer>("people");
  const auto rows = application.collection("people", client());
  std::atomic<unsigned> right = 0;
  const auto work = [&] {
    for (int round = 0; round < 10; ++round) {
      const auto snapshot = application.read();
      for (const auto row : rows.scan(snapshot))
        right += row->get("shout").as<capnp::Text>().endsWith("Lovelace!");
    }
  };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 2; ++thread) threads.emplace_back(work);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 2U * 10 * 20);
}

}  // namespace
}  // namespace instar
