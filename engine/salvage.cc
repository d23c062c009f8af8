#include "instar/engine/salvage.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/salvage/collection_salvage.h"
#include "instar/engine/internal/salvage/salvage_into.h"
#include "instar/engine/internal/storage/file_system.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/internal/storage/lock_file.h"
#include "instar/engine/internal/store_state.h"
#include "instar/format/checksum.h"
#include "instar/format/file_format.h"

namespace instar {
namespace {

using pages::Node;
using pages::PageNumber;

// Where only damage counts, what a crash can leave as well is passed over.
void listNotes(const pages::PageMap& map, bool damageOnly, std::uint64_t mostListed, std::uint64_t& count,
               std::vector<PageProblem>& problems) {
  for (const pages::PageNote& note : map.notes()) {
    if (damageOnly && !note.isDamage) continue;
    ++count;
    if (problems.size() == mostListed) continue;
    PageProblem problem{.tree = note.tree, .message = note.what};
    if (note.page != pages::kNoPage) problem.page = note.page;
    problems.push_back(std::move(problem));
  }
}

// Pages that the disk has not read every time, and of which nothing is noted: they could be read first.
std::vector<PageNumber> listUnsteady(const pages::PageFile& file, const pages::PageMap& map,
                                     std::uint64_t mostListed, std::uint64_t& count,
                                     std::vector<PageProblem>& problems) {
  std::set<PageNumber> pages = file.failed();
  for (const pages::PageNote& note : map.notes()) pages.erase(note.page);
  for (const PageNumber page : pages) {
    ++count;
    if (problems.size() != mostListed)
      problems.push_back({.page = page, .message = "the disk did not read it every time"});
  }
  return {pages.begin(), pages.end()};
}

// All entries in turn; false where one cannot be read.
bool forEachEntry(const pages::PageFile& file, const pages::NamedTree& tree,
                  const std::function<bool(Bytes key, Bytes value)>& visit) {
  std::vector<std::byte> bytes;
  std::vector<std::byte> copy;
  Node node;
  for (const PageNumber leaf : tree.walk.leaves) {
    pages::Page page;
    if (!file.read(leaf, bytes) || page.decode(bytes, leaf) != nullptr) return false;
    for (std::size_t i = 0; i < page.nodes(); ++i) {
      const auto value = page.node(i, node) ? valueOf(file, node, copy) : std::nullopt;
      if (!value || !visit(node.key, *value)) return false;
    }
  }
  return true;
}

class Salvage {
 public:
  Salvage(const pages::PageFile& file, const Store& store, const SalvageOptions& options)
      : file_(file),
        options_(options),
        progress_([this] {
          if (options_.progress) options_.progress({++steps_ * kRowsPerReport, 0});
        }),
        map_(file, options.swept ? pages::PageMap::Sweep::always : pages::PageMap::Sweep::whereNeeded,
             [this](std::uint64_t done) {
               if (options_.progress) options_.progress({done, file_.pages()});
             }),
        catalog_(file, map_),
        orphans_(file, map_, catalog_),
        values_(file),
        staleValues_(file),
        target_(store) {}

  SalvageReport run() {
    report_.pages = file_.pages();
    report_.pageSize = file_.pageSize();
    report_.transaction = map_.transaction();
    report_.mayBeOlder = map_.mayBeOlder();
    report_.mayLackCollections = !catalog_.knowsAllCollections();
    listNotes(map_, false, options_.maxListed, report_.problemCount, report_.problems);
    report_.lostCatalogRecords = catalog_.damaged();
    for (const PageProblem& problem : catalog_.problems()) {
      ++report_.problemCount;
      if (report_.problems.size() < options_.maxListed) report_.problems.push_back(problem);
    }
    report_.olderCatalogRecords = catalog_.older();
    catalog_.refuseNewer();
    copyRecords();
    copyAudit();
    const SalvageSource source{file_, map_, orphans_, values_, staleValues_};
    for (const FoundCollection& collection : catalog_.collections()) {
      using Part = CollectionSalvage::Part;
      CollectionSalvage rows(source, collection, Part::rows, target_, options_, progress_);
      report_.collections.push_back(rows.run());
      if (CollectionSalvage::hasPreimages(source, collection)) {
        CollectionSalvage preimages(source, collection, Part::preimages, target_, options_, progress_);
        addPreimages(preimages.run());
      }
      finish(collection, rows.lowestVersion());
    }
    report_.unassignedRows = orphans_.unassignedRows();
    addUnsteadyPages();
    target_.commit();
    return std::move(report_);
  }

 private:
  // What was on them may be missing, whatever it was.
  void addUnsteadyPages() {
    for (const PageNumber page :
         listUnsteady(file_, map_, options_.maxListed, report_.problemCount, report_.problems)) {
      if (options_.swept || !map_.isFree(page)) ++report_.unsteadyPages;
    }
  }

  // Those that say where rows are, and what compaction was doing, are not true of the new file.
  static bool isKept(std::string_view key) noexcept {
    return key == kFormatKey || key == kGenerationKey || key.starts_with(kVersionKeyPrefix) ||
           key.starts_with(kStagingKeyPrefix) || key.starts_with(kCanaryKeyPrefix) ||
           key.starts_with(kDivergenceKeyPrefix);
  }

  void copyRecords() {
    const storage::TreeId catalog = target_.state().store().catalog();
    for (const auto& [key, value] : catalog_.records()) {
      if (!isKept(key)) continue;
      const auto place = target_.state().storage().reserve(catalog, asBytes(key), value.size());
      std::copy(value.begin(), value.end(), place.begin());
    }
    // Where nobody knows which number the file had: none of ours is refused by this code.
    if (!catalog_.records().contains(kFormatKey)) Catalog(target_.state()).raiseFormat(kFileFormat);
    target_.commit();
  }

  // Only as a whole: a chain with gaps would be taken for a forged one.
  void copyAudit() {
    const auto head = catalog_.records().find(kAuditKey);
    const pages::NamedTree* tree = map_.find(kAuditTree);
    const bool hasHead = head != catalog_.records().end();
    report_.auditIsLost = tree == nullptr ? hasHead : !auditIsWhole(*tree);
    if (tree == nullptr || report_.auditIsLost || !hasHead) return;
    const storage::TreeId copy = target_.openTree(std::string(kAuditTree));
    forEachEntry(file_, *tree, [&](Bytes key, Bytes value) { return target_.put(copy, key, value); });
    target_.put(target_.state().store().catalog(), asBytes(kAuditKey), head->second);
    target_.commit();
  }

  bool auditIsWhole(const pages::NamedTree& tree) const {
    std::uint64_t number = 0;
    std::uint64_t hash = 0;
    const bool isRead = tree.isSound && forEachEntry(file_, tree, [&](Bytes key, Bytes value) {
                          Key expected;
                          expected.appendNumber(++number, 8);
                          RowView row;
                          hash = hash64(value);
                          return compareBytes(key, expected.bytes()) == 0 &&
                                 decodeRow(key, value, Verify::yes, row) == RowDamage::none;
                        });
    const auto head = catalog_.records().find(kAuditKey);
    if (!isRead) return false;
    if (head == catalog_.records().end()) return number == 0;
    bool isWhole = false;
    readRecord(asBytes(kAuditKey), head->second, [&](const capnp::AnyPointer::Reader& root) {
      const auto stored = root.getAs<catalog::AuditHead>();
      isWhole = stored.getEntries() == number && (number == 0 || stored.getHash() == hash);
    });
    return isWhole;
  }

  // To the collection that was done last.
  void addPreimages(SalvagedCollection kept) {
    SalvagedCollection& collection = report_.collections.back();
    collection.preimageRows = kept.rows;
    collection.lostPreimageRangeCount = kept.lostRangeCount;
    collection.lostPreimages = std::move(kept.lost);
    collection.sweptRows += kept.sweptRows;
    collection.leftOut += kept.leftOut;
    for (const std::uint16_t version : kept.lostVersions) {
      if (!std::ranges::count(collection.lostVersions, version)) collection.lostVersions.push_back(version);
    }
  }

  // A version that is tried needs the record that says how: nobody is served by it until somebody says so.
  void keepTrial(TransactionState& state, const FoundCollection& collection) {
    if (Catalog(state).staging(collection.name)) return;
    for (const auto& [number, versionState] : collection.states) {
      if (versionState != VersionState::staged) continue;
      Catalog::StagingRecord record;
      record.version = number;
      record.stagedAt = now();
      record.stagedBy = programName();
      Catalog(state).putStaging(collection.name, record);
    }
  }

  void finish(const FoundCollection& collection, std::uint16_t lowestVersion) {
    TransactionState& state = target_.state();
    keepTrial(state, collection);
    if (collection.record) {
      Catalog::CollectionRecord record = *collection.record;
      record.tiered = false;
      Catalog(state).putCollection(record);
    }
    if (collection.record && collection.hasPartitions) {
      const std::uint16_t current = collection.record->currentVersion;
      Partitions(state, collection.name).put({.floor = lowestVersion == 0 ? current : lowestVersion});
    }
    target_.commit();
  }

  const pages::PageFile& file_;
  const SalvageOptions& options_;
  std::uint64_t steps_ = 0;
  const std::function<void()> progress_;
  pages::PageMap map_;
  FoundCatalog catalog_;
  const OrphanOwners orphans_;
  pages::ValueReader values_;
  pages::ValueReader staleValues_;
  SalvageTarget target_;
  SalvageReport report_;
};

// A folder with one store, which goes with it. That takes no memory: for want of it salvage may be over.
class WorkFolder {
 public:
  explicit WorkFolder(const std::filesystem::path& beside)
      : path_(beside.string() + ".salvage-XXXXXX"),
        file_(path_ + "/salvaged.instar"),
        lockFile_(storage::lockFileOf(file_).string()) {
    if (::mkdtemp(path_.data()) == nullptr)
      throw storage::systemError(errno, "mkdtemp", beside.parent_path());
    for (std::string* name : {&file_, &lockFile_}) std::copy(path_.begin(), path_.end(), name->begin());
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  ~WorkFolder() {
    for (const std::string* name : {&file_, &lockFile_}) ::unlink(name->c_str());
    ::rmdir(path_.c_str());
  }
  const std::string& file() const noexcept { return file_; }

 private:
  std::string path_;
  std::string file_;
  std::string lockFile_;
};

void refuseExisting(const std::filesystem::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) throw storage::systemError(EEXIST, "lstat", path);
}

}  // namespace

bool SalvageReport::isComplete() const noexcept {
  return !mayBeOlder && !mayLackCollections && lostCatalogRecords == 0 && olderCatalogRecords == 0 &&
         unsteadyPages == 0 && !auditIsLost && unassignedRows == 0 &&
         std::all_of(collections.begin(), collections.end(), [](const auto& collection) {
           return collection.lostRangeCount == 0 && collection.lostPreimageRangeCount == 0 &&
                  collection.leftOut == 0 && collection.sweptRows == 0 && collection.lostVersions.empty() &&
                  collection.isUsable && !collection.isRebuilt;
         });
}

SalvageReport salvageInto(int descriptor, const std::filesystem::path& from,
                          const std::shared_ptr<storage::Environment>& target,
                          const SalvageOptions& options) {
  const pages::PageFile file(descriptor, from);
  const Store store = Store::open(target);
  SalvageReport report = Salvage(file, store, options).run();
  // What was read then is of no one commit.
  if (file.hasChanged()) {
    throw Error(ErrorCode::retry, "a program writes to the file: end it, then try again",
                {{"path", from.string()}});
  }
  return report;
}

SalvageReport salvage(const std::filesystem::path& from, const std::filesystem::path& to,
                      const SalvageOptions& options) {
  const storage::FileDescriptor source = storage::openRegularFile(from, O_RDONLY);
  const std::filesystem::path target = storage::resolveStorePath(to);
  refuseExisting(target);
  const WorkFolder folder(target);
  const auto environment = storage::openLmdb(folder.file(), {.durability = Durability::off});
  const mode_t mode = storage::statusOf(source.get(), from).st_mode & 0777;
  if (::chmod(folder.file().c_str(), mode) != 0) throw storage::systemError(errno, "chmod", folder.file());
  SalvageReport report = salvageInto(source.get(), from, environment, options);
  environment->copyTo(target, {.compact = true});
  return report;
}

PageReport checkPagesOf(int descriptor, const std::filesystem::path& path, const SalvageOptions& options) {
  constexpr int kAttempts = 3;
  PageReport report;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const pages::PageFile file(descriptor, path);
    const pages::PageMap map(file, pages::PageMap::Sweep::never, [&](std::uint64_t done) {
      if (options.progress) options.progress({done, file.pages()});
    });
    report = {};
    report.pages = file.pages();
    report.transaction = map.transaction();
    listNotes(map, true, options.maxListed, report.problemCount, report.problems);
    listUnsteady(file, map, options.maxListed, report.problemCount, report.problems);
    report.changes = file.hasChanged();
    if (report.sound() || !report.changes) return report;
  }
  return report;
}

PageReport checkPages(const std::filesystem::path& path, const SalvageOptions& options) {
  const storage::FileDescriptor file = storage::openRegularFile(path, O_RDONLY);
  PageReport report = checkPagesOf(file.get(), path, options);
  if (report.sound() || !report.changes) return report;
  // What a walk has met may have been written anew meanwhile. So it is made once more over pages that stay.
  std::shared_ptr<const void> held;
  try {
    held = storage::holdPages(path);
  } catch (const Error&) {
    return report;
  }
  report = checkPagesOf(file.get(), path, options);
  report.changes = false;
  return report;
}

}  // namespace instar
