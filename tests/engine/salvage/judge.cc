#include "instar/tests/engine/salvage/judge.h"

#include <algorithm>
#include <stdexcept>

#include "instar/engine/internal/salvage/salvage_into.h"
#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/format/file_format.h"
#include "instar/format/key_text.h"

namespace instar::testing {
namespace {

constexpr std::size_t kMostComplaints = 5;

class Judge {
 public:
  Judge(const BaseFile& base, const DamagedFile& file, const Salvaged& salvaged)
      : base_(base), file_(file), salvaged_(salvaged), report_(salvaged.report) {}

  std::vector<std::string> run() {
    for (const auto& [name, rows] : salvaged_.state) {
      if (!base_.state.contains(name)) complain(name, "", "there was no such collection");
      for (const auto& [key, row] : rows) judgeRow(name, key, row);
    }
    for (const auto& [name, rows] : base_.state) {
      for (const auto& row : rows) judgeAbsence(name, row.first);
    }
    return std::move(complaints_);
  }

 private:
  void complain(const std::string& name, const std::string& key, const std::string& what) {
    if (complaints_.size() == kMostComplaints) return;
    complaints_.push_back(name + " 0x" + toHex(asBytes(key)) + ": " + what);
  }

  static const RowText* find(const State& state, const std::string& name, const std::string& key) {
    const auto rows = state.find(name);
    if (rows == state.end()) return nullptr;
    const auto row = rows->second.find(key);
    return row == rows->second.end() ? nullptr : &row->second;
  }

  // Rows of older commits come back only where somebody was told so, or where pages of older commits did,
  // which nothing in them gives away.
  bool mayBeOlder() const {
    return report_.mayBeOlder || salvaged_.swept || file_.kind == DamageKind::oldPages;
  }

  // A pre-image is a row as the collection once had it.
  bool wasCommitted(const std::string& name, const std::string& key, const RowText* row) const {
    if (row != nullptr && name.starts_with(kKept) && wasCommitted(name.substr(kKept.size()), key, row))
      return true;
    return std::any_of(base_.history.begin(), base_.history.end(), [&](const State& state) {
      const RowText* was = find(state, name, key);
      return row == nullptr ? was == nullptr : was != nullptr && *was == *row;
    });
  }

  void judgeRow(const std::string& name, const std::string& key, const RowText& row) {
    const RowText* now = find(base_.state, name, key);
    if (now != nullptr && *now == row) return;
    if (!mayBeOlder())
      return complain(name, key, now == nullptr ? "an erased row is back" : "an older row is back");
    if (!wasCommitted(name, key, &row)) complain(name, key, "the row was never there");
  }

  void judgeAbsence(const std::string& name, const std::string& key) {
    if (find(salvaged_.state, name, key) != nullptr) return;
    // Pages of one earlier commit can make up a sound file of that commit.
    if (file_.kind == DamageKind::oldPages && wasCommitted(name, key, nullptr)) return;
    if (isOnTouchedPage(name, key)) {
      if (!isListed(name, key)) complain(name, key, "it is missing, and nobody was told");
      return;
    }
    // What led to it is damaged: it is brought out where its collection can be told.
    if (!isListed(name, key))
      return complain(name, key, "it is missing though its page is sound, and nobody was told");
    if (mustComeOut(name, key)) complain(name, key, "it is missing though its page is sound");
  }

  bool isTouched(const std::set<std::uint64_t>& pages) const {
    return std::any_of(pages.begin(), pages.end(),
                       [&](std::uint64_t page) { return file_.touched.contains(page); });
  }

  // A row whose page is as it was. What excuses that it is left out lies in its own collection, or in what
  // says of all pages what they are.
  bool mustComeOut(const std::string& name, const std::string& key) const {
    const bool hasIndex = !isTouched(base_.index);
    if (report_.mayBeOlder || (!hasIndex && report_.mayLackCollections) || lostItsName(name)) return false;
    if (couldBeOfAnother(name)) return false;
    if (salvaged_.swept) return true;
    const auto cold = base_.coldKeys.find(name);
    const auto hot = base_.hotPages.find(name);
    const bool mayBeCovered = cold != base_.coldKeys.end() && cold->second.contains(key) &&
                              hot != base_.hotPages.end() && isTouched(hot->second);
    return hasIndex && !mayBeCovered;
  }

  // A page that nothing leads to is given to none where its rows fit to two collections, and both may have
  // lost it.
  bool couldBeOfAnother(const std::string& name) const {
    if (report_.unassignedRows == 0) return false;
    const std::uint64_t schema = base_.schemas.at(collectionOf(name));
    return std::any_of(base_.state.begin(), base_.state.end(), [&](const auto& other) {
      return other.first != name && base_.schemas.at(collectionOf(other.first)) == schema &&
             (isTouched(base_.index) || hasLost(other.first));
    });
  }

  bool hasLost(const std::string& name) const {
    const SalvagedCollection* found = reportOf(name);
    if (found == nullptr) return true;
    return (name.starts_with(kKept) ? found->lostPreimageRangeCount : found->lostRangeCount) != 0;
  }

  static std::string collectionOf(const std::string& name) {
    return name.starts_with(kKept) ? name.substr(kKept.size()) : name;
  }

  bool isOnTouchedPage(const std::string& name, const std::string& key) const {
    const auto collection = base_.pagesOf.find(name);
    if (collection == base_.pagesOf.end()) return true;
    const auto pages = collection->second.find(key);
    return pages == collection->second.end() || isTouched(pages->second);
  }

  const SalvagedCollection* reportOf(const std::string& name) const {
    for (const SalvagedCollection& collection : report_.collections) {
      if (collection.name == collectionOf(name)) return &collection;
    }
    return nullptr;
  }

  // Neither catalog nor trees say that there is such a collection, and the report that there may be.
  bool lostItsName(const std::string& name) const {
    const SalvagedCollection* found = reportOf(name);
    return (found == nullptr || found->isRebuilt || !found->isUsable) && report_.problemCount != 0;
  }

  bool isListed(const std::string& name, const std::string& key) const {
    if (report_.mayBeOlder) return true;
    const SalvagedCollection* found = reportOf(name);
    if (found == nullptr) return report_.problemCount != 0;
    const auto& lost = name.starts_with(kKept) ? found->lostPreimages : found->lost;
    return std::any_of(lost.begin(), lost.end(), [&](const LostRange& range) {
      return compareBytes(asBytes(key), range.from.bytes()) >= 0 &&
             (!range.to || compareBytes(asBytes(key), range.to->bytes()) < 0);
    });
  }

  const BaseFile& base_;
  const DamagedFile& file_;
  const Salvaged& salvaged_;
  const SalvageReport& report_;
  std::vector<std::string> complaints_;
};

}  // namespace

namespace {

// Rows as they are stored, but for those that say that there is none.
void readTree(storage::Environment& target, const std::string& name, RowsByKey& rows) {
  const auto tree = target.openTree(name, false);
  if (!tree) return;
  const auto seen = target.begin(storage::Access::read, std::chrono::milliseconds(1000));
  const auto cursor = seen->cursor(*tree);
  for (bool more = cursor->first(); more; more = cursor->next()) {
    RowView row;
    if (decodeRow(cursor->key(), cursor->value(), Verify::yes, row) != RowDamage::none ||
        row.flags != RowFlags::none) {
      throw std::runtime_error("a damaged row was brought out");
    }
    rows[std::string(asText(cursor->key()))] =
        std::to_string(row.version) + ' ' + std::string(asText(row.payload));
  }
}

}  // namespace

Salvaged salvageBytes(const std::string& bytes, bool swept) {
  const MemoryFile file(bytes);
  const auto target = storage::openMemory();
  Salvaged salvaged{
      salvageInto(file.descriptor(), "damaged", target, {.swept = swept, .maxListed = UINT64_MAX}),
      {},
      swept};
  // Rows of collections without a schema too.
  for (const SalvagedCollection& collection : salvaged.report.collections) {
    RowsByKey rows;
    readTree(*target, "rows/" + collection.name, rows);
    if (!rows.empty()) salvaged.state[collection.name] = std::move(rows);
    RowsByKey kept;
    readTree(*target, "preimages/rows/" + collection.name, kept);
    if (!kept.empty()) salvaged.state[std::string(kKept) + collection.name] = std::move(kept);
  }
  salvaged.hasAudit = target->openTree(kAuditTree, false).has_value();
  return salvaged;
}

std::vector<std::string> judge(const BaseFile& base, const DamagedFile& file, const Salvaged& salvaged) {
  return Judge(base, file, salvaged).run();
}

std::vector<std::string> judgeRefusal(const DamagedFile& file) {
  // Without a meta page that tells the size of pages, and without a page that has its own number.
  const bool hasLostBoth = file.touched.contains(0) && file.touched.contains(1);
  if (hasLostBoth || file.bytes.size() < 3 * 4096) return {};
  return {"the file was refused, though not both of its meta pages are damaged"};
}

}  // namespace instar::testing
