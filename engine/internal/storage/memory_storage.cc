#include "instar/engine/internal/storage/memory_storage.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "instar/engine/internal/storage/lmdb_file.h"
#include "instar/engine/internal/storage/storage_checks.h"
#include "instar/engine/internal/storage/write_turn.h"

namespace instar::storage {
namespace {

constexpr std::size_t kPageSize = 4096;
constexpr std::size_t kMaxTreeCount = 2010;

using Value = std::shared_ptr<std::vector<std::byte>>;
using Tree = std::map<std::string, Value, std::less<>>;

// One state of all trees. Never changed once it is published; a transaction has its own copy to change.
struct Snapshot {
  std::uint64_t number = 0;
  std::vector<std::string> names;
  std::vector<std::shared_ptr<const Tree>> trees;
};

class MemoryEnvironment;
class MemoryCursor;

class MemoryTransaction final : public Transaction {
 public:
  MemoryTransaction(std::shared_ptr<MemoryEnvironment> environment, std::shared_ptr<const Snapshot> snapshot,
                    Access access);
  ~MemoryTransaction() override { end(); }

  std::uint64_t id() const override { return snapshot_->number + (access_ == Access::write ? 1 : 0); }
  std::optional<Bytes> get(TreeId tree, Bytes key) override;
  std::span<std::byte> reserve(TreeId tree, Bytes key, std::size_t size) override;
  bool erase(TreeId tree, Bytes key) override;
  std::unique_ptr<Cursor> cursor(TreeId tree) override;
  TreeStatistics statistics(TreeId tree) override;
  std::uint64_t countTrees() override {
    checkUsable();
    return snapshot_->names.size();
  }
  bool canBeOverwritten() const noexcept override { return false; }
  void checkIntact() const override {}
  void commit() override;

 private:
  friend class MemoryCursor;

  // What cursors know of their transaction; it outlives both.
  struct Life {
    bool ended = false;
    std::uint64_t changes = 0;
  };

  void checkUsable() const;
  const Tree& treeAt(TreeId tree) const;
  Tree& changeableTreeAt(TreeId tree);
  void count(Operation operation);
  void end() noexcept;

  std::shared_ptr<MemoryEnvironment> environment_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::map<TreeId, std::shared_ptr<Tree>> changed_;
  std::shared_ptr<Life> life_ = std::make_shared<Life>();
  std::optional<Error> failure_;
  std::thread::id owner_ = std::this_thread::get_id();
  Access access_;
  bool isDirty_ = false;
};

class MemoryEnvironment final : public Environment, public std::enable_shared_from_this<MemoryEnvironment> {
 public:
  explicit MemoryEnvironment(std::shared_ptr<FaultPlan> faults) : faults_(std::move(faults)) {}

  bool tryLockCompaction() override { return !compacting_.exchange(true); }
  void unlockCompaction() noexcept override { compacting_ = false; }
  Pressure pressure() override { return {turn_.waiting(), UINT64_MAX}; }

  bool readOnly() const override { return false; }

  std::unique_ptr<Transaction> begin(Access access, std::chrono::milliseconds wait) override {
    if (access == Access::write) turn_.take(wait);
    return std::make_unique<MemoryTransaction>(shared_from_this(), snapshot(), access);
  }

  std::optional<TreeId> openTree(std::string_view name, bool create) override {
    checkTreeName(name);
    if (const auto tree = find(name)) return tree;
    if (turn_.isMine()) {
      throw Error(ErrorCode::fixCall,
                  "this thread has a write transaction open: open trees before it begins");
    }
    if (!create) return std::nullopt;
    turn_.take(std::chrono::seconds(30));
    const auto tree = find(name);  // another thread may have been faster
    if (!tree) addTree(name);
    turn_.giveBack();
    return tree ? tree : find(name);
  }

  RowPlacement placement(std::size_t keyLength, std::size_t valueLength) const noexcept override {
    return placementOf(kPageSize, keyLength, valueLength);
  }

  void sync() override {}

  EnvironmentInfo info() override {
    EnvironmentInfo info;
    info.pageSize = kPageSize;
    info.lastTransaction = snapshot()->number;
    info.storageVersion = "memory";
    return info;
  }

  std::vector<ReaderInfo> readers() override { return {}; }
  unsigned clearStaleReaders() override { return 0; }

  void copyTo(const std::filesystem::path&, CopyOptions) override {
    throw Error(ErrorCode::fixCall, "a store in memory has no file: it cannot be copied");
  }

  std::shared_ptr<const Snapshot> snapshot() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
  }
  void publish(std::shared_ptr<const Snapshot> snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(snapshot);
  }
  void endWrite() noexcept { turn_.giveBack(); }
  void count(Operation operation) {
    if (faults_) faults_->count(operation);
  }

 private:
  std::optional<TreeId> find(std::string_view name) const {
    const auto now = snapshot();
    const auto found = std::find(now->names.begin(), now->names.end(), name);
    if (found == now->names.end()) return std::nullopt;
    return static_cast<TreeId>(found - now->names.begin());
  }

  void addTree(std::string_view name) {
    auto next = std::make_shared<Snapshot>(*snapshot());
    if (next->names.size() == kMaxTreeCount) {
      turn_.giveBack();
      throw Error(ErrorCode::fixCall, "the store has no room for another tree: use fewer collections");
    }
    ++next->number;
    next->names.emplace_back(name);
    next->trees.push_back(std::make_shared<Tree>());
    publish(std::move(next));
  }

  const std::shared_ptr<FaultPlan> faults_;
  WriteTurn turn_;
  std::atomic<bool> compacting_{false};
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<Snapshot>();  // protected by mutex_
};

class MemoryCursor final : public Cursor {
 public:
  MemoryCursor(MemoryTransaction& transaction, TreeId tree)
      : transaction_(transaction), life_(transaction.life_), treeId_(tree) {}

  bool first() override {
    return move([](const Tree& tree) { return tree.begin(); });
  }
  bool last() override {
    return move([](const Tree& tree) { return tree.empty() ? tree.end() : std::prev(tree.end()); });
  }
  bool seek(Bytes key) override {
    return move([&](const Tree& tree) { return tree.lower_bound(asText(key)); });
  }
  bool next() override {
    return isPositioned() && move([&](const Tree&) { return std::next(position_); });
  }
  bool previous() override {
    return isPositioned() && move([&](const Tree& tree) {
             return position_ == tree.begin() ? tree.end() : std::prev(position_);
           });
  }
  std::size_t next(std::span<Entry> entries) override {
    return fill(entries, [this] { return next(); });
  }
  std::size_t previous(std::span<Entry> entries) override {
    return fill(entries, [this] { return previous(); });
  }
  Bytes key() const override { return asBytes(position_->first); }
  Bytes value() const override { return *position_->second; }

 private:
  template <class Step>
  std::size_t fill(std::span<Entry> entries, Step step) {
    std::size_t count = 0;
    while (count < entries.size() && step()) entries[count++] = {key(), value()};
    return count;
  }

  template <class Find>
  bool move(Find find) {
    if (life_->ended) throwTransactionEnded();
    transaction_.checkUsable();
    const Tree& tree = transaction_.treeAt(treeId_);
    position_ = find(tree);
    isPositioned_ = position_ != tree.end();
    changes_ = life_->changes;
    return isPositioned_;
  }

  bool isPositioned() const {
    if (life_->ended) throwTransactionEnded();
    if (isPositioned_ && changes_ != life_->changes) throwCursorUnpositioned();
    return isPositioned_;
  }

  MemoryTransaction& transaction_;
  std::shared_ptr<MemoryTransaction::Life> life_;
  TreeId treeId_;
  Tree::const_iterator position_;
  std::uint64_t changes_ = 0;
  bool isPositioned_ = false;
};

MemoryTransaction::MemoryTransaction(std::shared_ptr<MemoryEnvironment> environment,
                                     std::shared_ptr<const Snapshot> snapshot, Access access)
    : environment_(std::move(environment)), snapshot_(std::move(snapshot)), access_(access) {}

void MemoryTransaction::checkUsable() const {
  if (life_->ended) throwTransactionEnded();
  if (failure_) throw Error(*failure_);
}

const Tree& MemoryTransaction::treeAt(TreeId tree) const {
  if (tree >= snapshot_->trees.size()) throwUnknownTree();
  const auto changed = changed_.find(tree);
  return changed != changed_.end() ? *changed->second : *snapshot_->trees[tree];
}

Tree& MemoryTransaction::changeableTreeAt(TreeId tree) {
  const Tree& now = treeAt(tree);
  auto& changed = changed_[tree];
  if (!changed) changed = std::make_shared<Tree>(now);
  return *changed;
}

void MemoryTransaction::count(Operation operation) {
  try {
    environment_->count(operation);
  } catch (const Error& error) {
    failure_ = error;
    throw;
  }
}

std::optional<Bytes> MemoryTransaction::get(TreeId tree, Bytes key) {
  checkUsable();
  checkKey(key);
  count(Operation::get);
  const Tree& rows = treeAt(tree);
  const auto found = rows.find(asText(key));
  if (found == rows.end()) return std::nullopt;
  return Bytes(*found->second);
}

std::span<std::byte> MemoryTransaction::reserve(TreeId tree, Bytes key, std::size_t size) {
  checkUsable();
  if (access_ != Access::write) throwNotWritable();
  checkKey(key);
  checkValueSize(size);
  const std::string name(asText(key));  // it may be borrowed from what is about to change
  Tree& rows = changeableTreeAt(tree);
  ++life_->changes;
  count(Operation::reserve);
  isDirty_ = true;
  return *(rows[name] = std::make_shared<std::vector<std::byte>>(size));
}

bool MemoryTransaction::erase(TreeId tree, Bytes key) {
  checkUsable();
  if (access_ != Access::write) throwNotWritable();
  checkKey(key);
  Tree& rows = changeableTreeAt(tree);
  ++life_->changes;
  const auto found = rows.find(asText(key));
  if (found == rows.end()) return false;
  rows.erase(found);
  isDirty_ = true;
  return true;
}

std::unique_ptr<Cursor> MemoryTransaction::cursor(TreeId tree) {
  checkUsable();
  treeAt(tree);
  return std::make_unique<MemoryCursor>(*this, tree);
}

TreeStatistics MemoryTransaction::statistics(TreeId tree) {
  checkUsable();
  TreeStatistics statistics;
  statistics.entries = treeAt(tree).size();
  return statistics;
}

void MemoryTransaction::commit() {
  if (life_->ended) throwTransactionEnded();
  if (access_ == Access::write && owner_ != std::this_thread::get_id()) throwOtherThread();
  std::optional<Error> failure = failure_;
  if (!failure && access_ == Access::write) {
    try {
      environment_->count(Operation::commit);
    } catch (const Error& error) {
      failure = error;
    }
  }
  const bool isStored = !failure || failure->code() == ErrorCode::readBack;
  if (isStored && isDirty_) {
    auto next = std::make_shared<Snapshot>(*snapshot_);
    ++next->number;
    for (auto& [tree, rows] : changed_) next->trees[tree] = std::move(rows);
    environment_->publish(std::move(next));
  }
  end();
  if (failure) throw Error(*failure);
}

void MemoryTransaction::end() noexcept {
  if (std::exchange(life_->ended, true)) return;
  if (access_ == Access::write) environment_->endWrite();
}

}  // namespace

void FaultPlan::failAt(Operation operation, std::size_t nth, Error error) {
  const std::lock_guard lock(mutex_);
  faults_.push_back({operation, nth, std::move(error)});
}

void FaultPlan::count(Operation operation) {
  const std::lock_guard lock(mutex_);
  std::optional<Error> due;
  for (Fault& fault : faults_) {
    if (fault.operation == operation && --fault.remaining == 0) due = fault.error;
  }
  std::erase_if(faults_, [](const Fault& fault) { return fault.remaining == 0; });
  if (due) throw Error(*due);
}

std::shared_ptr<Environment> openMemory(std::shared_ptr<FaultPlan> faults) {
  return std::make_shared<MemoryEnvironment>(std::move(faults));
}

}  // namespace instar::storage
