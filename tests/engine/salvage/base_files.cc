#include "instar/tests/engine/salvage/base_files.h"

#include <fcntl.h>

#include <fstream>
#include <iterator>
#include <random>

#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/collection_state.h"
#include "instar/engine/internal/compaction/worker.h"
#include "instar/engine/internal/pages/page_map.h"
#include "instar/engine/internal/storage/file_system.h"
#include "instar/engine/internal/store_state.h"
#include "instar/engine/migration.h"
#include "instar/engine/preimages.h"
#include "instar/engine/staging.h"
#include "instar/format/cold_block.h"
#include "instar/format/file_format.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using Rows = Collection<capnp::DynamicStruct>;

constexpr std::uint64_t kPageSize = 4096;
constexpr std::size_t kEarlierKept = 6;

RecordSchema note(int version, const std::string& more = "") {
  return parseDeclarations("struct Note @0x9a1b2c3d4e5f6071 $Instar.version(" + std::to_string(version) +
                               ") { id @0 :UInt64 $Instar.key(0); text @1 :Text; " + more + " }",
                           "Note");
}

RecordSchema named() {
  return parseDeclarations(
      "struct Named @0x9a1b2c3d4e5f6072 $Instar.version(1) { name @0 :Text $Instar.key(0); text @1 :Text; }",
      "Named");
}

const char* const kLength = "length @2 :UInt32 = 7;";
const char* const kWords =
    "length @2 :UInt32 = 7; words @3 :Text $Instar.derived(since = 3, concat = [(field = \"text\")]);";

std::string textOf(std::uint64_t seed, std::size_t length) {
  std::string text;
  while (text.size() < length) text += std::to_string((seed += 7919) * 0x9e3779b97f4a7c15U);
  return text.substr(0, length);
}

std::string readFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Commits, and remembers each of them.
class Maker {
 public:
  explicit Maker(std::string kind)
      : path_(folder_ / "base.instar"), store_(Store::open(path_, {.durability = Durability::off})) {
    base_.kind = std::move(kind);
    remember();
  }

  const Store& store() const { return *store_; }

  void fill(const Rows& rows, std::uint64_t first, std::uint64_t count, std::uint64_t step,
            std::size_t length) {
    auto transaction = store_->write();
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t id = first + i * step;
      auto draft = rows.create();
      if (rows.keySpec().front().type == KeyType::text)
        draft->set("name", (textOf(id % 97, 3) + "-" + std::to_string(id)).c_str());
      else
        draft->set("id", id);
      ++seed_;
      draft->set("text", textOf(seed_, length + seed_ % 40).c_str());
      rows.put(transaction, draft);
    }
    transaction.commit();
    remember();
  }

  void erase(const Rows& rows, std::uint64_t first, std::uint64_t count, std::uint64_t step) {
    auto transaction = store_->write();
    for (std::uint64_t i = 0; i < count; ++i) rows.erase(transaction, rows.key(first + i * step));
    transaction.commit();
    remember();
  }

  void remember() {
    base_.earlier.push_back(readFile(path_));
    base_.history.push_back(readState(*store_));
  }

  BaseFile finish(std::function<void(const Store&)> openAsApplication) {
    remember();
    for (const CollectionInfo& collection : store_->collections(store_->read()))
      base_.schemas[collection.name] = store_->collection(collection.name).schema().fingerprint();
    store_.reset();
    base_.bytes = readFile(path_);
    base_.state = base_.history.back();
    base_.openAsApplication = std::move(openAsApplication);
    base_.earlier.pop_back();
    if (base_.earlier.size() > kEarlierKept)
      base_.earlier.erase(base_.earlier.begin(), base_.earlier.end() - kEarlierKept);
    findPages();
    return std::move(base_);
  }

 private:
  void findPages() {
    const storage::FileDescriptor descriptor = storage::openRegularFile(path_, O_RDONLY);
    const pages::PageFile file(descriptor.get(), path_);
    const pages::PageMap map(file, pages::PageMap::Sweep::never, [](std::uint64_t) {});
    if (!map.isSound()) throw std::runtime_error("the base file is damaged: " + map.notes().front().what);
    findIndex(file, map);
    for (const pages::NamedTree& tree : map.trees()) {
      for (const auto& [prefix, name] : {std::pair(kRowTreePrefix, ""), std::pair(kColdTreePrefix, ""),
                                         std::pair(kPreimageRowTreePrefix, kKept.data()),
                                         std::pair(kPreimageColdTreePrefix, kKept.data())}) {
        if (!tree.name.starts_with(prefix)) continue;
        const bool isCold = prefix == kColdTreePrefix || prefix == kPreimageColdTreePrefix;
        const std::string collection = name + tree.name.substr(prefix.size());
        if (!isCold) base_.hotPages[collection].insert(tree.walk.claimed.begin(), tree.walk.claimed.end());
        for (const pages::PageNumber leaf : tree.walk.leaves) findPages(file, leaf, collection, isCold);
      }
    }
  }

  void findIndex(const pages::PageFile& file, const pages::PageMap& map) {
    const auto add = [&](const std::vector<pages::PageNumber>& pages) {
      base_.index.insert(pages.begin(), pages.end());
    };
    const auto& metas = file.metas();
    const pages::Meta& newest = metas[0]->transaction > metas[1]->transaction ? *metas[0] : *metas[1];
    pages::PageLedger ledger(file.pages());
    add(walkTree(file, ledger, newest.freeTree, {.numbers = true}).claimed);
    add(walkTree(file, ledger, newest.mainTree, {.names = true}).claimed);
    add(map.find(kCatalogTree)->walk.claimed);
  }

  void findPages(const pages::PageFile& file, pages::PageNumber leaf, const std::string& name, bool isCold) {
    std::vector<std::byte> bytes;
    std::vector<std::byte> copy;
    pages::Page page;
    pages::Node node;
    file.read(leaf, bytes);
    if (page.decode(bytes, leaf) != nullptr) throw std::runtime_error("a leaf is damaged");
    for (std::size_t i = 0; i < page.nodes(); ++i) {
      std::set<std::uint64_t> all{leaf};
      page.node(i, node);
      const Bytes value = *valueOf(file, node, copy);
      for (std::uint64_t k = 0; node.isOverflow && k < (value.size() + 16 + kPageSize - 1) / kPageSize; ++k)
        all.insert(node.overflowPage + k);
      auto& places = base_.pagesOf[name];
      if (!isCold) {
        places[std::string(asText(node.key))] = all;
        base_.coldKeys[name].erase(std::string(asText(node.key)));
        continue;
      }
      BlockDamage damage;
      const auto block = UnpackedBlock::unpack(node.key, value, nullptr, damage);
      if (!block) throw std::runtime_error("a block has a dictionary, or is damaged");
      for (std::size_t row = 0; row < block->rows(); ++row) {
        const std::string key(asText(block->key(row)));
        if (places.try_emplace(key, all).second) base_.coldKeys[name].insert(key);
      }
    }
  }

  TemporaryFolder folder_;
  std::filesystem::path path_;
  std::optional<Store> store_;
  BaseFile base_;
  std::uint64_t seed_ = 0;
};

std::function<void(const Store&)> opens(const std::string& name, const RecordSchema& schema) {
  return [name, schema](const Store& store) {
    const Rows rows = store.collection(name, schema);
    const auto transaction = store.read();
    auto scan = rows.scan(transaction);
    while (scan.next()) static_cast<void>(scan.row());
  };
}

BaseFile makePlain() {
  Maker maker("plain");
  const Rows rows = maker.store().collection("notes", note(1));
  maker.fill(rows, 0, 300, 2, 60);
  maker.fill(rows, 100, 60, 3, 90);
  maker.erase(rows, 200, 40, 2);
  maker.fill(rows, 10, 5, 20, 30);
  return maker.finish(opens("notes", note(1)));
}

BaseFile makeVersions() {
  Maker maker("versions");
  maker.fill(maker.store().collection("notes", note(1)), 0, 120, 3, 50);
  maker.fill(maker.store().collection("notes", note(2, kLength)), 1, 80, 3, 50);
  maker.fill(maker.store().collection("notes", note(3, kWords)), 2, 60, 3, 50);
  return maker.finish(opens("notes", note(3, kWords)));
}

BaseFile makeCompacted() {
  Maker maker("compacted");
  const Rows rows = maker.store().collection("notes", note(1));
  maker.fill(rows, 0, 400, 2, 70);
  migrate(maker.store(), "notes", {.mode = CompactionMode::compress});
  maker.remember();
  maker.fill(rows, 101, 20, 8, 40);  // between those in blocks
  maker.fill(rows, 300, 25, 4, 40);  // over them
  maker.erase(rows, 500, 20, 4);
  return maker.finish(opens("notes", note(1)));
}

// What is left of a pass of compaction that had come to its end when the process was killed.
void leavePreimages(const Store& store, const std::string& name) {
  const auto state = store.read().state().sharedStore();
  const auto schema = store.collection(name).schema();
  TransactionState reading(state, storage::Access::read);
  const auto collection = std::make_shared<CollectionState>(
      state, store.plans(store.read(), name, schema),
      *state->environment().openTree(rowTreeName(name), false), *Catalog(reading).collection(name), reading);
  Worker worker(state, collection, {.mode = CompactionMode::compress, .rate = 1, .keepPreimages = true});
  while (!worker.step({.lower = {}, .packs = true}, [] {})) {
  }
}

BaseFile makeKept() {
  Maker maker("kept");
  const Rows rows = maker.store().collection("notes", note(1));
  maker.fill(rows, 0, 120, 2, 60);
  migrate(maker.store(), "notes", {.mode = CompactionMode::compress});
  maker.fill(rows, 101, 10, 8, 40);
  maker.fill(rows, 50, 12, 4, 40);
  maker.erase(rows, 20, 6, 4);
  maker.store().collection("notes", note(2, kLength));
  leavePreimages(maker.store(), "notes");
  return maker.finish(opens("notes", note(2, kLength)));
}

BaseFile makeStaged() {
  Maker maker("staged");
  maker.fill(maker.store().collection("notes", note(1)), 0, 150, 2, 60);
  const Rows staged = maker.store().stage("notes", note(2, kLength), {.percent = 50});
  maker.fill(staged, 1, 60, 4, 60);
  return maker.finish(opens("notes", note(1)));
}

BaseFile makeTextKeys() {
  Maker maker("text keys");
  const Rows rows = maker.store().collection("people", named());
  maker.fill(rows, 0, 200, 1, 60);
  maker.fill(rows, 50, 60, 2, 80);
  return maker.finish(opens("people", named()));
}

BaseFile makeLarge() {
  Maker maker("large rows");
  const Rows rows = maker.store().collection("notes", note(1));
  maker.fill(rows, 0, 60, 2, 3000);
  maker.fill(rows, 1, 20, 2, 9000);
  maker.fill(rows, 20, 20, 2, 200);
  maker.erase(rows, 80, 5, 2);
  return maker.finish(opens("notes", note(1)));
}

BaseFile makeSeveral() {
  Maker maker("several");
  const Rows first = maker.store().collection("first", note(1));
  const Rows second = maker.store().collection("second", note(1));
  const Rows third = maker.store().collection("third", named());
  maker.fill(first, 0, 100, 2, 60);
  maker.fill(second, 1, 100, 2, 60);
  maker.fill(third, 0, 100, 1, 60);
  maker.fill(first, 50, 30, 3, 70);
  maker.erase(second, 21, 10, 2);
  return maker.finish([](const Store& store) {
    opens("first", note(1))(store);
    opens("second", note(1))(store);
    opens("third", named())(store);
  });
}

// Two collections whose leaves have the same keys, and as many.
BaseFile makeTwins() {
  Maker maker("twins");
  maker.fill(maker.store().collection("left", note(1)), 0, 120, 1, 60);
  maker.fill(maker.store().collection("right", note(1)), 0, 120, 1, 60);
  return maker.finish([](const Store& store) {
    opens("left", note(1))(store);
    opens("right", note(1))(store);
  });
}

BaseFile makeEmpty() {
  Maker maker("empty");
  return maker.finish([](const Store&) {});
}

BaseFile makeSmall() {
  Maker maker("small");
  const Rows rows = maker.store().collection("notes", note(1));
  maker.fill(rows, 0, 5, 1, 20);
  maker.erase(rows, 2, 1, 1);
  return maker.finish(opens("notes", note(1)));
}

}  // namespace

State readState(const Store& store) {
  State state;
  const auto transaction = store.read();
  for (const CollectionInfo& collection : store.collections(transaction)) {
    RowsByKey& rows = state[collection.name];
    const Rows opened = store.collection(collection.name);
    auto scan = opened.scan(transaction);
    while (scan.next()) {
      RowView row;
      if (decodeRow(scan.key(), scan.value(), Verify::yes, row) != RowDamage::none)
        throw std::runtime_error("a row is damaged");
      rows[std::string(asText(scan.key()))] =
          std::to_string(row.version) + ' ' + std::string(asText(row.payload));
    }
    RowsByKey kept;
    auto preimages = scanPreimages(transaction, opened);
    while (preimages && preimages->next()) {
      RowView row;
      if (decodeRow(preimages->key(), preimages->value(), Verify::yes, row) != RowDamage::none)
        throw std::runtime_error("a pre-image is damaged");
      kept[std::string(asText(preimages->key()))] =
          std::to_string(row.version) + ' ' + std::string(asText(row.payload));
    }
    if (!kept.empty()) state[std::string(kKept) + collection.name] = std::move(kept);
  }
  return state;
}

const std::vector<std::string>& baseKinds() {
  static const std::vector<std::string> kinds = {"plain",  "versions",  "compacted",  "kept",
                                                 "staged", "text keys", "large rows", "several",
                                                 "twins",  "empty",     "small"};
  return kinds;
}

BaseFile makeBase(const std::string& kind) {
  if (kind == "plain") return makePlain();
  if (kind == "versions") return makeVersions();
  if (kind == "compacted") return makeCompacted();
  if (kind == "kept") return makeKept();
  if (kind == "staged") return makeStaged();
  if (kind == "text keys") return makeTextKeys();
  if (kind == "large rows") return makeLarge();
  if (kind == "several") return makeSeveral();
  if (kind == "twins") return makeTwins();
  if (kind == "empty") return makeEmpty();
  return makeSmall();
}

}  // namespace instar::testing
