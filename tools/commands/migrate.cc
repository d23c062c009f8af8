// `instar migrate`: rewrites the rows that have to be upgraded whenever they are read.

#include <cmath>
#include <memory>

#include "instar/engine/migration.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/failed_rows.h"
#include "instar/tools/interruption.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

struct MigrateOptions {
  std::string file;
  std::string collection;  // empty: all of them
  std::string rate = "4MiB/s";
  bool eager = false;
  bool dryRun = false;
  bool json = false;
};

// "4MiB/s", "500 kB/s", "1000000": bytes a second.
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

std::vector<std::string> chosenCollections(const Store& store, const MigrateOptions& options) {
  const ReadTransaction transaction = store.read();
  if (!options.collection.empty()) return {requireCollection(store, transaction, options.collection).name};
  std::vector<std::string> names;
  for (const CollectionInfo& collection : store.collections(transaction)) names.push_back(collection.name);
  return names;
}

class Report {
 public:
  Report(Context& context, bool json) : context_(context), json_(json) {
    if (json_) writer_.beginObject().name("collections").beginArray();
  }

  void add(const std::string& name, const Rehearsal& rehearsal, const KeyPrinter& keys) {
    if (rehearsal.failed != 0) context_.found(ExitStatus::problem);
    if (json_) {
      writer_.beginObject().member("collection", name);
      writeRehearsal(writer_, rehearsal, keys);
      writer_.endObject();
    } else {
      printRehearsal(context_.output, rehearsal, keys);
    }
  }

  void add(const std::string& name, const Migration& done, double seconds, const KeyPrinter& keys) {
    if (done.failed != 0) context_.found(ExitStatus::problem);
    if (json_) return write(name, done, seconds, keys);
    context_.output.line(
        name + ": " + counted(done.rows, "row") + ", " + grouped(done.rewritten) + " rewritten" +
        (done.changed == 0 ? "" : ", " + grouped(done.changed) + " changed by others meanwhile") +
        (done.failed == 0 ? "" : ", " + grouped(done.failed) + " cannot be and stay as they are"));
    if (done.rewritten != 0) {
      context_.output.line("  " + grouped(done.bytesWritten) + " bytes written in " + grouped(done.batches) +
                           " batches; the longest kept other writers waiting for " +
                           grouped(static_cast<std::uint64_t>(done.longestLock.count())) +
                           " µs and its sync");
    }
    printFailures(context_.output, done.failures, done.failed, keys);
  }

  void end() {
    if (!json_) return;
    writer_.endArray().endObject();
    context_.output.line(out_);
  }

 private:
  void write(const std::string& name, const Migration& done, double seconds, const KeyPrinter& keys) {
    writer_.beginObject().member("collection", name).member("rows", done.rows);
    writer_.member("rewritten", done.rewritten).member("changed", done.changed).member("failed", done.failed);
    writeFailures(writer_, done.failures, keys);
    writer_.member("batches", done.batches).member("bytesWritten", done.bytesWritten);
    writer_.member("longestLockMicroseconds", static_cast<std::uint64_t>(done.longestLock.count()));
    writer_.member("waitedMicroseconds", static_cast<std::uint64_t>(done.waited.count()));
    writer_.member("milliseconds", static_cast<std::uint64_t>(std::llround(seconds * 1000))).endObject();
  }

  Context& context_;
  const bool json_;
  std::string out_;
  JsonWriter writer_{out_};
};

KeyPrinter keyPrinter(const Store& store, const std::string& collection) {
  const ReadTransaction transaction = store.read();
  return {store.collection(collection).schema(), collectionMasking(store, transaction, collection)};
}

void runMigrate(Context& context, const MigrateOptions& options) {
  const std::uint64_t rate = options.eager ? 0 : parseRate(options.rate);
  const Store store = options.dryRun ? openToRead(options.file) : openToWrite(options.file);
  const Interruption interruption;
  Report report(context, options.json);
  for (const std::string& name : chosenCollections(store, options)) {
    ProgressLine progress(context.messages, "rows", context.clock);
    const ProgressCallback look = [&](const Progress& state) {
      interruption.check();
      progress.update(state.done, state.total);
    };
    if (options.dryRun) {
      const RecordSchema schema = store.collection(name).schema();
      const Rehearsal rehearsal = rehearse(store, name, schema, {.progress = look});
      progress.clear();
      report.add(name, rehearsal, keyPrinter(store, name));
    } else {
      const Migration done = migrate(store, name, {.rate = rate, .progress = look});
      const double seconds = progress.elapsed().count();
      progress.clear();
      report.add(name, done, seconds, keyPrinter(store, name));
    }
  }
  report.end();
}

}  // namespace

void addMigrateCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<MigrateOptions>();
  CLI::App* command =
      app.add_subcommand("migrate", "Rewrites rows of older versions, while programs read and write");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "the collection; without it all of them");
  CLI::Option* rate = command
                          ->add_option("--rate", options->rate,
                                       "bytes a second to write, and to read from the device, as 4MiB/s")
                          ->capture_default_str();
  command->add_flag("--eager", options->eager, "as fast as possible")->excludes(rate);
  command->add_flag("--dry-run", options->dryRun, "count and try the rows only");
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "Only rows that have to be upgraded when they are read are rewritten, and exactly as they are read: "
      "additive\n"
      "changes rewrite nothing, and no program sees a difference. Ctrl-C ends it at any time; what is done "
      "stays\n"
      "done, and the next call goes on. The exit status is 1 where rows cannot be upgraded; they stay as "
      "they are.\n"
      "Rows that need a function of the application are migrated by the application (migrate() in C++).\n\n"
      "Example:\n  instar migrate contacts.instar contacts --rate 4MiB/s");
  command->callback(
      [&context, options] { context.action = [&context, options] { runMigrate(context, *options); }; });
}

}  // namespace instar::tools
