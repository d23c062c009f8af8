// `instar dump` and `instar get`: rows on their way out.

#include <kj/exception.h>

#include <map>
#include <memory>
#include <optional>

#include "instar/engine/check.h"
#include "instar/engine/preimages.h"
#include "instar/format/key_text.h"
#include "instar/format/row.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/salvaged_copy.h"
#include "instar/tools/interruption.h"
#include "instar/tools/row_printer.h"
#include "instar/tools/scalar_text.h"
#include "instar/tools/text_form.h"

namespace instar::tools {
namespace {

using Rows = Collection<capnp::DynamicStruct>;

const std::map<std::string, RowFormat> kFormats = {
    {"ndjson", RowFormat::ndjson}, {"csv", RowFormat::csv}, {"tsv", RowFormat::tsv},
    {"text", RowFormat::text},     {"hex", RowFormat::hex}, {"capnp", RowFormat::capnp},
};

struct DumpOptions {
  std::string file;
  std::string collection;
  std::vector<std::string> keys;  // of `get`
  RangeText range;
  std::uint64_t limit = UINT64_MAX;
  bool reverse = false;
  bool preimages = false;
  bool salvage = false;
  bool asStored = false;
  std::uint16_t atVersion = 0;
  bool unmask = false;
  bool json = false;  // another word for --format ndjson
  std::string format = "ndjson";
  RowPrinterOptions printer;
  const Interruption* interruption = nullptr;  // where there is something to clean up
};

[[noreturn]] void refuseUsage(const char* message) { throw Error(ErrorCode::fixCall, message); }

std::vector<std::string> formatNames() {
  std::vector<std::string> names;
  for (const auto& format : kFormats) names.push_back(format.first);
  return names;
}

void checkUsage(DumpOptions& options) {
  const RowFormat format = kFormats.at(options.format);
  options.printer.format = format;
  const bool columns = format == RowFormat::csv || format == RowFormat::tsv;
  if (options.asStored && options.atVersion != 0)
    refuseUsage("--as-stored and --at-version exclude each other");
  if (options.asStored && columns) {
    refuseUsage("rows as they were stored have no common columns; use --at-version, or --format ndjson");
  }
  if (options.printer.withVersion && (format == RowFormat::capnp || format == RowFormat::hex)) {
    refuseUsage("--with-version prints ndjson, csv, tsv or text; hex has the version in each row's header");
  }
  if (options.printer.keysOnly && (format == RowFormat::capnp || format == RowFormat::hex)) {
    refuseUsage("--keys-only prints ndjson, csv, tsv or text");
  }
}

// Prints rows of one collection; what is damaged becomes a message, and the rows behind it are printed.
class CollectionDump {
 public:
  CollectionDump(Context& context, const Store& store, const Transaction& transaction,
                 const std::string& name, const DumpOptions& options)
      : context_(context),
        store_(store),
        transaction_(transaction),
        name_(name),
        options_(options),
        rows_(openRows()),
        masking_(options.unmask ? Masking() : collectionMasking(store, transaction, name)),
        printer_(name, rows_.schema(), masking_, options.printer) {
    if (options.printer.format == RowFormat::hex && !masking_.empty()) {
      refuseUsage(
          "the collection has sensitive fields, which cannot be masked in hexadecimal; pass --unmask");
    }
    printer_.begin(out_);
    flushLine();
  }

  // Returns whether there was something to go over: pre-images may not be kept.
  bool scan() {
    ScanOptions range = options_.range.parse(rows_.keySpec());
    range.limit = options_.limit;
    range.reverse = options_.reverse;
    if (options_.preimages) {
      auto scan = scanPreimages(transaction_, rows_, range);
      if (scan) printAll(*scan);
      return scan.has_value();
    }
    auto scan = rows_.scan(transaction_, range);
    const std::uint64_t met = printAll(scan);
    if (!options_.range.isWhole() || options_.limit != UINT64_MAX) return true;
    if (const std::uint64_t rows = rows_.count(transaction_); met != rows) {
      context_.message("damaged collection (collection: " + name_ + ", rows: " + std::to_string(rows) +
                       ", met: " + std::to_string(met) + ')');
      context_.found(ExitStatus::damage);
    }
    return true;
  }

  void get(const std::string& text) {
    const Key key = parseKey(rows_.keySpec(), text, KeyForm::whole);
    if (options_.printer.format == RowFormat::hex || options_.asStored) return getStored(key);
    guard(key.bytes(), [&] {
      const Row<capnp::DynamicStruct> row = rows_.get(transaction_, key);
      if (!row) return reportAbsent(key);
      printRow(row);
    });
    flushLine();
  }

 private:
  // At an older version as a program of that version sees them.
  Rows openRows() const {
    if (options_.atVersion == 0) return store_.collection(name_);
    refuseBelowReaderFloor();
    return store_.collection(name_, schemaVersion(store_, transaction_, name_, options_.atVersion));
  }

  // Returns how many there are.
  std::uint64_t printAll(Scan<capnp::DynamicStruct>& scan) {
    ProgressLine progress(context_.messages, "rows", context_.clock);
    WalkCheck walk(options_.reverse);
    while (scan.next()) {
      if (options_.interruption != nullptr) options_.interruption->check();
      if (!walk.follows(scan.key())) reportDamage(scan.key(), "it is not where its key belongs");
      if (options_.printer.format == RowFormat::hex) {
        printBytes(scan.key(), scan.value());
      } else if (options_.printer.keysOnly) {
        printKey(scan.key(), scan.value());
      } else {
        guard(scan.key(), [&] {
          if (options_.asStored)
            printStored(scan.key(), scan.value());
          else
            printRow(scan.row());
        });
      }
      flushLine();
      if (!context_.outputIsSeen) progress.update(walk.count());
    }
    return walk.count();
  }

  void refuseBelowReaderFloor() const {
    const std::uint16_t floor = requireCollection(store_, transaction_, name_).readerFloor;
    if (options_.atVersion >= floor) return;
    throw Error(
        ErrorCode::fixCall,
        "a version below the reader floor would show the bytes of one field as another's: name a later "
        "version, or use --as-stored",
        {{"collection", name_},
         {"version", std::to_string(options_.atVersion)},
         {"readerFloor", std::to_string(floor)}});
  }

  void printRow(const Row<capnp::DynamicStruct>& row) {
    printer_.row(out_, row.key(), row.version(), row.payload(), *row);
  }

  // As the version that it was written with, without what a newer one derives from it.
  void printStored(Bytes key, Bytes value) {
    RowView view;
    const RowDamage damage = decodeRow(key, value, Verify::yes, view);
    if (damage != RowDamage::none) return reportDamage(key, describe(damage));
    printRow(Row<capnp::DynamicStruct>(storedSchema(view.version),
                                       [&](internal::RowBytes& row) { row.copy(key, view); }));
  }

  const RecordSchema& storedSchema(std::uint16_t version) {
    auto found = stored_.find(version);
    if (found == stored_.end()) {
      const auto schema = store_.version(transaction_, name_, version);
      if (!schema) {
        throw Error(ErrorCode::restoreFromBackup, "the row has a version that the catalog does not have",
                    {{"version", std::to_string(version)}});
      }
      found = stored_.emplace(version, *schema).first;
    }
    return found->second;
  }

  void printKey(Bytes key, Bytes value) {
    RowView row;
    const RowDamage damage = decodeRow(key, value, Verify::yes, row);
    printer_.key(out_, key, row.version);
    if (damage != RowDamage::none) reportDamage(key, describe(damage));
  }

  void printBytes(Bytes key, Bytes value) {
    RowView row;
    const RowDamage damage = decodeRow(key, value, Verify::yes, row);
    writeHex(out_, key, value);
    if (damage != RowDamage::none) reportDamage(key, describe(damage));
  }

  void getStored(const Key& key) {
    auto scan = rows_.scan(transaction_, {.from = key, .limit = 1});
    if (!scan.next() || compareBytes(scan.key(), key.bytes()) != 0) return reportAbsent(key);
    if (options_.printer.format == RowFormat::hex)
      printBytes(scan.key(), scan.value());
    else
      guard(scan.key(), [&] { printStored(scan.key(), scan.value()); });
    flushLine();
  }

  template <class Print>
  void guard(Bytes key, Print&& print) {
    try {
      print();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::fixRow) return reportFailure(key, error);
      if (error.code() != ErrorCode::restoreFromBackup) throw printer_.keys().mask(error, key);
      std::string damage(error.fact("damage"));
      reportDamage(key, damage.empty() ? error.message() : damage);
    } catch (const kj::Exception& exception) {
      if (exception.getType() == kj::Exception::Type::OVERLOADED) throw;  // no memory, and no damage
      reportDamage(key, view(exception.getDescription()));
    }
  }

  void reportDamage(Bytes key, std::string_view damage) {
    flushLine();
    context_.message("damaged row (collection: " + name_ + ", key: " + printer_.keys().print(key) +
                     ", damage: " + std::string(damage) + ')');
    context_.found(ExitStatus::damage);
  }

  void reportFailure(Bytes key, const Error& error) {
    flushLine();
    context_.message(printer_.keys().mask(error, key).what());
    context_.found(ExitStatus::problem);
  }

  void reportAbsent(const Key& key) {
    context_.message("no such row (collection: " + name_ + ", key: " + printer_.keys().print(key.bytes()) +
                     ')');
    context_.found(ExitStatus::problem);
  }

  void flushLine() {
    context_.output.write(out_);
    out_.clear();
  }

  Context& context_;
  const Store& store_;
  const Transaction& transaction_;
  const std::string name_;
  const DumpOptions& options_;
  Rows rows_;
  std::map<std::uint16_t, RecordSchema> stored_;
  Masking masking_;
  RowPrinter printer_;
  std::string out_;
};

void runDump(Context& context, DumpOptions& options) {
  checkUsage(options);
  if (options.salvage && options.preimages)
    refuseUsage("pre-images are not salvaged: leave --salvage or --preimages out");
  // Before the copy, which has to go whatever ends the command.
  std::optional<Interruption> interruption;
  if (options.salvage) options.interruption = &interruption.emplace();
  std::optional<SalvagedCopy> salvaged;
  if (options.salvage) salvaged.emplace(context, *options.interruption, options.file);
  const Store store = openToRead(salvaged ? salvaged->path() : options.file);
  const ReadTransaction transaction = store.read();
  std::vector<std::string> names;
  if (options.collection.empty()) {
    for (const CollectionInfo& collection : store.collections(transaction)) names.push_back(collection.name);
    if (names.size() > 1 && options.printer.format != RowFormat::ndjson) {
      refuseUsage("the file has several collections; name one, or use --format ndjson");
    }
    options.printer.nameCollection = options.printer.format == RowFormat::ndjson;
  } else if (salvaged && salvaged->isIncomplete() &&
             !findCollection(store, transaction, options.collection)) {
    salvaged->tell(context, options.collection);
    context.message("no collection of this name is among what can be had: it may be lost (collection: " +
                    options.collection + ')');
    return;
  } else {
    names.push_back(requireCollection(store, transaction, options.collection).name);
  }
  bool found = false;
  for (const std::string& name : names)
    found |= CollectionDump(context, store, transaction, name, options).scan();
  if (salvaged) salvaged->tell(context, options.collection);
  if (!options.preimages || found) return;
  context.message("no pre-images are kept" +
                  (options.collection.empty() ? std::string() : " of " + options.collection) +
                  ": compaction was not asked to, or all that it has replaced is verified");
  context.found(ExitStatus::problem);
}

void runGet(Context& context, DumpOptions& options) {
  checkUsage(options);
  const Store store = openToRead(options.file);
  const ReadTransaction transaction = store.read();
  requireCollection(store, transaction, options.collection);
  CollectionDump dump(context, store, transaction, options.collection, options);
  for (const std::string& key : options.keys) dump.get(key);
}

void addFormatOptions(CLI::App& command, DumpOptions& options) {
  command.add_option("--format", options.format, "ndjson, csv, tsv, text, hex or capnp (for `capnp decode`)")
      ->check(CLI::IsMember(formatNames()).description(""))
      ->type_name("FORMAT")
      ->capture_default_str();
  command.add_flag("--json", options.json, "the same as --format ndjson")->excludes("--format");
  command.add_flag("--as-stored", options.asStored, "show each row as the version that it was written with");
  command
      .add_option(
          "--at-version", options.atVersion,
          "show rows as this version of the schema, not below the lowest that may read; otherwise as the "
          "newest")
      ->type_name("N")
      ->check(CLI::Range(1, 65535).description(""));
  command.add_flag("--with-version", options.printer.withVersion,
                   "show the version that each row was written with");
  command.add_flag("--unmask", options.unmask, "show the values of sensitive fields");
}

}  // namespace

void addDumpCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<DumpOptions>();
  CLI::App* command = app.add_subcommand("dump", "Prints rows");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "the collection; otherwise all of them, as ndjson");
  addFormatOptions(*command, *options);
  options->range.addTo(*command);
  command->add_option("--limit", options->limit, "at most so many rows")
      ->type_name("N")
      ->check(wholeNumberProblem);
  command->add_flag("--reverse", options->reverse, "from the last key to the first");
  command->add_flag("--keys-only", options->printer.keysOnly,
                    "print keys, in the form that `instar get` takes");
  command->add_flag("--preimages", options->preimages,
                    "print what compaction has replaced and keeps, in place of the rows");
  command->add_flag("--salvage", options->salvage, "of a damaged file: what `instar salvage` brings out");
  command->footer(
      "Damaged rows are reported and left out, and the exit status is then 4. Rows of older versions that\n"
      "cannot be upgraded, because a value does not fit or because that needs a function that only the\n"
      "application has, are reported and left out too, and the exit status is then 1; --as-stored shows "
      "them.\n"
      "`instar import` reads ndjson, csv and tsv back; pass --unmask if the schema has sensitive fields.\n"
      "What is inside an AnyPointer is shown, unless that field itself is marked as sensitive.\n\n"
      "With --preimages each row is as it was before compaction (`instar migrate --keep-preimages`) replaced "
      "it,\n"
      "whatever was put or erased since. Where none are kept that is said, and the exit status is then 1.\n\n"
      "With --salvage no damage ends the command: the rows are those of a copy that `instar salvage` makes "
      "in\n"
      "TMPDIR and that is removed again.\n\n"
      "Examples:\n"
      "  instar dump contacts.instar contacts --prefix main, --limit 10\n"
      "  instar dump contacts.instar contacts --format csv --unmask > contacts.csv\n"
      "  instar dump contacts.instar contacts --format capnp | capnp decode contact.capnp Contact");
  command->callback(
      [&context, options] { context.action = [&context, options] { runDump(context, *options); }; });
}

void addGetCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<DumpOptions>();
  CLI::App* command = app.add_subcommand("get", "Prints the rows under some keys");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "the collection")->required();
  command->add_option("KEY", options->keys, "the keys, for example main,7")->required();
  addFormatOptions(*command, *options);
  command->footer(
      "A key without a row is reported, and the exit status is then 1; so is a row of an older version that\n"
      "cannot be upgraded, because a value does not fit or because that needs a function that only the\n"
      "application has. --as-stored shows it.\n\nExamples:\n"
      "  instar get contacts.instar contacts 7 8\n"
      "  instar get packages.instar packages 'bash,5.2.15-2,amd64' --format text");
  command->callback(
      [&context, options] { context.action = [&context, options] { runGet(context, *options); }; });
}

}  // namespace instar::tools
