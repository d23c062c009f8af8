// What a batch has stored is read back: from a disk that has lost it, kept what it had before, or changed it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "instar/engine/internal/compaction/batch.h"
#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/engine/store.h"
#include "instar/format/file_format.h"
#include "instar/tests/engine/contact_versions.h"
#include "instar/tests/support/forwarding_storage.h"

namespace instar {
namespace {

using ::testing::HasSubstr;

// One value of it is read as another one by transactions that only read, as a disk may do that has not
// written what it said.
class LyingStorage final : public testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;

  // In place of what is stored; nothing: there is no such entry.
  void lie(storage::TreeId tree, const Key& key, std::optional<std::vector<std::byte>> value) {
    lies_[{tree, std::string(asText(key.bytes()))}] = std::move(value);
  }

  std::unique_ptr<storage::Transaction> begin(storage::Access access,
                                              std::chrono::milliseconds wait) override {
    auto inner = ForwardingStorage::begin(access, wait);
    if (access == storage::Access::write) return inner;
    return std::make_unique<Reading>(*this, std::move(inner));
  }

 private:
  class Reading final : public testing::ForwardingTransaction {
   public:
    Reading(const LyingStorage& storage, std::unique_ptr<storage::Transaction> inner)
        : ForwardingTransaction(std::move(inner)), storage_(storage) {}
    std::optional<Bytes> get(storage::TreeId tree, Bytes key) override {
      const auto lie = storage_.lies_.find({tree, std::string(asText(key))});
      if (lie == storage_.lies_.end()) return ForwardingTransaction::get(tree, key);
      if (!lie->second) return std::nullopt;
      return Bytes(*lie->second);
    }

   private:
    const LyingStorage& storage_;
  };

  std::map<std::pair<storage::TreeId, std::string>, std::optional<std::vector<std::byte>>> lies_;
};

class ReadableRows : public Collection<capnp::DynamicStruct> {
 public:
  explicit ReadableRows(Collection<capnp::DynamicStruct> rows) : Collection(std::move(rows)) {}
  CollectionState& state() const noexcept { return *state_; }
};

class ReadBack : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kRows = 10;

  ReadBack() {
    for (std::uint64_t id = 0; id < kRows; ++id) put(id, std::to_string(id));
  }

  void put(std::uint64_t id, const std::string& text) const {
    auto transaction = store_.write();
    auto draft = rows_.create();
    draft->set("id", id);
    draft->set("text", text.c_str());
    rows_.put(transaction, draft);
    transaction.commit();
  }

  // As it is stored now.
  std::vector<std::byte> stored(storage::TreeId tree, const Key& key) const {
    const auto snapshot = store_.read();
    const auto value = snapshot.state().storage().get(tree, key.bytes());
    return {value.value().begin(), value.value().end()};
  }

  storage::TreeId hotTree() const { return rows_.state().tree(); }
  storage::TreeId coldTree() const { return *storage_->openTree(coldTreeName("contacts"), false); }
  Key key(std::uint64_t id) const { return rows_.key(id); }
  Key lastKey() const { return key(kRows - 1); }

  // Takes the batch to the place before verify().
  void install(const ReadableRows& rows, CompactionMode mode) {
    batch_.emplace(store_.read().state().sharedStore(), rows.state(), mode,
                   BatchLimits{.lockTime = std::chrono::seconds(60)}, 100);
    batch_->prepare(Key());
    batch_->install();
    ASSERT_TRUE(batch_->isInstalled());
  }
  void upgrade() {
    install(newRows_.emplace(store_.collection("contacts", testing::secondContact())),
            CompactionMode::upgrade);
  }
  void pack() { install(rows_, CompactionMode::compress); }

  void expectMismatch(const Key& at, const char* what) {
    const auto mismatch = batch_->verify();
    ASSERT_TRUE(mismatch);
    EXPECT_EQ(mismatch->last, at);
    EXPECT_THAT(mismatch->what, HasSubstr(what));
  }
  void expectAllFound() {
    const auto mismatch = batch_->verify();
    EXPECT_FALSE(mismatch) << mismatch->what;
    EXPECT_EQ(batch_->takeResult().verified, kRows);
  }

  const std::shared_ptr<LyingStorage> storage_ = std::make_shared<LyingStorage>(storage::openMemory());
  const Store store_ = Store::open(storage_);
  const ReadableRows rows_{store_.collection("contacts", testing::firstContact())};
  std::optional<ReadableRows> newRows_;
  std::optional<Batch> batch_;
};

TEST_F(ReadBack, OfWhatWasStoredFindsIt) {
  upgrade();
  expectAllFound();
}

TEST_F(ReadBack, OfBlocksFindsTheirRows) {
  pack();
  expectAllFound();
}

TEST_F(ReadBack, ARowThatWasRewrittenAndIsGoneIsNoticed) {
  upgrade();
  storage_->lie(hotTree(), key(4), std::nullopt);
  expectMismatch(key(4), "the row is not in the file");
}

TEST_F(ReadBack, ARowThatIsWhatItWasBeforeIsNoticed) {
  const auto before = stored(hotTree(), key(4));
  upgrade();
  storage_->lie(hotTree(), key(4), before);
  expectMismatch(key(4), "the row is not the one that was stored");
}

TEST_F(ReadBack, ARowThatIsAnotherOneOfItsVersionIsNoticed) {
  upgrade();
  auto transaction = store_.write();
  auto other = newRows_->create();
  other->set("id", std::uint64_t{4});
  other->set("text", "44");
  other->set("age", std::uint32_t{44});
  newRows_->put(transaction, other);
  const auto value = transaction.state().storage().get(hotTree(), key(4).bytes()).value();
  storage_->lie(hotTree(), key(4), std::vector<std::byte>(value.begin(), value.end()));
  transaction.abort();
  expectMismatch(key(4), "the row is not the one that was stored");
}

TEST_F(ReadBack, ADamagedRowIsNoticed) {
  upgrade();
  auto value = stored(hotTree(), key(4));
  value.back() ^= std::byte{1};
  storage_->lie(hotTree(), key(4), value);
  expectMismatch(key(4), "the checksum does not match");
}

TEST_F(ReadBack, ARowThatIsStillAmongTheHotOnesIsNoticed) {
  const auto before = stored(hotTree(), key(4));
  pack();
  storage_->lie(hotTree(), key(4), before);
  expectMismatch(key(4), "the row is still among the hot ones");
}

TEST_F(ReadBack, ABlockThatIsGoneIsNoticed) {
  pack();
  storage_->lie(coldTree(), lastKey(), std::nullopt);
  expectMismatch(lastKey(), "the block is not in the file");
}

TEST_F(ReadBack, ADamagedBlockIsNoticed) {
  pack();
  auto value = stored(coldTree(), lastKey());
  value.back() ^= std::byte{1};
  storage_->lie(coldTree(), lastKey(), value);
  expectMismatch(lastKey(), "");
}

// The block is whole, and was stored under the same key: only what it holds tells.
TEST_F(ReadBack, ABlockThatIsWhatItWasBeforeIsNoticed) {
  pack();
  ASSERT_FALSE(batch_->verify());
  const auto before = stored(coldTree(), lastKey());
  put(4, "changed");
  pack();
  ASSERT_NE(stored(coldTree(), lastKey()), before);
  storage_->lie(coldTree(), lastKey(), before);
  expectMismatch(lastKey(), "its rows are not those that were packed");
}

// When somebody else has written meanwhile, it may have been him.
TEST_F(ReadBack, IsNotSureOfRowsThatOthersMayHaveChanged) {
  const auto before = stored(hotTree(), key(4));
  upgrade();
  put(2, "22");
  storage_->lie(hotTree(), key(4), before);
  storage_->lie(hotTree(), key(5), std::nullopt);
  EXPECT_FALSE(batch_->verify());
  EXPECT_EQ(batch_->takeResult().verified, kRows - 1);
}

}  // namespace
}  // namespace instar
