// `instar verify` and `instar audit`: what compaction has stored, and what it has done.

#include <algorithm>
#include <map>
#include <memory>

#include "instar/engine/compaction.h"
#include "instar/format/key_text.h"
#include "instar/tools/commands/canary_report.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/commands/failed_rows.h"
#include "instar/tools/commands/table.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

constexpr AuditEvent kLastEvent = AuditEvent::unsettled;

struct AuditOptions {
  std::string file;
  std::uint64_t after = 0;
  std::uint64_t limit = UINT64_MAX;
  std::string event;
  bool resume = false;
  bool unmask = false;
  bool json = false;
};

// Keys as the collections of a file print them; masked where a schema cannot be read.
class Keys {
 public:
  Keys(const Store& store, bool unmask) : store_(store), transaction_(store.read()), unmask_(unmask) {}

  std::string bound(const std::string& collection, const Key& lower) {
    const auto& printer = find(collection);
    if (printer) return printBound(*printer, lower);
    return unmask_ ? "0x" + toHex(lower.bytes()) : std::string(kMaskedPrefix) + "key)";
  }

  // In words; of what went wrong it may name keys, of whichever collection where the entry names none, and of
  // how a trial has ended it may say what a function has said of a row.
  std::string reason(const AuditEntry& entry) {
    const bool mayNameKeys = entry.event == AuditEvent::mismatch || entry.event == AuditEvent::failed ||
                             entry.event == AuditEvent::circuitOpened;
    const bool mayQuoteFunctions = entry.event == AuditEvent::aborted || entry.event == AuditEvent::promoted;
    if (unmask_) return entry.reason;
    if (mayQuoteFunctions && hides(entry.collection)) return maskFunctionWords(entry.reason);
    if (!mayNameKeys) return entry.reason;
    bool masks = false;
    for (const CollectionInfo& collection : store_.collections(transaction_)) {
      if (!entry.collection.empty() && entry.collection != collection.name) continue;
      const auto& printer = find(collection.name);
      masks |= !printer || printer->masksAnything();
    }
    return masks ? maskedWords() : entry.reason;
  }

  // Nothing where a schema cannot be read.
  const std::optional<KeyPrinter>& find(const std::string& name) {
    const auto [entry, isNew] = printers_.try_emplace(name);
    if (!isNew) return entry->second;
    try {
      entry->second.emplace(keyPrinter(store_, transaction_, name, unmask_));
    } catch (const Error&) {  // a damaged catalog
    }
    return entry->second;
  }

 private:
  // Whether something of the collection is sensitive, or nobody can tell.
  bool hides(const std::string& collection) const {
    try {
      return !collectionMasking(store_, transaction_, collection).empty();
    } catch (const Error&) {  // a damaged catalog
      return true;
    }
  }

  const Store& store_;
  const ReadTransaction transaction_;
  const bool unmask_;
  std::map<std::string, std::optional<KeyPrinter>> printers_;
};

std::string printChecksum(std::uint64_t checksum) {
  std::byte bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = std::byte(checksum >> (56 - 8 * i));
  return toHex(bytes);
}

void write(JsonWriter& writer, const char* name, const ColdTotals& totals) {
  writer.name(name).beginObject().member("rows", totals.rows).member("blocks", totals.blocks);
  writer.member("bytes", totals.bytes).member("checksum", printChecksum(totals.checksum)).endObject();
}

// --- verify

void printVerification(Output& output, const Verification& verification, Keys& keys) {
  Table table({"collection", "partition", ">rows", ">blocks", "checksum", ""});
  for (const VerifiedPartition& partition : verification.partitions) {
    if (partition.problem.empty()) continue;
    const auto add = [&](const ColdTotals& totals, const std::string& note) {
      table.add({partition.collection, keys.bound(partition.collection, partition.lower),
                 grouped(totals.rows), grouped(totals.blocks), printChecksum(totals.checksum), note});
    };
    add(partition.expected, "as it was packed");
    add(partition.found, "as it is: " + partition.problem);
  }
  if (verification.problems != 0) table.print(output);
  output.line(counted(verification.rows, "cold row") + " in " +
              counted(verification.partitions.size(), "partition") + ", " +
              (verification.problems == 0 ? "all as they were packed"
                                          : counted(verification.problems, "partition") + " with a problem"));
  for (const KeptPreimages& kept : verification.kept)
    output.line("of " + kept.collection + " " + describe(kept));
}

void writeVerification(Output& output, const Verification& verification, Keys& keys, bool resumed) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject().name("sound").boolean(verification.problems == 0);
  writer.member("rows", verification.rows).member("problems", verification.problems);
  writer.name("resumed").boolean(resumed).name("partitions").beginArray();
  for (const VerifiedPartition& partition : verification.partitions) {
    writer.beginObject().member("collection", partition.collection);
    writer.member("lower", partition.lower.empty() ? "" : keys.bound(partition.collection, partition.lower));
    write(writer, "expected", partition.expected);
    write(writer, "found", partition.found);
    writer.member("problem", partition.problem).endObject();
  }
  writer.endArray().name("kept").beginArray();
  for (const KeptPreimages& kept : verification.kept) {
    writer.beginObject().member("collection", kept.collection);
    writer.member("rows", kept.rows).member("blocks", kept.blocks).endObject();
  }
  writer.endArray().endObject();
  output.line(out);
}

void runVerify(Context& context, const AuditOptions& options) {
  const Store store = options.resume ? openToWrite(options.file) : openToRead(options.file);
  ProgressLine progress(context.messages, "rows", context.clock);
  const Verification verification = verify(store, progress.callback());
  progress.clear();
  const bool resumed = options.resume && verification.problems == 0 && resumeCompaction(store);
  Keys keys(store, false);
  if (options.json)
    writeVerification(context.output, verification, keys, resumed);
  else
    printVerification(context.output, verification, keys);
  if (verification.problems != 0) context.found(ExitStatus::damage);
  if (!resumed) return;
  context.message("programs may compact the file again" +
                  std::string(verification.kept.empty()
                                  ? ""
                                  : "; what is kept of a partition goes when its pass has "
                                    "ended and all of it is sound"));
}

// --- audit

std::string describeVersions(const AuditEntry& entry) {
  const std::string from = "version " + std::to_string(entry.fromVersion);
  const std::string to = std::to_string(entry.toVersion);
  if (entry.event == AuditEvent::staged)
    return "version " + to + " beside " + std::to_string(entry.fromVersion);
  if (entry.event == AuditEvent::aborted) return from + "; " + to + " is the current one";
  if (entry.event == AuditEvent::retired) return "programs of " + from + " and below";
  if (entry.fromVersion != 0 && entry.fromVersion != entry.toVersion) return from + " to " + to;
  return entry.toVersion == 0 ? "" : "version " + to;
}

// The numbers that belong to the event.
std::string describeEntry(const AuditEntry& entry) {
  std::string text = describeVersions(entry);
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (entry.rows != 0) add(counted(entry.rows, "row"));
  if (entry.failedRows != 0) add(grouped(entry.failedRows) + " cannot be upgraded");
  if (entry.cold.rows != 0) {
    add(grouped(entry.cold.rows) + " packed in " + counted(entry.cold.blocks, "block") + " of " +
        counted(entry.cold.bytes, "byte") + ", checksum " + printChecksum(entry.cold.checksum));
  }
  if (entry.bytes != 0) add(counted(entry.bytes, "byte"));
  if (entry.taken.count() != 0) add(grouped(static_cast<std::uint64_t>(entry.taken.count())) + " ms");
  return text;
}

void printEntry(Output& output, const AuditEntry& entry, Keys& keys) {
  std::string line = std::to_string(entry.number) + "  " + printTime(entry.time) + "  " +
                     std::string(auditEventName(entry.event));
  if (!entry.collection.empty()) line += "  " + entry.collection;
  if (entry.partition) line += " from " + keys.bound(entry.collection, *entry.partition);
  if (const std::string numbers = describeEntry(entry); !numbers.empty()) line += ": " + numbers;
  if (!entry.reason.empty()) line += "; " + keys.reason(entry);
  output.line(line + "  (" + entry.program + ")");
  if (entry.failures.empty()) return;
  if (const auto& printer = keys.find(entry.collection))
    printFailures(output, entry.failures, entry.failedRows, *printer);
}

void writeEntry(JsonWriter& writer, const AuditEntry& entry, Keys& keys) {
  writer.beginObject().member("number", entry.number).member("time", printTime(entry.time));
  writer.member("event", auditEventName(entry.event))
      .member("collection", entry.collection)
      .name("partition");
  if (entry.partition)
    writer.text(entry.partition->empty() ? "" : keys.bound(entry.collection, *entry.partition));
  else
    writer.null();
  writer.member("fromVersion", std::uint64_t{entry.fromVersion});
  writer.member("toVersion", std::uint64_t{entry.toVersion});
  writer.member("rows", entry.rows).member("failedRows", entry.failedRows);
  if (!entry.failures.empty()) {
    if (const auto& printer = keys.find(entry.collection)) writeFailures(writer, entry.failures, *printer);
  }
  write(writer, "cold", entry.cold);
  writer.member("bytes", entry.bytes).member("milliseconds", static_cast<std::uint64_t>(entry.taken.count()));
  writer.member("reason", keys.reason(entry)).member("program", entry.program);
  writer.endObject();
}

std::vector<std::string> eventNames() {
  std::vector<std::string> names;
  for (int event = 1; event <= static_cast<int>(kLastEvent); ++event)
    names.emplace_back(auditEventName(static_cast<AuditEvent>(event)));
  return names;
}

void runAudit(Context& context, const AuditOptions& options) {
  const Store store = openToRead(options.file);
  // A limit counts what is printed, so it is not the library's where events are chosen.
  AuditTrail trail =
      readAudit(store, store.read(), options.after, options.event.empty() ? options.limit : UINT64_MAX);
  if (!options.event.empty())
    std::erase_if(trail.entries,
                  [&](const auto& entry) { return auditEventName(entry.event) != options.event; });
  if (trail.entries.size() > options.limit) trail.entries.resize(options.limit);
  Keys keys(store, options.unmask);
  if (options.json) {
    std::string out;
    JsonWriter writer(out);
    writer.beginObject().member("damage", trail.damage).name("entries").beginArray();
    for (const AuditEntry& entry : trail.entries) writeEntry(writer, entry, keys);
    writer.endArray().endObject();
    context.output.line(out);
  } else {
    for (const AuditEntry& entry : trail.entries) printEntry(context.output, entry, keys);
  }
  if (trail.damage.empty()) return;
  context.message("the audit is damaged: " + trail.damage);
  context.found(ExitStatus::damage);
}

}  // namespace

void addVerifyCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<AuditOptions>();
  CLI::App* command = app.add_subcommand(
      "verify", "Reads every packed row back and compares it with what compaction has written down");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_flag("--resume", options->resume,
                    "where all is sound, let programs compact again after a mismatch has stopped them");
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "Rows, blocks and the checksum of each partition; the application is not needed. The exit status is 4 "
      "where\n"
      "one of them is not what it was when it was packed. Rows that are not packed are for `instar "
      "check`.\n"
      "How much compaction keeps of what it has replaced is said too. --resume erases none of it; what goes "
      "on\n"
      "from there does, once the partition is sound: `instar dump --preimages` first, where it may be "
      "needed.\n\n"
      "Example:\n  instar verify contacts.instar");
  command->callback(
      [&context, options] { context.action = [&context, options] { runVerify(context, *options); }; });
}

void addAuditCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<AuditOptions>();
  CLI::App* command =
      app.add_subcommand("audit", "Prints what compaction has done, and how versions came and went");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("--after", options->after, "only entries behind this number")
      ->type_name("N")
      ->check(wholeNumberProblem);
  command->add_option("--limit", options->limit, "at most so many entries")
      ->type_name("N")
      ->check(wholeNumberProblem);
  command->add_option("--event", options->event, "only this kind: passEnded, mismatch, promoted, aborted, …")
      ->check(CLI::IsMember(eventNames()).description(""))
      ->type_name("EVENT");
  command->add_flag("--unmask", options->unmask, "show keys and reasons with sensitive fields");
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "Each entry carries the hash of the one before it. The exit status is 4 where the chain is broken, "
      "from the\n"
      "first entry that is printed on, or its end is missing.\n\n"
      "Example:\n  instar audit contacts.instar --event passEnded --limit 20");
  command->callback(
      [&context, options] { context.action = [&context, options] { runAudit(context, *options); }; });
}

}  // namespace instar::tools
