// `instar schema …` and `instar evolve`: versions of record types, in files and outside of them.

#include <fstream>
#include <memory>

#include "instar/evolve/difference.h"
#include "instar/evolve/plan.h"
#include "instar/evolve/schema_text.h"
#include "instar/evolve/verdict.h"
#include "instar/format/key_text.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/failed_rows.h"
#include "instar/tools/commands/table.h"
#include "instar/tools/json_text.h"
#include "instar/tools/progress_line.h"
#include "instar/tools/schema_file.h"

namespace instar::tools {
namespace {

struct SchemaOptions {
  std::string file;
  std::string collection;
  std::uint16_t version = 0;  // 0: the newest
  std::uint16_t older = 0;
  std::uint16_t newer = 0;
  std::string target;
  std::string olderFile;
  std::string newerFile;
  std::vector<std::string> importPaths;
  bool dryRun = false;
  bool json = false;

  std::vector<std::filesystem::path> importFolders() const {
    return {importPaths.begin(), importPaths.end()};
  }
};

std::string printHash(std::uint64_t hash) {
  std::string hex;
  for (int shift = 60; shift >= 0; shift -= 4) hex += "0123456789abcdef"[hash >> shift & 15];
  return hex;
}

std::string printFingerprint(const RecordSchema& schema) { return printHash(schema.fingerprint()); }

std::string printKeyFields(const RecordSchema& schema) {
  std::string names;
  for (const KeyPart& part : schema.key()) names.append(names.empty() ? "" : ", ").append(part.name);
  return names.empty() ? "byte strings" : names;
}

void writeJudgements(JsonWriter& writer, const std::vector<Judgement>& judgements) {
  writer.name("changes").beginArray();
  for (const Judgement& judgement : judgements) {
    writer.beginObject().member("verdict", verdictName(judgement.verdict)).member("what", judgement.what);
    if (!judgement.why.empty()) writer.member("why", judgement.why);
    if (!judgement.instead.empty()) writer.member("instead", judgement.instead);
    if (judgement.floor != FloorEffect::none)
      writer.member("floors", judgement.floor == FloorEffect::writer ? "writer" : "reader and writer");
    writer.name("raisesFloors").boolean(judgement.floor != FloorEffect::none).endObject();
  }
  writer.endArray();
}

void printJudgements(Output& output, const std::vector<Judgement>& judgements) {
  for (const Judgement& judgement : judgements) {
    output.line(std::string(verdictName(judgement.verdict)) + ": " + judgement.what);
    if (judgement.floor == FloorEffect::writer)
      output.line("  floors: the writer's rises, and programs of older versions can no longer write");
    if (judgement.floor == FloorEffect::readerAndWriter)
      output.line("  floors: both rise, and programs of older versions can no longer read or write");
    if (!judgement.why.empty()) output.line("  why: " + judgement.why);
    if (!judgement.instead.empty()) output.line("  instead: " + judgement.instead);
  }
}

// --- list

void runList(Context& context, const SchemaOptions& options) {
  const Store store = openToRead(options.file);
  const ReadTransaction transaction = store.read();
  const auto collections = chosenCollections(store, transaction, options.collection);
  std::string out;
  JsonWriter writer(out);
  Table table({"collection", ">version", "type", "keys", "fingerprint", "added", "by"});
  std::string changes;
  writer.beginArray();
  for (const CollectionInfo& collection : collections) {
    for (const VersionInfo& version : store.versions(transaction, collection.name)) {
      table.add({collection.name, std::to_string(version.number), std::string(version.schema.typeName()),
                 printKeyFields(version.schema), printFingerprint(version.schema), printTime(version.addedAt),
                 version.addedBy});
      for (const std::string& change : version.changes) {
        changes += collection.name + " " + std::to_string(version.number) + ": " + change + '\n';
      }
      writer.beginObject()
          .member("collection", collection.name)
          .member("version", std::uint64_t{version.number});
      writer.member("type", version.schema.typeName()).member("keys", printKeyFields(version.schema));
      writer.member("fingerprint", printFingerprint(version.schema))
          .member("addedAt", printTime(version.addedAt));
      writer.member("addedBy", version.addedBy).name("changes").beginArray();
      for (const std::string& change : version.changes) writer.text(change);
      writer.endArray().endObject();
    }
  }
  writer.endArray();
  if (options.json) return context.output.line(out);
  table.print(context.output);
  if (!changes.empty()) context.output.write("\n" + changes);
}

// --- show and export

RecordSchema chosenSchema(const Store& store, const Transaction& transaction, const SchemaOptions& options) {
  const CollectionInfo collection = requireCollection(store, transaction, options.collection);
  const std::uint16_t number = options.version == 0 ? collection.currentVersion : options.version;
  return schemaVersion(store, transaction, options.collection, number);
}

void writeFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  if (!file) throw Error(ErrorCode::fixEnvironment, "the file cannot be written", {{"file", path}});
}

void runShow(Context& context, const SchemaOptions& options) {
  const Store store = openToRead(options.file);
  const ReadTransaction transaction = store.read();
  const RecordSchema schema = chosenSchema(store, transaction, options);
  const std::string text = schemaText(schema);
  if (!options.target.empty()) return writeFile(options.target, text);
  if (!options.json) return context.output.write(text);
  std::string out;
  JsonWriter writer(out);
  writer.beginObject()
      .member("collection", options.collection)
      .member("version", std::uint64_t{schema.version()});
  writer.member("type", schema.typeName())
      .member("fingerprint", printFingerprint(schema))
      .member("schema", text)
      .endObject();
  context.output.line(out);
}

// --- diff

// Where the struct was replaced, each stored version against the next: two structs further apart say nothing
// of one another.
std::vector<Judgement> judgeStored(const Store& store, const Transaction& transaction,
                                   const SchemaOptions& options) {
  const RecordSchema older = schemaVersion(store, transaction, options.collection, options.older);
  const RecordSchema newer = schemaVersion(store, transaction, options.collection, options.newer);
  if (older.rootId() == newer.rootId() || options.older > options.newer)
    return judge(difference(older, newer));
  std::vector<Judgement> judgements;
  RecordSchema before = older;
  for (const VersionInfo& version : store.versions(transaction, options.collection)) {
    if (version.number <= options.older || version.number > options.newer) continue;
    const std::vector<Judgement> step = judge(difference(before, version.schema));
    judgements.insert(judgements.end(), step.begin(), step.end());
    before = version.schema;
  }
  return judgements;
}

void runDiff(Context& context, const SchemaOptions& options) {
  const Store store = openToRead(options.file);
  const ReadTransaction transaction = store.read();
  requireCollection(store, transaction, options.collection);
  const std::vector<Judgement> judgements = judgeStored(store, transaction, options);
  if (!options.json) return printJudgements(context.output, judgements);
  std::string out;
  JsonWriter writer(out);
  writer.beginObject()
      .member("from", std::uint64_t{options.older})
      .member("to", std::uint64_t{options.newer});
  writeJudgements(writer, judgements);
  writer.endObject();
  context.output.line(out);
}

// --- plan

void runPlan(Context& context, const SchemaOptions& options) {
  const Store store = openToRead(options.file);
  const ReadTransaction transaction = store.read();
  const RecordSchema schema = chosenSchema(store, transaction, options);
  static_cast<void>(schemaVersion(store, transaction, options.collection, options.older));  // or it throws
  const Plan plan = store.plans(transaction, options.collection, schema).from(options.older);
  if (options.json) {
    std::string out;
    JsonWriter writer(out);
    writer.beginObject()
        .member("from", std::uint64_t{options.older})
        .member("to", std::uint64_t{schema.version()});
    writer.member("hash", printHash(plan.hash())).name("steps").beginArray();
    for (const Plan::Step& step : plan.steps())
      writer.beginObject().member("field", step.field).member("how", step.how).endObject();
    writer.endArray().endObject();
    return context.output.line(out);
  }
  context.output.line(
      "from version " + std::to_string(options.older) + " to " + std::to_string(schema.version()) +
      (plan.isIdentity() ? ": rows are read as they are" : ", plan " + printHash(plan.hash())));
  for (const Plan::Step& step : plan.steps())
    context.output.line("  " + (step.field.empty() ? "" : step.field + ": ") + step.how);
}

// --- check

// What is wrong with the numbers of the versions; empty where nothing is.
std::string numberProblem(const RecordSchema& older, const RecordSchema& newer, bool differs) {
  if (!differs || newer.version() > older.version()) return {};
  return "the schemas differ, but $version goes from " + std::to_string(older.version()) + " to " +
         std::to_string(newer.version()) + "; raise it";
}

void runSchemaCheck(Context& context, const SchemaOptions& options) {
  const RecordSchema older = loadSchemaFile(options.olderFile, options.importFolders());
  const RecordSchema newer = loadSchemaFile(options.newerFile, options.importFolders());
  const std::vector<Judgement> judgements = judge(difference(older, newer));
  const std::string problem = numberProblem(older, newer, !judgements.empty());
  if (isRefused(judgements) || !problem.empty()) context.found(ExitStatus::problem);
  if (options.json) {
    std::string out;
    JsonWriter writer(out);
    writer.beginObject()
        .member("from", std::uint64_t{older.version()})
        .member("to", std::uint64_t{newer.version()});
    writer.name("refused").boolean(context.status != ExitStatus::done);
    writeJudgements(writer, judgements);
    if (!problem.empty()) writer.member("problem", problem);
    writer.endObject();
    return context.output.line(out);
  }
  printJudgements(context.output, judgements);
  if (judgements.empty()) context.output.line("no differences");
  if (!problem.empty()) context.output.line("refused: " + problem);
}

// --- evolve

std::string describeOutcome(const SchemaChange& change, bool dryRun) {
  const std::string from = std::to_string(change.from);
  const std::string to = std::to_string(change.to);
  switch (change.outcome) {
    case SchemaChange::Outcome::unchanged:
      return "the collection has version " + to + " already; nothing to do";
    case SchemaChange::Outcome::created:
      return "the collection " + std::string(dryRun ? "would be" : "was") + " created with version " + to;
    case SchemaChange::Outcome::added:
      return "version " + to + (dryRun ? " would be" : " was") + " added; the newest so far " +
             (dryRun ? "is " : "was ") + from + ", and no row is rewritten";
    case SchemaChange::Outcome::inserted:
      return "version " + to + (dryRun ? " would be" : " was") + " added below version " + from +
             ", which stays the newest";
    case SchemaChange::Outcome::older:
      return "version " + to + " is older than the collection's version " + from + "; nothing to do";
    case SchemaChange::Outcome::refused:
      break;  // people are told as they are told of an error
    case SchemaChange::Outcome::staged:
    case SchemaChange::Outcome::inTrial:
    case SchemaChange::Outcome::aborted:
      break;  // only of versions that are opened to be tried
  }
  return {};
}

std::string_view outcomeName(SchemaChange::Outcome outcome) {
  constexpr std::string_view kNames[] = {"",      "unchanged", "created", "added",   "inserted",
                                         "older", "refused",   "staged",  "inTrial", "aborted"};
  return kNames[static_cast<std::size_t>(outcome)];
}

void printChangeText(Context& context, const SchemaChange& change, const SchemaOptions& options) {
  context.output.line(describeOutcome(change, options.dryRun));
  printJudgements(context.output, change.judgements);
  if (floorEffect(change.judgements) != FloorEffect::none) {
    context.output.line("programs below version " + std::to_string(change.writerFloor) +
                        " can no longer write, below version " + std::to_string(change.readerFloor) +
                        " no longer read");
  }
}

Rehearsal rehearseWithProgress(Context& context, const Store& store, const SchemaOptions& options,
                               const RecordSchema& schema) {
  ProgressLine progress(context.messages, "rows", context.clock);
  return rehearse(store, options.collection, schema, {.progress = progress.callback()});
}

void printChangeJson(Context& context, const SchemaChange& change, const SchemaOptions& options,
                     const Rehearsal* rehearsal = nullptr, const KeyPrinter* keys = nullptr) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject().member("outcome", outcomeName(change.outcome)).name("dryRun").boolean(options.dryRun);
  writer.member("from", std::uint64_t{change.from}).member("to", std::uint64_t{change.to});
  writer.member("readerFloor", std::uint64_t{change.readerFloor})
      .member("writerFloor", std::uint64_t{change.writerFloor});
  writeJudgements(writer, change.judgements);
  if (change.refusal) writer.member("problem", change.refusal->message());
  if (rehearsal != nullptr) writeRehearsal(writer, *rehearsal, *keys);
  writer.endObject();
  context.output.line(out);
}

void printDryRun(Context& context, const Store& store, const SchemaOptions& options,
                 const SchemaChange& change, const RecordSchema& schema) {
  const Rehearsal rehearsal = rehearseWithProgress(context, store, options, schema);
  if (rehearsal.failed != 0) context.found(ExitStatus::problem);
  const ReadTransaction transaction = store.read();
  const KeyPrinter keys(schema, collectionMasking(store, transaction, options.collection, &schema));
  if (options.json) return printChangeJson(context, change, options, &rehearsal, &keys);
  printChangeText(context, change, options);
  if (rehearsal.older + rehearsal.failed != 0) printRehearsal(context.output, rehearsal, keys);
}

void runEvolve(Context& context, const SchemaOptions& options) {
  const RecordSchema schema = loadSchemaFile(options.newerFile, options.importFolders());
  const Store store = options.dryRun ? openToRead(options.file) : openToWrite(options.file);
  {
    const ReadTransaction transaction = store.read();
    requireCollection(store, transaction, options.collection);
  }
  const SchemaChange change = store.examine(options.collection, schema);
  if (change.refusal) {
    if (options.json) printChangeJson(context, change, options);
    throw Error(*change.refusal);  // the list for people is part of it
  }
  if (options.dryRun) return printDryRun(context, store, options, change, schema);
  static_cast<void>(store.collection(options.collection, schema));
  if (options.json) {
    printChangeJson(context, change, options);
  } else {
    printChangeText(context, change, options);
  }
}

// --- the command line

using Options = std::shared_ptr<SchemaOptions>;

CLI::App* addPart(CLI::App& parent, Context& context, const char* name, const char* description,
                  const Options& options, void (*run)(Context&, const SchemaOptions&)) {
  CLI::App* part = parent.add_subcommand(name, description);
  part->callback(
      [&context, options, run] { context.action = [&context, options, run] { run(context, *options); }; });
  return part;
}

void addFileAndCollection(CLI::App& command, SchemaOptions& options, bool collectionRequired = true) {
  command.add_option("FILE", options.file, "the file")->required();
  command.add_option("COLLECTION", options.collection, "the collection")->required(collectionRequired);
}

CLI::Option* addVersionOption(CLI::App& command, const char* name, std::uint16_t& version,
                              const char* description) {
  return command.add_option(name, version, description)
      ->type_name("N")
      ->check(CLI::Range(1, 65535).description(""));
}

void addList(CLI::App& parent, Context& context) {
  const auto options = std::make_shared<SchemaOptions>();
  CLI::App* part = addPart(parent, context, "list",
                           "Lists the versions of collections, and what each has changed", options, runList);
  addFileAndCollection(*part, *options, false);
  part->add_flag("--json", options->json, "print JSON");
}

void addShowAndExport(CLI::App& parent, Context& context) {
  const auto shown = std::make_shared<SchemaOptions>();
  CLI::App* show = addPart(parent, context, "show", "Prints a version as .capnp text", shown, runShow);
  addFileAndCollection(*show, *shown);
  addVersionOption(*show, "--version", shown->version, "this version; otherwise the newest");
  show->add_flag("--json", shown->json, "print JSON");
  const auto exported = std::make_shared<SchemaOptions>();
  CLI::App* part =
      addPart(parent, context, "export", "Writes a version into a .capnp file", exported, runShow);
  addFileAndCollection(*part, *exported);
  addVersionOption(*part, "--version", exported->version, "this version; otherwise the newest");
  part->add_option("--out", exported->target, "the file to write; otherwise standard output")
      ->type_name("FILE.capnp");
}

void addDiff(CLI::App& parent, Context& context) {
  const auto options = std::make_shared<SchemaOptions>();
  CLI::App* part =
      addPart(parent, context, "diff", "Prints what differs between two versions", options, runDiff);
  addFileAndCollection(*part, *options);
  addVersionOption(*part, "OLDER", options->older, "a version")->required();
  addVersionOption(*part, "NEWER", options->newer, "another version")->required();
  part->add_flag("--json", options->json, "print JSON");
}

void addPlan(CLI::App& parent, Context& context) {
  const auto options = std::make_shared<SchemaOptions>();
  CLI::App* part =
      addPart(parent, context, "plan", "Prints what is done to rows of an older version when they are read",
              options, runPlan);
  addFileAndCollection(*part, *options);
  addVersionOption(*part, "--from", options->older, "the version of the rows")->required();
  addVersionOption(*part, "--version", options->version,
                   "as a program of this version reads them; otherwise the newest");
  part->add_flag("--json", options->json, "print JSON");
}

void addCheck(CLI::App& parent, Context& context) {
  const auto options = std::make_shared<SchemaOptions>();
  CLI::App* part = addPart(parent, context, "check", "Judges each change between two schema files", options,
                           runSchemaCheck);
  part->add_option("OLD", options->olderFile, "the schema as it was released")
      ->required()
      ->type_name("FILE.capnp:Struct");
  part->add_option("NEW", options->newerFile, "the schema as it will be")
      ->required()
      ->type_name("FILE.capnp:Struct");
  addImportPathOption(*part, options->importPaths);
  part->add_flag("--json", options->json, "print JSON");
  part->footer(
      "Needs no file of data. The exit status is 1 where a change is refused: made for continuous "
      "integration.\n"
      "A change that locks older programs out is not refused, but marked with `floors`.\n\nExample:\n"
      "  instar schema check released/contact.capnp:Contact contact.capnp:Contact");
}

}  // namespace

void addSchemaCommand(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("schema", "Shows, exports and compares versions of record types");
  command->require_subcommand(0, 1);
  command->footer(
      "Examples:\n"
      "  instar schema list contacts.instar\n"
      "  instar schema show contacts.instar contacts --version 2\n"
      "  instar schema diff contacts.instar contacts 1 3\n"
      "  instar schema plan contacts.instar contacts --from 1\n"
      "  instar schema check released/contact.capnp:Contact contact.capnp:Contact");
  addList(*command, context);
  addShowAndExport(*command, context);
  addDiff(*command, context);
  addPlan(*command, context);
  addCheck(*command, context);
}

void addEvolveCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<SchemaOptions>();
  CLI::App* command =
      addPart(app, context, "evolve", "Adds a version of the schema to a collection", options, runEvolve);
  addFileAndCollection(*command, *options);
  command->add_option("--schema", options->newerFile, "the new version")
      ->required()
      ->type_name("FILE.capnp:Struct");
  addImportPathOption(*command, options->importPaths);
  command->add_flag("--dry-run", options->dryRun, "only print what would be done, and try it on every row");
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "No row is rewritten. Where a change is refused, the file stays as it is and the exit status is 1.\n"
      "A dry run also exits with 1 where a row could not be upgraded, and lists such rows; those that need "
      "a\n"
      "function that only the application has are counted, and change nothing about the exit status.\n\n"
      "Example:\n"
      "  instar evolve contacts.instar contacts --schema contact.capnp:Contact --dry-run");
}

}  // namespace instar::tools
