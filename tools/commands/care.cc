// `instar check`, `backup`, `compact` and `readers`: looking after a file.

#include <unistd.h>

#include <map>
#include <memory>

#include "instar/engine/check.h"
#include "instar/format/key_text.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/salvage_report.h"
#include "instar/tools/commands/table.h"
#include "instar/tools/interruption.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

struct CareOptions {
  std::string file;
  std::string target;
  bool quick = false;
  bool compact = false;
  bool replace = false;
  bool clearStale = false;
  bool json = false;
};

// --- check

// The keys of problems come printed; those of collections with sensitive keys are printed again, masked.
class ProblemKeys {
 public:
  explicit ProblemKeys(const Store& store) : store_(store), transaction_(store.read()) {}

  std::string key(const Problem& problem) {
    if (problem.key.empty() || problem.finding == Finding::damagedCatalog) return problem.key;
    const Keys& keys = find(problem.collection);
    if (!keys.printer) return std::string(kMaskedPrefix) + "key)";
    if (!keys.printer->masksAnything()) return problem.key;
    try {
      return keys.printer->print(parseKey(keys.spec, problem.key, KeyForm::whole).bytes());
    } catch (const Error&) {  // a key that is damaged itself
      return std::string(kMaskedPrefix) + "key)";
    }
  }

  // What is wrong, where that does not show a key again.
  std::string message(const Problem& problem) {
    if (problem.finding != Finding::misplacedRow) return problem.message;
    const Keys& keys = find(problem.collection);
    const bool open = keys.printer && !keys.printer->masksAnything();
    return open ? problem.message : "its $key fields say another key";
  }

 private:
  struct Keys {
    KeySpec spec = {};
    std::optional<KeyPrinter> printer = {};  // nothing where the collection's schema cannot be read
  };

  const Keys& find(const std::string& name) {
    if (const auto found = collections_.find(name); found != collections_.end()) return found->second;
    Keys keys;
    try {
      const RecordSchema schema = store_.collection(name).schema();
      keys.spec = schema.key();
      keys.printer.emplace(schema, collectionMasking(store_, transaction_, name));
    } catch (const Error&) {  // a damaged catalog, which is among the problems
    }
    return collections_.emplace(name, std::move(keys)).first->second;
  }

  const Store& store_;
  ReadTransaction transaction_;
  std::map<std::string, Keys> collections_;
};

void printReportJson(Context& context, const CheckReport& report, ProblemKeys& keys) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject().name("sound").boolean(report.sound()).name("damaged").boolean(report.damaged());
  writer.member("rows", report.rows)
      .member("bytes", report.bytes)
      .member("misalignedRows", report.misalignedRows)
      .member("unjudgedRows", report.unjudgedRows);
  writer.member("problemCount", report.problemCount).name("problems").beginArray();
  for (const Problem& problem : report.problems) {
    writer.beginObject()
        .member("finding", findingName(problem.finding))
        .member("collection", problem.collection);
    writer.member("key", keys.key(problem)).member("message", keys.message(problem)).endObject();
  }
  writer.endArray().endObject();
  context.output.line(out);
}

void printReportText(Context& context, const CheckReport& report, ProblemKeys& keys) {
  for (const Problem& problem : report.problems) {
    std::string line(findingName(problem.finding));
    if (!problem.collection.empty()) line += " in " + problem.collection;
    if (!problem.key.empty()) line += " under " + keys.key(problem);
    context.output.line(line + ": " + keys.message(problem));
  }
  if (report.problemCount > report.problems.size()) {
    context.output.line("and " + counted(report.problemCount - report.problems.size(), "further problem"));
  }
  context.output.line(counted(report.rows, "row") + ", " + grouped(report.bytes) + " bytes, " +
                      (report.sound() ? "no problems" : counted(report.problemCount, "problem")));
  if (report.misalignedRows != 0) {
    context.output.line(counted(report.misalignedRows, "row") +
                        " not aligned to 8 bytes: sound, but slower to read");
  }
  if (report.unjudgedRows != 0) {
    context.output.line(counted(report.unjudgedRows, "row") +
                        " not checked in full: that needs a function that only the application has");
  }
}

void printDamagedPages(Context& context, const PageReport& report, bool json) {
  if (json) {
    std::string out;
    JsonWriter writer(out);
    writer.beginObject().name("sound").boolean(false).name("damaged").boolean(true);
    for (const char* name : {"rows", "bytes", "misalignedRows", "unjudgedRows"})
      writer.member(name, std::uint64_t{0});
    writer.member("problemCount", report.problemCount).name("problems").beginArray().endArray();
    writeProblems(writer, report.problemCount, report.problems);
    writer.endObject();
    return context.output.line(out);
  }
  for (const PageProblem& problem : report.problems)
    context.output.line("damaged " + describeProblem(problem));
  if (report.problemCount > report.problems.size()) {
    context.output.line("and " + counted(report.problemCount - report.problems.size(), "further problem"));
  }
  context.output.line(counted(report.pages, "page") + ", " + counted(report.problemCount, "problem") +
                      "; rows were not looked at");
}

std::optional<PageReport> lookAtPages(Context& context, const CareOptions& options) {
  try {
    ProgressLine progress(context.messages, "pages", context.clock);
    PageReport report = checkPages(options.file, {.maxListed = 100, .progress = progress.callback()});
    progress.clear();
    return report;
  } catch (const Error& error) {
    // Opening says better what it is: missing, not to be read, nothing of an Instar file. After all else the
    // pages are still unknown, and LMDB must not get to see them.
    const bool isRefused = error.code() == ErrorCode::fixEnvironment && error.fact("call").empty();
    if (isRefused || ::access(options.file.c_str(), R_OK) != 0) return std::nullopt;
    throw;
  }
}

// Before LMDB maps the file: damaged pages could end the program there. False where they are damaged.
bool pagesAreSound(Context& context, const CareOptions& options) {
  const auto report = lookAtPages(context, options);
  if (!report || report->sound()) return true;
  if (report->changes) {
    throw Error(ErrorCode::retry,
                "pages look damaged, but programs write to the file, so that nobody can tell: end them, and "
                "check again",
                {{"path", options.file}});
  }
  printDamagedPages(context, *report, options.json);
  context.message("restore the file from a backup, or bring out what can be had: instar salvage " +
                  options.file + " TO");
  context.found(ExitStatus::damage);
  return false;
}

void runCheck(Context& context, const CareOptions& options) {
  if (!pagesAreSound(context, options)) return;
  const Store store = openToRead(options.file);
  ProgressLine progress(context.messages, "rows", context.clock);
  const CheckReport report = check(store, {.quick = options.quick, .progress = progress.callback()});
  progress.clear();
  ProblemKeys keys(store);
  if (options.json) {
    printReportJson(context, report, keys);
  } else {
    printReportText(context, report, keys);
  }
  if (!report.sound()) context.found(ExitStatus::problem);
  if (report.damaged()) context.found(ExitStatus::damage);
}

// --- backup and compact

void printSizes(Context& context, const char* verb, std::uintmax_t before, std::uintmax_t after, bool json) {
  if (json) {
    std::string out;
    JsonWriter(out).beginObject().member("bytesBefore", before).member("bytesAfter", after).endObject();
    context.output.line(out);
  } else {
    context.message(std::string(verb) + ": " + grouped(before) + " bytes became " + grouped(after));
  }
}

// Shows how far the copy is, and ends it where a signal has come.
template <class Copy>
void copyInterruptibly(Context& context, Copy&& copy) {
  const Interruption interruption;
  ProgressLine progress(context.messages, "bytes", context.clock);
  copy([&](const Progress& state) {
    interruption.check();
    progress.update(state.done, state.total);
  });
  progress.clear();
}

void runBackup(Context& context, const CareOptions& options) {
  const Store store = openToRead(options.file);
  copyInterruptibly(context, [&](const ProgressCallback& progress) {
    store.backup(options.target,
                 {.compact = options.compact, .replace = options.replace, .progress = progress});
  });
  printSizes(context, "copied", std::filesystem::file_size(options.file),
             std::filesystem::file_size(options.target), options.json);
}

void runCompact(Context& context, const CareOptions& options) {
  std::error_code failure;
  const std::uintmax_t before = std::filesystem::file_size(options.file, failure);
  copyInterruptibly(context,
                    [&](const ProgressCallback& progress) { Store::compact(options.file, progress); });
  printSizes(context, "compacted", before, std::filesystem::file_size(options.file), options.json);
}

// --- readers

void runReaders(Context& context, const CareOptions& options) {
  const Store store = Store::open(options.file, {.mode = OpenMode::readOnly, .clearStaleReaders = false});
  const std::uint64_t pageSize = store.info().pageSize;
  Table table({">process", ">snapshot", ">commits behind", ">bytes held back", ">program runs", "state"});
  std::string out;
  JsonWriter writer(out);
  writer.beginObject().name("readers").beginArray();
  for (const ReaderInfo& reader : readersBeside(store)) {
    const std::string process = std::to_string(reader.process);
    const bool isHolding = reader.transaction != 0;
    const auto pinned = reader.pinnedPages;
    std::optional<std::uint64_t> age;
    if (reader.programAge) age = static_cast<std::uint64_t>(reader.programAge->count());
    table.add({process, isHolding ? std::to_string(reader.transaction) : "none",
               isHolding ? grouped(reader.commitsBehind) : "",
               isHolding ? (pinned ? grouped(*pinned * pageSize) : "unknown") : "",
               age ? printDuration(*age) : "", reader.alive ? "alive" : "stale"});
    writer.beginObject().name("process").literal(process).member("snapshot", reader.transaction);
    writer.member("commitsBehind", reader.commitsBehind).name("pinnedBytes");
    writer.literal(pinned ? std::to_string(*pinned * pageSize) : "null");
    writer.name("alive").boolean(reader.alive).name("programSeconds");
    writer.literal(age ? std::to_string(*age) : "null").endObject();
  }
  const unsigned cleared = options.clearStale ? store.clearStaleReaders() : 0;
  writer.endArray().member("cleared", std::uint64_t{cleared}).endObject();
  if (options.json) return context.output.line(out);
  table.print(context.output);
  if (options.clearStale) context.message("cleared " + counted(cleared, "stale reader"));
}

CLI::App* addCareCommand(CLI::App& app, Context& context, const char* name, const char* description,
                         const std::shared_ptr<CareOptions>& options,
                         void (*run)(Context&, const CareOptions&)) {
  CLI::App* command = app.add_subcommand(name, description);
  command->add_option("FILE", options->file, "the file")->required();
  command->add_flag("--json", options->json, "print JSON");
  command->callback(
      [&context, options, run] { context.action = [&context, options, run] { run(context, *options); }; });
  return command;
}

}  // namespace

void addCheckCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<CareOptions>();
  CLI::App* command =
      addCareCommand(app, context, "check", "Looks at every row: checksum, content, key", options, runCheck);
  command->add_flag("--quick", options->quick, "headers, checksums and the catalog only");
  command->footer(
      "The exit status is 4 where data is damaged, 1 where something else is odd: a text that is not UTF-8,\n"
      "a row of an older version that cannot be upgraded. Rows that only the application's functions can\n"
      "upgrade or judge are counted, and change nothing about the exit status.\n\n"
      "The pages are looked at first, one by one, so that no damage ends the command. Where pages are "
      "damaged\n"
      "they are listed, and rows are not looked at: `instar salvage` brings these out.\n\n"
      "Example:\n  instar check contacts.instar");
}

void addBackupCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<CareOptions>();
  CLI::App* command =
      addCareCommand(app, context, "backup", "Copies a file while programs use it", options, runBackup);
  command->add_option("TO", options->target, "the copy")->required();
  command->add_flag("--compact", options->compact, "leave free pages out");
  command->add_flag("--replace", options->replace, "replace a file of that name");
  command->footer(
      "The copy has what was committed when it began, whoever writes meanwhile. Where FILE has no lock file\n"
      "beside it nobody has it open, and none is made: a program that then comes and writes can end the\n"
      "copy, which leaves nothing behind. The exit status is then 3, and it can be tried again.\n"
      "Ctrl-C leaves nothing behind either.\n\n"
      "Example:\n  instar backup contacts.instar /backup/contacts.instar");
}

void addCompactCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<CareOptions>();
  CLI::App* command =
      addCareCommand(app, context, "compact", "Rewrites a file without its free pages", options, runCompact);
  command->footer(
      "No program may have the file open; otherwise the exit status is 3. Ctrl-C leaves the file as it "
      "was.\n\n"
      "Example:\n  instar compact contacts.instar");
}

void addReadersCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<CareOptions>();
  CLI::App* command = addCareCommand(
      app, context, "readers", "Lists the programs that hold a snapshot of the file", options, runReaders);
  command->add_flag("--clear-stale", options->clearStale, "release snapshots of programs that have died");
  command->footer(
      "An old snapshot keeps the space of everything that was changed or deleted since: the bytes held back\n"
      "are those inside the file that could be used again if there were no snapshot as old. A program that\n"
      "shows many commits behind has forgotten one, or is stopped. LMDB notes no time: no snapshot is older\n"
      "than its program has been running. stale: it has died; programs that open\n"
      "the file clear these, and so does every 256th write of each that has it open.\n\nExample:\n"
      "  instar readers contacts.instar --clear-stale");
}

}  // namespace instar::tools
