#include "instar/engine/internal/compaction/partition.h"

#include <algorithm>

#include "instar/engine/internal/staging/stage_changes.h"
#include "instar/engine/internal/store_state.h"
#include "instar/format/checksum.h"
#include "instar/format/file_format.h"

namespace instar {
namespace {

Key partitionPrefix(std::string_view collection) { return recordPrefix(kPartitionKeyPrefix, collection); }

}  // namespace

HeatTime heatTimeOf(const Partition& partition) noexcept {
  return HeatTime(std::chrono::duration_cast<HeatTime::duration>(std::chrono::nanoseconds(partition.heatAt)));
}

double heatOf(const Partition& partition, HeatTime time) noexcept {
  return decayed(partition.heat, heatTimeOf(partition), time, kHeatHalfLife);
}

ColdTotals totalsOf(const UnpackedBlock& block, std::size_t storedBytes) noexcept {
  ColdTotals totals{block.rows(), 1, storedBytes, 0};
  for (std::size_t row = 0; row < block.rows(); ++row)
    totals.checksum += rowSum(block.key(row), block.payload(row));
  return totals;
}

ColdTotals toTotals(catalog::ColdTotals::Reader record) {
  return {record.getRows(), record.getBlocks(), record.getBytes(), record.getChecksum()};
}

void fill(catalog::ColdTotals::Builder record, const ColdTotals& totals) {
  record.setRows(totals.rows);
  record.setBlocks(totals.blocks);
  record.setBytes(totals.bytes);
  record.setChecksum(totals.checksum);
}

ColdTotals& ColdTotals::operator+=(const ColdTotals& other) noexcept {
  rows += other.rows;
  blocks += other.blocks;
  bytes += other.bytes;
  checksum += other.checksum;
  return *this;
}

ColdTotals& ColdTotals::operator-=(const ColdTotals& other) noexcept {
  rows -= other.rows;
  blocks -= other.blocks;
  bytes -= other.bytes;
  checksum -= other.checksum;
  return *this;
}

ColdTotals Partition::allCold() const noexcept {
  ColdTotals sum = cold;
  if (pass) sum += pass->cold;
  return sum;
}

Key Partitions::recordKey(const Key& lower) const {
  Key key = partitionPrefix(collection_);
  key.append(lower.bytes());
  return key;
}

Partition Partitions::whole() const { return {.floor = catalog_.versionAbove(collection_, 0).value_or(1)}; }

Partition Partitions::decode(Bytes key, Bytes value) const {
  const auto record = catalog_.decode<catalog::Partition>(key, value);
  Partition partition;
  partition.lower = Key(key.subspan(partitionPrefix(collection_).bytes().size()));
  partition.floor = record->getFloor();
  partition.passedFor = record->getPassedFor();
  partition.compressed = record->getCompressed();
  partition.lastPassedAt = record->getLastPassedAt();
  partition.rows = record->getRows();
  partition.failedRows = record->getFailedRows();
  partition.largeRows = record->getLargeRows();
  partition.disturbed = record->getDisturbed();
  partition.cold = toTotals(record->getCold());
  partition.heat = record->getHeat();
  partition.heatAt = record->getHeatAt();
  if (record->hasPass()) {
    const auto pass = record->getPass();
    partition.pass = {.position = Key(bytesOf(pass.getPosition())),
                      .rows = pass.getRows(),
                      .failedRows = pass.getFailedRows(),
                      .largeRows = pass.getLargeRows(),
                      .floor = pass.getFloor(),
                      .cold = toTotals(pass.getCold()),
                      .startedAt = pass.getStartedAt(),
                      .version = pass.getVersion(),
                      .packs = pass.getPacks()};
  }
  return partition;
}

std::vector<Partition> Partitions::all() const {
  std::vector<Partition> found;
  const Key prefix = partitionPrefix(collection_);
  const auto cursor = transaction_.storage().cursor(transaction_.store().catalog());
  for (bool more = cursor->seek(prefix.bytes()); more && startsWith(cursor->key(), prefix.bytes());
       more = cursor->next()) {
    found.push_back(decode(cursor->key(), cursor->value()));
  }
  if (found.empty()) found.push_back(whole());
  return found;
}

Partition Partitions::of(const Key& key) const {
  const auto cursor = transaction_.storage().cursor(transaction_.store().catalog());
  const Key prefix = partitionPrefix(collection_);
  Key wanted = prefix;  // as much of the key as a bound can have, and more than that is behind it
  wanted.append(key.bytes().first(std::min(key.bytes().size(), kMaxBoundLength)));
  bool found = cursor->seek(wanted.bytes());
  if (!found || compareBytes(cursor->key(), wanted.bytes()) != 0)
    found = found ? cursor->previous() : cursor->last();
  if (!found || !startsWith(cursor->key(), prefix.bytes())) return whole();
  return decode(cursor->key(), cursor->value());
}

std::optional<Key> Partitions::upperOf(const Partition& partition) const {
  const auto cursor = transaction_.storage().cursor(transaction_.store().catalog());
  const Key own = recordKey(partition.lower);
  bool found = cursor->seek(own.bytes());
  if (found && compareBytes(cursor->key(), own.bytes()) == 0) found = cursor->next();
  const Key prefix = partitionPrefix(collection_);
  if (!found || !startsWith(cursor->key(), prefix.bytes())) return std::nullopt;
  return Key(cursor->key().subspan(prefix.bytes().size()));
}

void Partitions::put(const Partition& partition) {
  Draft<catalog::Partition> record{{}};
  record->setFloor(partition.floor);
  record->setPassedFor(partition.passedFor);
  record->setCompressed(partition.compressed);
  record->setLastPassedAt(partition.lastPassedAt);
  record->setRows(partition.rows);
  record->setFailedRows(partition.failedRows);
  record->setLargeRows(partition.largeRows);
  record->setDisturbed(partition.disturbed);
  fill(record->initCold(), partition.cold);
  record->setHeat(partition.heat);
  record->setHeatAt(partition.heatAt);
  if (partition.pass) {
    auto pass = record->initPass();
    pass.setPosition(dataOf(partition.pass->position.bytes()));
    pass.setRows(partition.pass->rows);
    pass.setFailedRows(partition.pass->failedRows);
    pass.setLargeRows(partition.pass->largeRows);
    pass.setFloor(partition.pass->floor);
    fill(pass.initCold(), partition.pass->cold);
    pass.setStartedAt(partition.pass->startedAt);
    pass.setVersion(partition.pass->version);
    pass.setPacks(partition.pass->packs);
  }
  catalog_.write(recordKey(partition.lower), record);
}

void Partitions::erase(const Partition& partition) { catalog_.erase(recordKey(partition.lower)); }

void Partitions::noteOlderWrite(const Key& key, std::uint16_t version) {
  Partition partition = of(key);
  if (partition.disturbed && partition.floor <= version) return;
  if (!partition.pass && partition.passedFor == 0 && partition.floor <= version) return;  // as it says
  if (version < partition.floor) unsettle(version);
  partition.floor = std::min(partition.floor, version);
  partition.disturbed = true;
  put(partition);
}

// A row of this version is there again.
void Partitions::unsettle(std::uint16_t version) {
  const auto record = catalog_.collection(collection_);
  if (!record || catalog_.versionState(collection_, record->currentVersion) != VersionState::settled) return;
  if (version >= catalog_.version(collection_, record->currentVersion)->schema.completeFrom()) return;
  instar::unsettle(transaction_, collection_, record->currentVersion,
                   "a program of version " + std::to_string(version) + " has put a row");
}

std::optional<Key> boundBetween(const Key& below, const Key& from) {
  const Bytes low = below.bytes();
  const Bytes high = from.bytes();
  std::size_t shared = 0;
  while (shared < low.size() && shared < high.size() && low[shared] == high[shared]) ++shared;
  if (shared >= std::min(high.size(), kMaxBoundLength)) return std::nullopt;
  return Key(high.first(shared + 1));
}

}  // namespace instar
