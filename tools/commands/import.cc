// `instar import` and `instar put`: rows on their way in.

#include <capnp/message.h>
#include <kj/exception.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>

#include "instar/evolve/plan.h"
#include "instar/format/file_format.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/replay.h"
#include "instar/tools/json_text.h"
#include "instar/tools/row_source.h"
#include "instar/tools/schema_file.h"

namespace instar::tools {
namespace {

using Rows = Collection<capnp::DynamicStruct>;

constexpr std::uint64_t kReportedLines = 10;  // with --skip-bad; further ones are only counted

struct ImportOptions {
  std::string file;
  std::string collection;
  std::string input;
  std::vector<std::string> rows;  // of `put`
  std::string schema;
  std::vector<std::string> importPaths;
  std::string format;
  bool header = false;
  bool noHeader = false;
  bool skipBad = false;
  bool ignoreUnknown = false;
  bool json = false;
};

struct Counts {
  std::uint64_t rows = 0;
  std::uint64_t added = 0;  // the others replaced rows
  std::uint64_t bad = 0;
  std::uint64_t foreign = 0;  // of other collections
};

InputFormat inputFormat(const ImportOptions& options) {
  std::string format = options.format;
  if (format.empty()) {
    const std::string ending = std::filesystem::path(options.input).extension().string();
    if (ending == ".csv") format = "csv";
    if (ending == ".tsv" || ending == ".tab") format = "tsv";
  }
  return format == "csv" ? InputFormat::csv : format == "tsv" ? InputFormat::tsv : InputFormat::ndjson;
}

Header headerOf(const ImportOptions& options) {
  return options.header ? Header::present : options.noHeader ? Header::absent : Header::unsaid;
}

// Lines of one input, put into a collection in one transaction.
class Importer {
 public:
  Importer(Context& context, std::string inputName, const ImportOptions& options, const Masking& masking)
      : context_(context),
        inputName_(std::move(inputName)),
        options_(options),
        masking_(masking),
        progress_(context.messages, "rows", context.clock) {}

  // Reads all of the input and stores nothing; where bad lines are to be left out, only the header. False
  // where that is bad, or a line is.
  bool check(const RecordSchema& schema, std::istream& input) {
    const auto source = open(schema, input);
    const Plans plans(schema);
    const auto take = [&](RowSource& row) { checkRow(plans, row); };
    const bool good = source != nullptr && (options_.skipBad || takeAll(*source, take));
    counts_ = {};
    return good;
  }

  // Throws as WriteTransaction::commit does; false where nothing was stored because of a bad line.
  bool run(const Store& store, const Rows& rows, std::istream& input) {
    const auto source = open(rows.schema(), input);
    if (source == nullptr) return false;
    std::optional<WriteTransaction> transaction;  // from the first row on: who types them may take their time
    std::uint64_t before = 0;
    const auto put = [&](RowSource& row) {
      if (!transaction) {
        transaction.emplace(store.write());
        before = rows.count(*transaction);
      }
      putRow(*transaction, rows, row);
    };
    if (!takeAll(*source, put)) return false;
    if (!transaction) return true;
    counts_.added = rows.count(*transaction) - before;
    transaction->commit();
    return true;
  }

  const Counts& counts() const noexcept { return counts_; }
  bool headerIsBad() const noexcept { return headerIsBad_; }
  double seconds() const { return progress_.elapsed().count(); }
  void clearProgress() { progress_.clear(); }

 private:
  enum Step : std::uint8_t { end = 0, stored, bad };

  // Null where the header is bad, which is then reported.
  std::unique_ptr<RowSource> open(const RecordSchema& schema, std::istream& input) {
    sourceOptions_ = {.collection = options_.collection,
                      .header = headerOf(options_),
                      .ignoreUnknown = options_.ignoreUnknown};
    try {
      return makeRowSource(inputFormat(options_), input, schema, masking_, sourceOptions_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::fixInput) throw;
      report(1, error);
      headerIsBad_ = true;
      return nullptr;
    }
  }

  template <class Take>
  bool takeAll(RowSource& source, Take&& take) {
    while (const Step step = takeRow(source, take)) {
      if (step == Step::bad && !options_.skipBad) return false;
    }
    return true;
  }

  template <class Take>
  Step takeRow(RowSource& source, Take& take) {
    try {
      if (!source.next()) return Step::end;
      if (source.isForeign()) {
        ++counts_.foreign;
        return Step::stored;
      }
      take(source);
      progress_.update(++counts_.rows);
      return Step::stored;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::fixInput && error.code() != ErrorCode::fixCall) throw;
      if (counts_.bad++ < kReportedLines) report(source.line(), error);
      context_.found(ExitStatus::problem);
      return Step::bad;
    }
  }

  // Whatever putting the row would refuse.
  static void checkRow(const Plans& plans, RowSource& source) {
    const RecordSchema& schema = plans.schema();
    Draft<capnp::DynamicStruct> draft(schema);
    Key key;
    source.fill(*draft);
    plans.prepareToPut(*draft);
    if (!schema.key().empty()) encodeKey(schema.key(), capnp::AnyStruct::Reader((*draft).asReader()), key);
    if (schema.isRecursive()) refuseDeepNesting(draft.message());
  }

  static void refuseDeepNesting(capnp::MessageBuilder& message) {
    capnp::SegmentArrayMessageReader reader(
        message.getSegmentsForOutput(),
        {.traversalLimitInWords = std::numeric_limits<std::uint64_t>::max(), .nestingLimit = kMaxRowNesting});
    try {
      reader.getRoot<capnp::AnyPointer>().targetSize();
    } catch (const kj::Exception&) {
      throw Error(ErrorCode::fixInput,
                  "the row is nested too deeply: at most 256 structs and lists inside one another");
    }
  }

  static void putRow(WriteTransaction& transaction, const Rows& rows, RowSource& source) {
    Draft<capnp::DynamicStruct> draft = rows.create();
    if (const std::optional<Key> key = source.fill(*draft)) {
      rows.put(transaction, *key, draft);
    } else {
      rows.put(transaction, draft);
    }
  }

  // input:line: field: reason
  void report(std::uint64_t line, const Error& error) {
    std::string text = inputName_ + ':' + std::to_string(line) + ": ";
    if (error.fact("reason").empty()) {
      text += masking_.empty() ? error.what() : error.message();
    } else {
      if (!error.fact("field").empty()) text.append(error.fact("field")) += ": ";
      text += error.fact("reason");
    }
    context_.message(text);
  }

  Context& context_;
  const std::string inputName_;
  const ImportOptions& options_;
  const Masking& masking_;
  RowSourceOptions sourceOptions_;
  ProgressLine progress_;
  Counts counts_;
  bool headerIsBad_ = false;
};

void printCounts(Context& context, const Importer& importer, bool json) {
  const Counts& counts = importer.counts();
  if (json) {
    std::string out;
    JsonWriter writer(out);
    writer.beginObject().member("rows", counts.rows).member("added", counts.added);
    writer.member("replaced", counts.rows - counts.added)
        .member("bad", counts.bad)
        .member("foreign", counts.foreign);
    writer.name("milliseconds").number(static_cast<std::uint64_t>(importer.seconds() * 1000)).endObject();
    context.output.line(out);
    return;
  }
  std::string text = "stored " + counted(counts.rows, "row");
  if (counts.added < counts.rows)
    text += ", " + grouped(counts.rows - counts.added) + " of them in place of others";
  const double seconds = std::max(importer.seconds(), 0.001);
  text +=
      "; " + grouped(static_cast<std::uint64_t>(static_cast<double>(counts.rows) / seconds)) + " per second";
  context.message(text);
  if (counts.bad != 0) context.message("left out " + counted(counts.bad, "bad line"));
  if (counts.foreign != 0)
    context.message("left out " + counted(counts.foreign, "row") + " of other collections");
}

void reportNothingStored(Context& context, const ImportOptions& options, const Importer& importer) {
  context.message(importer.headerIsBad() ? "no row was stored"
                                         : "no row was stored; --skip-bad leaves bad lines out");
  context.found(ExitStatus::problem);
  if (!options.json) return;
  std::string out;
  JsonWriter(out).beginObject().member("rows", std::uint64_t{0}).endObject();
  context.output.line(out);
}

void runImporter(Context& context, const Store& store, const Rows& rows, const ImportOptions& options,
                 const std::string& inputName, std::istream& input) {
  const Masking masking = collectionMasking(store, store.read(), options.collection, &rows.schema());
  Importer importer(context, inputName, options, masking);
  const bool stored = importer.run(store, rows, input);
  importer.clearProgress();
  if (!stored) return reportNothingStored(context, options, importer);
  printCounts(context, importer, options.json);
  if (importer.counts().rows == 0 && importer.counts().foreign != 0) context.found(ExitStatus::problem);
}

// Opens without changing anything, if that can be. A file whose creation was interrupted is finished by
// opening it for writing; what cannot be opened for another reason cannot be written either.
Store openToExamine(const std::string& file) {
  try {
    return openToRead(file);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::fixEnvironment) throw;
    return openToWrite(file);
  }
}

// The command has no functions. Where a mirror calls one no row can be put, and no line is to blame for it.
void refuseFunctions(const RecordSchema& schema) {
  const std::vector<UnusableFunction> missing = Plans(schema).unusableForPut();
  if (missing.empty()) return;
  throw Error(
      ErrorCode::fixInput,
      "no row can be put without the application's function for a field that older programs read; put "
      "rows with a program that has it",
      {{"field", missing.front().field}, {"function", missing.front().function}});
}

// Whether importing with this schema would change the catalog, or make the file. Throws where the store would
// refuse to.
bool changesCatalog(const ImportOptions& options, const RecordSchema& schema) {
  if (!std::filesystem::exists(options.file)) {
    checkCollectionName(options.collection);
    return true;
  }
  const Store store = openToExamine(options.file);
  const SchemaChange change = store.examine(options.collection, schema);
  if (change.refusal) throw Error(*change.refusal);
  const auto outcome = change.outcome;
  return outcome != SchemaChange::Outcome::unchanged && outcome != SchemaChange::Outcome::older;
}

Rows openCollection(const Store& store, const ImportOptions& options,
                    const std::optional<RecordSchema>& schema) {
  if (schema) return store.collection(options.collection, *schema);
  {
    const ReadTransaction transaction = store.read();
    if (findCollection(store, transaction, options.collection)) {
      Rows rows = store.collection(options.collection);
      refuseFunctions(rows.schema());
      return rows;
    }
  }
  throw Error(ErrorCode::fixCall, "the file has no such collection; pass --schema to create it",
              {{"collection", options.collection}});
}

void storeInput(Context& context, const ImportOptions& options, const std::optional<RecordSchema>& schema,
                const std::string& inputName, std::istream& input) {
  const OpenMode mode = schema ? OpenMode::createOrOpen : OpenMode::openExisting;
  const Store store = Store::open(options.file, {.mode = mode, .allowMissingFunctions = true});
  const Rows rows = openCollection(store, options, schema);
  runImporter(context, store, rows, options, inputName, input);
}

// A mark that is only in the file, or only in the schema, hides a value all the same.
Masking maskingWith(const ImportOptions& options, const RecordSchema& schema) {
  if (std::filesystem::exists(options.file)) {
    const Store store = openToExamine(options.file);
    const ReadTransaction transaction = store.read();
    if (findCollection(store, transaction, options.collection))
      return collectionMasking(store, transaction, options.collection, &schema);
  }
  return Masking({schema});
}

// Nothing half-done: where a bad line could leave a new file, collection or version behind, all lines are
// read first. Where bad lines are left out, only a bad header could.
void checkThenStoreInput(Context& context, const ImportOptions& options, const RecordSchema& schema,
                         const std::string& inputName, std::istream& input) {
  Replay replay(input);
  const Masking masking = maskingWith(options, schema);
  Importer importer(context, inputName, options, masking);
  const bool good = importer.check(schema, replay.fromBeginning());
  importer.clearProgress();
  if (!good) return reportNothingStored(context, options, importer);
  storeInput(context, options, schema, inputName, replay.fromBeginning());
}

void runImport(Context& context, const ImportOptions& options) {
  std::optional<RecordSchema> schema;
  if (!options.schema.empty()) {
    schema = loadSchemaFile(options.schema, {options.importPaths.begin(), options.importPaths.end()});
    refuseFunctions(*schema);
  }
  std::ifstream file;
  if (options.input != "-") {
    file.open(options.input, std::ios::binary);
    if (!file || std::filesystem::is_directory(options.input)) {
      throw Error(ErrorCode::fixEnvironment, "the input cannot be opened", {{"input", options.input}});
    }
  }
  if (!schema && !std::filesystem::exists(options.file)) {
    throw Error(ErrorCode::fixEnvironment, "there is no such file; pass --schema to create it",
                {{"file", options.file}});
  }
  std::istream& input = options.input == "-" ? context.input : file;
  const std::string inputName = options.input == "-" ? "standard input" : options.input;
  const bool mayStoreNothing = !options.skipBad || inputFormat(options) != InputFormat::ndjson;
  if (schema && changesCatalog(options, *schema) && mayStoreNothing) {
    checkThenStoreInput(context, options, *schema, inputName, input);
  } else {
    storeInput(context, options, schema, inputName, input);
  }
}

void runPut(Context& context, ImportOptions& options) {
  const Store store = openToWrite(options.file);
  const Rows rows = openCollection(store, options, std::nullopt);
  options.format = "ndjson";
  if (options.rows.empty())
    return runImporter(context, store, rows, options, "standard input", context.input);
  std::string lines;
  for (const std::string& row : options.rows) {
    lines.append(row) += '\n';
    std::replace(lines.end() - static_cast<std::ptrdiff_t>(row.size() + 1), lines.end() - 1, '\n', ' ');
  }
  std::istringstream input(std::move(lines));
  runImporter(context, store, rows, options, "row", input);
}

}  // namespace

void addImportCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<ImportOptions>();
  CLI::App* command = app.add_subcommand("import", "Stores rows from a file of text");
  command->add_option("FILE", options->file, "the file; created if need be")->required();
  command->add_option("COLLECTION", options->collection, "the collection; created if need be")->required();
  command->add_option("INPUT", options->input, "the rows; - is standard input")->required();
  command->add_option("--schema", options->schema, "what a row is; needed where the collection is new")
      ->type_name("FILE.capnp:Struct");
  addImportPathOption(*command, options->importPaths);
  command->add_option("--format", options->format, "ndjson, csv or tsv; otherwise by the ending of INPUT")
      ->check(CLI::IsMember({"ndjson", "csv", "tsv"}).description(""))
      ->type_name("FORMAT");
  command->add_flag("--header", options->header, "the first line of csv or tsv names the columns");
  command
      ->add_flag("--no-header", options->noHeader,
                 "the first line of csv or tsv is a row, also where it looks like names of columns")
      ->excludes("--header");
  command->add_flag("--skip-bad", options->skipBad, "leave bad lines out, instead of storing nothing");
  command->add_flag("--ignore-unknown", options->ignoreUnknown,
                    "pass over fields that the schema does not have");
  command->add_flag("--json", options->json, "print the result as JSON");
  command->footer(
      "Everything is stored in one transaction: where a line is bad, its number, field and reason are\n"
      "printed, no row is stored, and the exit status is 1. Rows replace those that have the same key.\n\n"
      "Where the schema makes a field for older programs with a function of the application, no row can be\n"
      "put without it, and the exit status is 1.\n\n"
      "Without a header, the columns of csv and tsv are the fields in their order. Where neither --header\n"
      "nor --no-header is given, a first line that could be either is refused.\n\n"
      "Where it would make the file, the collection or a version, the input is read twice; a pipe is kept "
      "in\n"
      "the folder that TMPDIR names meanwhile.\n\n"
      "Examples:\n"
      "  instar import contacts.instar contacts contacts.ndjson --schema contact.capnp:Contact\n"
      "  instar import contacts.instar contacts contacts.csv --header\n"
      "  instar dump old.instar contacts --unmask | instar import new.instar contacts - --schema "
      "contact.capnp:Contact");
  command->callback(
      [&context, options] { context.action = [&context, options] { runImport(context, *options); }; });
}

void addPutCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<ImportOptions>();
  CLI::App* command = app.add_subcommand("put", "Stores rows that are given as JSON");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "the collection")->required();
  command->add_option("ROW", options->rows,
                      "rows, a JSON object each; otherwise they are read from standard input");
  command->add_flag("--ignore-unknown", options->ignoreUnknown,
                    "pass over fields that the schema does not have");
  command->add_flag("--skip-bad", options->skipBad, "leave bad rows out, instead of storing nothing");
  command->add_flag("--json", options->json, "print the result as JSON");
  command->footer(
      "Where the keys of the collection are byte strings, a row has its key as \"$key\".\n"
      "Where a row is bad no row is stored, and the exit status is 1. The same where the schema makes a "
      "field\n"
      "for older programs with a function of the application, which the command does not have.\n\nExamples:\n"
      "  instar put contacts.instar contacts '{\"id\": 7, \"name\": \"Ada\"}'\n"
      "  instar put settings.instar settings '{\"$key\": \"theme\", \"value\": \"dark\"}'");
  command->callback(
      [&context, options] { context.action = [&context, options] { runPut(context, *options); }; });
}

}  // namespace instar::tools
