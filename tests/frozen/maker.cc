#include "instar/tests/frozen/maker.h"

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/compaction/worker.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/tests/frozen/states.h"

namespace instar::frozen {
namespace {

constexpr const char* kFirstNames[] = {"Ada", "Grace", "Katherine", "Edsger", "Barbara", "Sofya", "Emmy"};
constexpr const char* kLastNames[] = {"Lovelace", "Hopper", "Johnson", "Dijkstra", "Liskov"};

std::string firstName(std::uint64_t id) { return kFirstNames[id % std::size(kFirstNames)]; }
std::string lastName(std::uint64_t id) {
  return kLastNames[id % std::size(kLastNames)] + std::string("-") + std::to_string(id);
}

bool has(const Rows& rows, const char* field) {
  const auto schema = rows.schema().root();
  KJ_IF_MAYBE (found, schema.findFieldByName(field)) {
    static_cast<void>(found);
    return true;
  }
  return false;
}

void set(const Rows& rows, capnp::DynamicStruct::Builder record, std::uint64_t id) {
  record.set("id", id);
  if (has(rows, "title")) return record.set("title", ("Member " + std::to_string(id)).c_str());
  record.set("secret", ("secret " + std::to_string(id)).c_str());
  if (has(rows, "first")) record.set("first", firstName(id).c_str());
  if (has(rows, "last")) {
    record.set("last", lastName(id).c_str());
  } else {
    record.set("name", (firstName(id) + " " + lastName(id)).c_str());
  }
  if (has(rows, "tier")) record.set("tier", id % 100);
}

StoreOptions complete(StoreOptions options) {
  options.durability = Durability::off;
  options.functions = programFunctions();
  return options;
}

}  // namespace

Maker::Maker(const std::filesystem::path& file, StoreOptions options)
    : file_(file), store_(Store::open(file, complete(std::move(options)))) {}

Maker::~Maker() {
  store_.reset();
  Store::compact(file_);
}

void Maker::reopen(StoreOptions options) {
  store_.reset();
  store_ = Store::open(file_, complete(std::move(options)));
}

Rows Maker::open(const std::string& program) const {
  return store_->collection("people", programSchema(program));
}

Rows Maker::stage(const std::string& program, const StagingOptions& options) const {
  return store_->stage("people", programSchema(program), options);
}

void Maker::inOneTransaction(std::uint64_t first, std::uint64_t count, std::uint64_t step,
                             const Put& put) const {
  auto transaction = store_->write();
  for (std::uint64_t i = 0; i < count; ++i) put(first + i * step, transaction);
  transaction.commit();
}

void Maker::fill(const Rows& rows, std::uint64_t first, std::uint64_t count, std::uint64_t step) const {
  inOneTransaction(first, count, step, [&](std::uint64_t id, WriteTransaction& transaction) {
    auto draft = rows.create();
    set(rows, *draft, id);
    rows.put(transaction, draft);
  });
}

void Maker::fillWithSingleNames(const Rows& rows, std::uint64_t first, std::uint64_t count) const {
  inOneTransaction(first, count, 1, [&](std::uint64_t id, WriteTransaction& transaction) {
    auto draft = rows.create();
    draft->set("id", id);
    draft->set("name", firstName(id).c_str());
    rows.put(transaction, draft);
  });
}

void Maker::fillWithPhrases(const Rows& rows, std::uint64_t count) const {
  constexpr const char* kWords[] = {"order ",        "parcel ",      "weighs ",  "north ",
                                    "delivered to ", "the port of ", "is late ", "paid for "};
  inOneTransaction(0, count, 1, [&](std::uint64_t id, WriteTransaction& transaction) {
    auto draft = rows.create();
    draft->set("id", id);
    std::string name;
    for (std::uint64_t rest = id * 2654435761 % 1'000'003; rest > 0; rest /= std::size(kWords))
      name += kWords[rest % std::size(kWords)];
    draft->set("name", name.c_str());
    rows.put(transaction, draft);
  });
}

void Maker::edit(const Rows& rows, std::uint64_t first, std::uint64_t count, std::uint64_t step) const {
  inOneTransaction(first, count, step, [&](std::uint64_t id, WriteTransaction& transaction) {
    auto draft = rows.edit(transaction, id);
    if (!draft) throw std::logic_error("there is no such row");
    draft->set(has(rows, "last") ? "last" : "name", ("Edited By-" + std::to_string(id)).c_str());
    rows.put(transaction, draft);
  });
}

void Maker::erase(const Rows& rows, std::uint64_t first, std::uint64_t count, std::uint64_t step) const {
  inOneTransaction(first, count, step, [&](std::uint64_t id, WriteTransaction& transaction) {
    if (!rows.erase(transaction, id)) throw std::logic_error("there is no such row");
  });
}

void Maker::read(const Rows& rows, std::uint64_t first, std::uint64_t count) const {
  const auto snapshot = store_->read();
  for (std::uint64_t id = first; id < first + count; ++id) rows.get(snapshot, id);
}

void Maker::compact(const Rows& rows, CompactionMode mode, unsigned batches, bool keepPreimages) const {
  const BatchLimits limits{.rows = 20, .partitionRows = 40, .keepPreimages = keepPreimages};
  const auto store = store_->read().state().sharedStore();
  std::optional<Key> lower = Key();
  for (; lower && batches > 0; --batches) {
    Batch batch(store, *stateOf(rows), mode, limits, 100);
    batch.prepare(*lower);
    do {
      batch.install();
      if (const auto mismatch = batch.verify()) throw std::logic_error(mismatch->what);
    } while (!batch.isInstalled());
    const auto snapshot = store_->read();
    if (batch.endedPass()) lower = Partitions(snapshot.state(), "people").upperOf(batch.partition());
  }
}

void Maker::mergePartitions(const Rows& rows) const {
  Worker(store_->read().state().sharedStore(), stateOf(rows), {.mode = CompactionMode::compress})
      .mergePartitions();
}

void flipBitAt(const std::filesystem::path& file, std::uint64_t offset) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(offset));
  const int byte = stream.get();
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(static_cast<char>(byte ^ 1));
  if (!stream) throw std::runtime_error("the file could not be damaged");
}

void flipBitOf(const std::filesystem::path& file, std::string_view text) {
  std::ifstream stream(file, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(stream)), {});
  const std::size_t found = content.rfind(text);
  if (found == std::string::npos) throw std::logic_error("the file does not have what is to be damaged");
  flipBitAt(file, found);
}

void flipBitInFirstBlock(const std::filesystem::path& file) {
  const auto environment = storage::openLmdb(file, {});
  const auto tree = environment->openTree(coldTreeName("people"), false);
  const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
  std::vector<std::byte> key;
  std::vector<std::byte> value;
  {
    const auto cursor = transaction->cursor(tree.value());
    if (!cursor->first()) throw std::logic_error("there are no blocks");
    key.assign(cursor->key().begin(), cursor->key().end());
    value.assign(cursor->value().begin(), cursor->value().end());
  }
  value.back() ^= std::byte{1};
  std::ranges::copy(value, transaction->reserve(*tree, key, value.size()).begin());
  transaction->commit();
}

}  // namespace instar::frozen
