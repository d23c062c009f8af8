// Two hundred lives of a version whose new field a function makes: one that goes wrong in half a percent of
// the derivations is given up with the reads that its guard rails ask for, one without faults never, nor one
// whose faults stay below the limit. Through the engine: canary reads of a store, judged by its keeper at the
// latest when it is closed.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "instar/engine/staging.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;

constexpr std::uint64_t kLives = 200;
constexpr std::uint64_t kRows = 10'500;  // what finds 0.5 % at a limit of 0.1 %, as evolve/guard_rails.h says
constexpr GuardRails kRails{.minimumSamples = kRows};

// By chance, the same in every run of the test.
bool isHit(std::uint64_t life, std::uint64_t derivation, double share) {
  std::uint64_t mixed = (life << 32) + derivation;  // splitmix64
  mixed += 0x9e3779b97f4a7c15;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  mixed ^= mixed >> 31;
  return static_cast<double>(mixed) < share * 0x1p64;
}

class StagingFaultTest : public ::testing::Test {
 protected:
  StagingFaultTest() {
    functions->value("show", [this](capnp::Text::Reader name) -> std::string {
      if (!isHit(life, ++derivations, share)) return name.cStr();
      if (life % 2 == 0) throw UpgradeFailure("injected");
      return "another";  // which diverges
    });
    const Store store = open();
    const auto older = store.collection("contacts", contact1());
    auto transaction = store.write();
    for (std::uint64_t id = 1; id <= kRows; ++id) {
      auto draft = older.create();
      draft->set("id", id);
      draft->set("name", "Ada Lovelace");
      older.put(transaction, draft);
    }
    transaction.commit();
  }

  Store open() const {
    return Store::open(folder / "store.instar", {.durability = Durability::off, .functions = functions});
  }

  // Another version each time, since numbers are not given again. Every row is read so many times.
  StagingStatus live(std::uint64_t number, std::uint64_t passes) {
    life = number;
    derivations = 0;
    const auto version = static_cast<std::uint16_t>(number + 1);
    const std::string since = "(since = " + std::to_string(version) + ", ";
    for (std::uint64_t pass = 0; pass < passes; ++pass) {
      const Store store = open();
      const auto rows =
          store.stage("contacts",
                      contactSchema(version, "name @1 :Text $Instar.mirrored" + since +
                                                 "copy = \"shown\"); shown @2 :Text " + "$Instar.derived" +
                                                 since + "call = (function = \"show\", from = [\"name\"]));"),
                      {.shadow = 100, .guardRails = kRails});
      const auto snapshot = store.read();
      std::uint64_t reads = pass * kRows;
      for (auto row : rows.scan(snapshot)) {
        EXPECT_FALSE(row.serves(version));
        // Not faster than they are looked at, so that none is passed over.
        if (++reads % 5000 == 0) {
          while (derivations < reads) std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
      }
    }
    const Store store = open();
    auto status = *stagingStatus(store, store.read(), "contacts");
    EXPECT_EQ(status.version, version);
    if (status.state == VersionState::staged)
      abortVersion(store, "contacts", status.version, "the next one comes");
    return status;
  }

  TemporaryFolder folder;
  std::shared_ptr<Functions> functions = std::make_shared<Functions>();
  std::uint64_t life = 0;
  std::atomic<std::uint64_t> derivations{0};  // in this life, by the thread that looks at what was read
  double share = 0;
};

TEST_F(StagingFaultTest, HalfAPercentIsFoundWithinTheSamplesThatAreAskedFor) {
  share = 0.005;
  for (std::uint64_t number = 1; number <= kLives; ++number) {
    const auto status = live(number, 1);
    ASSERT_EQ(status.state, VersionState::aborted) << number << ": " << status.decision.reason;
    ASSERT_EQ(status.canary.samples, kRows);
    ASSERT_NE(status.endReason.find(number % 2 == 0 ? "failed" : "diverged"), std::string::npos)
        << status.endReason;
  }
}

TEST_F(StagingFaultTest, AVersionWithoutFaultsIsNeverAborted) {
  for (std::uint64_t number = 1; number <= kLives; ++number) {
    const auto status = live(number, 1);
    ASSERT_EQ(status.state, VersionState::staged) << number << ": " << status.endReason;
    ASSERT_EQ(status.canary.samples, kRows);
    ASSERT_EQ(status.canary.errors() + status.canary.diverged, 0U);
  }
}

TEST_F(StagingFaultTest, NorIsOneWhoseFaultsAreAtHalfOfTheLimit) {
  share = kRails.maxErrorShare / 2;
  std::uint64_t faults = 0;
  for (std::uint64_t number = 1; number <= kLives; ++number) {
    const auto status = live(number, 2);
    ASSERT_EQ(status.state, VersionState::staged) << number << ": " << status.endReason;
    ASSERT_EQ(status.canary.samples, 2 * kRows);
    faults += status.canary.errors() + status.canary.diverged;
  }
  EXPECT_NEAR(static_cast<double>(faults), 2 * kRows * kLives * share, 150);
}

}  // namespace
}  // namespace instar
