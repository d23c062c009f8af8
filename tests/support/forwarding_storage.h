#pragma once

// A storage, and a transaction, that hand every call on to another one; for tests that change one of them.

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "instar/engine/storage.h"

namespace instar::testing {

class ForwardingTransaction : public storage::Transaction {
 public:
  explicit ForwardingTransaction(std::unique_ptr<storage::Transaction> inner) : inner_(std::move(inner)) {}

  std::uint64_t id() const override { return inner_->id(); }
  std::optional<Bytes> get(storage::TreeId tree, Bytes key) override { return inner_->get(tree, key); }
  std::span<std::byte> reserve(storage::TreeId tree, Bytes key, std::size_t size) override {
    return inner_->reserve(tree, key, size);
  }
  bool erase(storage::TreeId tree, Bytes key) override { return inner_->erase(tree, key); }
  std::unique_ptr<storage::Cursor> cursor(storage::TreeId tree) override { return inner_->cursor(tree); }
  storage::TreeStatistics statistics(storage::TreeId tree) override { return inner_->statistics(tree); }
  std::uint64_t countTrees() override { return inner_->countTrees(); }
  bool canBeOverwritten() const noexcept override { return inner_->canBeOverwritten(); }
  void checkIntact() const override { inner_->checkIntact(); }
  void commit() override { inner_->commit(); }

 private:
  std::unique_ptr<storage::Transaction> inner_;
};

class ForwardingStorage : public storage::Environment {
 public:
  explicit ForwardingStorage(std::shared_ptr<storage::Environment> inner) : inner_(std::move(inner)) {}

  bool readOnly() const override { return inner_->readOnly(); }
  std::unique_ptr<storage::Transaction> begin(storage::Access access,
                                              std::chrono::milliseconds wait) override {
    return inner_->begin(access, wait);
  }
  std::optional<storage::TreeId> openTree(std::string_view name, bool create) override {
    return inner_->openTree(name, create);
  }
  RowPlacement placement(std::size_t keyLength, std::size_t valueLength) const noexcept override {
    return inner_->placement(keyLength, valueLength);
  }
  void sync() override { inner_->sync(); }
  EnvironmentInfo info() override { return inner_->info(); }
  std::vector<ReaderInfo> readers() override { return inner_->readers(); }
  unsigned clearStaleReaders() override { return inner_->clearStaleReaders(); }
  bool tryLockCompaction() override { return inner_->tryLockCompaction(); }
  void unlockCompaction() noexcept override { inner_->unlockCompaction(); }
  storage::Pressure pressure() override { return inner_->pressure(); }
  void copyTo(const std::filesystem::path& target, CopyOptions options) override {
    inner_->copyTo(target, std::move(options));
  }

 private:
  std::shared_ptr<storage::Environment> inner_;
};

}  // namespace instar::testing
