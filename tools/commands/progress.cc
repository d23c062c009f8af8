// `instar progress`: how far compaction is, and why it waits.

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <map>
#include <memory>
#include <thread>

#include "instar/engine/compaction.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/table.h"
#include "instar/tools/interruption.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

constexpr std::chrono::milliseconds kInterval(1000);
constexpr std::chrono::milliseconds kLongestSleep(100);
constexpr std::string_view kToEmptyScreen = "\033[H\033[J";

struct ProgressOptions {
  std::string file;
  bool watch = false;
  bool partitions = false;
  bool unmask = false;
  bool json = false;
};

enum class State : std::uint8_t { pending, inProgress, settled, packed };

constexpr std::string_view kStateNames[] = {"pending", "in progress", "settled", "packed"};

State stateOf(const CollectionProgress& collection, const PartitionInfo& partition) {
  if (partition.inProgress) return State::inProgress;
  if (partition.floor < collection.completeFrom) return State::pending;
  return partition.cold.rows != 0 ? State::packed : State::settled;
}

std::uint64_t remainingRows(const CompactionProgress& progress) {
  std::uint64_t rows = 0;
  for (const CollectionProgress& collection : progress.collections)
    rows += collection.rows - collection.doneRows;
  return rows;
}

bool isAlive(std::uint32_t process) { return ::kill(static_cast<pid_t>(process), 0) == 0 || errno == EPERM; }

// Of the rows that have to be upgraded; nothing where nobody can tell.
std::optional<std::uint64_t> secondsLeft(const CompactionProgress& progress) {
  const std::uint64_t rows = remainingRows(progress);
  if (rows == 0) return 0;
  const auto& report = progress.compactor;
  if (!report || !isAlive(report->process) || report->status.rowsPerSecond == 0) return std::nullopt;
  return rows / report->status.rowsPerSecond + 1;
}

// Nothing is left to do, and nobody is at it.
bool isDone(const CompactionProgress& progress) {
  const auto isSettled = [](const CollectionProgress& collection) { return collection.isSettled(); };
  if (!std::all_of(progress.collections.begin(), progress.collections.end(), isSettled)) return false;
  const auto& report = progress.compactor;
  return !report || !isAlive(report->process) || report->status.wait == WaitReason::idle ||
         report->status.wait == WaitReason::stopped;
}

// One look at the file, as text or as a line of JSON.
class View {
 public:
  View(const Store& store, const ProgressOptions& options)
      : store_(store),
        options_(options),
        transaction_(store.read()),
        progress_(compactionProgress(store, transaction_)) {}

  bool isDone() const { return tools::isDone(progress_); }
  bool isStopped() const { return progress_.compactor && progress_.compactor->stoppedByMismatch; }

  std::string text() {
    if (options_.json) {
      printJson();
    } else {
      if (progress_.collections.empty()) line("no collections");
      for (const CollectionProgress& collection : progress_.collections) printCollection(collection);
      printCompactor();
    }
    return std::move(out_);
  }

 private:
  void line(std::string_view text) { (out_ += text) += '\n'; }

  KeyPrinter keys(const std::string& collection) const {
    return keyPrinter(store_, transaction_, collection, options_.unmask);
  }

  // What went wrong may name keys, of whichever collection where none is named.
  std::string detail(const CompactionStatus& status) const {
    if (status.detail.empty() || options_.unmask) return status.detail;
    for (const CollectionProgress& collection : progress_.collections) {
      const bool isMeant = status.collection.empty() || status.collection == collection.name;
      if (isMeant && keys(collection.name).masksAnything()) return std::string(kMaskedPrefix) + "reason)";
    }
    return status.detail;
  }

  void printCollection(const CollectionProgress& collection) {
    line(collection.name + ": " + counted(collection.rows, "row") + " of version " +
         std::to_string(collection.version) + " and before, " + grouped(collection.doneRows) + " done, " +
         grouped(collection.rows - collection.doneRows) + " to be upgraded" +
         (collection.completeFrom > 1 ? " (those below " + std::to_string(collection.completeFrom) + ")"
                                      : ""));
    line("  " + grouped(collection.coldRows) + " rows packed into " + grouped(collection.coldBytes) +
         " bytes; " + grouped(collection.hotPages) + " pages of rows, " + grouped(collection.coldPages) +
         " of blocks");
    printSums(collection);
    printPartitions(collection);
  }

  // By state and floor.
  void printSums(const CollectionProgress& collection) {
    struct Sum {
      std::uint64_t partitions = 0, rows = 0, failedRows = 0;
      ColdTotals cold;
    };
    std::map<std::pair<State, std::uint16_t>, Sum> sums;
    for (const PartitionInfo& partition : collection.partitions) {
      Sum& sum = sums[{stateOf(collection, partition), partition.floor}];
      ++sum.partitions;
      sum.rows += partition.rows;
      sum.failedRows += partition.failedRows;
      sum.cold += partition.cold;
    }
    Table table({"  partitions", ">number", ">from version", ">rows", ">cold rows", ">cannot be upgraded"});
    for (const auto& [kind, sum] : sums) {
      table.add({"  " + std::string(kStateNames[static_cast<int>(kind.first)]), grouped(sum.partitions),
                 std::to_string(kind.second), grouped(sum.rows), grouped(sum.cold.rows),
                 grouped(sum.failedRows)});
    }
    out_ += table.text();
  }

  // Those in progress and the first that waits, unless all are asked for.
  void printPartitions(const CollectionProgress& collection) {
    const KeyPrinter printer = keys(collection.name);
    Table table({"  begins at", "state", ">from version", ">rows", ">cold rows", ">accesses a second",
                 "gone through"});
    bool any = false;
    bool firstPending = true;
    for (const PartitionInfo& partition : collection.partitions) {
      const State state = stateOf(collection, partition);
      const bool isFirstPending = state == State::pending && std::exchange(firstPending, false);
      if (!options_.partitions && state != State::inProgress && !isFirstPending) continue;
      any = true;
      table.add({"  " + printBound(printer, partition.lower),
                 std::string(kStateNames[static_cast<int>(state)]), std::to_string(partition.floor),
                 grouped(partition.rows), grouped(partition.cold.rows), printHeat(partition.heat),
                 partition.lastPassedAt == 0 ? "never" : printTime(partition.lastPassedAt)});
    }
    if (any) out_ += table.text();
  }

  static std::string printHeat(double heat) {
    std::string text = std::to_string(heat);
    return text.substr(0, text.find('.') + 3);
  }

  void printCompactor() {
    const auto& report = progress_.compactor;
    if (!report) {
      line("compaction: nobody has compacted this file in the background");
      return;
    }
    if (report->stoppedByMismatch) {
      line(
          "COMPACTION HAS STOPPED: what it read back was not what it had stored. Keep a copy of the file, "
          "then run "
          "`instar verify`");
    }
    const CompactionStatus& status = report->status;
    const std::string process = report->program + ", process " + std::to_string(report->process);
    if (!isAlive(report->process)) {
      line("compaction: its program is gone (" + process + "); it said last at " +
           printTime(report->updatedAt) + " that it " + std::string(describe(status.wait)));
    } else {
      line("compaction: " + std::string(describe(status.wait)) + " since " + printTime(report->since) + " (" +
           process + "; said at " + printTime(report->updatedAt) + ")" +
           (status.collection.empty() ? "" : ", in " + status.collection));
    }
    if (!status.detail.empty()) line("  last failure: " + detail(status));
    const auto left = secondsLeft(progress_);
    line("  " + grouped(status.bytesPerSecond) + " bytes a second, allowed " +
         (status.rate == 0 ? "without limit" : grouped(status.rate)) + "; " + grouped(status.rowsPerSecond) +
         " rows a second; time left: " +
         (!left        ? "unknown"
          : *left == 0 ? "none"
                       : printDuration(*left)));
  }

  void printJson() {
    JsonWriter writer(out_);
    writer.beginObject().name("done").boolean(isDone()).name("collections").beginArray();
    for (const CollectionProgress& collection : progress_.collections) write(writer, collection);
    writer.endArray().name("secondsLeft");
    if (const auto left = secondsLeft(progress_))
      writer.number(*left);
    else
      writer.null();
    writer.name("compactor");
    if (progress_.compactor)
      write(writer, *progress_.compactor);
    else
      writer.null();
    writer.endObject();
    out_ += '\n';
  }

  void write(JsonWriter& writer, const CollectionProgress& collection) const {
    const KeyPrinter printer = keys(collection.name);
    writer.beginObject().member("name", collection.name);
    writer.member("version", std::uint64_t{collection.version});
    writer.member("completeFrom", std::uint64_t{collection.completeFrom});
    writer.member("floor", std::uint64_t{collection.floor()}).name("settled").boolean(collection.isSettled());
    writer.member("rows", collection.rows).member("doneRows", collection.doneRows);
    writer.member("remainingRows", collection.rows - collection.doneRows);
    writer.member("coldRows", collection.coldRows).member("coldBytes", collection.coldBytes);
    writer.member("hotPages", collection.hotPages).member("coldPages", collection.coldPages);
    writer.name("partitions").beginArray();
    for (const PartitionInfo& partition : collection.partitions) {
      writer.beginObject().member("lower",
                                  partition.lower.empty() ? "" : printer.print(partition.lower.bytes()));
      writer.member("state", kStateNames[static_cast<int>(stateOf(collection, partition))]);
      writer.member("floor", std::uint64_t{partition.floor});
      writer.member("passedFor", std::uint64_t{partition.passedFor});
      writer.member("rows", partition.rows).member("failedRows", partition.failedRows);
      writer.member("coldRows", partition.cold.rows).member("coldBlocks", partition.cold.blocks);
      writer.member("coldBytes", partition.cold.bytes).name("heat").literal(std::to_string(partition.heat));
      writer.name("lastPassedAt");
      if (partition.lastPassedAt == 0)
        writer.null();
      else
        writer.text(printTime(partition.lastPassedAt));
      writer.endObject();
    }
    writer.endArray().endObject();
  }

  void write(JsonWriter& writer, const CompactorReport& report) const {
    const CompactionStatus& status = report.status;
    writer.beginObject().member("process", std::uint64_t{report.process}).member("program", report.program);
    writer.name("alive").boolean(isAlive(report.process)).member("updatedAt", printTime(report.updatedAt));
    writer.member("state", describe(status.wait)).member("since", printTime(report.since));
    writer.member("mode", report.mode == CompactionMode::compress ? "compress" : "upgrade");
    writer.name("stoppedByMismatch").boolean(report.stoppedByMismatch);
    writer.member("collection", status.collection).member("detail", detail(status));
    writer.member("rate", status.rate).member("bytesPerSecond", status.bytesPerSecond);
    writer.member("rowsPerSecond", status.rowsPerSecond).endObject();
  }

  const Store& store_;
  const ProgressOptions& options_;
  const ReadTransaction transaction_;
  const CompactionProgress progress_;
  std::string out_;
};

void sleep(const Interruption& interruption, std::chrono::milliseconds time) {
  for (; time.count() > 0; time -= kLongestSleep) {
    interruption.check();
    std::this_thread::sleep_for(kLongestSleep);
  }
  interruption.check();
}

// At a terminal the screen is drawn anew; elsewhere it is printed again where something has changed.
void watch(Context& context, const ProgressOptions& options) {
  const Interruption interruption;
  for (std::string before;;) {
    const Store store = openToRead(options.file);
    View view(store, options);
    std::string text = view.text();
    if (text != before) {
      if (context.outputIsSeen && !options.json) context.output.write(kToEmptyScreen);
      context.output.write(text);
      context.output.flush();
      before = std::move(text);
    }
    if (view.isStopped()) context.found(ExitStatus::damage);
    if (view.isDone() || view.isStopped()) return;
    sleep(interruption, kInterval);
  }
}

void runProgress(Context& context, const ProgressOptions& options) {
  if (options.watch) return watch(context, options);
  const Store store = openToRead(options.file);
  View view(store, options);
  context.output.write(view.text());
  if (view.isStopped()) context.found(ExitStatus::damage);
}

}  // namespace

void addProgressCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<ProgressOptions>();
  CLI::App* command =
      app.add_subcommand("progress", "Shows how far compaction is, how fast it is and why it waits");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_flag("--watch", options->watch, "show it again every second, until nothing is left to do");
  command->add_flag("--partitions", options->partitions, "list all partitions");
  command->add_flag("--unmask", options->unmask, "show keys and reasons with sensitive fields");
  command->add_flag("--json", options->json, "print JSON; with --watch a line for each change");
  command->footer(
      "A row is done where no older version can be in its partition. pending: older rows may be there; "
      "settled:\n"
      "none are; packed: settled, and in compressed blocks. Rows of a partition are those of the last pass "
      "over it.\n"
      "Ctrl-C ends --watch. The exit status is 4 where compaction has stopped because what it read back was "
      "not\n"
      "what it had stored.\n\n"
      "Example:\n  instar progress contacts.instar --watch");
  command->callback(
      [&context, options] { context.action = [&context, options] { runProgress(context, *options); }; });
}

}  // namespace instar::tools
