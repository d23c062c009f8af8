#pragma once

// A storage with a bug, so that it is known that it would be found: now and then a commit stores the last row
// that was put under a key as it was before, and is acknowledged all the same. Only rows whose version and
// flags stay what they are, so that nothing but what was read tells of it. Any thread.

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "instar/engine/internal/catalog.h"
#include "instar/format/row.h"
#include "instar/tests/schedules/stored_rows.h"
#include "instar/tests/support/forwarding_storage.h"

namespace instar::schedules {

class ForgetfulStorage final : public testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;

  std::unique_ptr<storage::Transaction> begin(storage::Access access,
                                              std::chrono::milliseconds wait) override {
    auto inner = ForwardingStorage::begin(access, wait);
    if (access == storage::Access::read) return inner;
    return std::make_unique<ForgetfulTransaction>(*this, std::move(inner));
  }

  std::optional<storage::TreeId> openTree(std::string_view name, bool create) override {
    const auto tree = ForwardingStorage::openTree(name, create);
    if (tree && name == rowTreeName(kRows)) rows_ = *tree;
    return tree;
  }

 private:
  static constexpr storage::TreeId kNone = ~storage::TreeId{0};

  class ForgetfulTransaction final : public storage::Transaction {
   public:
    ForgetfulTransaction(ForgetfulStorage& storage, std::unique_ptr<storage::Transaction> inner)
        : storage_(storage), inner_(std::move(inner)) {}

    std::uint64_t id() const override { return inner_->id(); }
    std::optional<Bytes> get(storage::TreeId tree, Bytes key) override { return inner_->get(tree, key); }
    std::span<std::byte> reserve(storage::TreeId tree, Bytes key, std::size_t size) override {
      if (tree == storage_.rows_) remember(key);
      return inner_->reserve(tree, key, size);
    }
    bool erase(storage::TreeId tree, Bytes key) override {
      if (tree == storage_.rows_ && std::ranges::equal(key, key_)) before_.clear();
      return inner_->erase(tree, key);
    }
    std::unique_ptr<storage::Cursor> cursor(storage::TreeId tree) override { return inner_->cursor(tree); }
    storage::TreeStatistics statistics(storage::TreeId tree) override { return inner_->statistics(tree); }
    std::uint64_t countTrees() override { return inner_->countTrees(); }
    bool canBeOverwritten() const noexcept override { return inner_->canBeOverwritten(); }
    void checkIntact() const override { inner_->checkIntact(); }
    void commit() override {
      if (isUnsuspicious() && ++storage_.commits_ % 4 == 0) {
        const auto room = inner_->reserve(storage_.rows_, key_, before_.size());
        std::ranges::copy(before_, room.begin());
      }
      inner_->commit();
    }

   private:
    // The first row that is put is the turn, which is left alone: the order of commits follows from it.
    void remember(Bytes key) {
      if (turn_.empty()) turn_.assign(key.begin(), key.end());
      if (std::ranges::equal(key, turn_) || std::ranges::equal(key, key_)) return;
      key_.assign(key.begin(), key.end());
      before_.clear();
      if (const auto value = inner_->get(storage_.rows_, key)) before_.assign(value->begin(), value->end());
    }

    bool isUnsuspicious() {
      if (before_.empty()) return false;
      const auto value = inner_->get(storage_.rows_, key_);
      RowView before;
      RowView after;
      return value && decodeRow(key_, before_, Verify::no, before) == RowDamage::none &&
             decodeRow(key_, *value, Verify::no, after) == RowDamage::none &&
             before.version == after.version && before.flags == after.flags;
    }

    ForgetfulStorage& storage_;
    std::unique_ptr<storage::Transaction> inner_;
    std::vector<std::byte> turn_;
    std::vector<std::byte> key_;
    std::vector<std::byte> before_;  // nothing: there was none
  };

  std::atomic<storage::TreeId> rows_{kNone};
  std::atomic<unsigned> commits_{0};
};

}  // namespace instar::schedules
