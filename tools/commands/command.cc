#include "instar/tools/commands/command.h"

#include <capnp/common.h>
#include <kj/exception.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <new>

#include "instar/format/key_text.h"
#include "instar/format/number_text.h"
#include "instar/tools/interruption.h"
#include "instar/tools/scalar_text.h"

namespace instar::tools {
namespace {

constexpr const char* kDescription =
    "Looks into Instar's files, fills them and looks after them.\n"
    "\n"
    "A file holds collections, a collection holds rows under ordered keys, and each row remembers the "
    "version of the\n"
    "schema that it was written with. Data goes to standard output, messages go to standard error.";

constexpr std::string_view kNoMemory = "there is not enough memory";

constexpr const char* kFooter =
    "Keys are written as `main,7`: the values of the key fields with commas between them.\n"
    "\n"
    "Exit status: 0 done, 1 a problem was found, 2 wrong usage, 3 the file cannot be opened, 4 the file is "
    "damaged,\n"
    "128 and its number after a signal.\n"
    "\n"
    "Begin with:\n"
    "  instar import contacts.instar contacts contacts.ndjson --schema contact.capnp:Contact\n"
    "  instar info contacts.instar\n"
    "  instar dump contacts.instar contacts --limit 10\n"
    "  instar get contacts.instar contacts 7\n"
    "  instar COMMAND --help\n"
    "\n"
    "Fields that the schema marks as sensitive are masked in every output unless --unmask is given.";

constexpr CommandAdder kAdders[] = {
    addInfoCommand,      addImportCommand,   addDumpCommand,   addGetCommand,    addPutCommand,
    addDeleteCommand,    addCountCommand,    addSchemaCommand, addEvolveCommand, addMigrateCommand,
    addReconcileCommand, addVersionsCommand, addCheckCommand,  addBackupCommand, addCompactCommand,
    addReadersCommand,   addProgressCommand, addVerifyCommand, addAuditCommand,  addStageCommand,
    addPromoteCommand,   addAbortCommand,    addRetireCommand, addStatusCommand, addCanaryCommand,
    addSalvageCommand,
};

std::string versionText() {
  return "instar " INSTAR_VERSION " (Cap'n Proto " + std::to_string(CAPNP_VERSION_MAJOR) + '.' +
         std::to_string(CAPNP_VERSION_MINOR) + '.' + std::to_string(CAPNP_VERSION_MICRO) + ')';
}

int finish(Context& context) {
  context.output.flush();
  return static_cast<int>(context.status);
}

int fail(Context& context, ExitStatus status, const std::string& text) {
  context.message(text);
  context.found(status);
  return static_cast<int>(context.status);
}

// What was written before a failure is still wanted; that it cannot be written either is no news then.
void flushQuietly(Context& context) noexcept {
  try {
    context.output.flush();
  } catch (const OutputFailed&) {
  } catch (const OutputClosed&) {
  }
}

// CLI11 takes a word in brackets apart, `[a,b]` into `a` and `b`, but such a word can be a key. So words that
// begin with a bracket are parsed behind a byte that no word can begin with, and every option takes that byte
// off again.
constexpr char kGuard = '\x01';

std::vector<std::string> guardedWords(int argumentCount, const char* const* arguments) {
  std::vector<std::string> words;  // the last one first, as CLI11 wants them
  for (int i = argumentCount - 1; i > 0; --i) {
    const std::string_view word = arguments[i];
    words.push_back((word.starts_with('[') || word.starts_with(kGuard) ? std::string(1, kGuard) : "") +
                    std::string(word));
  }
  return words;
}

void unguardOptions(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_expected_max() == 0) continue;  // a flag
    option->transform([](const std::string& word) { return word.substr(word.starts_with(kGuard) ? 1 : 0); },
                      "");
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) unguardOptions(*command);
}

int parseAndRun(CLI::App& app, int argumentCount, const char* const* arguments, Context& context) {
  try {
    app.parse(guardedWords(argumentCount, arguments));
  } catch (const CLI::CallForHelp&) {
    context.output.write(app.help());
    return finish(context);
  } catch (const CLI::CallForVersion&) {
    context.output.line(versionText());
    return finish(context);
  } catch (const CLI::ParseError& error) {
    context.message(std::string(error.what()) + "; see instar --help");
    return static_cast<int>(ExitStatus::usage);
  }
  if (!context.action) {
    context.message("the name of a command is missing; see instar --help");
    return static_cast<int>(ExitStatus::usage);
  }
  try {
    context.action();
  } catch (...) {
    flushQuietly(context);
    throw;
  }
  return finish(context);
}

}  // namespace

int runCommandLine(int argumentCount, const char* const* arguments, Context& context) {
  try {
    CLI::App app(kDescription, "instar");
    app.footer(kFooter);
    app.require_subcommand(0, 1);
    app.set_version_flag("--version", versionText());
    for (const CommandAdder add : kAdders) add(app, context);
    unguardOptions(app);
    return parseAndRun(app, argumentCount, arguments, context);
  } catch (const CLI::ParseError& error) {  // a value that only its command can judge
    return fail(context, ExitStatus::usage, std::string(error.what()) + "; see instar --help");
  } catch (const Error& error) {
    return fail(context, exitStatus(error.code()), describeError(error));
  } catch (const OutputFailed& failed) {
    // Whatever was found: with the status of damage nobody would take the output for cut short.
    context.message(failed.what());
    return static_cast<int>(ExitStatus::problem);
  } catch (const OutputClosed&) {
    return static_cast<int>(context.status);
  } catch (const Interrupted& interrupted) {
    context.message("interrupted: " + std::string(context.interrupted));
    return kSignalStatus + interrupted.signal;
  } catch (const kj::Exception& exception) {
    return fail(context, ExitStatus::problem, std::string(view(exception.getDescription())));
  } catch (const std::bad_alloc&) {
    return fail(context, ExitStatus::problem, std::string(kNoMemory));
  } catch (const std::exception& exception) {
    return fail(context, ExitStatus::problem, exception.what());
  }
}

void endForWantOfMemory() noexcept {
  try {
    if (const auto exception = std::current_exception()) std::rethrow_exception(exception);
  } catch (const std::bad_alloc&) {
    for (const std::string_view part : {std::string_view("instar: "), kNoMemory, std::string_view("\n")})
      static_cast<void>(!::write(STDERR_FILENO, part.data(), part.size()));
    ::_exit(static_cast<int>(ExitStatus::problem));
  } catch (...) {  // a mistake of ours
  }
  std::abort();
}

std::string describeError(const Error& error) {
  std::vector<Error::Fact> brief;
  std::string lists;
  for (const Error::Fact& fact : error.facts()) {
    const bool isList =
        fact.name == "changes" || fact.name == "mistakes" || fact.value.find('\n') != std::string::npos;
    if (!isList) {
      brief.push_back(fact);
      continue;
    }
    lists += "\n  ";
    for (const char c : fact.value) lists.append(c == '\n' ? "\n  " : std::string(1, c));
  }
  return Error(error.code(), error.message(), std::move(brief)).what() + lists;
}

Store openToRead(const std::string& file) {
  return Store::open(file, {.mode = OpenMode::readOnly, .allowMissingFunctions = true});
}

Store openToWrite(const std::string& file) {
  return Store::open(file, {.mode = OpenMode::openExisting, .allowMissingFunctions = true});
}

std::vector<ReaderInfo> readersBeside(const Store& store) {
  std::vector<ReaderInfo> readers = store.readers();
  std::erase_if(readers, [](const ReaderInfo& reader) { return reader.process == ::getpid(); });
  return readers;
}

std::optional<CollectionInfo> findCollection(const Store& store, const Transaction& transaction,
                                             std::string_view name) {
  for (CollectionInfo& collection : store.collections(transaction)) {
    if (collection.name == name) return std::move(collection);
  }
  return std::nullopt;
}

CollectionInfo requireCollection(const Store& store, const Transaction& transaction, std::string_view name) {
  if (auto collection = findCollection(store, transaction, name)) return std::move(*collection);
  throw Error(ErrorCode::fixCall, "the file has no such collection; see instar info",
              {{"collection", std::string(name)}});
}

std::vector<CollectionInfo> chosenCollections(const Store& store, const Transaction& transaction,
                                              std::string_view name) {
  if (name.empty()) return store.collections(transaction);
  return {requireCollection(store, transaction, name)};
}

Masking collectionMasking(const Store& store, const Transaction& transaction, std::string_view name,
                          const RecordSchema* beside) {
  std::vector<RecordSchema> schemas;
  if (beside != nullptr) schemas.push_back(*beside);
  for (const VersionInfo& version : store.versions(transaction, name)) schemas.push_back(version.schema);
  return Masking(schemas);
}

KeyPrinter keyPrinter(const Store& store, const Transaction& transaction, const std::string& name,
                      bool unmask) {
  return {store.collection(name).schema(), unmask ? Masking() : collectionMasking(store, transaction, name)};
}

std::string printBound(const KeyPrinter& keys, const Key& lower) {
  return lower.empty() ? "the beginning" : keys.print(lower.bytes());
}

RecordSchema schemaVersion(const Store& store, const Transaction& transaction, std::string_view name,
                           std::uint16_t number) {
  if (const auto schema = store.version(transaction, name, number)) return *schema;
  throw Error(ErrorCode::fixCall, "the collection has no such version; see instar schema list",
              {{"collection", std::string(name)}, {"version", std::to_string(number)}});
}

std::string wholeNumberProblem(const std::string& text) {
  if (parseNumber<std::uint64_t>(text)) return {};
  return "expected a whole number from 0 to " + std::to_string(UINT64_MAX) + ", found " + text;
}

std::uint64_t parseRate(std::string text) {
  if (text.ends_with("/s")) text.resize(text.size() - 2);
  try {
    const std::string problem = CLI::AsSizeValue(true)(text);
    const std::uint64_t rate = problem.empty() ? std::stoull(text) : 0;
    if (rate != 0) return rate;
  } catch (const std::exception&) {  // said below
  }
  throw CLI::ValidationError("--rate", "is bytes a second, as 4MiB/s or 500kB/s");
}

void addImportPathOption(CLI::App& command, std::vector<std::string>& importPaths) {
  command
      .add_option("-I,--import-path", importPaths, "folder for imports that begin with /; may be repeated")
      ->type_name("FOLDER")
      ->allow_extra_args(false);
}

void RangeText::addTo(CLI::App& command) {
  command.add_option("--from", from, "the first key, itself included")->type_name("KEY");
  command.add_option("--to", to, "the first key that no longer belongs to it")->type_name("KEY");
  command.add_option("--prefix", prefix, "only keys that begin like this")->type_name("KEY");
}

ScanOptions RangeText::parse(const KeySpec& spec) const {
  ScanOptions options;
  if (from) options.from = parseKey(spec, *from, KeyForm::prefix);
  if (to) options.to = parseKey(spec, *to, KeyForm::prefix);
  if (prefix) options.prefix = parseKey(spec, *prefix, KeyForm::openPrefix);
  return options;
}

}  // namespace instar::tools
