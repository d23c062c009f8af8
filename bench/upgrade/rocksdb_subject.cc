// RocksDB, set up as its documentation advises for a start: levels of dynamic size, blocks of 16 KiB, LZ4
// above and zstd on the last level, Bloom filters, a block cache, as many background threads as processors. A
// full commit is a write with `sync`; any other one is in the log, which the system writes when it likes.
//
// A write batch knows nothing of what others write between its reads and its commit. So whoever reads in
// order to write takes a lock for that time, the loop of the migration too; it is the only lock that there
// is.

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "instar/bench/upgrade/systems.h"
#include "instar/bench/upgrade/tagged_subject.h"

namespace instar::bench {
namespace {

constexpr std::size_t kBlockSize = std::size_t{16} << 10;
constexpr std::size_t kBlockCache = std::size_t{1} << 30;  // as much as SQLite is given
constexpr int kBloomBitsPerKey = 10;
constexpr std::uint64_t kBytesPerSync = std::uint64_t{1} << 20;
// Of a batch that is to hold the whole migration: a batch lies in memory, and again in the memory table.
// Larger migrations are several batches, no longer all or nothing.
constexpr std::size_t kBatchLimit = std::size_t{512} << 20;

constexpr std::chrono::milliseconds kPauseOfSettling{5};  // in which a merge that is due begins

void checkRocksDb(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error("RocksDB: " + status.ToString());
}

rocksdb::Slice toSlice(const Key& key) noexcept {
  return {reinterpret_cast<const char*>(key.bytes().data()), key.bytes().size()};
}
rocksdb::Slice toSlice(std::string_view text) noexcept { return {text.data(), text.size()}; }

rocksdb::Options optionsOfRocksDb() {
  rocksdb::BlockBasedTableOptions table;
  table.block_size = kBlockSize;
  table.block_cache = rocksdb::NewLRUCache(kBlockCache);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  rocksdb::Options options;
  options.create_if_missing = true;
  options.IncreaseParallelism(static_cast<int>(std::thread::hardware_concurrency()));
  options.level_compaction_dynamic_level_bytes = true;
  options.bytes_per_sync = kBytesPerSync;
  options.compression = rocksdb::kLZ4Compression;
  options.bottommost_compression = rocksdb::kZSTD;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

class RocksDbCursor {
 public:
  RocksDbCursor(rocksdb::DB& database, rocksdb::WriteBatch* batch, std::uint64_t from)
      : iterator_(database.NewIterator({})), batch_(batch) {
    iterator_->Seek(toSlice(keyOf(from)));
  }

  bool isValid() const {
    if (iterator_->Valid()) return true;
    checkRocksDb(iterator_->status());
    return false;
  }
  std::string_view value() const { return {iterator_->value().data(), iterator_->value().size()}; }
  void next() { iterator_->Next(); }
  void replace(std::string_view value) { checkRocksDb(batch_->Put(iterator_->key(), toSlice(value))); }

 private:
  const std::unique_ptr<rocksdb::Iterator> iterator_;
  rocksdb::WriteBatch* const batch_;  // of a transaction
};

class RocksDbEngine {
 public:
  RocksDbEngine(const std::filesystem::path& path, Durability durability) {
    rocksdb::DB* opened = nullptr;
    checkRocksDb(rocksdb::DB::Open(optionsOfRocksDb(), path, &opened));
    database_.reset(opened);
    writing_.sync = durability == Durability::full;
  }

  // In the form that the rows would have after a while: all of them on the last level.
  void flush() {
    checkRocksDb(database_->Flush({}));
    checkRocksDb(database_->CompactRange({}, nullptr, nullptr));
    checkRocksDb(database_->SyncWAL());
  }

  // What is in memory, and the merging of levels that is due, also by what was merged meanwhile: whether any
  // is can be asked only where none is running.
  void settle() {
    checkRocksDb(database_->Flush({}));
    for (std::uint64_t pending = 1; pending != 0;) {
      checkRocksDb(database_->PauseBackgroundWork());  // once what is running has ended
      if (!database_->GetIntProperty(rocksdb::DB::Properties::kCompactionPending, &pending))
        throw std::runtime_error("RocksDB does not say whether a merge is due");
      checkRocksDb(database_->ContinueBackgroundWork());
      if (pending != 0) std::this_thread::sleep_for(kPauseOfSettling);
    }
  }

  class Connection {
   public:
    explicit Connection(RocksDbEngine& engine) noexcept : engine_(engine) {}

    class Reading {
     public:
      Reading(rocksdb::DB& database, rocksdb::PinnableSlice& found) noexcept
          : database_(database), found_(found) {}

      std::optional<std::string_view> get(std::uint64_t id) {
        found_.Reset();
        const rocksdb::Status status =
            database_.Get({}, database_.DefaultColumnFamily(), toSlice(keyOf(id)), &found_);
        if (status.IsNotFound()) return std::nullopt;
        checkRocksDb(status);
        return std::string_view(found_.data(), found_.size());
      }
      RocksDbCursor from(std::uint64_t id) { return {database_, nullptr, id}; }

     private:
      rocksdb::DB& database_;
      rocksdb::PinnableSlice& found_;
    };

    class Writing {
     public:
      explicit Writing(Connection& connection)
          : engine_(connection.engine_), lock_(engine_.writers_), reading_(connection.read()) {}

      std::optional<std::string_view> get(std::uint64_t id) { return reading_.get(id); }
      RocksDbCursor from(std::uint64_t id) { return {*engine_.database_, &batch_, id}; }
      void put(std::uint64_t id, std::string_view value) {
        checkRocksDb(batch_.Put(toSlice(keyOf(id)), toSlice(value)));
      }
      bool isFull() const { return batch_.GetDataSize() >= kBatchLimit; }
      void commit() { checkRocksDb(engine_.database_->Write(engine_.writing_, &batch_)); }

     private:
      RocksDbEngine& engine_;
      const std::unique_lock<std::mutex> lock_;
      Reading reading_;
      rocksdb::WriteBatch batch_;
    };

    Reading read() { return {*engine_.database_, found_}; }
    Writing write() { return Writing(*this); }

   private:
    RocksDbEngine& engine_;
    rocksdb::PinnableSlice found_;
  };

 private:
  std::unique_ptr<rocksdb::DB> database_;
  rocksdb::WriteOptions writing_;
  std::mutex writers_;
};

}  // namespace

bool rocksDbOffers(const Scenario& scenario) noexcept { return taggedRowsOffer(scenario); }

std::unique_ptr<Subject> makeRocksDbSubject(const Scenario& scenario, const std::filesystem::path& folder) {
  return std::make_unique<TaggedSubject<RocksDbEngine>>(scenario, folder / "orders.rocksdb");
}

}  // namespace instar::bench
