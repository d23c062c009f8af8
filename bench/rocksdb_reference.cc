#include "instar/bench/rocksdb_reference.h"

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>

#include <memory>
#include <stdexcept>

namespace instar::bench {
namespace {

void check(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error("RocksDB: " + status.ToString());
}

rocksdb::Slice toSlice(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

std::uint64_t copyToRocksDb(const Store& store, std::string_view collection,
                            const std::filesystem::path& folder, std::size_t blockSize) {
  rocksdb::BlockBasedTableOptions table;
  table.block_size = blockSize;
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kZSTD;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  rocksdb::DB* opened = nullptr;
  check(rocksdb::DB::Open(options, folder, &opened));
  const std::unique_ptr<rocksdb::DB> database(opened);
  rocksdb::WriteOptions writing;
  writing.disableWAL = true;
  const auto snapshot = store.read();
  for (const auto& row : store.collection(collection).scan(snapshot))
    check(database->Put(writing, toSlice(row.key()), toSlice(row.payload())));
  check(database->Flush({}));
  rocksdb::CompactRangeOptions all;
  all.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  check(database->CompactRange(all, nullptr, nullptr));
  std::uint64_t bytes = 0;
  if (!database->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &bytes))
    throw std::runtime_error("RocksDB does not say how large it is");
  return bytes;
}

}  // namespace instar::bench
