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
      .member("maxReaders", std::uint64_t{environment.maxReaders});
  writer.name("collections").beginArray();
  for (const CollectionInfo& collection : facts.collections) {
    writer.beginObject().member("name", collection.name).member("rows", collection.rows);
    writer.member("version", std::uint64_t{collection.currentVersion});
    writer.member("readerFloor", std::uint64_t{collection.readerFloor});
    writer.member("writerFloor", std::uint64_t{collection.writerFloor});
    writer.member("pages", collection.pages).member("createdAt", printTime(collection.createdAt)).endObject();
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
  output.line("");
  if (facts.collections.empty()) {
    output.line("no collections");
  } else {
    Table table({"collection", ">rows", ">version", ">pages", "created"});
    for (const CollectionInfo& collection : facts.collections) {
      table.add({collection.name, grouped(collection.rows), std::to_string(collection.currentVersion),
                 grouped(collection.pages), printTime(collection.createdAt)});
    }
    table.print(output);
  }
  for (const std::string& warning : environment.warnings) context.message("warning: " + warning);
}

void runInfo(Context& context, const InfoOptions& options) {
  const Store store = openToRead(options.file);
  const ReadTransaction transaction = store.read();
  FileFacts facts{store.fileInfo(transaction), store.info(), store.collections(transaction)};
  facts.environment.readers = static_cast<std::uint32_t>(readersBeside(store).size());
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
  bool isKnown = false;  // to the catalog
};

// The counted versions, and those of the catalog that no row has.
std::vector<VersionRow> allVersions(const Store& store, const Transaction& transaction,
                                    const std::string& name, ProgressLine& progress) {
  std::map<std::uint16_t, VersionRow> rows;
  for (const VersionCount& count : countVersions(store, transaction, name, progress.callback())) {
    rows[count.version].count = count;
  }
  for (const VersionInfo& version : store.versions(transaction, name)) {
    VersionRow& row = rows[version.number];
    row.count.version = version.number;
    row.isKnown = true;
  }
  progress.clear();
  std::vector<VersionRow> result;
  for (const auto& [number, row] : rows) result.push_back(row);
  return result;
}

void addVersionsJson(JsonWriter& writer, const CollectionInfo& collection,
                     const std::vector<VersionRow>& rows) {
  writer.beginObject().member("name", collection.name);
  writer.member("currentVersion", std::uint64_t{collection.currentVersion});
  writer.member("readerFloor", std::uint64_t{collection.readerFloor});
  writer.member("writerFloor", std::uint64_t{collection.writerFloor}).name("versions").beginArray();
  for (const auto& [count, isKnown] : rows) {
    writer.beginObject().member("version", std::uint64_t{count.version});
    writer.member("rows", count.rows).member("bytes", count.bytes).name("known").boolean(isKnown).endObject();
  }
  writer.endArray().endObject();
}

void addVersionsRows(Table& table, const CollectionInfo& collection, const std::vector<VersionRow>& rows) {
  for (const auto& [count, isKnown] : rows) {
    std::string notes;
    const auto note = [&notes](const char* text) { notes.append(notes.empty() ? "" : ", ").append(text); };
    if (!isKnown) note(count.version == 0 ? "damaged headers" : "not in the catalog: damaged headers");
    if (count.version == collection.currentVersion) note("current");
    if (count.version == collection.readerFloor) note("lowest that may read");
    if (count.version == collection.writerFloor) note("lowest that may write");
    table.add(
        {collection.name, std::to_string(count.version), grouped(count.rows), grouped(count.bytes), notes});
  }
}

void runVersions(Context& context, const VersionsOptions& options) {
  const Store store = openToRead(options.file);
  const ReadTransaction transaction = store.read();
  std::vector<CollectionInfo> collections = store.collections(transaction);
  if (!options.collection.empty()) collections = {requireCollection(store, transaction, options.collection)};
  ProgressLine progress(context.messages, "rows", context.clock);
  std::string out;
  JsonWriter writer(out);
  Table table({"collection", ">version", ">rows", ">bytes", ""});
  writer.beginObject().name("collections").beginArray();
  for (const CollectionInfo& collection : collections) {
    const std::vector<VersionRow> rows = allVersions(store, transaction, collection.name, progress);
    addVersionsJson(writer, collection, rows);
    addVersionsRows(table, collection, rows);
    const auto isUnknown = [](const VersionRow& row) { return !row.isKnown; };
    if (std::any_of(rows.begin(), rows.end(), isUnknown)) context.found(ExitStatus::damage);
  }
  writer.endArray().endObject();
  if (options.json) {
    context.output.line(out);
  } else {
    table.print(context.output);
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
      "Programs below the lowest version that may read or write are refused by the file.\n\nExample:\n"
      "  instar versions contacts.instar contacts");
  command->callback(
      [&context, options] { context.action = [&context, options] { runVersions(context, *options); }; });
}

}  // namespace instar::tools
