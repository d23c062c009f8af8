// `instar reconcile`: makes mirrored fields and what they are made from agree again.

#include <memory>

#include "instar/engine/reconciliation.h"
#include "instar/tools/commands/canary_report.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/failed_rows.h"
#include "instar/tools/interruption.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

struct ReconcileOptions {
  std::string file;
  std::string collection;
  std::string follow;
  std::string rate = "4MiB/s";
  bool dryRun = false;
  bool json = false;
};

// ", 3 of them what", or nothing.
std::string part(std::uint64_t count, const char* what) {
  return count == 0 ? "" : ", " + grouped(count) + ' ' + what;
}

void print(Output& output, const ReconcileOptions& options, const Reconciliation& found,
           const KeyPrinter& keys) {
  output.line(options.collection + ": " + counted(found.rows, "row") + ", " + grouped(found.diverged) +
              " diverged, " + grouped(found.reconciled) + (options.dryRun ? " to be" : "") + " reconciled" +
              part(found.apart, "stay apart: what is derived does not give the mirror back") +
              part(found.changed, "changed by others meanwhile") +
              part(found.newer, "of a newer version, not looked at") +
              part(found.failed, "cannot be and stay as they are"));
  for (const auto& [field, rows] : found.fields) output.line("  " + field + ": " + counted(rows, "row"));
  for (const DivergedRow& row : found.listed) {
    output.line("  " + keys.print(row.key.bytes()) + ", version " + std::to_string(row.version) + ": " +
                joined(row.fields));
  }
  if (found.diverged > found.listed.size()) output.line("  …");
  printFailures(output, found.failures, found.failed, keys);
  if (found.forgotten != 0)
    output.line("  " + counted(found.forgotten, "row") + " taken out of the log of diverged rows");
  if (found.reconciled == 0 || options.dryRun) return;
  output.line("  " + grouped(found.bytesWritten) + " bytes written and " + grouped(found.bytesRead) +
              " read from the device in " + grouped(found.batches) +
              " batches; the longest kept other writers waiting for " +
              grouped(static_cast<std::uint64_t>(found.longestLock.count())) + " µs and its sync");
}

void write(Output& output, const ReconcileOptions& options, const Reconciliation& found,
           const KeyPrinter& keys) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject().member("collection", options.collection);
  writer.member("version", std::uint64_t{found.version}).member("follow", options.follow);
  writer.name("dryRun").boolean(options.dryRun);
  writer.member("rows", found.rows).member("diverged", found.diverged);
  writer.member("reconciled", found.reconciled).member("apart", found.apart);
  writer.member("changed", found.changed).member("newer", found.newer).member("failed", found.failed);
  writer.name("fields").beginArray();
  for (const auto& [field, rows] : found.fields)
    writer.beginObject().member("field", field).member("rows", rows).endObject();
  writer.endArray().name("listed").beginArray();
  for (const DivergedRow& row : found.listed) {
    writer.beginObject().member("key", keys.print(row.key.bytes()));
    writer.member("version", std::uint64_t{row.version}).name("fields").beginArray();
    for (const std::string& field : row.fields) writer.text(field);
    writer.endArray().endObject();
  }
  writer.endArray();
  writeFailures(writer, found.failures, keys);
  writer.member("forgotten", found.forgotten).member("batches", found.batches);
  writer.member("bytesWritten", found.bytesWritten).member("bytesRead", found.bytesRead);
  writer.member("longestLockMicroseconds", static_cast<std::uint64_t>(found.longestLock.count()));
  writer.member("waitedMicroseconds", static_cast<std::uint64_t>(found.waited.count())).endObject();
  output.line(out);
}

void runReconcile(Context& context, const ReconcileOptions& options) {
  const std::uint64_t rate = parseRate(options.rate);
  const Follow follow = options.follow == "newer" ? Follow::newer : Follow::older;
  const Store store = options.dryRun ? openToRead(options.file) : openToWrite(options.file);
  requireCollection(store, store.read(), options.collection);
  const Interruption interruption;
  if (!options.dryRun) context.interrupted = kDoneStays;
  ProgressLine progress(context.messages, "rows", context.clock);
  const Reconciliation found =
      reconcile(store, options.collection, follow,
                {.dryRun = options.dryRun, .rate = rate, .progress = [&](const Progress& state) {
                   interruption.check();
                   progress.update(state.done, state.total);
                 }});
  progress.clear();
  const KeyPrinter keys = keyPrinter(store, store.read(), options.collection);
  if (options.json)
    write(context.output, options, found, keys);
  else
    print(context.output, options, found, keys);
  if (found.apart + found.failed != 0 || (options.dryRun && found.diverged != 0))
    context.found(ExitStatus::problem);
}

}  // namespace

void addReconcileCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<ReconcileOptions>();
  CLI::App* command = app.add_subcommand(
      "reconcile", "Makes mirrored fields and what they are made from agree, while programs go on");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "the collection")->required();
  command
      ->add_option(
          "--follow", options->follow,
          "which side is right. newer: the mirrors are made again from it; older: what is derived from "
          "the mirrors is made again")
      ->check(CLI::IsMember({"newer", "older"}).description(""))
      ->type_name("newer|older")
      ->required();
  command
      ->add_option("--rate", options->rate, "bytes a second to write, and to read from the device, as 4MiB/s")
      ->capture_default_str();
  command->add_flag("--dry-run", options->dryRun, "count, and name fields and keys, only");
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "A row has diverged where a field with $Instar.mirrored holds something else than it is made from, as "
      "the\n"
      "current version has it. Rows that are right are not touched. With --follow older what newer programs "
      "have put\n"
      "into the derived fields is lost, and a row stays apart whose derived fields do not give the mirror "
      "back. Look\n"
      "with --dry-run first. Ctrl-C ends it at any time; what is done stays done, and the next call goes "
      "on.\n"
      "The exit status is 1 where rows are left that have diverged or fail. Schemas whose mirrors call a "
      "function\n"
      "are reconciled by the application (reconcile() in C++).\n\n"
      "Example:\n  instar reconcile contacts.instar contacts --follow newer --dry-run");
  command->callback(
      [&context, options] { context.action = [&context, options] { runReconcile(context, *options); }; });
}

}  // namespace instar::tools
