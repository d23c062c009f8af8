#include "instar/engine/internal/catalog.h"

#include <unistd.h>

#include <chrono>

#include "instar/engine/check.h"
#include "instar/engine/internal/newer_format.h"
#include "instar/engine/internal/row_writer.h"
#include "instar/engine/internal/store_state.h"
#include "instar/format/file_format.h"
#include "instar/format/key_text.h"

namespace instar {
namespace {

std::string text(capnp::Text::Reader reader) { return {reader.begin(), reader.size()}; }

Key collectionKey(std::string_view name) {
  Key key(kCollectionKeyPrefix);
  key.append(asBytes(name));
  return key;
}

Key versionPrefix(std::string_view collection) { return recordPrefix(kVersionKeyPrefix, collection); }

// The number at the end of a version's key, or nothing where the key belongs to something else.
std::optional<std::uint16_t> versionNumber(Bytes key, const Key& prefix) {
  if (!startsWith(key, prefix.bytes()) || key.size() != prefix.bytes().size() + 2) return std::nullopt;
  const Bytes number = key.last(2);
  return static_cast<std::uint16_t>(static_cast<unsigned>(number[0]) << 8 | static_cast<unsigned>(number[1]));
}

Catalog::CollectionRecord toCollection(catalog::Collection::Reader record) {
  return {text(record.getName()),  record.getCreatedAt(),   record.getCurrentVersion(),
          record.getReaderFloor(), record.getWriterFloor(), record.getTiered()};
}

static_assert(static_cast<int>(VersionState::active) == static_cast<int>(catalog::VersionState::ACTIVE));
static_assert(static_cast<int>(VersionState::retired) == static_cast<int>(catalog::VersionState::RETIRED));

Key stagingKey(std::string_view collection) {
  Key key(kStagingKeyPrefix);
  key.append(asBytes(collection));
  return key;
}

VersionInfo toVersion(catalog::Version::Reader record) {
  std::vector<std::string> changes;
  for (const auto change : record.getChanges()) changes.push_back(text(change));
  return {record.getNumber(),  RecordSchema::fromNodes(record.getNodes(), record.getRootId()),
          record.getAddedAt(), text(record.getAddedBy()),
          std::move(changes),  static_cast<VersionState>(record.getState())};
}

}  // namespace

std::string rowTreeName(std::string_view collection) {
  return std::string(kRowTreePrefix).append(collection);
}
std::string coldTreeName(std::string_view collection) {
  return std::string(kColdTreePrefix).append(collection);
}
std::string preimageRowTreeName(std::string_view collection) {
  return std::string(kPreimageRowTreePrefix).append(collection);
}
std::string preimageColdTreeName(std::string_view collection) {
  return std::string(kPreimageColdTreePrefix).append(collection);
}

Key recordPrefix(std::string_view kind, std::string_view collection) {
  Key key(kind);
  key.append(asBytes(collection));
  key.append(asBytes("/"));
  return key;
}

Key versionKey(std::string_view collection, std::uint16_t number) {
  Key key = versionPrefix(collection);
  key.appendNumber(number, 2);
  return key;
}

std::string programName() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  if (length <= 0) return "unknown";
  const std::string_view whole(path, static_cast<std::size_t>(length));
  return std::string(whole.substr(whole.rfind('/') + 1));
}

std::int64_t now() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void Catalog::verify(Bytes key, Bytes value, internal::RowBytes& row) const {
  RowView view;
  std::vector<std::byte> copy;
  RowDamage damage = decodeRow(key, transaction_.steady(value, copy), Verify::yes, view);
  if (damage == RowDamage::none && view.flags != RowFlags::none) damage = RowDamage::unknownFormat;
  if (damage != RowDamage::none) {
    throw Error(ErrorCode::restoreFromBackup, "the catalog is damaged: restore the file from a backup",
                {{"record", printKey({}, key)}, {"damage", describe(damage)}});
  }
  row.copy(key, view);
}

std::optional<Bytes> Catalog::find(const Key& key) const {
  return transaction_.storage().get(transaction_.store().catalog(), key.bytes());
}

void Catalog::store(const Key& key, internal::RecordMessage& record) {
  const FlatRecord flat(record);
  writeRow(transaction_, transaction_.store().catalog(), key, kFileFormat1, flat.payload());
}

bool Catalog::erase(const Key& key) {
  transaction_.changed();
  return transaction_.storage().erase(transaction_.store().catalog(), key.bytes());
}

void refuseNewerFormat(std::uint16_t version) {
  if (version <= kFileFormat) return;
  throw Error(ErrorCode::upgradeProgram,
              "the file has a newer format than this program knows: use a newer release",
              {{"file format", std::to_string(version)}, {"known", std::to_string(kFileFormat)}});
}

std::optional<FileInfo> Catalog::file() const {
  const auto record = read<catalog::Format>(Key(kFormatKey));
  if (!record) return std::nullopt;
  if (record->getMagic() != kMagic) {
    throw Error(ErrorCode::fixEnvironment, "this is not an Instar file: name another file");
  }
  refuseNewerFormat(record->getVersion());
  return FileInfo{record->getVersion(), record->getCreatedAt(), text(record->getCreatedBy())};
}

void Catalog::createFile() {
  Draft<catalog::Format> record{{}};
  record->setMagic(kMagic);
  record->setVersion(kFileFormat1);
  record->setCreatedAt(now());
  record->setCreatedBy("instar " INSTAR_VERSION);
  write(Key(kFormatKey), record);
}

void Catalog::raiseFormat(std::uint16_t version) {
  const auto stored = read<catalog::Format>(Key(kFormatKey));
  if (stored->getVersion() >= version) return;
  Draft<catalog::Format> record{{}};
  record->setMagic(stored->getMagic());
  record->setVersion(version);
  record->setCreatedAt(stored->getCreatedAt());
  record->setCreatedBy(stored->getCreatedBy());
  write(Key(kFormatKey), record);
}

std::uint64_t Catalog::generation() const {
  const auto record = read<catalog::Generation>(Key(kGenerationKey));
  return record ? record->getNumber() : 0;
}

void Catalog::touch() {
  const std::uint64_t before = generation();
  Draft<catalog::Generation> record{{}};
  record->setNumber(before + 1);
  write(Key(kGenerationKey), record);
}

std::optional<Catalog::CollectionRecord> Catalog::collection(std::string_view name) const {
  if (name.size() > kMaxCollectionNameLength) return std::nullopt;
  const auto record = read<catalog::Collection>(collectionKey(name));
  if (!record) return std::nullopt;
  return toCollection(*record);
}

std::vector<Catalog::CollectionRecord> Catalog::collections() const {
  std::vector<CollectionRecord> found;
  const Bytes prefix = asBytes(kCollectionKeyPrefix);
  const char* const damage = walk([&](Bytes key, Bytes value, bool) {
    if (startsWith(key, prefix)) found.push_back(toCollection(*decode<catalog::Collection>(key, value)));
  });
  if (damage != nullptr) {
    throw Error(ErrorCode::restoreFromBackup, "the catalog is damaged: restore the file from a backup",
                {{"damage", damage}});
  }
  return found;
}

const char* Catalog::walk(const std::function<void(Bytes key, Bytes value, bool inOrder)>& visit) const {
  const storage::TreeId tree = transaction_.store().catalog();
  const auto cursor = transaction_.storage().cursor(tree);
  WalkCheck walk;
  bool allInOrder = true;
  for (bool more = cursor->first(); more; more = cursor->next()) {
    const bool inOrder = walk.follows(cursor->key());
    allInOrder = allInOrder && inOrder;
    visit(cursor->key(), cursor->value(), inOrder);
  }
  if (walk.count() != transaction_.storage().statistics(tree).entries) return "not every record is met";
  return allInOrder ? nullptr : "its records are not in order";
}

void Catalog::putCollection(const CollectionRecord& collection) {
  Draft<catalog::Collection> record{{}};
  record->setName(stringPtr(collection.name));
  record->setCreatedAt(collection.createdAt);
  record->setCurrentVersion(collection.currentVersion);
  record->setReaderFloor(collection.readerFloor);
  record->setWriterFloor(collection.writerFloor);
  record->setTiered(collection.tiered);
  write(collectionKey(collection.name), record);
  touch();
}

bool Catalog::hasVersion(std::string_view collection, std::uint16_t number) const {
  const Key key = versionKey(collection, number);
  return transaction_.storage().get(transaction_.store().catalog(), key.bytes()).has_value();
}

std::optional<std::uint64_t> Catalog::fingerprint(std::string_view collection, std::uint16_t number) const {
  const auto record = read<catalog::Version>(versionKey(collection, number));
  if (!record) return std::nullopt;
  return record->getFingerprint();
}

std::optional<VersionInfo> Catalog::version(std::string_view collection, std::uint16_t number) const {
  const auto record = read<catalog::Version>(versionKey(collection, number));
  if (!record) return std::nullopt;
  return toVersion(*record);
}

std::vector<VersionInfo> Catalog::versions(std::string_view collection) const {
  std::vector<VersionInfo> found;
  const auto cursor = transaction_.storage().cursor(transaction_.store().catalog());
  const Key prefix = versionPrefix(collection);
  for (bool more = cursor->seek(prefix.bytes()); more && versionNumber(cursor->key(), prefix);
       more = cursor->next()) {
    found.push_back(toVersion(*decode<catalog::Version>(cursor->key(), cursor->value())));
  }
  return found;
}

std::optional<std::uint16_t> Catalog::versionBelow(std::string_view collection, std::uint16_t number) const {
  const auto cursor = transaction_.storage().cursor(transaction_.store().catalog());
  const Key key = versionKey(collection, number);
  const bool found = cursor->seek(key.bytes()) ? cursor->previous() : cursor->last();
  if (!found) return std::nullopt;
  return versionNumber(cursor->key(), versionPrefix(collection));
}

std::optional<std::uint16_t> Catalog::versionAbove(std::string_view collection, std::uint16_t number) const {
  if (number == UINT16_MAX) return std::nullopt;
  const auto cursor = transaction_.storage().cursor(transaction_.store().catalog());
  const Key key = versionKey(collection, static_cast<std::uint16_t>(number + 1));
  if (!cursor->seek(key.bytes())) return std::nullopt;
  return versionNumber(cursor->key(), versionPrefix(collection));
}

std::uint16_t Catalog::highestVersion(std::string_view collection) const {
  const auto cursor = transaction_.storage().cursor(transaction_.store().catalog());
  Key behind = versionKey(collection, UINT16_MAX);
  behind.append(asBytes("/"));
  const bool found = cursor->seek(behind.bytes()) ? cursor->previous() : cursor->last();
  return found ? versionNumber(cursor->key(), versionPrefix(collection)).value_or(0) : 0;
}

std::optional<VersionState> Catalog::versionState(std::string_view collection, std::uint16_t number) const {
  const auto record = read<catalog::Version>(versionKey(collection, number));
  if (!record) return std::nullopt;
  return static_cast<VersionState>(record->getState());
}

void Catalog::setVersionState(std::string_view collection, std::uint16_t number, VersionState state) {
  const Key key = versionKey(collection, number);
  Draft<catalog::Version> record({}, read<catalog::Version>(key), 0);
  record->setState(static_cast<catalog::VersionState>(state));
  write(key, record);
  touch();
}

std::optional<Catalog::StagingRecord> Catalog::staging(std::string_view collection) const {
  const auto record = read<catalog::Staging>(stagingKey(collection));
  if (!record) return std::nullopt;
  return StagingRecord{.version = record->getVersion(),
                       .percent = record->getPercent(),
                       .shadow = record->getShadow(),
                       .promotes = record->getPromotes(),
                       .guardRails = {.minimumSamples = record->getMinimumSamples(),
                                      .maxErrorShare = record->getMaxErrorShare(),
                                      .maxDivergenceShare = record->getMaxDivergenceShare(),
                                      .maxLatencyRatio = record->getMaxLatencyRatio(),
                                      .holdFor = std::chrono::seconds(record->getHoldFor())},
                       .stagedAt = record->getStagedAt(),
                       .stagedBy = text(record->getStagedBy()),
                       .endReason = text(record->getEndReason())};
}

void Catalog::putStaging(std::string_view collection, const StagingRecord& staging) {
  Draft<catalog::Staging> record{{}};
  record->setVersion(staging.version);
  record->setPercent(staging.percent);
  record->setShadow(staging.shadow);
  record->setPromotes(staging.promotes);
  record->setMinimumSamples(staging.guardRails.minimumSamples);
  record->setMaxErrorShare(staging.guardRails.maxErrorShare);
  record->setMaxDivergenceShare(staging.guardRails.maxDivergenceShare);
  record->setMaxLatencyRatio(staging.guardRails.maxLatencyRatio);
  record->setHoldFor(static_cast<std::uint64_t>(staging.guardRails.holdFor.count()));
  record->setStagedAt(staging.stagedAt);
  record->setStagedBy(stringPtr(staging.stagedBy));
  if (!staging.endReason.empty()) record->setEndReason(stringPtr(staging.endReason));
  write(stagingKey(collection), record);
  touch();
}

void Catalog::putVersion(std::string_view collection, const RecordSchema& schema,
                         const std::vector<std::string>& changes, VersionState state) {
  Draft<catalog::Version> record{{}};
  record->setNumber(schema.version());
  record->setState(static_cast<catalog::VersionState>(state));
  record->setFingerprint(schema.fingerprint());
  record->setTypeName(stringPtr(std::string(schema.typeName())));
  record->setRootId(schema.rootId());
  record->setNodes(schema.nodes());
  record->setAddedAt(now());
  record->setAddedBy(stringPtr(programName()));
  auto lines = record->initChanges(static_cast<unsigned>(changes.size()));
  for (unsigned i = 0; i < lines.size(); ++i) lines.set(i, stringPtr(changes[i]));
  write(versionKey(collection, schema.version()), record);
  touch();
}

void Catalog::verifyAll(const std::function<void(Bytes key, const char* problem)>& visit) const {
  const char* const damage = walk([&](Bytes key, Bytes value, bool inOrder) {
    RowView view;
    std::vector<std::byte> copy;
    const RowDamage damage = decodeRow(key, transaction_.steady(value, copy), Verify::yes, view);
    if (damage != RowDamage::none) return visit(key, describe(damage));
    visit(key, inOrder ? nullptr : "it does not come behind the record that is met before it");
  });
  if (damage != nullptr) visit({}, damage);
}

}  // namespace instar
