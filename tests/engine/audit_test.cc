// The audit is a chain: whatever is done to it behind the engine's back shows, and where.

#include "instar/engine/internal/compaction/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/format/file_format.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/forwarding_storage.h"

namespace instar {
namespace {

// A storage that can lose its audit.
class LosingStorage final : public testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  bool hasLostIt = false;

  std::optional<storage::TreeId> openTree(std::string_view name, bool create) override {
    if (hasLostIt && name == kAuditTree) return std::nullopt;
    return ForwardingStorage::openTree(name, create);
  }
};

// A file with three entries, each of which gives this reason.
struct AuditedFile {
  using Value = std::optional<std::vector<std::byte>>;

  explicit AuditedFile(std::string_view reason, std::uint64_t entries = 3) {
    openAudit(*storage);
    for (std::uint64_t number = 1; number <= entries; ++number) append(reason);
  }

  void append(std::string_view reason) const {
    TransactionState transaction(store.read().state().sharedStore(), storage::Access::write);
    appendAudit(transaction,
                {.event = AuditEvent::failed, .collection = "rows", .reason = std::string(reason)});
    transaction.commit();
  }

  static Key keyOf(std::uint64_t number) {
    Key key;
    key.appendNumber(number, 8);
    return key;
  }
  storage::TreeId tree() const { return *storage->openTree(kAuditTree, false); }

  Value stored(std::uint64_t number) const {
    const auto transaction = storage->begin(storage::Access::read, {});
    const Bytes value = transaction->get(tree(), keyOf(number).bytes()).value();
    return std::vector<std::byte>(value.begin(), value.end());
  }
  void replace(std::uint64_t number, const Value& value) const {
    const auto transaction = storage->begin(storage::Access::write, std::chrono::seconds(1));
    const Key key = keyOf(number);
    if (value) {
      std::ranges::copy(*value, transaction->reserve(tree(), key.bytes(), value->size()).begin());
    } else {
      transaction->erase(tree(), key.bytes());
    }
    transaction->commit();
  }

  AuditTrail read(std::uint64_t after = 0, std::uint64_t limit = UINT64_MAX) const {
    return readAudit(store, store.read(), after, limit);
  }

  const std::shared_ptr<LosingStorage> storage = std::make_shared<LosingStorage>(storage::openMemory());
  const Store store = Store::open(storage);
};

TEST(Audit, TellsWhatWasWrittenInItsOrder) {
  const AuditedFile file("first");
  file.append("last");
  const AuditTrail trail = file.read();
  EXPECT_EQ(trail.damage, "");
  ASSERT_EQ(trail.entries.size(), 4U);
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(trail.entries[i].number, i + 1);
  EXPECT_EQ(trail.entries[0].reason, "first");
  EXPECT_EQ(trail.entries[3].reason, "last");
  EXPECT_EQ(file.read(3).entries.size(), 1U);
  EXPECT_EQ(file.read(1, 2).entries.back().number, 3U);
}

TEST(Audit, AnEntryThatIsGoneIsMissed) {
  const AuditedFile file("reason");
  file.replace(2, std::nullopt);
  EXPECT_EQ(file.read().damage, "entry 2: it is missing");
  EXPECT_EQ(file.read().entries.size(), 2U) << "the others are told all the same";
  EXPECT_EQ(file.read(2).damage, "");
}

TEST(Audit, EntriesThatAreGoneAtTheEndAreMissed) {
  const AuditedFile file("reason");
  file.replace(3, std::nullopt);
  EXPECT_EQ(file.read().damage, "entry 2: those behind it are missing");
  EXPECT_EQ(file.read(0, 2).damage, "") << "nobody asked for the third";
}

TEST(Audit, ADamagedEntryIsReportedAndNotTold) {
  const AuditedFile file("reason");
  auto value = file.stored(2);
  value->back() ^= std::byte{1};
  file.replace(2, value);
  EXPECT_EQ(file.read().damage, "entry 2: it is damaged");
  EXPECT_EQ(file.read().entries.size(), 2U);
}

// Each is sound in itself, and stands in another file under the same number.
TEST(Audit, AnEntryOfAnotherChainIsFoundByItsNeighbours) {
  const AuditedFile other("another reason");
  for (const std::uint64_t number : {1, 2, 3}) {
    const AuditedFile file("reason");
    file.replace(number, other.stored(number));
    EXPECT_EQ(file.read().damage,
              "entry " + std::to_string(number == 1 ? 2 : number) + ": the one before it is not what it was");
  }
}

TEST(Audit, TheLastEntryIsFoundByTheHeadOfTheChain) {
  const AuditedFile other("another reason");
  const AuditedFile file("reason");
  file.replace(3, other.stored(3));
  EXPECT_EQ(file.read(2).damage, "entry 3: it is not what it was");
}

TEST(Audit, AFirstEntryThatOnceHadOneBeforeItIsFound) {
  const AuditedFile file("reason", 0);
  {
    TransactionState transaction(file.store.read().state().sharedStore(), storage::Access::write);
    Draft<catalog::AuditHead> head{{}};
    head->setHash(7);
    Catalog(transaction).write(Key(kAuditKey), head);
    transaction.commit();
  }
  file.append("reason");
  EXPECT_EQ(file.read().damage, "entry 1: it is not the first");
}

TEST(Audit, AFileThatHasLostItSaysSo) {
  const AuditedFile file("reason");
  file.storage->hasLostIt = true;
  EXPECT_ERROR(file.read(), restoreFromBackup, "the audit of the file is missing");
  EXPECT_ERROR(file.append("one more"), restoreFromBackup, "the audit of the file is missing");
}

TEST(Audit, EachEventHasItsName) {
  std::set<std::string_view> names;
  const int last = static_cast<int>(AuditEvent::unsettled);
  for (int event = 1; event <= last; ++event) names.insert(auditEventName(static_cast<AuditEvent>(event)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(last));
  EXPECT_FALSE(names.contains(auditEventName(static_cast<AuditEvent>(last + 1))))
      << "one was added: put it here";
}

}  // namespace
}  // namespace instar
