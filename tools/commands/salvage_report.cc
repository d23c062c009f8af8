#include "instar/tools/commands/salvage_report.h"

#include <optional>

#include "instar/format/key_text.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

// Keys of one collection; those of a collection whose schemas are lost may be sensitive, and are not shown.
class RangePrinter {
 public:
  RangePrinter(const Store& salvaged, const SalvagedCollection& collection, bool unmask) : unmask_(unmask) {
    if (!collection.isUsable) return;
    const ReadTransaction transaction = salvaged.read();
    keys_.emplace(keyPrinter(salvaged, transaction, collection.name, unmask));
  }

  std::string lower(const Key& key) const { return key.empty() ? "the beginning" : bound(key); }
  std::string upper(const std::optional<Key>& key) const { return key ? bound(*key) : "the end"; }

 private:
  std::string bound(const Key& key) const {
    if (!keys_) return unmask_ ? printKey({}, key.bytes()) : std::string(kMaskedPrefix) + "key)";
    const Bytes bytes = key.bytes();
    const std::string whole = keys_->print(bytes);
    if (bytes.size() <= 1 || bytes.back() != std::byte{0}) return whole;
    // The first key behind another one.
    const std::string shorter = keys_->print(bytes.first(bytes.size() - 1));
    return whole.starts_with("0x") && !shorter.starts_with("0x") ? "behind " + shorter : whole;
  }

  std::optional<KeyPrinter> keys_;
  bool unmask_;
};

void printRanges(Context& context, const char* what, const std::vector<LostRange>& ranges,
                 std::uint64_t count, const RangePrinter& keys) {
  for (const LostRange& range : ranges) {
    std::string where =
        std::string("  ") + what + ": from " + keys.lower(range.from) + " up to " + keys.upper(range.to);
    if (range.cold) where += ", in blocks";
    if (range.page) where += ", page " + std::to_string(*range.page);
    context.output.line(where + ": " + range.reason);
  }
  if (count > ranges.size()) context.output.line("  and " + counted(count - ranges.size(), "further range"));
}

void writeRanges(JsonWriter& writer, const char* name, const std::vector<LostRange>& ranges,
                 const RangePrinter& keys) {
  writer.name(name).beginArray();
  for (const LostRange& range : ranges) {
    writer.beginObject().member("from", keys.lower(range.from)).member("to", keys.upper(range.to));
    writer.name("cold").boolean(range.cold).name("page");
    range.page ? writer.number(*range.page) : writer.null();
    writer.member("reason", range.reason).endObject();
  }
  writer.endArray();
}

void printCollection(Context& context, const SalvagedCollection& collection, const Store& salvaged,
                     bool unmask) {
  std::string line = collection.name + ": " + counted(collection.rows, "row");
  if (collection.orphanRows != 0)
    line += ", " + grouped(collection.orphanRows) + " of pages that nothing led to";
  if (collection.sweptRows != 0)
    line += ", " + grouped(collection.sweptRows) + " that may be out of date or erased";
  const std::uint64_t lost = collection.lostRows.value_or(0) + collection.lostColdRows.value_or(0);
  if (lost != 0)
    line += "; lost: " + std::string(collection.lostColdRows.value_or(0) != 0 ? "up to " : "") +
            counted(lost, "row");
  if (collection.lostRangeCount != 0 && lost == 0) line += "; lost: nobody knows how many";
  context.output.line(line);
  const RangePrinter keys(salvaged, collection, unmask);
  printRanges(context, "lost", collection.lost, collection.lostRangeCount, keys);
  if (collection.preimageRows != 0)
    context.output.line("  pre-images: " + counted(collection.preimageRows, "row"));
  printRanges(context, "lost of the pre-images", collection.lostPreimages, collection.lostPreimageRangeCount,
              keys);
  if (collection.leftOut != 0) {
    context.output.line("  left out: " + counted(collection.leftOut, "row") +
                        " that may be out of date or erased; --swept takes them too");
  }
  for (const std::uint16_t version : collection.lostVersions)
    context.output.line("  the schema of version " + std::to_string(version) + " is lost");
  if (!collection.isUsable) {
    context.output.line("  its schemas are lost: open it with the program that has them");
  } else if (collection.isRebuilt) {
    context.output.line(
        "  its record was lost and is made anew: only programs of its current version may open it");
  }
}

}  // namespace

std::string describeProblem(const PageProblem& problem) {
  std::string where = problem.page ? "page " + std::to_string(*problem.page) : std::string();
  if (!problem.tree.empty()) where += (where.empty() ? "" : " of ") + problem.tree;
  return (where.empty() ? std::string("the file") : where) + ": " + problem.message;
}

void writeProblems(JsonWriter& writer, std::uint64_t count, const std::vector<PageProblem>& problems) {
  writer.member("pageProblemCount", count).name("pageProblems").beginArray();
  for (const PageProblem& problem : problems) {
    writer.beginObject().name("page");
    problem.page ? writer.number(*problem.page) : writer.null();
    writer.member("tree", problem.tree).member("message", problem.message).endObject();
  }
  writer.endArray();
}

void printSalvageText(Context& context, const SalvageReport& report, const Store& salvaged, bool unmask) {
  for (const PageProblem& problem : report.problems) context.output.line(describeProblem(problem));
  if (report.problemCount > report.problems.size()) {
    context.output.line("and " + counted(report.problemCount - report.problems.size(), "further problem"));
  }
  for (const SalvagedCollection& collection : report.collections)
    printCollection(context, collection, salvaged, unmask);
  if (report.mayBeOlder)
    context.output.line(
        "the newest commit could not be read as a whole: what was stored last may be missing");
  if (report.mayLackCollections)
    context.output.line("what names the collections is lost: there may have been others");
  if (report.unsteadyPages != 0) {
    context.output.line(counted(report.unsteadyPages, "page") +
                        " not read every time by the disk: more may be lost than is listed; copy the file "
                        "to another disk, then try again");
  }
  if (report.lostCatalogRecords != 0)
    context.output.line(counted(report.lostCatalogRecords, "record") + " of the catalog lost");
  if (report.olderCatalogRecords != 0)
    context.output.line(counted(report.olderCatalogRecords, "record") +
                        " of the catalog from an older commit");
  if (report.auditIsLost) context.output.line("the audit is lost: it begins anew");
  if (report.unassignedRows != 0) {
    context.output.line(counted(report.unassignedRows, "row") +
                        " left out: nobody can say which collection they belong to");
  }
  if (report.isComplete()) context.output.line("nothing is lost");
}

void printSalvageJson(Context& context, const SalvageReport& report, const Store& salvaged, bool unmask) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject().name("complete").boolean(report.isComplete());
  writer.member("pages", report.pages).member("pageSize", std::uint64_t{report.pageSize});
  writer.member("transaction", report.transaction).name("mayBeOlder").boolean(report.mayBeOlder);
  writer.name("mayLackCollections").boolean(report.mayLackCollections);
  writer.name("unsteadyPages").number(report.unsteadyPages);
  writer.member("lostCatalogRecords", report.lostCatalogRecords)
      .member("olderCatalogRecords", report.olderCatalogRecords);
  writer.name("auditIsLost").boolean(report.auditIsLost).member("unassignedRows", report.unassignedRows);
  writeProblems(writer, report.problemCount, report.problems);
  writer.name("collections").beginArray();
  for (const SalvagedCollection& collection : report.collections) {
    const RangePrinter keys(salvaged, collection, unmask);
    writer.beginObject().member("name", collection.name).member("rows", collection.rows);
    writer.member("coldRows", collection.coldRows).member("orphanRows", collection.orphanRows);
    writer.member("sweptRows", collection.sweptRows).member("leftOut", collection.leftOut);
    const auto optional = [&](const char* name, const std::optional<std::uint64_t>& number) {
      writer.name(name);
      number ? writer.number(*number) : writer.null();
    };
    optional("lostRows", collection.lostRows);
    optional("lostColdRows", collection.lostColdRows);
    writer.name("usable").boolean(collection.isUsable).name("rebuilt").boolean(collection.isRebuilt);
    writer.name("lostVersions").beginArray();
    for (const std::uint16_t version : collection.lostVersions) writer.number(std::uint64_t{version});
    writer.endArray().member("lostRangeCount", collection.lostRangeCount);
    writeRanges(writer, "lost", collection.lost, keys);
    writer.member("preimageRows", collection.preimageRows);
    writer.member("lostPreimageRangeCount", collection.lostPreimageRangeCount);
    writeRanges(writer, "lostPreimages", collection.lostPreimages, keys);
    writer.endObject();
  }
  writer.endArray().endObject();
  context.output.line(out);
}

}  // namespace instar::tools
