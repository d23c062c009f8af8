#include "instar/engine/check.h"

#include <capnp/dynamic.h>

#include <map>
#include <set>
#include <utility>

#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/cold/cold_tier.h"
#include "instar/engine/internal/compaction/preimages.h"
#include "instar/engine/internal/schema_registration.h"
#include "instar/engine/internal/store_state.h"
#include "instar/engine/internal/upgraded_record.h"
#include "instar/evolve/want_of_memory.h"
#include "instar/format/file_format.h"
#include "instar/format/key_text.h"

namespace instar {
namespace {

std::string describeWalk(std::uint64_t met, std::uint64_t rows) {
  return "of " + std::to_string(rows) + " rows " + std::to_string(met) + " are met";
}

bool isAligned(Bytes payload) noexcept { return reinterpret_cast<std::uintptr_t>(payload.data()) % 8 == 0; }

// Reads all of a record, so that every pointer in it is followed, and finds Text that is not UTF-8.
class RecordWalk {
 public:
  // The path of the first such field, or empty. Throws kj::Exception where the record cannot be decoded.
  static std::string findInvalidText(capnp::DynamicStruct::Reader record) {
    RecordWalk walk;
    walk.visit(record);
    return walk.invalid_;
  }

 private:
  void visit(capnp::DynamicStruct::Reader record) {
    for (const auto field : record.getSchema().getNonUnionFields()) visitField(record, field);
    KJ_IF_MAYBE (active, record.which()) {
      visitField(record, *active);
    }
  }

  void visitField(capnp::DynamicStruct::Reader record, capnp::StructSchema::Field field) {
    const std::size_t length = path_.size();
    if (length != 0) path_ += '.';
    path_ += field.getProto().getName().cStr();
    if (record.has(field))
      visit(record.get(field));  // what is absent reads as a default, without end in a recursive type
    path_.resize(length);
  }

  void visit(const capnp::DynamicValue::Reader& value) {
    switch (value.getType()) {
      case capnp::DynamicValue::TEXT: {
        const auto text = value.as<capnp::Text>();
        if (invalid_.empty() && !isValidUtf8({text.begin(), text.size()})) invalid_ = path_;
        break;
      }
      case capnp::DynamicValue::LIST:
        for (const auto element : value.as<capnp::DynamicList>()) visit(element);
        break;
      case capnp::DynamicValue::STRUCT:
        visit(value.as<capnp::DynamicStruct>());
        break;
      case capnp::DynamicValue::ANY_POINTER:
        value.as<capnp::AnyPointer>().targetSize();
        break;
      default:
        break;
    }
  }

  std::string path_;
  std::string invalid_;
};

class Checker {
 public:
  Checker(const Store& store, const CheckOptions& options)
      : options_(options), transaction_(store.read()), state_(transaction_.state()), catalog_(state_) {}

  CheckReport run() {
    std::vector<Catalog::CollectionRecord> collections;
    checkCatalog();
    try {
      collections = catalog_.collections();
    } catch (const Error&) {
      return report_;  // the damaged record is reported already
    }
    for (const auto& collection : collections) {
      total_ += entries(collection.name);
      if (collection.tiered) total_ += readTiers(state_, collection.name).coldRows;
    }
    for (const auto& collection : collections) {
      checkVersions(collection);
      checkCollection(collection);
    }
    progress();
    return report_;
  }

 private:
  using Schemas = std::map<std::uint16_t, std::optional<RecordSchema>>;

  static bool isMerelyOdd(Finding finding) noexcept {
    return finding == Finding::invalidText || finding == Finding::failedUpgrade ||
           finding == Finding::brokenRule;
  }

  void add(Finding finding, std::string collection, std::string key, std::string message) {
    ++report_.problemCount;
    if (!isMerelyOdd(finding)) ++report_.damagedCount;
    if (report_.problems.size() >= options_.maxProblems) return;
    report_.problems.push_back({finding, std::move(collection), std::move(key), std::move(message)});
  }

  void progress() const {
    if (options_.progress) options_.progress({report_.rows, total_});
  }

  void checkCatalog() {
    catalog_.verifyAll([&](Bytes key, const char* problem) {
      if (problem == nullptr) return;
      damagedRecords_.emplace(asText(key));
      add(Finding::damagedCatalog, "", printKey({}, key), problem);
    });
  }

  // Every version of the collection can be decoded and is the one that its record says, also where no row
  // uses it.
  void checkVersions(const Catalog::CollectionRecord& collection) {
    const auto report = [&](std::uint16_t version, const char* message) {
      const Key key = versionKey(collection.name, version);
      if (damagedRecords_.contains(asText(key.bytes()))) return;  // said already
      add(Finding::damagedCatalog, collection.name, printKey({}, key.bytes()), message);
    };
    std::optional<std::uint16_t> number = catalog_.versionAbove(collection.name, 0);
    for (; number; number = catalog_.versionAbove(collection.name, *number)) {
      try {
        const RecordSchema schema = catalog_.version(collection.name, *number)->schema;
        if (schema.version() != *number) report(*number, "the schema in it has another number");
        if (schema.fingerprint() != catalog_.fingerprint(collection.name, *number)) {
          report(*number, "the fingerprint is not that of its schema");
        }
      } catch (const Error& error) {
        if (error.code() == ErrorCode::retry) throw;
        report(*number, error.what());
      }
    }
    if (!catalog_.hasVersion(collection.name, collection.currentVersion)) {
      report(collection.currentVersion, "the current version is missing");
    }
    if (collection.readerFloor > collection.currentVersion ||
        collection.writerFloor > collection.currentVersion) {
      report(collection.currentVersion, "a floor is above the current version");
    }
  }

  std::optional<storage::TreeId> tree(const std::string& collection) const {
    return state_.store().environment().openTree(rowTreeName(collection), false);
  }

  std::uint64_t entries(const std::string& collection) const {
    const auto id = tree(collection);
    return id ? state_.storage().statistics(*id).entries : 0;
  }

  const std::optional<RecordSchema>& schemaOf(Schemas& schemas, const std::string& collection,
                                              std::uint16_t version) {
    const auto [entry, isNew] = schemas.try_emplace(version);
    if (!isNew) return entry->second;
    try {
      const auto found = catalog_.version(collection, version);
      if (found) entry->second = found->schema;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::retry) throw;  // checkVersions has reported all else
    }
    return entry->second;
  }

  void checkCollection(const Catalog::CollectionRecord& collection) {
    const auto id = tree(collection.name);
    if (!id) {
      add(Finding::damagedCatalog, collection.name, "", "the tree of rows is missing");
      return;
    }
    std::optional<ColdTier> cold;
    if (collection.tiered) {
      const auto blocks = state_.store().environment().openTree(coldTreeName(collection.name), false);
      if (!blocks) {
        add(Finding::damagedCatalog, collection.name, "", "the tree of cold blocks is missing");
      } else {
        cold.emplace(state_.store(), collection.name, *blocks);
      }
    }
    Schemas schemas;
    std::optional<Plans> current;
    if (const auto& schema = schemaOf(schemas, collection.name, collection.currentVersion))
      current = plansOf(state_, collection.name, *schema);
    const auto cursor = state_.storage().cursor(*id);
    WalkCheck walk;
    for (bool more = cursor->first(); more; more = cursor->next()) {
      if (!walk.follows(cursor->key())) {
        add(Finding::damagedTree, collection.name,
            printKey(current ? current->schema().key() : kByteStrings, cursor->key()),
            "it does not come behind the row that is met before it");
      }
      if (cold) checkCover(collection.name, *cold, current, *cursor);
      checkRow(schemas, collection.name, current, cursor->key(), cursor->value());
      if (report_.rows % kRowsPerReport == 0) progress();
    }
    if (cold) checkCold(collection, *id, *cold, schemas, current);
    checkPreimages(collection.name, current ? current->schema().key() : kByteStrings);
    if (const std::uint64_t rows = entries(collection.name); walk.count() != rows) {
      add(Finding::damagedTree, collection.name, "", describeWalk(walk.count(), rows));
    }
  }

  // What compaction keeps of what it has replaced: no rows of the collection, but evidence.
  void checkPreimages(const std::string& collection, const KeySpec& keySpec) {
    const auto preimages = Preimages::find(state_, collection);
    if (!preimages) return;
    std::vector<std::byte> copy;
    const auto rows = state_.storage().cursor(preimages->rows());
    for (bool more = rows->first(); more; more = rows->next()) {
      RowView row;
      const RowDamage damage = decodeRow(rows->key(), state_.steady(rows->value(), copy), Verify::yes, row);
      if (damage == RowDamage::none) continue;
      add(Finding::damagedRow, collection, printKey(keySpec, rows->key()),
          std::string("a pre-image: ") + describe(damage));
    }
    ColdTier tier(state_.store(), collection, preimages->blocks());
    const auto blocks = state_.storage().cursor(preimages->blocks());
    for (bool more = blocks->first(); more; more = blocks->next()) {
      std::string damage;
      const Bytes value = state_.steady(blocks->value(), copy);
      if (tier.unpack(state_, blocks->key(), value, damage)) continue;
      add(Finding::damagedBlock, collection, printKey(keySpec, blocks->key()), "a pre-image: " + damage);
    }
  }

  // That an entry of the hot tree covers what it says.
  void checkCover(const std::string& collection, ColdTier& cold, const std::optional<Plans>& current,
                  const storage::Cursor& cursor) {
    const RowFlags flags = rowFlags(cursor.value());
    if (has(flags, RowFlags::tombstone)) ++tombstones_;
    if (!has(flags, RowFlags::coversCold)) return;
    ++covers_;
    try {
      if (cold.find(state_, cursor.key())) return;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::retry) throw;
      return;  // a damaged block, which is reported by itself
    }
    add(Finding::damagedTree, collection,
        printKey(current ? current->schema().key() : kByteStrings, cursor.key()),
        "it covers a cold row that is not there");
  }

  void checkCold(const Catalog::CollectionRecord& collection, storage::TreeId hot, ColdTier& cold,
                 Schemas& schemas, const std::optional<Plans>& current) {
    const KeySpec& keySpec = current ? current->schema().key() : kByteStrings;
    const auto cursor = state_.storage().cursor(cold.tree());
    Tiers found;
    Key last;
    for (bool more = cursor->first(); more; more = cursor->next()) {
      const Key lastKey(cursor->key());
      std::vector<std::byte> copy;
      const Bytes value = state_.steady(cursor->value(), copy);
      ++found.coldBlocks;
      found.coldBytes += value.size();
      std::string damage;
      const auto block = cold.unpack(state_, lastKey.bytes(), value, damage);
      if (!block) {
        add(Finding::damagedBlock, collection.name, printKey(keySpec, lastKey.bytes()), damage);
        last = lastKey;
        continue;
      }
      if (!last.empty() && compareBytes(block->key(0), last.bytes()) <= 0) {
        add(Finding::damagedTree, collection.name, printKey(keySpec, block->key(0)),
            "its block begins before the one before it ends");
      }
      last = lastKey;
      found.coldRows += block->rows();
      for (std::size_t row = 0; row < block->rows(); ++row)
        checkColdRow(collection.name, hot, *block, row, schemas, current);
    }
    found.coveredRows = std::exchange(covers_, 0);
    found.tombstones = std::exchange(tombstones_, 0);
    const Tiers counted = readTiers(state_, collection.name);
    if (counted.coldRows != found.coldRows || counted.coldBlocks != found.coldBlocks ||
        counted.coldBytes != found.coldBytes || counted.coveredRows != found.coveredRows ||
        counted.tombstones != found.tombstones) {
      add(Finding::damagedTree, collection.name, "", "the catalog counts other cold rows than there are");
    }
  }

  void checkColdRow(const std::string& collection, storage::TreeId hot, const UnpackedBlock& block,
                    std::size_t row, Schemas& schemas, const std::optional<Plans>& current) {
    const KeySpec& keySpec = current ? current->schema().key() : kByteStrings;
    const Bytes key = block.key(row);
    if (const auto covering = state_.storage().get(hot, key)) {
      if (!has(rowFlags(*covering), RowFlags::coversCold))
        add(Finding::damagedTree, collection, printKey(keySpec, key),
            "a cold row is covered by one that does not say so");
      return;
    }
    ++report_.rows;
    if (report_.rows % kRowsPerReport == 0) progress();
    const RowView view{block.version(), RowFlags::none, block.payload(row)};
    report_.bytes += view.payload.size();
    checkView(schemas, collection, current, key, view, isAligned(view.payload));
  }

  void checkRow(Schemas& schemas, const std::string& collection, const std::optional<Plans>& current,
                Bytes key, Bytes value) {
    const KeySpec& keySpec = current ? current->schema().key() : kByteStrings;
    ++report_.rows;
    report_.bytes += value.size();
    std::vector<std::byte> copy;
    const Bytes steady = state_.steady(value, copy);
    RowView row;
    const RowDamage damage = decodeRow(key, steady, Verify::yes, row);
    if (damage != RowDamage::none) {
      return add(Finding::damagedRow, collection, printKey(keySpec, key), describe(damage));
    }
    if (row.isTombstone()) {
      --report_.rows;
      report_.bytes -= value.size();
      return;
    }
    // Where it is stored; a steady copy lies elsewhere.
    const bool isStoredAligned = isAligned(value.last(row.payload.size()));
    checkView(schemas, collection, current, key, row, isStoredAligned);
  }

  void checkView(Schemas& schemas, const std::string& collection, const std::optional<Plans>& current,
                 Bytes key, const RowView& row, bool isStoredAligned) {
    const KeySpec& keySpec = current ? current->schema().key() : kByteStrings;
    const auto& schema = schemaOf(schemas, collection, row.version);
    if (!schema) {
      return add(Finding::unknownVersion, collection, printKey(keySpec, key),
                 "the catalog has no schema version " + std::to_string(row.version));
    }
    if (!isStoredAligned) ++report_.misalignedRows;
    if (options_.quick) return;
    try {
      checkRecord(collection, *schema, current, key, row);
    } catch (const kj::Exception& exception) {
      internal::passOnWantOfMemory(exception);
      add(Finding::undecodableRow, collection, printKey(keySpec, key), exception.getDescription().cStr());
    }
  }

  void checkRecord(const std::string& collection, const RecordSchema& schema,
                   const std::optional<Plans>& current, Bytes key, const RowView& row) {
    std::unique_ptr<std::byte[]> copy;
    Bytes payload = row.payload;
    if (!isAligned(payload)) {
      copy = std::make_unique_for_overwrite<std::byte[]>(payload.size());
      std::memcpy(copy.get(), payload.data(), payload.size());
      payload = {copy.get(), payload.size()};
    }
    internal::PayloadMessage message(payload);
    const std::string invalid =
        RecordWalk::findInvalidText(message.root().getAs<capnp::DynamicStruct>(schema.root()));
    if (!invalid.empty()) {
      add(Finding::invalidText, collection, printKey(schema.key(), key),
          "the Text field " + invalid + " is not UTF-8");
    }
    if (current && (row.version < current->schema().completeFrom() || current->hasRules()))
      checkUpgrade(collection, *current, schema.key(), key, row);
    if (schema.key().empty()) return;
    Key expected;
    try {
      encodeKey(schema.key(), message.root().getAs<capnp::AnyStruct>(), expected);
    } catch (const Error& error) {
      return add(Finding::misplacedRow, collection, printKey(schema.key(), key), error.what());
    }
    if (compareBytes(expected.bytes(), key) != 0) {
      add(Finding::misplacedRow, collection, printKey(schema.key(), key),
          "its $key fields say " + printKey(schema.key(), expected.bytes()));
    }
  }

  void checkUpgrade(const std::string& collection, const Plans& current, const KeySpec& keySpec, Bytes key,
                    const RowView& row) {
    try {
      const UpgradedRecord record(current, key, row);
      if (!current.canJudge()) ++report_.unjudgedRows;
      for (const BrokenRule& rule : record.brokenRules(current)) {
        add(Finding::brokenRule, collection, printKey(keySpec, key),
            "version " + std::to_string(row.version) + " breaks " + rule.validator + ": " + rule.reason);
      }
    } catch (const Error& error) {
      if (current.from(row.version).isForLackOfFunction(error)) {
        ++report_.unjudgedRows;
        return;
      }
      add(Finding::failedUpgrade, collection, printKey(keySpec, key),
          error.with("version of the row", std::to_string(row.version))
              .with("version of the schema", std::to_string(current.schema().version()))
              .what());
    }
  }

  inline static const KeySpec kByteStrings;

  const CheckOptions& options_;
  ReadTransaction transaction_;
  TransactionState& state_;
  Catalog catalog_;
  CheckReport report_;
  std::set<std::string, std::less<>> damagedRecords_;  // keys in the catalog
  std::uint64_t total_ = 0;
  std::uint64_t covers_ = 0;      // entries of the hot tree that cover a cold row
  std::uint64_t tombstones_ = 0;  // among these
};

}  // namespace

std::string_view findingName(Finding finding) noexcept {
  switch (finding) {
    case Finding::damagedRow:
      return "damagedRow";
    case Finding::undecodableRow:
      return "undecodableRow";
    case Finding::unknownVersion:
      return "unknownVersion";
    case Finding::misplacedRow:
      return "misplacedRow";
    case Finding::invalidText:
      return "invalidText";
    case Finding::failedUpgrade:
      return "failedUpgrade";
    case Finding::damagedCatalog:
      return "damagedCatalog";
    case Finding::damagedTree:
      return "damagedTree";
    case Finding::damagedBlock:
      return "damagedBlock";
    case Finding::brokenRule:
      return "brokenRule";
  }
  return "unknown";
}

CheckReport check(const Store& store, const CheckOptions& options) { return Checker(store, options).run(); }

}  // namespace instar
