#pragma once

// The catalog: what Instar stores about the file, its collections and their versions (format/catalog.capnp).
// Records are read and written through a transaction like rows, and verified always. Used by one thread at a
// time, as the transaction.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "instar/engine/internal/transaction_state.h"
#include "instar/engine/store.h"
#include "instar/evolve/guard_rails.h"
#include "instar/format/catalog.capnp.h"

namespace instar {

class Catalog {
 public:
  explicit Catalog(TransactionState& transaction) : transaction_(transaction) {}

  // Nothing in a file that has just been created. Throws Error(fixEnvironment) where the file is not
  // Instar's, Error(upgradeProgram) where its format is newer than this code.
  std::optional<FileInfo> file() const;
  void createFile();
  void raiseFormat(std::uint16_t version);  // of the file, unless it has it

  // How often collections or versions were changed.
  std::uint64_t generation() const;

  struct CollectionRecord {
    std::string name;
    std::int64_t createdAt = 0;
    std::uint16_t currentVersion = 0;
    std::uint16_t readerFloor = 0;
    std::uint16_t writerFloor = 0;
    bool tiered = false;  // has a tree of cold blocks
  };
  std::optional<CollectionRecord> collection(std::string_view name) const;
  // Walks over the whole catalog, to be sure that there are no others: Error(restoreFromBackup).
  std::vector<CollectionRecord> collections() const;
  void putCollection(const CollectionRecord& collection);

  bool hasVersion(std::string_view collection, std::uint16_t number) const;
  // Of a stored version, without decoding its schema.
  std::optional<std::uint64_t> fingerprint(std::string_view collection, std::uint16_t number) const;
  std::optional<VersionInfo> version(std::string_view collection, std::uint16_t number) const;
  std::vector<VersionInfo> versions(std::string_view collection) const;
  // The nearest number below or above that is known.
  std::optional<std::uint16_t> versionBelow(std::string_view collection, std::uint16_t number) const;
  std::optional<std::uint16_t> versionAbove(std::string_view collection, std::uint16_t number) const;
  // The highest number that is known, of any state; 0 where there is none.
  std::uint16_t highestVersion(std::string_view collection) const;
  std::optional<VersionState> versionState(std::string_view collection, std::uint16_t number) const;
  void putVersion(std::string_view collection, const RecordSchema& schema,
                  const std::vector<std::string>& changes, VersionState state);
  void setVersionState(std::string_view collection, std::uint16_t number, VersionState state);

  // How a version is tried, or was last; goes by the generation.
  struct StagingRecord {
    std::uint16_t version = 0;
    double percent = 0;
    double shadow = 0;
    bool promotes = false;
    GuardRails guardRails;
    std::int64_t stagedAt = 0;
    std::string stagedBy;
    std::string endReason;
  };
  std::optional<StagingRecord> staging(std::string_view collection) const;
  void putStaging(std::string_view collection, const StagingRecord& record);

  // Every record of the catalog in turn, for check: its key, and what is wrong with it or nothing. At last an
  // empty key, where something is wrong with the catalog as a whole.
  void verifyAll(const std::function<void(Bytes key, const char* problem)>& visit) const;

  // Records of any kind; write() and erase() are for those that do not belong to the generation. Throws
  // Error(restoreFromBackup) for a damaged one.
  template <class Record>
  Row<Record> read(const Key& key) const {
    const auto value = find(key);
    if (!value) return Row<Record>({}, [](internal::RowBytes&) {});
    return decode<Record>(key.bytes(), *value);
  }
  template <class Record>
  Row<Record> decode(Bytes key, Bytes value) const {
    return Row<Record>({}, [&](internal::RowBytes& row) { verify(key, value, row); });
  }
  template <class Record>
  void write(const Key& key, Draft<Record>& record) {
    store(key, record.message());
  }
  bool erase(const Key& key);

 private:
  std::optional<Bytes> find(const Key& key) const;
  void verify(Bytes key, Bytes value, internal::RowBytes& row) const;
  void store(const Key& key, internal::RecordMessage& record);
  // Every record in turn, and whether it comes behind the one before; what is wrong with the whole, or null.
  const char* walk(const std::function<void(Bytes key, Bytes value, bool inOrder)>& visit) const;
  void touch();

  TransactionState& transaction_;
};

// Names of a collection's trees.
std::string rowTreeName(std::string_view collection);
std::string coldTreeName(std::string_view collection);
std::string preimageRowTreeName(std::string_view collection);
std::string preimageColdTreeName(std::string_view collection);

// What the keys of a collection's records of one kind begin with.
Key recordPrefix(std::string_view kind, std::string_view collection);

// Key of a version's record.
Key versionKey(std::string_view collection, std::uint16_t number);

// Between the types of records and ours; borrowed.
inline kj::StringPtr stringPtr(const std::string& text) { return {text.c_str(), text.size()}; }
inline capnp::Data::Reader dataOf(Bytes bytes) {
  return kj::arrayPtr(reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size());
}
inline Bytes bytesOf(capnp::Data::Reader data) { return std::as_bytes(std::span(data.begin(), data.size())); }

// The name of the program that is running.
std::string programName();

// Nanoseconds since 1970, UTC.
std::int64_t now() noexcept;

}  // namespace instar
