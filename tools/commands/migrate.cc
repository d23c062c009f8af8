// `instar migrate`: rewrites the rows that have to be upgraded whenever they are read, and packs rows.

#include <cmath>
#include <memory>

#include "instar/engine/migration.h"
#include "instar/format/key_text.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/failed_rows.h"
#include "instar/tools/commands/table.h"
#include "instar/tools/interruption.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

struct MigrateOptions {
  std::string file;
  std::string collection;  // empty: all of them
  std::string rate = "4MiB/s";
  std::string partition;  // empty: all of them
  unsigned threads = 1;
  bool compress = false;
  bool keepPreimages = false;
  bool eager = false;
  bool dryRun = false;
  bool json = false;
};

std::vector<std::string> chosenNames(const Store& store, const MigrateOptions& options) {
  std::vector<std::string> names;
  for (const CollectionInfo& collection : chosenCollections(store, store.read(), options.collection))
    names.push_back(collection.name);
  return names;
}

class Report {
 public:
  Report(Context& context, bool json) : context_(context), json_(json) {
    if (json_) writer_.beginObject().name("collections").beginArray();
  }

  void add(const std::string& name, const Rehearsal& rehearsal, const Estimate& estimate,
           const KeyPrinter& keys) {
    if (rehearsal.failed != 0) context_.found(ExitStatus::problem);
    if (json_) {
      writer_.beginObject().member("collection", name);
      writeRehearsal(writer_, rehearsal, keys);
      write(estimate);
      writer_.endObject();
    } else {
      printRehearsal(context_.output, rehearsal, keys);
      context_.output.line(
          "  about " + counted(estimate.changedRows, "row") + " to change, " +
          grouped(estimate.bytesToWrite) + " bytes to write in " + printTaken(estimate.time) +
          "; the collection takes " + grouped(estimate.bytesBefore) + " bytes now and about " +
          grouped(estimate.bytesAfter) + " then (from " + counted(estimate.sampledRows, "row") + ")");
    }
  }

  // `estimate` is null where only a part of the collection was asked for.
  void add(const std::string& name, const Migration& done, const Estimate* estimate, std::uint64_t bytesAfter,
           double seconds, const KeyPrinter& keys) {
    if (done.failed != 0) context_.found(ExitStatus::problem);
    if (json_) return write(name, done, estimate, bytesAfter, seconds, keys);
    context_.output.line(
        name + ": " + counted(done.rows, "row") + ", " + grouped(done.rewritten) + " rewritten" +
        (done.packed == 0 ? "" : ", " + grouped(done.packed) + " packed") +
        (done.repacked == 0 ? "" : ", " + grouped(done.repacked) + " packed anew") +
        (done.changed == 0 ? "" : ", " + grouped(done.changed) + " changed by others meanwhile") +
        (done.failed == 0 ? "" : ", " + grouped(done.failed) + " cannot be and stay as they are"));
    if (done.rewritten + done.packed + done.repacked != 0) {
      context_.output.line(
          "  " + counted(done.verified, "row") + " read back; " + grouped(done.bytesWritten) +
          " bytes written and " + grouped(done.bytesRead) + " read from the device in " +
          grouped(done.batches) + " batches; the longest kept other writers waiting for " +
          grouped(static_cast<std::uint64_t>(done.longestLock.count())) + " µs and its sync");
      if (estimate != nullptr) printBeside(*estimate, done, bytesAfter, seconds);
    }
    printFailures(context_.output, done.failures, done.failed, keys);
  }

  void end() {
    if (!json_) return;
    writer_.endArray().endObject();
    context_.output.line(out_);
  }

 private:
  void printBeside(const Estimate& estimate, const Migration& done, std::uint64_t bytesAfter,
                   double seconds) {
    Table table({"", ">rows", ">bytes written", ">time", ">bytes before", ">bytes after"});
    table.add({"  estimated", grouped(estimate.changedRows), grouped(estimate.bytesToWrite),
               printTaken(estimate.time), grouped(estimate.bytesBefore), grouped(estimate.bytesAfter)});
    table.add({"  happened", grouped(done.rewritten + done.packed + done.repacked),
               grouped(done.bytesWritten),
               printTaken(std::chrono::milliseconds(std::llround(seconds * 1000))),
               grouped(estimate.bytesBefore), grouped(bytesAfter)});
    table.print(context_.output);
  }

  static std::string printTaken(std::chrono::milliseconds time) {
    const auto tenths = static_cast<std::uint64_t>((time.count() + 50) / 100);
    return grouped(tenths / 10) + '.' + std::to_string(tenths % 10) + " s";
  }

  void write(const Estimate& estimate) {
    writer_.name("estimate").beginObject().member("rows", estimate.rows);
    writer_.member("changedRows", estimate.changedRows).member("sampledRows", estimate.sampledRows);
    writer_.member("bytesToWrite", estimate.bytesToWrite).member("bytesBefore", estimate.bytesBefore);
    writer_.member("bytesAfter", estimate.bytesAfter);
    writer_.member("milliseconds", static_cast<std::uint64_t>(estimate.time.count())).endObject();
  }

  void write(const std::string& name, const Migration& done, const Estimate* estimate,
             std::uint64_t bytesAfter, double seconds, const KeyPrinter& keys) {
    writer_.beginObject().member("collection", name).member("rows", done.rows);
    writer_.member("rewritten", done.rewritten).member("changed", done.changed).member("failed", done.failed);
    writer_.member("packed", done.packed).member("repacked", done.repacked).member("verified", done.verified);
    writeFailures(writer_, done.failures, keys);
    writer_.member("partitions", done.partitions).member("batches", done.batches);
    writer_.member("bytesWritten", done.bytesWritten).member("bytesRead", done.bytesRead);
    writer_.member("bytesAfter", bytesAfter);
    if (estimate != nullptr) write(*estimate);
    writer_.member("longestLockMicroseconds", static_cast<std::uint64_t>(done.longestLock.count()));
    writer_.member("waitedMicroseconds", static_cast<std::uint64_t>(done.waited.count()));
    writer_.member("milliseconds", static_cast<std::uint64_t>(std::llround(seconds * 1000))).endObject();
  }

  Context& context_;
  const bool json_;
  std::string out_;
  JsonWriter writer_{out_};
};

// A key as `instar get` takes it, or as bytes in the form in which `instar progress` prints where a partition
// begins.
std::optional<Key> chosenPartition(const Store& store, const MigrateOptions& options) {
  if (options.partition.empty()) return std::nullopt;
  if (options.collection.empty())
    throw Error(ErrorCode::fixCall, "--partition belongs to one collection: name it");
  const auto collection = store.collection(options.collection);
  const KeySpec& spec = collection.keySpec();
  std::string bytes;
  const bool isBytes = !spec.empty() && spec.front().type != KeyType::data &&
                       options.partition.starts_with("0x") && fromHex(options.partition.substr(2), bytes);
  return isBytes ? Key(asBytes(bytes)) : parseKey(spec, options.partition, KeyForm::prefix);
}

std::uint64_t bytesOf(const Store& store, const std::string& name) {
  const ReadTransaction transaction = store.read();
  const auto collection = requireCollection(store, transaction, name);
  return (collection.pages + collection.coldPages) * store.info().pageSize;
}

void runMigrate(Context& context, const MigrateOptions& options) {
  const std::uint64_t rate = options.eager ? 0 : parseRate(options.rate);
  const CompactionMode mode = options.compress ? CompactionMode::compress : CompactionMode::upgrade;
  const Store store = options.dryRun ? openToRead(options.file) : openToWrite(options.file);
  const std::optional<Key> partition = chosenPartition(store, options);
  const Interruption interruption;
  if (!options.dryRun) context.interrupted = kDoneStays;
  Report report(context, options.json);
  for (const std::string& name : chosenNames(store, options)) {
    const Estimate estimated = estimate(store, name, mode, rate);
    ProgressLine progress(context.messages, "rows", context.clock);
    const ProgressCallback look = [&](const Progress& state) {
      interruption.check();
      progress.update(state.done, state.total);
    };
    if (options.dryRun) {
      const RecordSchema schema = store.collection(name).schema();
      const Rehearsal rehearsal = rehearse(store, name, schema, {.progress = look});
      progress.clear();
      report.add(name, rehearsal, estimated, keyPrinter(store, store.read(), name));
    } else {
      const Migration done = migrate(store, name,
                                     {.mode = mode,
                                      .partition = partition,
                                      .rate = rate,
                                      .threads = options.threads,
                                      .keepPreimages = options.keepPreimages,
                                      .progress = look});
      const double seconds = progress.elapsed().count();
      progress.clear();
      report.add(name, done, partition ? nullptr : &estimated, bytesOf(store, name), seconds,
                 keyPrinter(store, store.read(), name));
    }
  }
  report.end();
}

}  // namespace

void addMigrateCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<MigrateOptions>();
  CLI::App* command =
      app.add_subcommand("migrate", "Rewrites rows of older versions, and packs rows, while programs go on");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "the collection; without it all of them");
  CLI::Option* rate = command
                          ->add_option("--rate", options->rate,
                                       "bytes a second to write, and to read from the device, as 4MiB/s")
                          ->capture_default_str();
  command->add_flag("--eager", options->eager, "as fast as possible")->excludes(rate);
  command
      ->add_option("--threads", options->threads,
                   "that prepare rows at the same time, at most: as many as get a processor each")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_flag("--compress", options->compress, "also pack all rows into compressed blocks");
  command->add_flag("--keep-preimages", options->keepPreimages,
                    "keep what is replaced in the file until its partition has been read back");
  command->add_option("--partition", options->partition, "only the partition that this key belongs to")
      ->type_name("KEY");
  command->add_flag("--dry-run", options->dryRun,
                    "count and try the rows, and estimate bytes and time, only");
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "Only rows that have to be upgraded when they are read are rewritten, and exactly as they are read: "
      "additive\n"
      "changes rewrite nothing, and no program sees a difference. Ctrl-C ends it at any time; what is done "
      "stays\n"
      "done, and the next call goes on. The exit status is 1 where rows cannot be upgraded; they stay as "
      "they are.\n"
      "With --compress rows are packed, however warm they are: the file keeps its size, its free pages are "
      "used "
      "again;\n"
      "`instar compact` makes it smaller. The estimate is from a sample.\n"
      "With --keep-preimages what is replaced is written once more, as large as it was: with --compress\n"
      "several times as much in all. After a mismatch it stays: `instar dump --preimages` prints it.\n"
      "Rows that need a function of the application are migrated by the application (migrate() in C++).\n\n"
      "Example:\n  instar migrate contacts.instar contacts --rate 4MiB/s");
  command->callback(
      [&context, options] { context.action = [&context, options] { runMigrate(context, *options); }; });
}

}  // namespace instar::tools
