#pragma once

// A store: one file, many collections. One object opens everything:
//
//     auto store    = instar::Store::open("contacts.instar");
//     auto contacts = store.collection<Contact>("contacts");
//
// A Store is a handle, usable by all threads; opening a file twice in one process gives two handles to the
// same thing. The file is closed when the last handle, collection and transaction of it is gone. Not for use
// in a forked child.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "instar/engine/collection.h"
#include "instar/engine/compaction.h"
#include "instar/engine/options.h"
#include "instar/engine/staging_options.h"
#include "instar/engine/transaction.h"
#include "instar/evolve/admission.h"
#include "instar/evolve/plan.h"
#include "instar/evolve/record_schema.h"
#include "instar/evolve/verdict.h"
#include "instar/format/error.h"

namespace instar {

namespace storage {
class Environment;
}

struct FileInfo {
  std::uint16_t formatVersion = 0;
  std::int64_t createdAt = 0;  // nanoseconds since 1970, UTC
  std::string createdBy;       // release of Instar
};

struct CollectionInfo {
  std::string name;
  std::int64_t createdAt = 0;
  std::uint16_t currentVersion = 0;
  std::uint16_t readerFloor = 0;  // lowest version of a program that may read
  std::uint16_t writerFloor = 0;  // lowest version of a program that may write
  std::uint64_t rows = 0;
  std::uint64_t pages = 0;     // of the tree of rows
  std::uint64_t coldRows = 0;  // among the rows, those that only a cold block has
  std::uint64_t coldBlocks = 0;
  std::uint64_t coldBytes = 0;  // of blocks, as they are stored
  std::uint64_t coldPages = 0;  // of the tree of blocks
};

struct VersionInfo {
  std::uint16_t number = 0;
  RecordSchema schema;
  std::int64_t addedAt = 0;
  std::string addedBy;               // program that added it
  std::vector<std::string> changes;  // against the version before, a line each
  VersionState state = VersionState::active;
};

// What opening a collection with some schema would do, or has done.
struct SchemaChange {
  enum class Outcome : std::uint8_t {
    unchanged = 1,  // the file knows this version
    created,        // a new collection
    added,          // a new version
    inserted,       // an older version that the file had not seen
    older,          // an older program; nothing to record
    refused,        // the schema changes what stored rows do not allow, or kept its number
    staged,         // a new version, to be tried
    inTrial,        // the version that is tried
    aborted,        // a version that was aborted: the program does as one of the version below
  };
  Outcome outcome = Outcome::unchanged;
  std::uint16_t from = 0;         // the collection's version before, 0 for a new collection
  std::uint16_t to = 0;           // the program's version
  std::uint16_t readerFloor = 0;  // as they are then
  std::uint16_t writerFloor = 0;
  std::vector<Judgement> judgements{};
  std::optional<Error> refusal{};  // where it is refused: what collection() throws
};

class Store {
 public:
  // Opens or creates a file. O(1), whatever is stored; data is never rewritten.
  // Throws Error(fixEnvironment): not an Instar file, no permission, missing, network file system;
  // Error(upgradeProgram): a newer file format; Error(restoreFromBackup): damaged; Error(fixCall): open in
  // this process with other options.
  static Store open(const std::filesystem::path& path, const StoreOptions& options = {});

  // A store over the given environment; for tests.
  static Store open(std::shared_ptr<storage::Environment> environment, const StoreOptions& options = {});

  ReadTransaction read() const;

  // Waits for other writers, up to StoreOptions::writeTimeout: then Error(retry).
  WriteTransaction write() const;

  // Opens a collection for a program whose records are of type T; creates it in a store that may be written.
  // A higher $version than the file knows is added, in one small commit, if every difference is additive.
  // O(1) in rows and in versions. Throws Error(fixSchema): differences that are refused, with the safe way to
  // do each; Error(upgradeProgram): below the reader floor; Error(fixCall): a name that cannot be one, an
  // absent collection in a read-only store, a function that the schema calls and the program does not have,
  // or something to record while the calling thread has a write transaction open.
  template <class T>
  Collection<T> collection(std::string_view name) const {
    static const RecordSchema schema = RecordSchema::fromStruct(capnp::Schema::from<T>());
    return Collection<T>(openCollection(name, schema));
  }

  // The same with a schema that is known only at run time.
  Collection<capnp::DynamicStruct> collection(std::string_view name, const RecordSchema& schema) const {
    return Collection<capnp::DynamicStruct>(openCollection(name, schema));
  }

  // A collection through the newest schema in the file. Throws Error(fixCall) where there is none of that
  // name. Functions may be missing: rows that need them are Error(fixRow).
  Collection<capnp::DynamicStruct> collection(std::string_view name) const {
    return Collection<capnp::DynamicStruct>(openCollection(name));
  }

  // Opens a version to try it (engine/staging.h): where the file does not know it, it is staged, and nothing
  // that is stored or that other programs do changes; where it is staged or aborted, or the current version
  // and has shut nobody out, the handle goes along with what becomes of it, now and whenever that changes:
  // for that the program needs the functions of the version below too. Otherwise it is a handle as
  // collection() gives it. Throws as that does, and Error(fixSchema) where another version is staged,
  // Error(fixCall) for a share that cannot be; then nothing is recorded.
  template <class T>
  Collection<T> stage(std::string_view name, const StagingOptions& options = {}) const {
    static const RecordSchema schema = RecordSchema::fromStruct(capnp::Schema::from<T>());
    return Collection<T>(openCollection(name, schema, &options));
  }
  Collection<capnp::DynamicStruct> stage(std::string_view name, const RecordSchema& schema,
                                         const StagingOptions& options = {}) const {
    return Collection<capnp::DynamicStruct>(openCollection(name, schema, &options));
  }

  // What collection(name, schema) would do; writes nothing. A refusal is an outcome; otherwise throws as that
  // does.
  SchemaChange examine(std::string_view name, const RecordSchema& schema) const;

  std::vector<CollectionInfo> collections(const Transaction& transaction) const;
  std::vector<VersionInfo> versions(const Transaction& transaction, std::string_view collection) const;
  std::optional<RecordSchema> version(const Transaction& transaction, std::string_view collection,
                                      std::uint16_t number) const;
  // How rows of older versions become ones of the schema, which need not be in the file.
  Plans plans(const Transaction& transaction, std::string_view collection, const RecordSchema& schema) const;
  FileInfo fileInfo(const Transaction& transaction) const;

  // Rewrites rows that were upgraded when they were read (StoreOptions::writeBackRows), exactly as they
  // were read, so that the next reading finds them done: at most `limit` of them, in one transaction.
  // Reading itself never writes; call this when there is time, until it returns 0. Returns how many rows
  // were rewritten; those that were changed or erased meanwhile, or that this program may not write, are
  // left alone. Throws as write() and WriteTransaction::commit() do.
  std::size_t writeBack(std::size_t limit = 1000) const;

  // The thread that compacts (StoreOptions::compaction). Throws Error(fixCall) where the store has none.
  Compaction compaction() const;

  EnvironmentInfo info() const;  // reads the whole list of free pages
  std::vector<ReaderInfo> readers() const;
  unsigned clearStaleReaders() const;
  void sync() const;  // makes every commit so far durable, at every durability level

  // A consistent copy while others read and write: written beside `target`, synced, then renamed.
  void backup(const std::filesystem::path& target, const CopyOptions& options = {}) const;

  // Rewrites a file without its free pages. Nobody may have it open, in this process or another:
  // Error(retry).
  static void compact(const std::filesystem::path& path, const ProgressCallback& progress = {});

 private:
  friend class Compactor;

  explicit Store(std::shared_ptr<StoreState> state);
  // `staging` is null for a program that depends on its version.
  std::shared_ptr<CollectionState> openCollection(std::string_view name, const RecordSchema& schema,
                                                  const StagingOptions* staging = nullptr) const;
  std::shared_ptr<CollectionState> openCollection(std::string_view name) const;
  void startThreads();

  std::shared_ptr<StoreState> state_;
};

}  // namespace instar
