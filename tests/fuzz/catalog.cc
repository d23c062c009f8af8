// One record of a file's catalog, or an entry of its audit, is another one: with a checksum that is right, so
// that what reads it has to make something of it. Whatever looks at the file, at its rows and at the
// records ends with an answer or an error. Unless it is a record by which rows are read, those that come are
// the ones that were put.

#include <array>
#include <memory>
#include <vector>

#include "instar/engine/check.h"
#include "instar/engine/compaction.h"
#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/staging/canary_record.h"
#include "instar/engine/internal/staging/divergence_log.h"
#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/engine/migration.h"
#include "instar/engine/staging.h"
#include "instar/format/error.h"
#include "instar/format/file_format.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/fuzz/fuzzers.h"

namespace {

using namespace instar;

constexpr std::chrono::milliseconds kWait{1000};
constexpr const char* kCollection = "contacts";
constexpr std::uint64_t kRows = 40;
constexpr std::uint64_t kCovered = 7;
constexpr std::uint64_t kErased = 9;

std::string nameOf(std::uint64_t id) {
  if (id == kCovered) return "covers a cold row";
  return id % 2 == 0 ? "Ada Lovelace" : "Grace Hopper";
}

// A file in memory that has a record of every kind.
class Template {
 public:
  Template() : environment_(storage::openMemory()) {
    makeRows();
    stage();
    const Store store = Store::open(environment_, {.mode = OpenMode::readOnly});
    const auto transaction = environment_->begin(storage::Access::read, kWait);
    for (const std::string_view tree : {kCatalogTree, kAuditTree}) {
      const storage::TreeId id = environment_->openTree(tree, false).value();
      const auto cursor = transaction->cursor(id);
      for (bool more = cursor->first(); more; more = cursor->next())
        records_.push_back({id, Key(cursor->key()), {cursor->value().begin(), cursor->value().end()}});
    }
  }

  struct Record {
    storage::TreeId tree = 0;
    Key key;
    std::vector<std::byte> value;
  };
  const std::vector<Record>& records() const { return records_; }
  const std::shared_ptr<storage::Environment>& environment() const { return environment_; }

  void put(const Record& record, Bytes value) const {
    const auto transaction = environment_->begin(storage::Access::write, kWait);
    const auto place = transaction->reserve(record.tree, record.key.bytes(), value.size());
    std::copy(value.begin(), value.end(), place.begin());
    transaction->commit();
  }

 private:
  void makeRows() const {
    const Store store = Store::open(environment_);
    const auto rows = store.collection(kCollection, testing::contact1());
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < kRows; ++id) {
      auto draft = rows.create();
      draft->set("id", id);
      draft->set("name", nameOf(id).c_str());
      rows.put(transaction, draft);
    }
    transaction.commit();
    migrate(store, kCollection, {.mode = CompactionMode::compress});
    testing::putName(store, rows, kCovered, nameOf(kCovered).c_str());
    auto more = store.write();
    rows.erase(more, kErased);
    more.commit();
  }

  void stage() const {
    const Store store = Store::open(environment_);
    const auto rows = store.stage(kCollection, testing::contact2(), {.percent = 50, .shadow = 100});
    auto transaction = store.write();
    CanaryStatistics seen;
    seen.samples = 3;
    seen.failures.add({.field = "first", .function = "f", .reason = "r"});
    seen.fields.push_back({.name = "first"});
    seen.activeLatency.add(std::chrono::nanoseconds(100));
    seen.stagedLatency.add(std::chrono::nanoseconds(200));
    addToCanaryRecord(transaction.state(), kCollection, 2, seen);
    logDivergences(transaction.state(), kCollection, 2, {{Key("a"), {"name"}}});
    Catalog catalog(transaction.state());
    Draft<catalog::Dictionary> dictionary{{}};
    dictionary->setNumber(1);
    dictionary->setVersion(1);
    dictionary->initContent(64);
    Key dictionaryKey = recordPrefix(kDictionaryKeyPrefix, kCollection);
    dictionaryKey.appendNumber(1, 4);
    catalog.write(dictionaryKey, dictionary);
    Draft<catalog::Compaction> compaction{{}};
    compaction->setProgram("fuzzer");
    compaction->setCollection(kCollection);
    catalog.write(Key(kCompactionKey), compaction);
    transaction.commit();
  }

  std::shared_ptr<storage::Environment> environment_;
  std::vector<Record> records_;
};

template <class Look>
void look(Look&& how) {
  try {
    how();
  } catch (const Error&) {
  } catch (const kj::Exception&) {  // a pointer in the record
  }
}

// Whether programs are admitted by it, which is to decode the schemas of most versions each time: most of the
// time that an input takes, and nothing to records of other kinds.
bool decidesAdmission(const Template::Record& record) {
  const std::string_view key = asText(record.key.bytes());
  return key == kFormatKey || key == kGenerationKey || key.starts_with(kCollectionKeyPrefix) ||
         key.starts_with(kVersionKeyPrefix) || key.starts_with(kStagingKeyPrefix);
}

// Of a row that was handed out.
template <class Row>
void requireAsPut(const Row& row, std::uint64_t id) {
  const std::string name = row->get("name").template as<capnp::Text>().cStr();
  fuzz::require(row->get("id").template as<std::uint64_t>() == id, "a row is the one of its key");
  fuzz::require(id < kRows && id != kErased, "a row that comes was put, and not erased");
  fuzz::require(name == nameOf(id), "it comes as it was put");
}

void lookAtRows(const Store& store, const ReadTransaction& transaction, bool admission) {
  const auto rows = store.collection(kCollection);
  for (const std::uint64_t id : {std::uint64_t{3}, kCovered, kErased}) {
    const auto row = rows.get(transaction, id);
    if (row && !admission) requireAsPut(row, id);
  }
  std::uint64_t seen = 0;
  for (const auto& row : rows.scan(transaction)) {
    row->totalSize();
    if (!admission) requireAsPut(row, row->get("id").as<std::uint64_t>());
    ++seen;
  }
  fuzz::require(admission || seen == kRows - 1, "a scan that comes to its end has had every row");
}

void lookAtEverything(const std::shared_ptr<storage::Environment>& environment, bool admission) {
  const Store store = Store::open(environment, {.mode = OpenMode::readOnly});
  const ReadTransaction transaction = store.read();
  look([&] { store.fileInfo(transaction); });
  look([&] { store.collections(transaction); });
  if (admission) look([&] { store.versions(transaction, kCollection); });
  look([&] { compactionProgress(store, transaction); });
  look([&] { countVersions(store, transaction, kCollection); });
  look([&] { readAudit(store, transaction); });
  look([&] { stagingStatus(store, transaction, kCollection); });
  look([&] { divergences(store, transaction, kCollection); });
  look([&] { estimate(store, kCollection, CompactionMode::compress, 0); });
  look([&] { verify(store); });
  look([&] { check(store); });
  look([&] { lookAtRows(store, transaction, admission); });
  if (!admission) return;
  look([&] { store.collection(kCollection, testing::contact2()).get(transaction, 3); });
  look([&] { store.stage(kCollection, testing::contact2()).get(transaction, 3); });
}

// The record's own bytes with some changed, or others in their place.
std::vector<std::byte> payloadFor(const Template::Record& record, fuzz::Input& input) {
  RowView stored;
  fuzz::require(decodeRow(record.key.bytes(), record.value, Verify::yes, stored) == RowDamage::none,
                "a record is a row");
  if (input.chance()) {
    const Bytes rest = input.rest();
    std::vector<std::byte> payload(rest.begin(), rest.end());
    payload.resize(std::max<std::size_t>(rest.size() / 8, 1) * 8);
    return payload;
  }
  std::vector<std::byte> payload(stored.payload.begin(), stored.payload.end());
  while (input.left() >= 3) payload[input.number(2) % payload.size()] ^= std::byte{input.byte()};
  return payload;
}

}  // namespace

void instar::fuzz::fuzzCatalog(Bytes bytes) {
  static const Template file;
  Input input(bytes);
  const Template::Record& record = file.records()[input.below(file.records().size())];
  const std::vector<std::byte> payload = payloadFor(record, input);
  const Bytes key = record.key.bytes();
  std::vector<std::byte> value(rowHeaderLength(key.size(), RowPlacement::leaf) + payload.size());
  encodeRow(value, key, kFileFormat1, payload, RowPlacement::leaf);
  file.put(record, value);
  look([&] { lookAtEverything(file.environment(), decidesAdmission(record)); });
  file.put(record, record.value);
}
