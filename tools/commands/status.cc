// `instar status`: which versions a file has, how far each has come, and how the staged one does.

#include <algorithm>
#include <memory>

#include "instar/engine/staging.h"
#include "instar/tools/commands/canary_report.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/guard_rail_options.h"

namespace instar::tools {
namespace {

struct StatusOptions {
  std::string file;
  std::string collection;  // empty: all of them
  bool divergences = false;
  bool unmask = false;
  bool json = false;
};

// One collection, as text or as JSON.
class Report {
 public:
  Report(const Store& store, const Transaction& transaction, const CollectionInfo& collection,
         const StatusOptions& options)
      : collection_(collection),
        versions_(store.versions(transaction, collection.name)),
        status_(stagingStatus(store, transaction, collection.name)),
        keys_(keyPrinter(store, transaction, collection.name, options.unmask)) {
    if (!status_) return;
    masking_.emplace(
        FieldMasking{schemaVersion(store, transaction, collection.name, status_->version),
                     options.unmask ? Masking() : collectionMasking(store, transaction, collection.name)});
    if (options.divergences) divergences_ = divergences(store, transaction, collection.name);
  }

  void print(Output& output) const {
    std::string versions;
    for (const VersionInfo& version : versions_) {
      versions += (versions.empty() ? "" : ", ") + std::to_string(version.number) + ' ' +
                  std::string(stateName(version.state));
    }
    output.line(collection_.name + ": version " + versions);
    output.line("  " + std::to_string(collection_.currentVersion) + " is the current one; programs from " +
                std::to_string(collection_.readerFloor) + " may read, from " +
                std::to_string(collection_.writerFloor) + " may write");
    if (!status_) {
      output.line("  no version was ever staged");
      return;
    }
    printTrial(output);
    printCanary(output, status_->canary, *masking_);
    if (divergences_) printDivergences(output, *divergences_, keys_);
  }

  void write(JsonWriter& writer) const {
    writer.beginObject().member("name", collection_.name);
    writer.member("currentVersion", std::uint64_t{collection_.currentVersion});
    writer.member("readerFloor", std::uint64_t{collection_.readerFloor});
    writer.member("writerFloor", std::uint64_t{collection_.writerFloor}).name("versions").beginArray();
    for (const VersionInfo& version : versions_) {
      writer.beginObject().member("version", std::uint64_t{version.number});
      writer.member("state", stateName(version.state)).endObject();
    }
    writer.endArray().name("trial");
    if (status_)
      writeTrial(writer);
    else
      writer.null();
    writer.endObject();
  }

 private:
  void printTrial(Output& output) const {
    const StagingStatus& status = *status_;
    const std::string version = "  version " + std::to_string(status.version);
    output.line(version + " was staged at " + printTime(status.stagedAt) + " by " + status.stagedBy);
    if (status.state != VersionState::staged) {
      const char* ended = status.state == VersionState::aborted ? ": " : "; promoted: ";
      output.line(version + " is " + std::string(stateName(status.state)) +
                  (status.endReason.empty() ? "" : ended + masking_->reason(status.endReason)));
      return;
    }
    output.line(status.isShadowOnly ? "  serves nothing, because it shuts older programs out; tried on " +
                                          printPercent(status.shadow) + " of the keys"
                                    : "  serves " + printPercent(status.percent) + " of the keys, tried on " +
                                          printPercent(std::max(status.percent, status.shadow)));
    output.line("  guard rails: " + std::string(verdictName(status.decision.verdict)) + ": " +
                masking_->reason(status.decision.reason));
    output.line(status.promotes ? "  promoted as soon as they are satisfied"
                                : "  not promoted before `instar promote`");
  }

  void writeTrial(JsonWriter& writer) const {
    const StagingStatus& status = *status_;
    writer.beginObject().member("version", std::uint64_t{status.version});
    writeNumber(writer.member("state", stateName(status.state)).name("percent"), status.percent);
    writeNumber(writer.name("shadow"), status.shadow);
    writer.name("shadowOnly").boolean(status.isShadowOnly);
    writer.member("stagedAt", printTime(status.stagedAt)).member("stagedBy", status.stagedBy);
    writer.member("endReason", masking_->reason(status.endReason)).name("promotes").boolean(status.promotes);
    writeGuardRails(writer, status.guardRails);
    writeDecision(writer, status.decision, *masking_);
    writeCanary(writer, status.canary, *masking_);
    if (divergences_) writeDivergences(writer, *divergences_, keys_);
    writer.endObject();
  }

  const CollectionInfo& collection_;
  const std::vector<VersionInfo> versions_;
  const std::optional<StagingStatus> status_;
  const KeyPrinter keys_;
  std::optional<FieldMasking> masking_;  // where there is a status
  std::optional<std::vector<Divergence>> divergences_;
};

void runStatus(Context& context, const StatusOptions& options) {
  const Store store = openToRead(options.file);
  const ReadTransaction transaction = store.read();
  const auto collections = chosenCollections(store, transaction, options.collection);
  std::string out;
  JsonWriter writer(out);
  writer.beginObject().name("collections").beginArray();
  for (const CollectionInfo& collection : collections) {
    const Report report(store, transaction, collection, options);
    if (options.json)
      report.write(writer);
    else
      report.print(context.output);
  }
  writer.endArray().endObject();
  if (options.json) return context.output.line(out);
  if (collections.empty()) context.output.line("no collections");
}

}  // namespace

void addStatusCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<StatusOptions>();
  CLI::App* command =
      app.add_subcommand("status", "Shows how far each version has come, and how the staged one does");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "only this collection");
  command->add_flag("--divergences", options->divergences,
                    "list rows whose mirrored fields are not right: keys and fields, at most 1,000");
  command->add_flag("--unmask", options->unmask,
                    "show keys and figures of sensitive fields, and what functions say of rows");
  command->add_flag("--json", options->json,
                    "print JSON; shares of keys in percent, latencies in nanoseconds");
  command->footer(
      "staged: tried on a share of the keys; active: programs depend on it; settled: no row has to be "
      "upgraded to\n"
      "it any more; retired: no program of it may come; aborted: given up. What canary reads have shown is "
      "that of\n"
      "all programs together, a second old: per field how many reads found it set, and the range and mean of "
      "numbers,\n"
      "of enums by number, and of the lengths of texts, data and lists; and how long a read took, both "
      "ways.\n\n"
      "Example:\n  instar status contacts.instar contacts --divergences");
  command->callback(
      [&context, options] { context.action = [&context, options] { runStatus(context, *options); }; });
}

}  // namespace instar::tools
