#include "instar/engine/store.h"

#include <algorithm>

#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/collection_state.h"
#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/compactor.h"
#include "instar/engine/internal/schema_registration.h"
#include "instar/engine/internal/staging/canary_keeper.h"
#include "instar/engine/internal/staging/stage_changes.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/internal/store_state.h"
#include "instar/format/file_format.h"

namespace instar {
namespace {

[[noreturn]] void refuseForeignFile() {
  throw Error(ErrorCode::fixEnvironment, "this is not an Instar file: name another file");
}

[[noreturn]] void refuseUnfinishedFile() {
  throw Error(ErrorCode::fixEnvironment,
              "the file was not finished when it was created: open it for writing once");
}

// Whether nothing was ever committed but the empty tree of the catalog, so that the file is ours to finish;
// everything else is somebody's data. The number of commits alone does not tell: it begins anew in a compact
// copy.
bool isUnfinished(TransactionState& transaction) {
  storage::Transaction& file = transaction.storage();
  return transaction.snapshot() <= 1 && file.countTrees() == 1 &&
         file.statistics(transaction.store().catalog()).entries == 0;
}

[[noreturn]] void refuseUnknown(const Catalog& catalog, std::string_view name) {
  std::string known;
  for (const auto& collection : catalog.collections()) known += (known.empty() ? "" : ", ") + collection.name;
  throw Error(ErrorCode::fixCall, "there is no such collection in the file",
              {{"collection", std::string(name)}, {"collections", known.empty() ? "none" : known}});
}

// All zero where there is no such tree.
storage::TreeStatistics statisticsOf(TransactionState& transaction, const std::string& name) {
  const auto tree = transaction.store().environment().openTree(name, false);
  return tree ? transaction.storage().statistics(*tree) : storage::TreeStatistics();
}

std::uint64_t pagesOf(const storage::TreeStatistics& tree) {
  return tree.leafPages + tree.branchPages + tree.overflowPages;
}

void requireFunctions(const Plans& plans, std::string_view collection) {
  try {
    plans.requireFunctions();
  } catch (const Error& error) {
    throw error.with("collection", std::string(collection));
  }
}

// Whether a handle that stage() opens goes along with what becomes of its version: one that is tried, and the
// current one where it can still be given up.
bool goesAlong(const Catalog& catalog, std::string_view collection, const SchemaChange& change) {
  return isTrial(change) || (change.outcome == SchemaChange::Outcome::unchanged &&
                             std::max(change.readerFloor, change.writerFloor) < change.to &&
                             storedVersions(catalog, collection).below(change.to));
}

// What a program needs to work with a version, and whether it may, before anything is recorded.
struct Opened {
  SchemaChange change;
  Plans plans;  // decodes the structs that this one has replaced
  std::shared_ptr<StagedVersion> staged;
};

// `staging` is null for a program that depends on its version.
Opened prepare(TransactionState& transaction, std::string_view name, const RecordSchema& schema,
               const StagingOptions* staging) {
  const Opening opening = staging != nullptr ? Opening::staged : Opening::plain;
  Opened opened{requireAllowed(examineSchema(transaction, name, schema, opening)),
                plansOf(transaction, name, schema), nullptr};
  if (staging != nullptr && goesAlong(Catalog(transaction), name, opened.change))
    opened.staged = stagedVersion(transaction, name, opened.plans, *staging);
  if (transaction.store().options().allowMissingFunctions) return opened;
  requireFunctions(opened.plans, name);
  if (opened.staged) requireFunctions(opened.staged->plansBelow(), name);
  return opened;
}

// What handles share: the threads end with the last of them, on the thread of who lets go of it. The threads
// themselves hold the state alone.
struct OpenStore {
  std::shared_ptr<StoreState> state;
  std::shared_ptr<Compactor> compactor;  // null where nothing compacts
  std::shared_ptr<CanaryKeeper> canaryKeeper;

  ~OpenStore() {
    if (compactor) compactor->stop();
    canaryKeeper->stop();
  }
};

[[noreturn]] void refuseMissingTree(std::string_view name) {
  throw Error(ErrorCode::restoreFromBackup,
              "the rows or the schema of the collection are missing: restore the file",
              {{"collection", std::string(name)}});
}

}  // namespace

Store::Store(std::shared_ptr<StoreState> state) : state_(std::move(state)) {}

Store Store::open(const std::filesystem::path& path, const StoreOptions& options) {
  try {
    return open(storage::openLmdb(path, options), options);
  } catch (const Error& error) {
    if (!error.fact("path").empty()) throw;
    throw error.with("path", path.string());
  }
}

Store Store::open(std::shared_ptr<storage::Environment> environment, const StoreOptions& options) {
  const bool writable = options.mode != OpenMode::readOnly;
  // Not from info(), which reads the whole list of free pages.
  const std::uint64_t commits = environment->begin(storage::Access::read, {})->id();
  auto catalogTree = environment->openTree(kCatalogTree, false);
  if (!catalogTree && commits != 0) refuseForeignFile();
  if (!catalogTree && !writable) refuseUnfinishedFile();
  if (!catalogTree) catalogTree = environment->openTree(kCatalogTree, true);
  Store store(std::make_shared<StoreState>(environment, options, *catalogTree));
  {
    const ReadTransaction transaction = store.read();
    if (Catalog(transaction.state()).file()) {
      store.startThreads();
      return store;
    }
    if (!writable && isUnfinished(transaction.state())) refuseUnfinishedFile();
    if (!writable) refuseForeignFile();
  }
  WriteTransaction transaction = store.write();
  Catalog catalog(transaction.state());
  if (!catalog.file()) {
    if (!isUnfinished(transaction.state())) refuseForeignFile();
    catalog.createFile();
    transaction.commit();
    // That there is a store is durable at every level, so that no reader ever meets an unfinished file.
    if (options.durability != Durability::full) environment->sync();
  }
  store.startThreads();
  return store;
}

void Store::startThreads() {
  const StoreOptions& options = state_->options();
  if (options.mode == OpenMode::readOnly) return;
  auto canaryKeeper = std::make_shared<CanaryKeeper>(state_);
  const auto open = std::make_shared<OpenStore>();
  open->state = state_;
  open->canaryKeeper = std::move(canaryKeeper);
  state_->setCanaryKeeper(open->canaryKeeper);
  if (options.compaction.mode != CompactionMode::off) {
    open->compactor = std::make_shared<Compactor>(state_);
    state_->setCompactor(open->compactor);
  }
  state_ = std::shared_ptr<StoreState>(open, open->state.get());
}

Compaction Store::compaction() const {
  auto compactor = state_->compactor();
  if (!compactor) {
    throw Error(ErrorCode::fixCall,
                "nothing compacts in this store: open it for writing with StoreOptions::compaction");
  }
  return Compaction(std::move(compactor));
}

ReadTransaction Store::read() const {
  return ReadTransaction(std::make_unique<TransactionState>(state_, storage::Access::read));
}

WriteTransaction Store::write() const {
  return WriteTransaction(std::make_unique<TransactionState>(state_, storage::Access::write));
}

std::size_t Store::writeBack(std::size_t limit) const {
  std::size_t rewritten = 0;
  while (rewritten == 0) {
    if (limit == 0 || state_->writeBackQueue().empty()) return 0;
    WriteTransaction transaction = write();  // first, so that who cannot write loses nothing
    rewritten = state_->writeBackQueue().rewrite(transaction.state(), limit);
    if (rewritten != 0) transaction.commit();
  }
  return rewritten;
}

EnvironmentInfo Store::info() const { return state_->environment().info(); }
std::vector<ReaderInfo> Store::readers() const { return state_->environment().readers(); }
unsigned Store::clearStaleReaders() const { return state_->environment().clearStaleReaders(); }
void Store::sync() const { state_->environment().sync(); }

void Store::backup(const std::filesystem::path& target, const CopyOptions& options) const {
  state_->environment().copyTo(target, options);
}

void Store::compact(const std::filesystem::path& path, const ProgressCallback& progress) {
  try {
    open(path, {.mode = OpenMode::readOnly});  // refuses what is not ours
  } catch (const Error& error) {
    if (error.code() != ErrorCode::fixCall) throw;  // open in this process: that is refused next
  }
  storage::compactInPlace(path, progress);
}

FileInfo Store::fileInfo(const Transaction& transaction) const {
  const auto info = Catalog(transaction.state()).file();
  return info ? *info : FileInfo{};
}

std::vector<CollectionInfo> Store::collections(const Transaction& transaction) const {
  std::vector<CollectionInfo> result;
  for (const auto& record : Catalog(transaction.state()).collections()) {
    CollectionInfo info{.name = record.name,
                        .createdAt = record.createdAt,
                        .currentVersion = record.currentVersion,
                        .readerFloor = record.readerFloor,
                        .writerFloor = record.writerFloor};
    const storage::TreeStatistics hot = statisticsOf(transaction.state(), rowTreeName(record.name));
    info.rows = hot.entries;
    info.pages = pagesOf(hot);
    if (record.tiered) {
      const Tiers tiers = readTiers(transaction.state(), record.name);
      info.coldRows = tiers.coldRows - tiers.coveredRows;
      info.rows += info.coldRows - tiers.tombstones;
      info.coldBlocks = tiers.coldBlocks;
      info.coldBytes = tiers.coldBytes;
      info.coldPages = pagesOf(statisticsOf(transaction.state(), coldTreeName(record.name)));
    }
    result.push_back(std::move(info));
  }
  return result;
}

std::vector<VersionInfo> Store::versions(const Transaction& transaction, std::string_view collection) const {
  const Catalog catalog(transaction.state());
  if (!catalog.collection(collection)) refuseUnknown(catalog, collection);
  return catalog.versions(collection);
}

std::optional<RecordSchema> Store::version(const Transaction& transaction, std::string_view collection,
                                           std::uint16_t number) const {
  const Catalog catalog(transaction.state());
  if (!catalog.collection(collection)) refuseUnknown(catalog, collection);
  const auto found = catalog.version(collection, number);
  if (!found) return std::nullopt;
  return found->schema;
}

Plans Store::plans(const Transaction& transaction, std::string_view collection,
                   const RecordSchema& schema) const {
  return plansOf(transaction.state(), collection, schema);
}

SchemaChange Store::examine(std::string_view name, const RecordSchema& schema) const {
  checkCollectionName(name);
  const ReadTransaction transaction = read();
  return examineSchema(transaction.state(), name, schema);
}

std::shared_ptr<CollectionState> Store::openCollection(std::string_view name, const RecordSchema& schema,
                                                       const StagingOptions* staging) const {
  checkCollectionName(name);
  if (staging != nullptr) checkOptions(*staging);
  storage::Environment& environment = state_->environment();
  const std::string tree = rowTreeName(name);
  bool isNew;
  std::optional<Opened> opened;
  {
    const ReadTransaction transaction = read();
    opened.emplace(prepare(transaction.state(), name, schema, staging));
    isNew = opened->change.outcome == SchemaChange::Outcome::created;
    if (isNew && environment.readOnly()) {
      refuseUnknown(Catalog(transaction.state()), name);
    }
  }
  // The tree comes first: a crash between the two leaves an empty tree, which the next opening takes.
  const auto rows = environment.openTree(tree, isNew);
  if (!rows) refuseMissingTree(name);
  if (isRecorded(opened->change) && !environment.readOnly()) {
    if (staging != nullptr) openAudit(environment);
    WriteTransaction transaction = write();
    // Another program may have added a version before.
    const SchemaChange& change = opened.emplace(prepare(transaction.state(), name, schema, staging)).change;
    if (isRecorded(change)) {
      recordSchema(transaction.state(), name, schema, change);
      if (isTrial(change)) recordStaging(transaction.state(), name, change, *staging);
      transaction.commit();
    }
  }
  const ReadTransaction transaction = read();
  if (opened->staged) keepTrial(transaction.state(), name, *opened->staged, staging->ended);
  auto state = std::make_shared<CollectionState>(state_, std::move(opened->plans), *rows,
                                                 *Catalog(transaction.state()).collection(name),
                                                 transaction.state(), std::move(opened->staged));
  state->letCompact();
  return state;
}

std::shared_ptr<CollectionState> Store::openCollection(std::string_view name) const {
  const ReadTransaction transaction = read();
  const Catalog catalog(transaction.state());
  const auto record = catalog.collection(name);
  if (!record) refuseUnknown(catalog, name);
  const auto version = catalog.version(name, record->currentVersion);
  const auto rows = state_->environment().openTree(rowTreeName(name), false);
  if (!version || !rows) refuseMissingTree(name);
  return std::make_shared<CollectionState>(state_, plansOf(transaction.state(), name, version->schema), *rows,
                                           *record, transaction.state());
}

}  // namespace instar
