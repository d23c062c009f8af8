// `instar canary`: a version tried on a file that does not have it.

#include <memory>

#include "instar/engine/offline_canary.h"
#include "instar/tools/commands/canary_report.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/guard_rail_options.h"
#include "instar/tools/interruption.h"
#include "instar/tools/schema_file.h"

namespace instar::tools {
namespace {

constexpr std::uint64_t kListed = 1000;  // divergences, as many as a file keeps

struct CanaryOptions {
  std::string file;
  std::string collection;
  std::string schema;
  std::vector<std::string> importPaths;
  std::string sample = "100%";
  GuardRailOptions guardRails;
  bool divergences = false;
  bool unmask = false;
  bool json = false;
};

void printText(Context& context, const OfflineCanary& canary, const CanaryOptions& options,
               const FieldMasking& masking, const KeyPrinter& keys) {
  Output& output = context.output;
  output.line("version " + std::to_string(masking.schema.version()) + " beside version " +
              std::to_string(canary.activeVersion) + ", on " + grouped(canary.sampledRows) + " of " +
              counted(canary.rows, "row"));
  output.line("  guard rails: " + std::string(verdictName(canary.decision.verdict)) + ": " +
              masking.reason(canary.decision.reason));
  printCanary(output, canary.canary, masking);
  if (canary.unjudgedRows != 0) {
    output.line("  " + counted(canary.unjudgedRows, "row") +
                " not tried in full: that needs a function that only the application has");
  }
  if (canary.unreadableRows != 0) {
    output.line("  " + counted(canary.unreadableRows, "row") +
                " not tried: the active version cannot read them either; see instar check");
  }
  if (options.divergences) printDivergences(output, canary.divergences, keys);
}

void printJson(Context& context, const OfflineCanary& canary, const CanaryOptions& options,
               const GuardRails& rails, const FieldMasking& masking, const KeyPrinter& keys) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject().member("collection", options.collection);
  writer.member("version", std::uint64_t{masking.schema.version()});
  writer.member("activeVersion", std::uint64_t{canary.activeVersion});
  writer.member("rows", canary.rows).member("sampledRows", canary.sampledRows);
  writer.member("unreadableRows", canary.unreadableRows).member("unjudgedRows", canary.unjudgedRows);
  writeGuardRails(writer, rails);
  writeDecision(writer, canary.decision, masking);
  writeCanary(writer, canary.canary, masking);
  if (options.divergences) writeDivergences(writer, canary.divergences, keys);
  writer.endObject();
  context.output.line(out);
}

void runCanary(Context& context, const CanaryOptions& options) {
  const RecordSchema schema =
      loadSchemaFile(options.schema, {options.importPaths.begin(), options.importPaths.end()});
  const GuardRails rails = options.guardRails.parse();
  const Store store = openToRead(options.file);
  requireCollection(store, store.read(), options.collection);
  const Interruption interruption;
  ProgressLine progress(context.messages, "rows", context.clock);
  const OfflineCanary canary = tryOffline(store, options.collection, schema,
                                          {.percent = *parsePercent(options.sample),
                                           .guardRails = rails,
                                           .maxDivergences = kListed,
                                           .progress = [&](const Progress& state) {
                                             interruption.check();
                                             progress.update(state.done, state.total);
                                           }});
  progress.clear();
  if (canary.decision.verdict != GuardVerdict::satisfied) context.found(ExitStatus::problem);
  const ReadTransaction transaction = store.read();
  const Masking masking =
      options.unmask ? Masking() : collectionMasking(store, transaction, options.collection, &schema);
  const KeyPrinter keys(store.collection(options.collection).schema(), masking);
  if (options.json)
    printJson(context, canary, options, rails, {schema, masking}, keys);
  else
    printText(context, canary, options, {schema, masking}, keys);
}

}  // namespace

void addCanaryCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<CanaryOptions>();
  CLI::App* command = app.add_subcommand(
      "canary", "Tries a version on the rows of a file, and judges it, without touching the file");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "the collection")->required();
  command->add_option("--schema", options->schema, "the version")->required()->type_name("FILE.capnp:Struct");
  addImportPathOption(*command, options->importPaths);
  command->add_option("--sample", options->sample, "of the keys, by a hash; 100%: all of them")
      ->type_name("PERCENT")
      ->check(percentProblem)
      ->capture_default_str();
  options->guardRails.addTo(*command, GuardRailOptions::Hold::no);
  command->add_flag("--divergences", options->divergences,
                    "list the first 1,000 rows whose mirrored fields are not right");
  command->add_flag("--unmask", options->unmask,
                    "show keys and figures of sensitive fields, and what functions say of rows");
  command->add_flag("--json", options->json, "print JSON; latencies in nanoseconds");
  command->footer(
      "Each row of the sample is read as the current version has it and as the new one would: what fails, "
      "which\n"
      "rules are broken, which mirrored fields are not what the new ones make of them, how the values of "
      "fields\n"
      "change (instar status --help says what the figures are), and how long both take. The exit status is 0 "
      "where\n"
      "the guard rails are satisfied, 1 where they are broken, a sample is too small to tell, or rows need a "
      "function\n"
      "of the application: these are counted, not tried; call tryOffline() in a program that has it. All "
      "rows "
      "(--sample\n"
      "100%) are judged by what they are, however few, if each could be tried. Also for another record "
      "struct\n"
      "($Instar.replaces), which cannot be staged. The file is only read.\n\n"
      "Example:\n  instar canary contacts.instar contacts --schema contact.capnp:Contact --sample 1%");
  command->callback(
      [&context, options] { context.action = [&context, options] { runCanary(context, *options); }; });
}

}  // namespace instar::tools
