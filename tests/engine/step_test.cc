// Rows that functions of the program change on their way through the versions, and rules that rows have to
// keep.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/rehearsal.h"
#include "instar/engine/store.h"
#include "instar/evolve/functions.h"
#include "instar/tests/engine/product.capnp.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using capnp::DynamicStruct;
using testing::Product;

#define PRODUCT(version, annotations)                                            \
  "struct Product @0x9b7d5f3e1c2a4806 $Instar.version(" version ") " annotations \
  " { id @0 :UInt64 $Instar.key(0); price @1 :UInt32; "
#define BEFORE "before @2 :UInt32 $Instar.derived(since = 2, copy = \"price\"); "
#define FIX "$Instar.upgraded([(to = 3, call = \"fixPrices\")])"

RecordSchema first() { return testing::parseDeclarations(PRODUCT("1", "") "}", "Product"); }
RecordSchema second() { return testing::parseDeclarations(PRODUCT("2", "") BEFORE "}", "Product"); }
RecordSchema third() { return testing::parseDeclarations(PRODUCT("3", FIX) BEFORE "}", "Product"); }

std::shared_ptr<Functions> functions() {
  auto functions = std::make_shared<Functions>();
  functions->step<DynamicStruct>("fixPrices", [](DynamicStruct::Builder product) {
    const auto price = product.get("price").as<std::uint32_t>();
    if (price > 1000) throw UpgradeFailure("nothing costs that much");
    product.set("price", price * 100);
  });
  functions->validator<Product>("priceIsPositive", [](Product::Reader product) -> std::optional<std::string> {
    if (product.getPrice() > 0) return std::nullopt;
    return "the price is 0";
  });
  functions->validator<Product>("hasName", [](Product::Reader product) -> std::optional<std::string> {
    if (product.getId() == 99) throw std::runtime_error("not for other eyes");
    if (product.getId() < 10) return std::nullopt;
    return "it has no name";
  });
  return functions;
}

RecordSchema withoutPrice() {
  return testing::parseDeclarations(
      "struct Product @0x9b7d5f3e1c2a4806 $Instar.version(4) "
      "$Instar.upgraded([(to = 3, call = \"fixPrices\"), (to = 4, call = \"fixPrices\")]) "
      "{ id @0 :UInt64 $Instar.key(0); price @1 :UInt32 $Instar.retired(3); " BEFORE "}",
      "Product");
}

class StepTest : public ::testing::Test {
 protected:
  void put(const RecordSchema& schema, std::uint64_t id, unsigned price, unsigned before = 0) const {
    const auto rows = application.collection("products", schema);
    auto transaction = application.write();
    auto draft = rows.create();
    draft->set("id", id);
    draft->set("price", price);
    if (before != 0) draft->set("before", before);
    rows.put(transaction, draft);
    transaction.commit();
  }

  // Price, and the fields that are derived before and behind the step.
  std::string text(const Collection<Product>& rows, std::uint64_t id) const {
    const auto snapshot = application.read();
    const auto row = rows.get(snapshot, id);
    return std::to_string(row->getPrice()) + " " + std::to_string(row->getBefore()) + " " +
           std::to_string(row->getBehind());
  }

  testing::TemporaryFolder folder;
  Store application = Store::open(folder / "store.instar", {.functions = functions()});
  Store other = Store::open(folder / "store.instar");  // a program without the functions
};

// It would be there for good, and keep the row from being put.
TEST_F(StepTest, CannotBringARetiredFieldBack) {
  put(first(), 1, 7);
  const auto rows = application.collection("products", withoutPrice());
  const auto snapshot = application.read();
  EXPECT_STREQ(kj::str(*rows.get(snapshot, std::uint64_t{1})).cStr(), "(id = 1, price = 0, before = 7)");
}

TEST_F(StepTest, RunsBetweenTheDerivationsOfEarlierAndLaterVersions) {
  put(first(), 1, 5);
  put(second(), 2, 5, 7);
  put(third(), 3, 500, 7);
  const auto rows = application.collection<Product>("products");
  EXPECT_EQ(text(rows, 1), "500 5 500");
  EXPECT_EQ(text(rows, 2), "500 7 500");
  EXPECT_EQ(text(rows, 3), "500 7 500") << "a row of the version that the step leads to is past it";
}

TEST_F(StepTest, IsOverWhenTheRowIsPut) {
  put(first(), 1, 5);
  const auto rows = application.collection<Product>("products");
  for (int time = 0; time < 2; ++time) {
    auto transaction = application.write();
    auto draft = rows.edit(transaction, std::uint64_t{1});
    rows.put(transaction, draft);
    transaction.commit();
  }
  EXPECT_EQ(text(rows, 1), "500 5 500");
}

TEST_F(StepTest, ShutsOlderProgramsOut) {
  put(second(), 1, 5);
  const auto older = application.collection("products", second());
  application.collection("products", third());
  EXPECT_ERROR(older.get(application.read(), std::uint64_t{1}), upgradeProgram, "lowest version allowed: 3");
}

TEST_F(StepTest, ThatRefusesARowMakesItAnErrorOfItsOwn) {
  put(first(), 1, 5000);
  const auto rows = application.collection("products", third());
  EXPECT_ERROR(rows.get(application.read(), std::uint64_t{1}), fixRow,
               "(function: fixPrices, reason: nothing costs that much, collection: products, key: 1");
  const Problem problem = check(application).problems.at(0);
  EXPECT_EQ(problem.finding, Finding::failedUpgrade);
  EXPECT_THAT(problem.message, ::testing::EndsWith("(function: fixPrices, reason: nothing costs that much, "
                                                   "version of the row: 1, version of the schema: 3)"));
}

TEST_F(StepTest, WithoutItsFunctionIsNamedBeforeAnythingIsWritten) {
  put(first(), 1, 5);
  const auto commits = other.info().lastTransaction;
  EXPECT_ERROR(other.collection("products", third()), fixCall, "type: Product, function: fixPrices");
  EXPECT_EQ(other.info().lastTransaction, commits);
  application.collection("products", third());
  EXPECT_ERROR(other.collection("products").get(other.read(), std::uint64_t{1}), fixRow,
               "function: fixPrices");
  EXPECT_EQ(check(other).unjudgedRows, 1U);
}

TEST_F(StepTest, MayNotChangeTheKey) {
  put(first(), 1, 5);
  auto moving = std::make_shared<Functions>();
  moving->step<DynamicStruct>("fixPrices", [](DynamicStruct::Builder product) { product.set("id", 2); });
  const Store store = Store::open(folder / "store.instar", {.functions = moving});
  const auto rows = store.collection("products", third());
  EXPECT_ERROR(rows.get(store.read(), std::uint64_t{1}), fixRow, "let it fill the $key fields as they were");
}

TEST_F(StepTest, ThatChangesTheKeyIsNamedAmongOthers) {
  put(first(), 1, 5);
  auto moving = std::make_shared<Functions>();
  moving->step<DynamicStruct>("first", [](DynamicStruct::Builder) {});
  moving->step<DynamicStruct>("moves", [](DynamicStruct::Builder product) { product.set("id", 2); });
  moving->step<DynamicStruct>("last", [](DynamicStruct::Builder) {});
  const Store store = Store::open(folder / "store.instar", {.functions = moving});
  const auto rows = store.collection(
      "products",
      testing::parseDeclarations(PRODUCT("4",
                                         "$Instar.upgraded([(to = 2, call = \"first\"),"
                                         " (to = 3, call = \"moves\"), (to = 4, call = \"last\")])") "}",
                                 "Product"));
  EXPECT_ERROR(rows.get(store.read(), std::uint64_t{1}), fixRow,
               "(function: moves, reason: the key is another one");
}

// A builder of the program's type would write behind the end of a smaller record.
TEST_F(StepTest, OfANewerTypeThanTheRecordIsRefused) {
  put(first(), 1, 5);
  auto newer = std::make_shared<Functions>();
  newer->step<Product>("fixPrices", [](Product::Builder product) { product.setBehind(1); });
  const Store store = Store::open(folder / "store.instar", {.functions = newer});
  EXPECT_ERROR(store.collection("products", third()), fixCall, "it fills a newer version of Product");
}

TEST_F(StepTest, TakesTheTypesOfTheProgram) {
  put(first(), 1, 5);
  auto others = std::make_shared<Functions>();
  others->step<Product>("fixPrices", [](Product::Builder product) {
    product.setPrice(product.getPrice() * 10);
    product.setName("a name");
  });
  others->validator<Product>("priceIsPositive", [](Product::Reader) { return std::nullopt; });
  others->validator<Product>("hasName", [](Product::Reader) { return std::nullopt; });
  const Store store = Store::open(folder / "store.instar", {.functions = others});
  const auto rows = store.collection<Product>("products");
  const auto snapshot = store.read();
  const auto row = rows.get(snapshot, std::uint64_t{1});
  EXPECT_EQ(row->getPrice(), 50U);
  EXPECT_EQ(row->getName(), "a name");
}

using ValidatorTest = StepTest;

TEST_F(ValidatorTest, JudgesUpgradedRowsInADryRunAndACheck) {
  put(first(), 1, 5);
  put(first(), 2, 0);
  put(first(), 3, 5000);
  put(first(), 10, 0);
  const Rehearsal rehearsal =
      rehearse(application, "products", RecordSchema::fromStruct(capnp::Schema::from<Product>()));
  EXPECT_EQ(rehearsal.failed, 1U) << "which is not judged";
  EXPECT_EQ(rehearsal.broken, 2U);
  EXPECT_EQ(rehearsal.unjudged, 0U);
  ASSERT_EQ(rehearsal.failures.size(), 4U);
  EXPECT_TRUE(rehearsal.failures[0].isBroken);
  EXPECT_EQ(rehearsal.failures[0].function, "priceIsPositive");
  EXPECT_EQ(rehearsal.failures[0].reason, "the price is 0");
  EXPECT_EQ(rehearsal.failures[0].version, 1);
  EXPECT_FALSE(rehearsal.failures[1].isBroken);
  EXPECT_EQ(rehearsal.failures[2].function, "hasName") << "every rule is asked, in the order of their names";
  const auto rows = application.collection<Product>("products");
  EXPECT_EQ(text(rows, 2), "0 0 0") << "reading judges nothing";
  const CheckReport report = check(application);
  ASSERT_EQ(report.problemCount, 4U);
  EXPECT_EQ(report.problems[0].finding, Finding::brokenRule);
  EXPECT_EQ(report.problems[0].collection, "products");
  EXPECT_EQ(report.problems[0].key, "2");
  EXPECT_EQ(report.problems[0].message, "version 1 breaks priceIsPositive: the price is 0");
  EXPECT_FALSE(report.damaged());
}

TEST_F(ValidatorTest, JudgesRowsThatNeedNoUpgrade) {
  auto rows = application.collection<Product>("products");
  auto transaction = application.write();
  auto draft = rows.create();
  draft->setId(99);
  rows.put(transaction, draft);
  transaction.commit();
  const CheckReport report = check(application);
  ASSERT_EQ(report.problemCount, 2U);
  EXPECT_EQ(report.problems[0].message,
            "version 4 breaks hasName: the function threw an exception; throw UpgradeFailure to say why");
  EXPECT_EQ(report.problems[1].message, "version 4 breaks priceIsPositive: the price is 0");
  const Rehearsal rehearsal = rehearse(application, "products", rows.schema());
  EXPECT_EQ(rehearsal.older, 0U);
  EXPECT_EQ(rehearsal.broken, 1U);
}

TEST_F(ValidatorTest, WithoutItsFunctionLeavesRowsUnjudged) {
  auto rows = application.collection<Product>("products");
  EXPECT_ERROR(other.collection<Product>("products"), fixCall, "function: fixPrices");
  auto transaction = application.write();
  auto draft = rows.create();
  draft->setId(1);
  rows.put(transaction, draft);
  transaction.commit();
  EXPECT_EQ(check(other).unjudgedRows, 1U);
  EXPECT_TRUE(check(other).sound());
  EXPECT_EQ(rehearse(other, "products", rows.schema()).unjudged, 1U);
  EXPECT_EQ(other.collection("products").count(other.read()), 1U);
}

using StepConcurrent = StepTest;

TEST_F(StepConcurrent, RowsAreUpgradedAndJudgedByManyThreadsAtOnce) {
  constexpr std::uint64_t kRows = 20;
  for (std::uint64_t id = 0; id < kRows; ++id) put(first(), id, 5);
  const auto rows = application.collection<Product>("products");
  std::atomic<unsigned> right = 0;
  std::atomic<std::uint64_t> broken = 0;
  const auto work = [&] {
    for (int round = 0; round < 10; ++round) {
      const auto snapshot = application.read();
      for (const auto row : rows.scan(snapshot)) right += row->getPrice() == 500;
      broken += rehearse(application, "products", rows.schema()).broken;
      broken += check(application).problemCount;
    }
  };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 2; ++thread) threads.emplace_back(work);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 2U * 10 * kRows);
  EXPECT_EQ(broken, 2U * 10 * 2 * 10) << "ten rows have no name";
}

}  // namespace
}  // namespace instar
