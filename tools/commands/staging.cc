// `instar stage`, `promote`, `abort` and `retire`: how a version comes and goes.

#include <algorithm>
#include <memory>

#include "instar/engine/staging.h"
#include "instar/tools/commands/canary_report.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/guard_rail_options.h"
#include "instar/tools/json_text.h"
#include "instar/tools/schema_file.h"

namespace instar::tools {
namespace {

struct StagingCommandOptions {
  std::string file;
  std::string collection;
  std::string schema;
  std::vector<std::string> importPaths;
  std::optional<std::string> percent;
  std::optional<std::string> shadow;
  bool promotes = false;
  GuardRailOptions guardRails;
  std::uint16_t version = 0;  // 0: the staged one
  std::string reason;
  bool forced = false;
  bool json = false;
};

std::optional<StagingStatus> statusOf(const Store& store, const std::string& collection) {
  return stagingStatus(store, store.read(), collection);
}

CollectionInfo infoOf(const Store& store, const std::string& collection) {
  return requireCollection(store, store.read(), collection);
}

// --- stage

double percentOr(const std::optional<std::string>& text, double otherwise) {
  return text ? *parsePercent(*text) : otherwise;
}

// Throws where the version cannot be staged; what it then changes is the library's to judge. Returns whether
// it is staged already.
bool requireStageable(const Store& store, const std::string& collection, const RecordSchema& schema) {
  const auto status = statusOf(store, collection);
  if (status && status->state == VersionState::staged && status->version == schema.version()) return true;
  const SchemaChange change = store.examine(collection, schema);
  if (change.refusal) throw Error(*change.refusal);
  if (change.outcome == SchemaChange::Outcome::added) return false;
  throw Error(ErrorCode::fixCall,
              "only a version above the current one can be staged: raise the number in $Instar.version",
              {{"collection", collection},
               {"version", std::to_string(schema.version())},
               {"current version", std::to_string(change.from)}});
}

void changeShares(const Store& store, const StagingCommandOptions& options, const StagingStatus& status) {
  const bool changesRails = options.guardRails.parse(status.guardRails) != status.guardRails;
  if (changesRails || (options.promotes && !status.promotes)) {
    throw Error(ErrorCode::fixCall,
                "the version is staged already, with other guard rails: abort it and stage a higher one, or "
                "change its shares alone",
                {{"collection", options.collection}, {"version", std::to_string(status.version)}});
  }
  // Each change is in the audit, so one that changes nothing is left out.
  const double percent = percentOr(options.percent, status.percent);
  if (percent != status.percent) setStagedPercent(store, options.collection, status.version, percent);
  const double shadow = percentOr(options.shadow, status.shadow);
  if (shadow != status.shadow) setStagedShadow(store, options.collection, status.version, shadow);
}

void printStaged(Context& context, const StagingStatus& status, bool wasStaged,
                 const StagingCommandOptions& options) {
  if (options.json) {
    std::string out;
    JsonWriter writer(out);
    writer.beginObject().member("collection", options.collection);
    writer.member("version", std::uint64_t{status.version}).member("state", stateName(status.state));
    writeNumber(writer.name("wasStaged").boolean(wasStaged).name("percent"), status.percent);
    writeNumber(writer.name("shadow"), status.shadow);
    writer.name("shadowOnly").boolean(status.isShadowOnly);
    writer.endObject();
    return context.output.line(out);
  }
  const double tried = std::max(status.percent, status.shadow);
  context.output.line("version " + std::to_string(status.version) + (wasStaged ? " is" : " was") +
                      " staged: it serves " + printPercent(status.percent) + " of the keys and is tried on " +
                      printPercent(tried));
  if (status.isShadowOnly)
    context.output.line("it shuts older programs out, so it serves nothing before it is promoted");
  if (tried == 0) context.output.line("nothing is tried yet: give --percent or --shadow");
}

void runStage(Context& context, const StagingCommandOptions& options) {
  const RecordSchema schema =
      loadSchemaFile(options.schema, {options.importPaths.begin(), options.importPaths.end()});
  const Store store = openToWrite(options.file);
  static_cast<void>(infoOf(store, options.collection));  // or it would be made
  const bool wasStaged = requireStageable(store, options.collection, schema);
  // Also where it is staged: the schema may be another one of that number.
  static_cast<void>(store.stage(options.collection, schema,
                                {.percent = percentOr(options.percent, 0),
                                 .shadow = percentOr(options.shadow, 0),
                                 .promotes = options.promotes,
                                 .guardRails = options.guardRails.parse()}));
  if (wasStaged) changeShares(store, options, *statusOf(store, options.collection));
  printStaged(context, *statusOf(store, options.collection), wasStaged, options);
}

// --- promote, abort, retire

// The one that is named, or the staged one; `otherwise` says what to do where there is none.
std::uint16_t chosenVersion(const Store& store, const StagingCommandOptions& options, const char* otherwise) {
  static_cast<void>(infoOf(store, options.collection));
  if (options.version != 0) return options.version;
  const auto status = statusOf(store, options.collection);
  if (status && status->state == VersionState::staged) return status->version;
  throw Error(ErrorCode::fixCall, otherwise, {{"collection", options.collection}});
}

// As the file has it: one that was aborted stays so when programs of it are shut out.
std::string_view stateIn(const Store& store, const std::string& collection, std::uint16_t version) {
  for (const VersionInfo& one : store.versions(store.read(), collection)) {
    if (one.number == version) return stateName(one.state);
  }
  return "unknown";
}

void printChange(Context& context, const Store& store, const StagingCommandOptions& options,
                 std::uint16_t version, const std::string& text) {
  const CollectionInfo info = infoOf(store, options.collection);
  if (options.json) {
    std::string out;
    JsonWriter writer(out);
    writer.beginObject().member("collection", options.collection);
    writer.member("version", std::uint64_t{version});
    writer.member("state", stateIn(store, options.collection, version));
    writer.member("currentVersion", std::uint64_t{info.currentVersion});
    writer.member("readerFloor", std::uint64_t{info.readerFloor});
    writer.member("writerFloor", std::uint64_t{info.writerFloor}).endObject();
    return context.output.line(out);
  }
  context.output.line(text);
  context.output.line("version " + std::to_string(info.currentVersion) +
                      " is the current one; programs from " + std::to_string(info.readerFloor) +
                      " may read, from " + std::to_string(info.writerFloor) + " may write");
}

// What the guard rails say may quote a function.
Error masked(const Error& error, const Store& store, const std::string& collection) {
  if (collectionMasking(store, store.read(), collection).empty()) return error;
  std::vector<Error::Fact> facts = error.facts();
  for (Error::Fact& fact : facts) fact.value = maskFunctionWords(fact.value);
  return Error(error.code(), error.message(), std::move(facts));
}

void runPromote(Context& context, const StagingCommandOptions& options) {
  const Store store = openToWrite(options.file);
  const std::uint16_t version =
      chosenVersion(store, options, "no version is staged: stage one with instar stage");
  try {
    promoteVersion(store, options.collection, version, {.forced = options.forced, .reason = options.reason});
  } catch (const Error& error) {
    throw masked(error, store, options.collection);
  }
  printChange(context, store, options, version, "version " + std::to_string(version) + " is active");
}

void runAbort(Context& context, const StagingCommandOptions& options) {
  const Store store = openToWrite(options.file);
  const std::uint16_t version = chosenVersion(
      store, options, "no version is staged: to go back from the current one, name it with --version");
  // What nobody has named may have been promoted since.
  abortVersion(store, options.collection, version, options.reason, {.stagedOnly = options.version == 0});
  printChange(context, store, options, version,
              "version " + std::to_string(version) +
                  " is aborted: it serves nothing, and rows of it are read as those of a newer program");
}

void runRetire(Context& context, const StagingCommandOptions& options) {
  const Store store = openToWrite(options.file);
  static_cast<void>(infoOf(store, options.collection));
  retireVersions(store, options.collection, options.version);
  printChange(context, store, options, options.version,
              "programs of version " + std::to_string(options.version) +
                  " and below are shut out: no row has to be upgraded from them, so what upgrades from them "
                  "may be deleted");
}

// --- the command line

using SharedOptions = std::shared_ptr<StagingCommandOptions>;

CLI::App* addStagingCommand(CLI::App& app, Context& context, const char* name, const char* description,
                            const SharedOptions& options,
                            void (*run)(Context&, const StagingCommandOptions&)) {
  CLI::App* command = app.add_subcommand(name, description);
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "the collection")->required();
  command->add_flag("--json", options->json, "print JSON");
  command->callback(
      [&context, options, run] { context.action = [&context, options, run] { run(context, *options); }; });
  return command;
}

CLI::Option* addVersionOption(CLI::App& command, StagingCommandOptions& options, const char* description) {
  return command.add_option("--version", options.version, description)
      ->type_name("N")
      ->check(CLI::Range(1, 65535).description(""));
}

void addPercentOption(CLI::App& command, const char* name, std::optional<std::string>& share,
                      const char* description) {
  command.add_option(name, share, description)->type_name("PERCENT")->check(percentProblem);
}

}  // namespace

void addStageCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<StagingCommandOptions>();
  CLI::App* command = addStagingCommand(
      app, context, "stage", "Adds a version to be tried before programs depend on it, or changes its shares",
      options, runStage);
  command->add_option("--schema", options->schema, "the version")->required()->type_name("FILE.capnp:Struct");
  addImportPathOption(*command, options->importPaths);
  addPercentOption(*command, "--percent", options->percent, "of the keys: those that it serves");
  addPercentOption(*command, "--shadow", options->shadow,
                   "of the keys: those on whose reads it is tried too");
  command->add_flag("--promotes", options->promotes, "promote it as soon as the guard rails are satisfied");
  options->guardRails.addTo(*command, GuardRailOptions::Hold::yes);
  command->footer(
      "Programs that open the version with Store::stage() serve and try it; for all others nothing changes. "
      "Called\n"
      "again it changes --percent and --shadow, with each program's next transaction; guard rails stay as "
      "they were.\n"
      "A version that breaks them is aborted. One that shuts older programs out is only tried in the "
      "shadow;\n"
      "another record struct cannot be staged: see instar canary. The exit status is 1 where the schema is "
      "refused.\n\n"
      "Example:\n"
      "  instar stage contacts.instar contacts --schema contact.capnp:Contact --percent 5 --shadow 20");
}

void addPromoteCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<StagingCommandOptions>();
  CLI::App* command = addStagingCommand(app, context, "promote", "Makes the staged version the current one",
                                        options, runPromote);
  addVersionOption(*command, *options, "this version; otherwise the staged one");
  command->add_flag("--force", options->forced, "even where the guard rails are not satisfied");
  command->add_option("--reason", options->reason, "for the audit; otherwise what the guard rails say")
      ->type_name("TEXT");
  command->footer(
      "Floors rise as they do where a version is added at once. Refused with exit status 2 while the guard "
      "rails are\n"
      "not satisfied; the message says what is missing.\n\n"
      "Example:\n  instar promote contacts.instar contacts");
}

void addAbortCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<StagingCommandOptions>();
  options->reason = "by hand";
  CLI::App* command = addStagingCommand(app, context, "abort",
                                        "Gives up the staged version, or the current one where that is safe",
                                        options, runAbort);
  addVersionOption(*command, *options, "this version; otherwise the staged one");
  command->add_option("--reason", options->reason, "for the audit")->type_name("TEXT")->capture_default_str();
  command->footer(
      "It serves nothing from then on, and its number is not given again. The current version has to be "
      "named, and\n"
      "has to have shut nobody out: the one below takes its place. Otherwise the exit status is 2.\n\n"
      "Example:\n  instar abort contacts.instar contacts --reason 'towns are missing'");
}

void addRetireCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<StagingCommandOptions>();
  CLI::App* command =
      addStagingCommand(app, context, "retire", "Shuts out programs of a version and of all below, for good",
                        options, runRetire);
  addVersionOption(*command, *options, "programs of this version and below")->required();
  command->footer(
      "Refused with exit status 2 while a row is left that has to be upgraded from one of them: `instar "
      "migrate`\n"
      "first. 3: a program still reads a snapshot that may show such a row; try again later. What "
      "$Instar.retired\n"
      "takes away goes from each row as compaction comes by.\n\n"
      "Example:\n  instar retire contacts.instar contacts --version 1");
}

}  // namespace instar::tools
