#pragma once

// What is behind the handles of a collection: this program's view of it. Any thread.
//
// What the catalog says can change under a program: another process adds a version, a floor rises. So each
// use compares the snapshot's number with the newest one that was checked, and looks at the catalog again
// only when it is newer.

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/store_state.h"
#include "instar/engine/row.h"
#include "instar/evolve/plan.h"

namespace instar {

class CollectionState : public std::enable_shared_from_this<CollectionState> {
 public:
  CollectionState(std::shared_ptr<StoreState> store, Plans plans, storage::TreeId tree,
                  const Catalog::CollectionRecord& record, TransactionState& transaction);

  StoreState& store() const noexcept { return *store_; }
  const std::string& name() const noexcept { return name_; }
  const Plans& plans() const noexcept { return plans_; }
  const RecordSchema& schema() const noexcept { return schema_; }
  capnp::StructSchema root() const noexcept { return root_; }
  storage::TreeId tree() const noexcept { return tree_; }

  // Whether rows can be nested deeper than they may.
  bool nestsWithoutLimit() const noexcept { return nestsWithoutLimit_; }

  // Throw Error(upgradeProgram) below the floor, Error(fixCall) where the transaction is of another store.
  void admitReading(TransactionState& transaction);
  void admitWriting(TransactionState& transaction);
  // The same without an error.
  bool mayWrite(TransactionState& transaction);

  // Whether rows may be there that a newer program has written.
  bool isOlderProgram() const noexcept { return currentVersion_.load(std::memory_order_relaxed) > version_; }

  // Decodes and verifies a stored row. Throws Error(restoreFromBackup). load() also upgrades it where it
  // is old: Error(fixRow).
  RowView decode(TransactionState& transaction, Bytes key, Bytes value) {
    RowView row;
    const RowDamage damage = decodeRow(key, value, store_->verify(), row);
    if (damage != RowDamage::none) refuseRow(key, describe(damage));
    if (row.version != version_ && !isKnown(transaction, row.version))
      refuseRow(key, "the catalog has no such schema version");
    return row;
  }
  void load(TransactionState& transaction, Bytes key, Bytes value, internal::RowBytes& row) {
    if (transaction.copiesRows()) return loadCopy(transaction, key, value, row);
    const RowView view = decode(transaction, key, value);
    if (view.version < completeFrom_) return loadUpgraded(key, view, row);
    row.borrow(transaction, key, view);
  }

  // A copy of a row as it is stored, not upgraded.
  void loadStored(TransactionState& transaction, Bytes key, Bytes value, internal::RowBytes& row);

  // Stores a row as load() hands it out, where it is of an older version; returns whether it was. A row
  // that cannot be read is left as it is.
  bool rewriteUpgraded(TransactionState& transaction, const Key& key);

  // Makes the fields of a record right that older programs read. Throws Error(fixInput), also for
  // retired ones.
  void prepareToPut(capnp::MessageBuilder& record) const;

 private:
  void loadCopy(TransactionState& transaction, Bytes key, Bytes value, internal::RowBytes& row);
  void loadUpgraded(Bytes key, const RowView& stored, internal::RowBytes& row);
  void refreshIfNewer(TransactionState& transaction) {
    if (transaction.snapshot() > checkedSnapshot_.load(std::memory_order_acquire)) refresh(transaction);
  }
  void refresh(TransactionState& transaction);
  bool isKnown(TransactionState& transaction, std::uint16_t version);
  [[noreturn]] void refuseRow(Bytes key, const char* damage) const;
  [[noreturn]] void refuseProgram(const char* message, std::uint16_t floor) const;

  const std::shared_ptr<StoreState> store_;
  const std::string name_;
  const Plans plans_;
  const RecordSchema schema_;
  const std::uint16_t version_;       // of the schema: asked for with every row
  const std::uint16_t completeFrom_;  // likewise: rows of older versions are upgraded
  const capnp::StructSchema root_;
  const storage::TreeId tree_;
  const bool nestsWithoutLimit_;

  // Each only goes up, so the newest snapshot that any thread has seen serves all.
  std::atomic<std::uint64_t> checkedSnapshot_;
  std::atomic<std::uint64_t> checkedGeneration_;  // of the catalog
  std::atomic<std::uint16_t> currentVersion_;
  std::atomic<std::uint16_t> readerFloor_;
  std::atomic<std::uint16_t> writerFloor_;
  std::array<std::atomic<std::uint64_t>, 1024> knownVersions_{};  // a bit each
};

}  // namespace instar
