#include "instar/tools/commands/failed_rows.h"

#include "instar/tools/progress_line.h"

namespace instar::tools {

namespace {

std::string reasonOf(const FailedRow& row) {
  return (row.field.empty() ? "" : row.field + ": ") + row.reason;
}

}  // namespace

void printFailures(Output& output, const std::vector<FailedRow>& failures, std::uint64_t failed,
                   const KeyPrinter& keys) {
  for (const FailedRow& row : failures) {
    output.line("  " + keys.print(row.key) + ", version " + std::to_string(row.version) + ": " +
                reasonOf(row));
  }
  if (failed > failures.size()) output.line("  …");
}

void writeFailures(JsonWriter& writer, const std::vector<FailedRow>& failures, const KeyPrinter& keys) {
  writer.name("failures").beginArray();
  for (const FailedRow& row : failures) {
    writer.beginObject().member("key", keys.print(row.key)).member("version", std::uint64_t{row.version});
    writer.member("field", row.field).member("reason", row.reason).endObject();
  }
  writer.endArray();
}

void printRehearsal(Output& output, const Rehearsal& rehearsal, const KeyPrinter& keys) {
  output.line(counted(rehearsal.rows, "row") + ", " + grouped(rehearsal.older) +
              " of them to be upgraded whenever they are read; " + grouped(rehearsal.failed) + " cannot be");
  if (rehearsal.unjudged != 0)
    output.line(counted(rehearsal.unjudged, "row") +
                " not tried in full: that needs a function that only the application has");
  for (const FailureKind& kind : rehearsal.kinds) {
    if (kind.rows < 2) break;  // told by the row itself
    output.line("  " + counted(kind.rows, "row") + " of version " + std::to_string(kind.example.version) +
                ": " + reasonOf(kind.example));
  }
  printFailures(output, rehearsal.failures, rehearsal.failed, keys);
}

void writeRehearsal(JsonWriter& writer, const Rehearsal& rehearsal, const KeyPrinter& keys) {
  writer.name("rehearsal").beginObject().member("rows", rehearsal.rows);
  writer.member("older", rehearsal.older).member("failed", rehearsal.failed);
  writer.name("reasons").beginArray();
  for (const FailureKind& kind : rehearsal.kinds) {
    writer.beginObject().member("rows", kind.rows).member("version", std::uint64_t{kind.example.version});
    writer.member("field", kind.example.field).member("reason", kind.example.reason).endObject();
  }
  writer.endArray();
  writeFailures(writer, rehearsal.failures, keys);
  writer.member("unjudged", rehearsal.unjudged).endObject();
}

}  // namespace instar::tools
