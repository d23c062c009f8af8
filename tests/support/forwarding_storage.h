#pragma once

// A storage that hands every call on to another one; for tests that change one of them.

#include <memory>
#include <utility>
#include <vector>

#include "instar/engine/storage.h"

namespace instar::testing {

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
