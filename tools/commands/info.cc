// `instar info` and `instar versions`: what is in a file.

#include <capnp/common.h>

#include <algorithm>
#include <map>
#include <memory>

#include "instar/engine/check.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/table.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

std::string capnpVersion() {
  return "Cap'n Proto " + std::to_string(CAPNP_VERSION_MAJOR) + '.' + std::to_string(CAPNP_VERSION_MINOR) +
         '.' + std::to_string(CAPNP_VERSION_MICRO);
}

struct InfoOptions {
  std::string file;
  bool json = false;
};

struct FileFacts {
  FileInfo file;
  EnvironmentInfo environment;
  std::vector<CollectionInfo> collections;
  std::optional<ReaderInfo> oldest = {};  // of other programs' snapshots that hold pages back
  std::uint64_t pinnedBytes = 0;          // by that one
};

void printInfoJson(Output& output, const FileFacts& facts) {
  const EnvironmentInfo& environment = facts.environment;
  std::string out;
  JsonWriter writer(out);
  writer.beginObject();
  writer.member("formatVersion", std::uint64_t{facts.file.formatVersion});
  writer.member("createdAt", printTime(facts.file.createdAt)).member("createdBy", facts.file.createdBy);
  writer.name("libraries").beginArray();
  writer.text("instar " INSTAR_VERSION).text(environment.storageVersion).text(capnpVersion()).endArray();
  writer.member("fileSize", environment.fileSize).member("mapSize", environment.mapSize);
  writer.member("pageSize", std::uint64_t{environment.pageSize});
  writer.member("usedPages", environment.usedPages).member("freePages", environment.freePages);
  writer.member("lastTransaction", environment.lastTransaction);
  writer.member("readers", std::uint64_t{environment.readers})
      .member("maxReaders", std::uint64_t{environment.maxReaders})
      .member("pinnedBytes", facts.pinnedBytes);
  writer.name("collections").beginArray();
  for (const CollectionInfo& collection : facts.collections) {
    writer.beginObject().member("name", collection.name).member("rows", collection.rows);
    writer.member("version", std::uint64_t{collection.currentVersion});
    writer.member("readerFloor", std::uint64_t{collection.readerFloor});
    writer.member("writerFloor", std::uint64_t{collection.writerFloor});
    writer.member("pages", collection.pages).member("createdAt", printTime(collection.createdAt));
    writer.member("coldRows", collection.coldRows).member("coldBlocks", collection.coldBlocks);
    writer.member("coldBytes", collection.coldBytes).member("coldPages", collection.coldPages).endObject();
  }
  writer.endArray().name("warnings").beginArray();
  for (const std::string& warning : environment.warnings) writer.text(warning);
  writer.endArray().endObject();
  output.line(out);
}

void printInfoText(Context& context, const FileFacts& facts) {
  const EnvironmentInfo& environment = facts.environment;
  Output& output = context.output;
  const auto print = [&output](std::string_view name, const std::string& value) {
    output.line(std::string(name) + std::string(14 - name.size(), ' ') + value);
  };
  print("format", std::to_string(facts.file.formatVersion));
  print("created", printTime(facts.file.createdAt) + " by " + facts.file.createdBy);
  print("libraries", "instar " INSTAR_VERSION ", " + environment.storageVersion + ", " + capnpVersion());
  print("size", grouped(environment.fileSize) + " bytes");
  print("map", grouped(environment.mapSize) + " bytes of address space");
  print("pages", grouped(environment.usedPages) + " used, " + grouped(environment.freePages) + " free, of " +
                     grouped(environment.pageSize) + " bytes");
  print("transactions", grouped(environment.lastTransaction));
  print("readers", std::to_string(environment.readers) + " of " + std::to_string(environment.maxReaders));
  if (facts.oldest) {
    print("held back", grouped(facts.pinnedBytes) + " bytes by a snapshot of process " +
                           std::to_string(facts.oldest->process) + ", " +
                           counted(facts.oldest->commitsBehind, "commit") + " behind");
  }
  output.line("");
  if (facts.collections.empty()) {
    output.line("no collections");
  } else {
    Table table({"collection", ">rows", ">packed", ">version", ">pages", ">of blocks", "created"});
    for (const CollectionInfo& collection : facts.collections) {
      table.add({collection.name, grouped(collection.rows), grouped(collection.coldRows),
                 std::to_string(collection.currentVersion), grouped(collection.pages),
                 grouped(collection.coldPages), printTime(collection.createdAt)});
    }
    table.print(output);
  }
  for (const std::string& warning : environment.warnings) context.message("warning: " + warning);
}

void runInfo(Context& context, const InfoOptions& options) {
  const Store store = openToRead(options.file);
  const ReadTransaction transaction = store.read();
  FileFacts facts{store.fileInfo(transaction), store.info(), store.collections(transaction)};
  const std::vector<ReaderInfo> readers = readersBeside(store);
  facts.environment.readers = static_cast<std::uint32_t>(readers.size());
  for (const ReaderInfo& reader : readers) {
    const std::uint64_t bytes = reader.pinnedPages.value_or(0) * facts.environment.pageSize;
    if (bytes <= facts.pinnedBytes) continue;
    facts.oldest = reader;
    facts.pinnedBytes = bytes;
  }
  if (options.json) {
    printInfoJson(context.output, facts);
  } else {
    printInfoText(context, facts);
  }
}

struct VersionsOptions {
  std::string file;
  std::string collection;
  bool json = false;
};

struct VersionRow {
  VersionCount count;
  std::optional<VersionState> state = {};  // in the catalog; nothing where it does not know the version
  bool isGone = false;                     // no row has it, and it is not the current one
};

// The counted versions, and those of the catalog that no row has.
std::vector<VersionRow> allVersions(const Store& store, const Transaction& transaction,
                                    const std::string& name, const Census& census) {
  std::map<std::uint16_t, VersionRow> rows;
  for (const VersionCount& count : census.versions) rows[count.version].count = count;
  for (const VersionInfo& version : store.versions(transaction, name)) {
    VersionRow& row = rows[version.number];
    row.count.version = version.number;
    row.state = version.state;
    if (row.count.rows == 0) row.count.bytes = 0;
  }
  for (const std::uint16_t version : census.gone) rows[version].isGone = true;
  std::vector<VersionRow> result;
  for (const auto& [number, row] : rows) result.push_back(row);
  return result;
}

// Programs of that version may still put rows of it.
bool mayComeBack(const CollectionInfo& collection, std::uint16_t version) {
  return version >= collection.writerFloor;
}

void addVersionsJson(JsonWriter& writer, const CollectionInfo& collection, const Census& census,
                     const std::vector<VersionRow>& rows) {
  writer.beginObject().member("name", collection.name);
  writer.member("currentVersion", std::uint64_t{collection.currentVersion});
  writer.member("readerFloor", std::uint64_t{collection.readerFloor});
  writer.member("writerFloor", std::uint64_t{collection.writerFloor});
  writer.member("settledPartitions", census.settledPartitions);
  writer.member("walkedPartitions", census.walkedPartitions).member("walkedRows", census.walkedRows);
  writer.name("versions").beginArray();
  for (const auto& [count, state, isGone] : rows) {
    writer.beginObject().member("version", std::uint64_t{count.version});
    writer.member("rows", count.rows).name("bytes");
    if (count.bytes)
      writer.number(*count.bytes);
    else
      writer.null();
    writer.name("known").boolean(state.has_value()).name("state");
    if (state)
      writer.text(stateName(*state));
    else
      writer.null();
    writer.name("gone").boolean(isGone);
    writer.name("mayComeBack").boolean(isGone && mayComeBack(collection, count.version)).endObject();
  }
  writer.endArray().endObject();
}

void addVersionsRows(Table& table, const CollectionInfo& collection, const std::vector<VersionRow>& rows) {
  for (const auto& [count, state, isGone] : rows) {
    std::string notes;
    const auto note = [&notes](std::string_view text) {
      notes.append(notes.empty() ? "" : ", ").append(text);
    };
    if (!state) note(count.version == 0 ? "damaged headers" : "not in the catalog: damaged headers");
    if (count.version == collection.currentVersion) note("current");
    if (state && *state != VersionState::active) note(stateName(*state));
    if (isGone) {
      note(mayComeBack(collection, count.version) ? "gone, but its programs may still write"
                                                  : "gone: what upgrades from it may be deleted");
    }
    if (count.version == collection.readerFloor) note("lowest that may read");
    if (count.version == collection.writerFloor) note("lowest that may write");
    table.add({collection.name, std::to_string(count.version), grouped(count.rows),
               count.bytes ? grouped(*count.bytes) : "", notes});
  }
}

// Where a version is gone now, programs that look at the past may still see rows of it.
std::vector<ReaderInfo> olderSnapshots(const Store& store, const Transaction& transaction) {
  std::vector<ReaderInfo> readers = readersBeside(store);
  std::erase_if(readers, [&](const ReaderInfo& reader) {
    return reader.transaction == 0 || reader.transaction >= transaction.id() || !reader.alive;
  });
  return readers;
}

void runVersions(Context& context, const VersionsOptions& options) {
  const Store store = openToRead(options.file);
  const ReadTransaction transaction = store.read();
  const auto collections = chosenCollections(store, transaction, options.collection);
  ProgressLine progress(context.messages, "rows", context.clock);
  std::string out;
  JsonWriter writer(out);
  Table table({"collection", ">version", ">rows", ">bytes", ""});
  Table work({"collection", ">partitions settled", ">partitions read", ">rows read"});
  bool anyGone = false;
  writer.beginObject().name("collections").beginArray();
  for (const CollectionInfo& collection : collections) {
    const Census census = countVersions(store, transaction, collection.name, progress.callback());
    progress.clear();
    const std::vector<VersionRow> rows = allVersions(store, transaction, collection.name, census);
    anyGone |= !census.gone.empty();
    addVersionsJson(writer, collection, census, rows);
    addVersionsRows(table, collection, rows);
    work.add({collection.name, grouped(census.settledPartitions), grouped(census.walkedPartitions),
              grouped(census.walkedRows)});
    const auto isUnknown = [](const VersionRow& row) { return !row.state; };
    if (std::any_of(rows.begin(), rows.end(), isUnknown)) context.found(ExitStatus::damage);
  }
  writer.endArray().name("olderSnapshots").beginArray();
  const std::vector<ReaderInfo> older = olderSnapshots(store, transaction);
  for (const ReaderInfo& reader : older) {
    writer.beginObject().name("process").literal(std::to_string(reader.process));
    writer.member("snapshot", reader.transaction).endObject();
  }
  writer.endArray().endObject();
  if (options.json) return context.output.line(out);
  table.print(context.output);
  context.output.line("");
  work.print(context.output);
  for (const ReaderInfo& reader : older) {
    if (!anyGone) break;
    context.message("process " + std::to_string(reader.process) + " still reads snapshot " +
                    grouped(reader.transaction) + ", where rows of versions may be that are gone since");
  }
}

}  // namespace

void addInfoCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<InfoOptions>();
  CLI::App* command =
      app.add_subcommand("info", "Shows what kind of file it is and which collections it has");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_flag("--json", options->json, "print JSON");
  command->footer("Example:\n  instar info contacts.instar");
  command->callback(
      [&context, options] { context.action = [&context, options] { runInfo(context, *options); }; });
}

void addVersionsCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<VersionsOptions>();
  CLI::App* command =
      app.add_subcommand("versions", "Counts how many rows have been written with which schema version");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "only this collection");
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "Exact. Partitions in which no older version can be are not read, so that a file that was migrated is\n"
      "counted at once; bytes are known where all rows of a version were read. gone: no row of that version "
      "is\n"
      "left, and where its programs may no longer write none can come. Damage is for `instar check`.\n"
      "Programs below the lowest version that may read or write are refused by the file. What staged, "
      "settled, "
      "aborted\n"
      "and retired mean is in `instar status --help`.\n\nExample:\n"
      "  instar versions contacts.instar contacts");
  command->callback(
      [&context, options] { context.action = [&context, options] { runVersions(context, *options); }; });
}

}  // namespace instar::tools
