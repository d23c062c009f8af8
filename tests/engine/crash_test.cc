// A writing process is killed at random moments. What it was told is committed must be there, whole; what it
// was in the midst of must be there whole or not at all.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/store.h"
#include "instar/tests/engine/contact.capnp.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

constexpr int kKills = 500;
constexpr std::uint64_t kRowsPerTransaction = 20;

void putRow(const Collection<Contact>& contacts, WriteTransaction& transaction, std::uint64_t id,
            std::uint64_t number) {
  auto contact = contacts.create();
  contact->setId(id);
  contact->setName(std::to_string(number).c_str());
  contact->setEmail(
      std::string(number * 37 % 5000, 'e').c_str());  // leaf and overflow pages, freed and used again
  contacts.put(transaction, contact);
}

std::uint64_t numberOf(const Row<Contact>& row) { return row ? std::stoull(row->getName().cStr()) : 0; }

// Commits transactions until it is killed: number n writes n into rows 0..19 and adds row 100 + n, the
// fiftieth before goes.
[[noreturn]] void writeUntilKilled(const std::filesystem::path& path, int acknowledgements,
                                   Durability durability) {
  const Store store = Store::open(path, {.durability = durability});
  const auto contacts = store.collection<Contact>("contacts");
  std::uint64_t number = numberOf(contacts.get(store.read(), 0));
  while (true) {
    ++number;
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < kRowsPerTransaction; ++id) putRow(contacts, transaction, id, number);
    putRow(contacts, transaction, 100 + number, number);
    if (number > 50) contacts.erase(transaction, 100 + number - 50);
    transaction.commit();
    if (write(acknowledgements, &number, sizeof(number)) != sizeof(number)) _exit(1);
  }
}

std::uint64_t lastAcknowledged(int acknowledgements, std::uint64_t before) {
  std::uint64_t number = before;
  std::uint64_t next;
  while (read(acknowledgements, &next, sizeof(next)) == sizeof(next)) number = next;
  return number;
}

void expectWhole(const std::filesystem::path& path, std::uint64_t acknowledged) {
  const Store store = Store::open(path);
  const auto contacts = store.collection<Contact>("contacts");
  const auto snapshot = store.read();
  const std::uint64_t number = numberOf(contacts.get(snapshot, 0));
  ASSERT_GE(number, acknowledged) << "an acknowledged commit is lost";
  ASSERT_LE(number, acknowledged + 1);
  if (number == 0) return;
  for (std::uint64_t id = 0; id < kRowsPerTransaction; ++id) {
    ASSERT_EQ(numberOf(contacts.get(snapshot, id)), number) << "a torn commit";
  }
  ASSERT_EQ(contacts.count(snapshot), kRowsPerTransaction + std::min<std::uint64_t>(number, 50));
  ASSERT_EQ(numberOf(contacts.get(snapshot, 100 + number)), number);
  ASSERT_TRUE(check(store).sound());
}

class CrashTest : public ::testing::TestWithParam<Durability> {};

TEST_P(CrashTest, FiveHundredKillsLoseNothingThatWasAcknowledged) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> microseconds(0, 12'000);
  const testing::TemporaryFolder folder;
  const auto path = folder / "store.instar";
  std::uint64_t acknowledged = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    int descriptors[2];
    ASSERT_EQ(pipe(descriptors), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(descriptors[0]);
      writeUntilKilled(path, descriptors[1], GetParam());
    }
    close(descriptors[1]);
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds(random)));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself, with " << WEXITSTATUS(status);
    acknowledged = lastAcknowledged(descriptors[0], acknowledged);
    close(descriptors[0]);
    expectWhole(path, acknowledged);
    if (HasFatalFailure()) return;
    acknowledged =
        numberOf(Store::open(path).collection<Contact>("contacts").get(Store::open(path).read(), 0));
  }
  EXPECT_GT(acknowledged, 100U) << "the writer hardly ever got to write: nothing was proved";
  RecordProperty("commits", static_cast<int>(acknowledged));
}

const char* nameOf(const ::testing::TestParamInfo<Durability>& info) {
  constexpr const char* kNames[] = {"Full", "Normal", "Off"};
  return kNames[static_cast<std::size_t>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(EveryDurability, CrashTest,
                         ::testing::Values(Durability::full, Durability::normal, Durability::off), nameOf);

}  // namespace
}  // namespace instar
