#pragma once

// What is behind the handles of a collection: this program's view of it. Any thread.
//
// What the catalog says can change under a program: another process adds a version, a floor rises. So each
// use compares the snapshot's number with the newest one that was checked, and looks at the catalog again
// only when it is newer.
//
// A handle that Store::stage() has opened has a StagedVersion, and takes the slow way with every row, as long
// as programs do not depend on its version: there it is decided whether the row is handed out as one of its
// version or as one of the version below.

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/cold/cold_tier.h"
#include "instar/engine/internal/staging/staged_version.h"
#include "instar/engine/internal/store_state.h"
#include "instar/engine/row.h"
#include "instar/evolve/plan.h"

namespace instar {

class Preimages;

class CollectionState : public std::enable_shared_from_this<CollectionState> {
 public:
  CollectionState(std::shared_ptr<StoreState> store, Plans plans, storage::TreeId tree,
                  const Catalog::CollectionRecord& record, TransactionState& transaction,
                  std::shared_ptr<StagedVersion> staged = nullptr);
  // Of pre-images (compaction/preimages.h), for scans alone: nothing is counted as an access or written back.
  // Rows are handed out as ones of wholeVersion(), whatever is served.
  CollectionState(const CollectionState& collection, const Preimages& preimages,
                  TransactionState& transaction);

  StoreState& store() const noexcept { return *store_; }
  const std::string& name() const noexcept { return name_; }
  const Plans& plans() const noexcept { return plans_; }
  const RecordSchema& schema() const noexcept { return schema_; }
  std::uint16_t version() const noexcept { return version_; }  // of the schema
  storage::TreeId tree() const noexcept { return tree_; }      // of hot rows

  // Null where the transaction sees no cold blocks. It has to be admitted first.
  ColdTier* coldTier(TransactionState& transaction) {
    ColdTier* const tier = coldTier_.load(std::memory_order_acquire);
    if (tier == nullptr) [[likely]]
      return nullptr;
    return seesColdTier(transaction) ? tier : nullptr;
  }

  // By which rows are those of wholeVersion().
  const Plans& wholePlans() const noexcept {
    return staged_ == nullptr || staged_->isDependedUpon() ? plans_ : staged_->plansBelow();
  }
  // Tells the thread that compacts of the collection, as one of the version that programs depend on.
  void letCompact() const;

  // Whether rows can be nested deeper than they may.
  bool nestsWithoutLimit() const noexcept { return nestsWithoutLimit_; }

  // Throw Error(upgradeProgram) below the floor, Error(fixCall) where the transaction is of another store.
  void admitReading(TransactionState& transaction);
  void admitWriting(TransactionState& transaction);
  // The same without an error.
  bool mayWrite(TransactionState& transaction);
  // Throws Error(fixCall) where the store is open for reading only.
  void requireWritableStore() const;

  // Whether the collection has moved on to a newer version.
  bool isOlderProgram() const noexcept {
    return currentVersion_.load(std::memory_order_relaxed) > wholeVersion();
  }
  // Whether the version that this program's depends on was aborted, after it had been the current one.
  bool isGivenUp() const noexcept { return isAborted_.load(std::memory_order_relaxed); }
  // Whether rows may be there that a program of a version above has written, be it a staged or aborted one.
  bool mayMeetNewerRows(std::uint16_t version) const noexcept {
    return highestVersion_.load(std::memory_order_relaxed) > version;
  }

  // The version whose records this program reads and puts, under every key at least.
  std::uint16_t wholeVersion() const noexcept {
    return staged_ == nullptr || staged_->isDependedUpon() ? version_ : staged_->versionBelow();
  }
  // For a record that is put; what is read may be one of the version below all the same.
  std::uint16_t servedVersion(Bytes key) const {
    return staged_ == nullptr || staged_->serves(key) ? version_ : staged_->versionBelow();
  }

  // Decodes and verifies a stored row; a tombstone too. Throws Error(restoreFromBackup).
  RowView decode(TransactionState& transaction, Bytes key, Bytes value) {
    RowView row;
    const RowDamage damage = decodeRow(key, value, store_->verify(), row);
    if (damage != RowDamage::none) refuseRow(key, describe(damage));
    if (row.version != version_ && !isKnown(transaction, row.version)) refuseVersion(key);
    return row;
  }

  // Looks the row up in both trees, and upgrades it where it is old: Error(fixRow). Leaves `row` alone where
  // there is none. Its key may be borrowed.
  void find(TransactionState& transaction, Bytes key, internal::RowBytes& row) {
    if (heat_) heat_->touch(key);
    const auto value = transaction.storage().get(tree_, key);
    if (value) return load(transaction, key, *value, row);
    if (ColdTier* const cold = coldTier(transaction)) findCold(transaction, *cold, key, row);
  }
  // The same as it is stored, not upgraded; a copy.
  void findStored(TransactionState& transaction, Bytes key, internal::RowBytes& row);

  // A row of the hot tree that was found, and one of a block.
  void load(TransactionState& transaction, Bytes key, Bytes value, internal::RowBytes& row) {
    if (transaction.copiesRows()) return loadCopy(transaction, key, value, row);
    const RowView view = decode(transaction, key, value);
    if (view.isTombstone()) return;
    if (isLookedAt(view) && loadUpgraded(key, view, row)) return;
    row.borrow(transaction, key, view);
  }
  void loadCold(TransactionState& transaction, ColdPlace place, internal::RowBytes& row);
  // A row that must not be handed out as it is.
  [[noreturn]] void refuseRow(Bytes key, const char* damage) const;

  bool contains(TransactionState& transaction, Bytes key);
  std::uint64_t count(TransactionState& transaction);

  // As a record of which version a record is put: by whose plans its mirrors are computed, and what the row
  // is stamped with. `origin` is null for a new record. Throws Error(retry) where what the record was read as
  // cannot be put any more.
  struct PutAs {
    const Plans* plans;
    std::uint16_t version;
  };
  PutAs putAs(const Key& key, const internal::DraftOrigin* origin) const;
  // Makes the fields of a record right that older programs read. Throws Error(fixInput), also for
  // retired ones.
  void prepareToPut(const PutAs& as, capnp::MessageBuilder& record) const;
  void put(TransactionState& transaction, const Key& key, std::uint16_t version, Bytes payload);
  bool erase(TransactionState& transaction, const Key& key);  // whether there was such a row

  // Stores a row as load() hands it out, where it is of an older version; returns whether it was. A row
  // that cannot be read is left as it is.
  bool rewriteUpgraded(TransactionState& transaction, const Key& key);

 private:
  bool seesColdTier(TransactionState& transaction);
  void findCold(TransactionState& transaction, ColdTier& cold, Bytes key, internal::RowBytes& row);
  void loadCopy(TransactionState& transaction, Bytes key, Bytes value, internal::RowBytes& row);
  bool isLookedAt(const RowView& stored) const noexcept {
    return stored.version < completeFrom_.load(std::memory_order_relaxed);
  }
  // False: the row is to be handed out as it is stored.
  bool loadUpgraded(Bytes key, const RowView& stored, internal::RowBytes& row);
  bool loadStaged(Bytes key, const RowView& stored, internal::RowBytes& row);
  void upgrade(const Plans& plans, Bytes key, const RowView& stored, internal::RowBytes& row) const;
  void look(const Catalog& catalog, const Catalog::CollectionRecord& record);
  void refreshIfNewer(TransactionState& transaction) {
    if (transaction.snapshot() > checkedSnapshot_.load(std::memory_order_acquire)) refresh(transaction);
  }
  void refresh(TransactionState& transaction);
  bool isKnown(TransactionState& transaction, std::uint16_t version);
  [[noreturn]] void refuseVersion(Bytes key) const;
  void openColdTier(TransactionState& transaction);
  [[noreturn]] void refuseProgram(const char* message, std::uint16_t floor) const;
  [[noreturn]] void refuseAborted() const;
  [[noreturn]] void refuseOlderDraft(const Key& key) const;

  const std::shared_ptr<StoreState> store_;
  const std::string name_;
  const Plans plans_;
  const RecordSchema schema_;
  // Asked for with every row: the plans' own; while the version is tried or given up, all rows are below.
  const std::uint16_t version_;
  std::atomic<std::uint32_t> completeFrom_;
  const storage::TreeId tree_;
  const bool nestsWithoutLimit_;
  const bool isLive_ = true;                     // not a view of pre-images
  const std::shared_ptr<HeatKeeper> heat_;       // null where nothing compacts
  const std::shared_ptr<StagedVersion> staged_;  // null where the version is simply depended upon

  // Made when it is first seen. A snapshot that is older than the one it was seen in has to look for itself.
  std::mutex coldTierMutex_;
  std::unique_ptr<ColdTier> coldTierOwner_;  // protected by coldTierMutex_
  std::atomic<ColdTier*> coldTier_{nullptr};
  std::atomic<std::uint64_t> coldTierSeen_{0};

  // The newest snapshot that any thread has seen serves all.
  std::atomic<std::uint64_t> checkedSnapshot_;
  std::mutex lookMutex_;                          // of who changes what follows
  std::atomic<std::uint64_t> checkedGeneration_;  // of the catalog
  std::atomic<std::uint16_t> currentVersion_{0};
  std::atomic<std::uint16_t> highestVersion_{0};
  std::atomic<std::uint16_t> readerFloor_{0};
  std::atomic<std::uint16_t> writerFloor_{0};
  std::atomic<bool> isAborted_{
      false};  // the version that it depends on was, after it had been the current one
  std::array<std::atomic<std::uint64_t>, 1024> knownVersions_{};  // a bit each
};

// What is behind a handle.
const std::shared_ptr<CollectionState>& stateOf(const CollectionBase& handle) noexcept;

}  // namespace instar
