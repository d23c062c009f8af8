#include "instar/engine/internal/staging/canary_record.h"

#include <gtest/gtest.h>

#include <random>

#include "instar/engine/check.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::testing {
namespace {

// Something of everything, negative sums that need more than 64 bits included.
CanaryStatistics randomStatistics(unsigned seed) {
  std::mt19937_64 random(seed);
  CanaryStatistics statistics;
  statistics.samples = random() % 1000;
  statistics.passedOver = random() % 1000;
  statistics.failed = random() % 10;
  statistics.brokeRules = random() % 10;
  statistics.diverged = random() % 10;
  statistics.unexpectedlyUnset = random() % 10;
  for (int i = 0; i < 40; ++i) {
    const std::string number = std::to_string(random() % 60);
    statistics.failures.add(
        {.field = "f" + number, .function = {}, .reason = std::string("\xc3\xa4\0\xc3\xb6", 5)},
        random() % 5 + 1);
    statistics.brokenRules.add({.field = {}, .function = "rule" + number, .reason = number});
    statistics.activeLatency.add(std::chrono::nanoseconds(random() >> (random() % 64) >> 1));
    statistics.stagedLatency.add(std::chrono::nanoseconds(random() >> (random() % 64) >> 1));
  }
  for (int i = 0; i < 10; ++i) {
    CanaryStatistics field;
    CanaryField& one = field.fields.emplace_back(CanaryField{.name = "n" + std::to_string(random() % 15)});
    one.active.addUnset();
    one.active.add(std::nullopt);
    const auto value = -static_cast<double>(random());
    one.staged.add(
        FieldNumber{.value = value, .steps = static_cast<decltype(FieldNumber::steps)>(value * 0x1p24)});
    one.diverged = random() % 3;
    one.unexpectedlyUnset = random() % 3;
    statistics.merge(field);
  }
  return statistics;
}

class CanaryRecords : public ::testing::Test {
 protected:
  CanaryStatistics add(std::uint16_t version, const CanaryStatistics& more) {
    auto transaction = store_->write();
    auto whole = addToCanaryRecord(transaction.state(), "contacts", version, more);
    transaction.commit();
    return whole;
  }
  std::optional<CanaryStatistics> read(std::uint16_t version, const char* collection = "contacts") {
    return readCanaryRecord(store_->read().state(), collection, version);
  }
  void reopen() {
    store_.reset();
    store_.emplace(Store::open(folder_.path() / "canary.instar"));
  }

  TemporaryFolder folder_;
  std::optional<Store> store_{Store::open(folder_.path() / "canary.instar")};
};

TEST_F(CanaryRecords, HoldTheSumOfWhatWasAdded) {
  EXPECT_EQ(read(2), std::nullopt);
  CanaryStatistics whole;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    whole.merge(randomStatistics(seed));
    EXPECT_EQ(add(2, randomStatistics(seed)), whole);
    EXPECT_EQ(read(2), whole);
  }
  EXPECT_GT(whole.failures.others(), 0U);
  reopen();
  EXPECT_EQ(read(2), whole);
  EXPECT_EQ(read(2, "others"), std::nullopt);
  EXPECT_TRUE(check(*store_).problems.empty());
}

TEST_F(CanaryRecords, AreOfOneVersion) {
  add(2, randomStatistics(1));
  EXPECT_EQ(read(3), std::nullopt);
  EXPECT_EQ(add(3, randomStatistics(2)), randomStatistics(2));
  EXPECT_EQ(read(2), std::nullopt);
  EXPECT_EQ(read(3), randomStatistics(2));
}

}  // namespace
}  // namespace instar::testing
