#include "instar/tests/frozen/description.h"

#include <kj/exception.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "instar/engine/check.h"
#include "instar/engine/compaction.h"
#include "instar/engine/salvage.h"
#include "instar/engine/staging.h"
#include "instar/format/checksum.h"
#include "instar/format/key_text.h"
#include "instar/tests/support/temporary_folder.h"
#include "instar/tools/row_printer.h"

namespace instar::frozen {
namespace {

using Rows = Collection<capnp::DynamicStruct>;

// A line for each row: what it is, or why it cannot be read.
void write(std::string& text, const Rows& rows, const Transaction& transaction, const tools::Masking& masking,
           bool namesCollection) {
  const tools::RowPrinter printer(rows.name(), rows.schema(), masking,
                                  {.withVersion = true, .nameCollection = namesCollection});
  auto scan = rows.scan(transaction);
  while (scan.next()) {
    try {
      const auto row = scan.row();
      printer.row(text, row.key(), row.version(), row.payload(), *row);
    } catch (const Error& error) {
      text += printKey(rows.keySpec(), scan.key()) +
              " is not read: " + std::string(errorCodeName(error.code())) + '\n';
    }
  }
}

tools::Masking maskingOf(const Store& store, const Transaction& transaction, const std::string& name) {
  std::vector<RecordSchema> versions;
  for (const VersionInfo& version : store.versions(transaction, name)) versions.push_back(version.schema);
  return tools::Masking(versions);
}

// What goes wrong stands in place of the rest.
template <class Write>
void attempt(std::string& text, Write&& write) {
  try {
    write();
  } catch (const Error& error) {
    text += "refused: " + std::string(errorCodeName(error.code())) + '\n';
  }
}

Store openToRead(const std::filesystem::path& file) {
  return Store::open(
      file, {.mode = OpenMode::readOnly, .functions = programFunctions(), .allowMissingFunctions = true});
}

std::string describeFile(const Store& store, const Transaction& transaction) {
  std::string text = "format " + std::to_string(store.fileInfo(transaction).formatVersion) + '\n';
  for (const CollectionInfo& info : store.collections(transaction)) {
    text += info.name + ": version " + std::to_string(info.currentVersion) + ", floors " +
            std::to_string(info.readerFloor) + " and " + std::to_string(info.writerFloor) + ", " +
            std::to_string(info.rows) + " rows\n";
    for (const VersionInfo& version : store.versions(transaction, info.name)) {
      text += "version " + std::to_string(version.number) + " is " + std::string(stateName(version.state)) +
              ", fingerprint " + std::to_string(version.schema.fingerprint()) + '\n';
    }
    if (const auto staging = stagingStatus(store, transaction, info.name)) {
      text += "version " + std::to_string(staging->version) + " was tried on " +
              std::to_string(static_cast<int>(staging->percent)) + " % and in the shadow on " +
              std::to_string(static_cast<int>(staging->shadow)) + " %";
      if (!staging->endReason.empty()) text += ": " + staging->endReason;
      text += '\n';
    }
  }
  return text;
}

std::string describeFindings(const Store& store) {
  const CheckReport report = check(store);
  std::map<std::string, unsigned> findings;
  for (const Problem& problem : report.problems) ++findings[std::string(findingName(problem.finding))];
  std::string text = std::to_string(report.rows) + " rows\n";
  for (const auto& [finding, count] : findings) text += finding + ": " + std::to_string(count) + '\n';
  const Verification verified = verify(store);
  text += std::to_string(verified.problems) + " partitions are not what was stored\n";
  for (const KeptPreimages& kept : verified.kept)
    text += "of " + kept.collection + " some are kept as they were\n";
  const AuditTrail audit = readAudit(store, store.read());
  text += audit.damage.empty() ? "the audit is whole\n" : "the audit is broken\n";
  return text;
}

// A collection whose schemas are lost is read by its newest program.
std::string describeSalvage(const FileState& state, const std::filesystem::path& file) {
  const testing::TemporaryFolder folder;
  std::string text;
  attempt(text, [&] {
    const SalvageReport report = salvage(file, folder / "salvaged.instar");
    const Store store = Store::open(folder / "salvaged.instar", {.functions = programFunctions()});
    for (const SalvagedCollection& collection : report.collections) {
      if (!collection.isUsable) {
        text += "the schemas of " + collection.name + " are lost\n";
        store.collection(collection.name, programSchema(state.programs.back()));
      }
    }
    describeRows(text, store);
    text += report.isComplete() ? "all of it\n" : "not all of it\n";
  });
  return text;
}

void describeProgram(std::string& text, const Store& store, const std::string& program) {
  const RecordSchema schema = programSchema(program);
  const tools::Masking masking({schema});
  text += "== program " + program + '\n';
  const auto snapshot = store.read();
  try {
    write(text, store.collection("people", schema), snapshot, masking, false);
  } catch (const Error& error) {
    text += "refused: " + std::string(errorCodeName(error.code())) + '\n';
    if (error.code() != ErrorCode::fixSchema) return;
    text += "== program " + program + ", which tries it\n";
    write(text, store.stage("people", schema), snapshot, masking, false);
  }
}

}  // namespace

void describeRows(std::string& text, const Store& store) {
  const auto snapshot = store.read();
  for (const CollectionInfo& info : store.collections(snapshot))
    write(text, store.collection(info.name), snapshot, maskingOf(store, snapshot, info.name), true);
}

std::string abridged(const std::string& lines) {
  constexpr std::ptrdiff_t kMost = 500;
  constexpr int kEvery = 100;
  if (std::count(lines.begin(), lines.end(), '\n') <= kMost) return lines;
  std::string text;
  std::istringstream all(lines);
  int number = 0;
  for (std::string line; std::getline(all, line); ++number) {
    if (number % kEvery == 0) text += line + '\n';
  }
  return text + std::to_string(number) + " lines, checksum " + std::to_string(hash64(asBytes(lines))) + '\n';
}

std::string describe(const FileState& state, const std::filesystem::path& file) {
  std::string text = "== file\n";
  attempt(text, [&] {
    const Store store = openToRead(file);
    attempt(text, [&] { text += describeFile(store, store.read()); });
    std::string rows;
    attempt(rows, [&] { describeRows(rows, store); });
    text += "== " + kRowsPart + '\n' + abridged(rows);
    for (const std::string& program : state.programs) {
      std::string part;
      attempt(part, [&] { describeProgram(part, store, program); });
      text += abridged(part);
    }
    text += "== check\n";
    attempt(text, [&] { text += describeFindings(store); });
  });
  if (state.kind == Kind::damaged) text += "== " + kSalvagedPart + '\n' + describeSalvage(state, file);
  return text;
}

std::string partOf(const std::string& description, const std::string& part) {
  const std::string heading = "== " + part + '\n';
  const std::size_t found = description.find(heading);
  if (found == std::string::npos) return {};
  const std::size_t begin = found + heading.size();
  const std::size_t end = description.find("== ", begin);
  return description.substr(begin, end == std::string::npos ? end : end - begin);
}

}  // namespace instar::frozen
