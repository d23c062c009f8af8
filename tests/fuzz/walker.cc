// A whole file that is damaged on purpose. The first byte of the input names a sound one, of those in files/;
// the rest is a list of changes to its pages, from bits that flip to numbers that lead elsewhere and records
// with a checksum that is right. Both the look at all pages and salvage end with a report or an error; each
// page is given to one tree; no row comes out that the file never had, unless its bytes were forged; and the
// new file opens, with a catalog that is sound. Where no page shows damage LMDB reads the file, as it does in
// `instar check`, and that ends too.

#include <kj/exception.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <optional>
#include <unordered_set>
#include <vector>

#include "instar/engine/check.h"
#include "instar/engine/internal/pages/page_map.h"
#include "instar/engine/internal/salvage/salvage_into.h"
#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/engine/staging.h"
#include "instar/format/checksum.h"
#include "instar/format/cold_block.h"
#include "instar/format/error.h"
#include "instar/tests/fuzz/fuzzers.h"
#include "instar/tests/support/memory_file.h"
#include "instar/tests/support/temporary_folder.h"

namespace {

using namespace instar;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kMostPages = 48;
constexpr std::size_t kMostChanges = 24;
constexpr std::chrono::milliseconds kWait{1000};
constexpr std::array kNames = {"small", "trees", "packed", "kept", "trial"};

// What a row is known by, whatever collection it is in: old pages of names may give its tree another one.
std::uint64_t rowHash(Bytes key, std::uint16_t version, Bytes payload) {
  return hash64(key) * 31 + hash64(payload) * 7 + version;
}

class SoundFile {
 public:
  explicit SoundFile(const std::string& name) {
    const auto path = std::filesystem::path(INSTAR_FUZZ_FILES) / (name + ".instar");
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    fuzz::require(bytes_.size() > 2 * kPage, "there is the file that inputs are changes to");
    const testing::MemoryFile memory(bytes_);
    const pages::PageFile opened(memory.descriptor(), name);
    for (pages::PageNumber page = 2; page < opened.pages(); ++page) findRows(opened, page);
  }

  const std::string& bytes() const { return bytes_; }
  bool has(std::uint64_t row) const { return rows_.contains(row); }

 private:
  // Of every commit whose pages are still there, free ones included.
  void findRows(const pages::PageFile& file, pages::PageNumber number) {
    std::vector<std::byte> bytes;
    std::vector<std::byte> copy;
    pages::Page page;
    pages::Node node;
    if (!file.read(number, bytes) || page.decode(bytes, number) != nullptr || !page.isLeaf()) return;
    for (std::size_t i = 0; i < page.nodes(); ++i) {
      const auto value = page.node(i, node) ? valueOf(file, node, copy) : std::nullopt;
      RowView row;
      if (!value) continue;
      if (decodeRow(node.key, *value, Verify::yes, row) == RowDamage::none)
        rows_.insert(rowHash(node.key, row.version, row.payload));
      BlockDamage damage;
      const auto block = UnpackedBlock::unpack(node.key, *value, nullptr, damage);
      for (std::size_t k = 0; block && k < block->rows(); ++k)
        rows_.insert(rowHash(block->key(k), block->version(), block->payload(k)));
    }
  }

  std::string bytes_;
  std::unordered_set<std::uint64_t> rows_;
};

const SoundFile& soundFile(std::size_t number) {
  static std::array<std::optional<SoundFile>, kNames.size()> files;
  auto& file = files[number];
  if (!file) file.emplace(kNames[number]);
  return *file;
}

class Damager {
 public:
  Damager(const std::string& bytes, fuzz::Input& input) : bytes_(bytes), input_(input) {}

  std::string run() {
    for (std::size_t i = 0; i < kMostChanges && input_.left() != 0; ++i) change();
    return std::move(bytes_);
  }
  // Whether bytes that an attacker chooses may have become a row.
  bool mayForge() const { return mayForge_; }

 private:
  void change() {
    switch (input_.below(13)) {
      case 0:
        return flip();
      case 1:
        return put(anyPlace(), 1U << input_.below(4));
      case 2:
        return putHeader();
      case 3:
        return putNode();
      case 4:
        return putMeta();
      case 5:
        return copyPage(input_.chance());
      case 6:
        return swapPages();
      case 7:
        return zero();
      case 8:
        return cut();
      case 9:
        return lengthen();
      case 10:
        return makeRun();
      case 11:
        return seal();
      default:
        return overwrite();
    }
  }

  std::size_t pages() const { return bytes_.size() / kPage; }
  std::size_t anyPage() { return pages() == 0 ? 0 : input_.below(pages()); }
  std::size_t anyPlace() { return anyPage() * kPage + input_.number(2) % kPage; }

  // Of numbers those that lead somewhere, and those at the ends.
  std::uint64_t anyNumber() {
    const std::uint8_t choice = input_.byte();
    if (choice < 200) return choice % std::max<std::size_t>(pages(), 1);
    switch (choice % 16) {
      case 0:
        return pages();
      case 1:
        return pages() + 1;
      case 2:
        return UINT64_MAX;
      case 3:
        return UINT64_MAX - 1;
      case 4:
        return INT64_MAX;
      case 5:
        return UINT64_MAX / kPage;
      case 6:
        return UINT32_MAX;
      case 7:
        return kPage;
      case 8:
        return kPage - 1;
      case 9:
        return std::uint64_t{1} << 47;
      case 10:
        return bytes_.size();
      default:
        return input_.number(std::size_t{1} << input_.below(4));
    }
  }

  std::uint64_t load(std::size_t place, std::size_t width) const {
    std::uint64_t number = 0;
    if (place <= bytes_.size() && width <= bytes_.size() - place)
      std::memcpy(&number, bytes_.data() + place, width);
    return number;
  }
  void store(std::size_t place, std::uint64_t number, std::size_t width) {
    if (place <= bytes_.size() && width <= bytes_.size() - place)
      std::memcpy(bytes_.data() + place, &number, width);
  }
  void put(std::size_t place, std::size_t width) { store(place, anyNumber(), width); }

  void flip() {
    const std::size_t place = anyPlace();
    store(place, load(place, 1) ^ input_.byte(), 1);
  }

  void putHeader() {
    struct Field {
      std::size_t place;
      std::size_t width;
    };
    constexpr std::array<Field, 5> kFields = {{{0, 8}, {10, 2}, {12, 2}, {14, 2}, {12, 4}}};
    const std::size_t page = anyPage();
    const Field field = kFields[input_.below(kFields.size())];
    put(page * kPage + field.place, field.width);
  }

  // Where the node of a page begins; of a page without nodes somewhere in it.
  std::size_t anyNode(std::size_t page) {
    const std::uint64_t lower = load(page * kPage + 12, 2);
    const std::size_t nodes = lower > 16 && lower <= kPage ? (lower - 16) / 2 : 0;
    const std::size_t index = nodes == 0 ? 0 : input_.below(nodes);
    return page * kPage + std::min<std::size_t>(load(page * kPage + 16 + 2 * index, 2), kPage - 8);
  }

  void putNode() {
    const std::size_t page = anyPage();
    const std::size_t node = anyNode(page);
    const std::size_t value = node + 8 + load(node + 6, 2);
    switch (input_.below(11)) {
      case 0:
        return put(node, 4);  // the page below, or the length
      case 1:
        return putFlags(node + 4);
      case 2:
        return put(node + 6, 2);  // the length of the key
      case 3:
        return put(value, 8);  // an overflow page
      case 4:
        return put(value + 6, 2);  // of a tree: its depth
      case 5:
        return put(value + 40, 8);  // its root
      case 6:
        return put(value + 8 + 8 * input_.below(4), 8);  // what it counts
      case 7:
        return put(page * kPage + 16 + 2 * input_.below(64), 2);  // where a node lies
      case 8:
        return putFlags(value + 4);  // of a tree: how keys are ordered
      case 9:
        return put(value, 4);  // its padding
      default:
        return flipKey(node);
    }
  }
  void putFlags(std::size_t place) {
    store(place, input_.chance() ? input_.below(4) : load(place, 2) ^ 1U << input_.below(16), 2);
  }
  void flipKey(std::size_t node) {
    const std::size_t length = std::max<std::size_t>(load(node + 6, 2), 1);
    const std::size_t place = node + 8 + input_.below(std::min<std::size_t>(length, 256));
    store(place, load(place, 1) ^ input_.byte(), 1);
  }

  void putMeta() {
    struct Field {
      std::size_t place;
      std::size_t width;
    };
    constexpr std::array<Field, 18> kFields = {{{10, 2},
                                                {24, 8},
                                                {32, 8},
                                                {44, 2},
                                                {88, 4},
                                                {92, 2},
                                                {16, 4},
                                                {20, 4},
                                                {40, 4},
                                                {46, 2},
                                                {80, 8},
                                                {72, 8},
                                                {94, 2},
                                                {128, 8},
                                                {120, 8},
                                                {136, 8},
                                                {144, 8},
                                                {104, 8}}};
    const std::size_t page = input_.below(2);
    const Field field = kFields[input_.below(kFields.size())];
    const std::size_t place = page * kPage + field.place;
    field.width == 2 ? putFlags(place) : put(place, field.width);
  }

  void copyPage(bool renumber) {
    const std::size_t from = anyPage();
    const std::size_t to = anyPage();
    if (pages() == 0) return;
    bytes_.replace(to * kPage, kPage, bytes_.substr(from * kPage, kPage));
    if (renumber) store(to * kPage, to, 8);
  }

  void swapPages() {
    const std::size_t left = anyPage();
    const std::size_t right = anyPage();
    if (pages() == 0 || left == right) return;
    std::swap_ranges(&bytes_[left * kPage], &bytes_[left * kPage] + kPage, &bytes_[right * kPage]);
    store(left * kPage, left, 8);
    store(right * kPage, right, 8);
  }

  void zero() {
    const std::size_t place = anyPage() * kPage + input_.below(8) * 512;
    const std::size_t length = std::min<std::size_t>(512, bytes_.size() - std::min(place, bytes_.size()));
    bytes_.replace(place - (length == 0 ? place : 0), length, length, '\0');
  }

  void cut() {
    const std::size_t length = anyPage() * kPage + input_.number(2) % kPage;
    bytes_.resize(std::min(length, bytes_.size()));
  }

  // Pages behind the others, each a copy of one that has its own number.
  void lengthen() {
    const std::size_t from = anyPage();
    const std::size_t count = input_.below(8);
    if (pages() == 0) return;
    bytes_.resize(pages() * kPage);
    for (std::size_t i = 0; i < count && pages() < kMostPages; ++i) {
      bytes_ += bytes_.substr(from * kPage, kPage);
      store((pages() - 1) * kPage, pages() - 1, 8);
    }
  }

  void makeRun() {
    const std::size_t page = anyPage() * kPage;
    store(page + 10, 4, 2);
    store(page + 12, 1 + input_.below(64), 4);
  }

  // Another payload of a row, or of a record of the catalog, under a checksum that is right.
  void seal() {
    const std::size_t node = anyNode(anyPage());
    const std::size_t keyLength = load(node + 6, 2);
    const std::size_t start = node + 8 + keyLength;
    const std::size_t length = load(node, 4);
    if (keyLength > kMaxKeyLength || length > kPage || start > bytes_.size() ||
        length > bytes_.size() - start)
      return;
    const std::size_t headerLength = load(start + 1, 1);
    if (headerLength < kMinRowHeaderLength || length <= headerLength) return;
    for (std::size_t i = 1 + input_.below(8); i != 0 && input_.left() != 0; --i) {
      const std::size_t place = start + headerLength + input_.number(2) % (length - headerLength);
      store(place, input_.chance() ? load(place, 1) ^ input_.byte() : input_.byte(), 1);
    }
    const Bytes file = asBytes(bytes_);
    const std::uint32_t checksum =
        rowChecksum(file.subspan(node + 8, keyLength), static_cast<std::uint32_t>(load(start, 4)),
                    file.subspan(start + headerLength, length - headerLength));
    store(start + 4, checksum, 4);
    mayForge_ = true;
  }

  void overwrite() {
    const std::size_t place = anyPlace();
    const Bytes taken = input_.take(input_.below(256));
    if (place > bytes_.size() || taken.size() > bytes_.size() - place) return;
    std::memcpy(bytes_.data() + place, taken.data(), taken.size());
    mayForge_ = true;
  }

  std::string bytes_;
  fuzz::Input& input_;
  bool mayForge_ = false;
};

void checkMap(const pages::PageFile& file, const pages::PageMap& map) {
  std::vector<bool> isClaimed(file.pages());
  const auto claim = [&](pages::PageNumber page) {
    fuzz::require(page < file.pages(), "a page lies in the file");
    fuzz::require(!isClaimed[page], "a page belongs to one tree, or to none");
    isClaimed[page] = true;
  };
  for (const pages::NamedTree& tree : map.trees()) {
    std::ranges::for_each(tree.walk.claimed, claim);
    for (const pages::PageNumber leaf : tree.walk.leaves)
      fuzz::require(leaf < file.pages() && isClaimed[leaf], "a leaf belongs to the tree that leads to it");
  }
  std::ranges::for_each(map.orphans(), claim);
  for (const pages::StalePage& page : map.stale()) claim(page.page);
}

// Every row that has come out is sound; returns whether the file has had it, too.
void checkRows(const std::shared_ptr<storage::Environment>& target, const SalvageReport& report,
               const SoundFile& sound, bool mayForge) {
  for (const SalvagedCollection& collection : report.collections) {
    std::uint64_t rows = 0;
    for (const char* const prefix : {"rows/", "preimages/rows/"}) {
      const auto tree = target->openTree(prefix + collection.name, false);
      if (!tree) continue;
      const auto transaction = target->begin(storage::Access::read, kWait);
      const auto cursor = transaction->cursor(*tree);
      for (bool more = cursor->first(); more; more = cursor->next()) {
        RowView row;
        fuzz::require(decodeRow(cursor->key(), cursor->value(), Verify::yes, row) == RowDamage::none,
                      "what comes out is sound");
        fuzz::require(row.flags == RowFlags::none, "and covers nothing");
        fuzz::require(mayForge || sound.has(rowHash(cursor->key(), row.version, row.payload)),
                      "and was once stored");
        ++rows;
      }
    }
    fuzz::require(rows == collection.rows + collection.preimageRows, "and is counted");
  }
}

// Whatever looks at the new file ends; its catalog is sound but for what the report says is lost.
void checkTarget(const std::shared_ptr<storage::Environment>& target, const SalvageReport& report,
                 bool mayForge) {
  const Store store = Store::open(target);
  bool isLost = false;
  for (const SalvagedCollection& collection : report.collections) {
    isLost = isLost || !collection.isUsable || collection.isRebuilt || !collection.lostVersions.empty();
    if (!collection.isUsable) continue;
    const auto rows = store.collection(collection.name);
    const ReadTransaction transaction = store.read();
    stagingStatus(store, transaction, collection.name);
    divergences(store, transaction, collection.name);
  }
  const CheckReport checked = check(store);
  for (const Problem& problem : checked.problems)
    fuzz::require(isLost || problem.finding != Finding::damagedCatalog, "the new catalog is sound");
  fuzz::require(mayForge || isLost || !checked.damaged(), "and so is the new file");
}

// Whatever it finds; but a signal is none of that.
void readWithLmdb(const std::string& bytes) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "file";
  std::ofstream(path, std::ios::binary) << bytes;
  try {
    const Store store = Store::open(path, {.mode = OpenMode::readOnly});
    check(store);
  } catch (const Error&) {
  } catch (const kj::Exception&) {  // a pointer in a record of the catalog under a forged checksum
  }
}

bool isAllowed(const Error& error) noexcept {
  return error.code() == ErrorCode::fixEnvironment || error.code() == ErrorCode::upgradeProgram;
}

}  // namespace

void instar::fuzz::fuzzWalker(Bytes bytes) {
  Input input(bytes);
  const std::uint8_t choice = input.byte();
  const SoundFile& sound = soundFile(choice % kNames.size());
  const bool swept = choice >= 128;
  Damager damager(sound.bytes(), input);
  const std::string damaged = damager.run();
  const testing::MemoryFile memory(damaged);
  try {
    const pages::PageFile file(memory.descriptor(), "damaged");
    checkMap(file, {file, pages::PageMap::Sweep::always, [](std::uint64_t) {}});
    const auto target = storage::openMemory();
    const SalvageReport report =
        salvageInto(memory.descriptor(), "damaged", target, {.swept = swept, .maxListed = 50});
    checkRows(target, report, sound, damager.mayForge());
    checkTarget(target, report, damager.mayForge());
    if (checkPagesOf(memory.descriptor(), "damaged", {}).sound()) readWithLmdb(damaged);
  } catch (const Error& error) {
    require(isAllowed(error), "an error says that nothing can be had of the file, or to use a newer program");
  }
}
