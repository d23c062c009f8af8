#include "instar/tools/commands/canary_report.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "instar/evolve/guard_reason.h"
#include "instar/tools/commands/guard_rail_options.h"
#include "instar/tools/commands/table.h"
#include "instar/tools/progress_line.h"

namespace instar::tools {
namespace {

constexpr std::pair<const char*, double> kQuantiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

// --- text

void printTally(Output& output, const FailureTally& tally, const FieldMasking& masking) {
  for (const auto& [failure, reads] : tally.kinds()) {
    std::string where;
    if (!failure.field.empty()) where += " at " + failure.field;
    if (!failure.function.empty()) where += " by " + failure.function;
    output.line("    " + grouped(reads) + where + ": " + masking.reason(failure));
  }
  if (tally.others() != 0) output.line("    " + grouped(tally.others()) + " for other reasons");
}

// "12.5 %, 1 to 99, mean 42"
std::string printDistribution(const FieldDistribution& values, bool isMasked) {
  if (values.rows == 0) return "not there";
  std::string text = printPercent(100 - values.unsetShare() * 100) + " set";
  if (values.numbers == 0 || isMasked) return text;
  text += ", " + figure(values.least) + " to " + figure(values.greatest);
  return text + ", mean " + figure(*values.mean());
}

void printFields(Output& output, const std::vector<CanaryField>& fields, const FieldMasking& masking) {
  if (fields.empty()) return;
  Table table({"  field", "active", "staged", ">diverged", ">unexpectedly unset"});
  for (const CanaryField& field : fields) {
    const bool isMasked = masking.masks(field);
    table.add({"  " + field.name, printDistribution(field.active, isMasked),
               printDistribution(field.staged, isMasked), grouped(field.diverged),
               grouped(field.unexpectedlyUnset)});
  }
  table.print(output);
}

void printLatency(Output& output, const CanaryStatistics& canary) {
  Table table({"  latency", ">half", ">90 %", ">99 %", ">99.9 %", ">times"});
  const auto add = [&](const char* name, const LatencyHistogram& histogram, const std::string& times) {
    std::vector<std::string> cells{name};
    for (const auto& [quantile, share] : kQuantiles)
      cells.push_back(figure(static_cast<double>(histogram.quantile(share).count()) / 1000) + " µs");
    cells.push_back(times);
    table.add(std::move(cells));
  };
  const auto active = static_cast<double>(canary.activeLatency.quantile(0.5).count());
  const auto staged = static_cast<double>(canary.stagedLatency.quantile(0.5).count());
  add("  active", canary.activeLatency, "");
  add("  staged", canary.stagedLatency, figure(std::round(staged / std::max(active, 1.0) * 100) / 100));
  table.print(output);
}

// --- JSON

void writeTally(JsonWriter& writer, const char* name, const char* others, const FailureTally& tally,
                const FieldMasking& masking) {
  writer.name(name).beginArray();
  for (const auto& [failure, reads] : tally.kinds()) {
    writer.beginObject().member("reads", reads).member("field", failure.field);
    writer.member("function", failure.function).member("reason", masking.reason(failure)).endObject();
  }
  writer.endArray().member(others, tally.others());
}

void writeDistribution(JsonWriter& writer, const char* name, const FieldDistribution& values, bool isMasked) {
  writer.name(name);
  if (values.rows == 0) {
    writer.null();
    return;
  }
  writer.beginObject().member("rows", values.rows).member("unset", values.unset);
  if (values.numbers != 0 && !isMasked) {
    writeNumber(writer.member("numbers", values.numbers).name("least"), values.least);
    writeNumber(writer.name("greatest"), values.greatest);
    writeNumber(writer.name("mean"), *values.mean());
  }
  writer.endObject();
}

void writeLatency(JsonWriter& writer, const char* name, const LatencyHistogram& histogram) {
  writer.name(name).beginObject().member("reads", histogram.count());
  for (const auto& [quantile, share] : kQuantiles)
    writer.member(quantile, static_cast<std::uint64_t>(histogram.quantile(share).count()));
  writer.endObject();
}

}  // namespace

std::string maskedWords() { return std::string(kMaskedPrefix) + "reason)"; }

std::string maskFunctionWords(std::string_view reason) {
  const std::size_t words = functionWords(reason);
  if (words == reason.npos) return std::string(reason);
  return std::string(reason.substr(0, words)) + maskedWords();
}

void writeNumber(JsonWriter& writer, double value) {
  if (!std::isfinite(value)) {
    writer.null();
    return;
  }
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  writer.literal({text, static_cast<std::size_t>(end - text)});
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string_view verdictName(GuardVerdict verdict) {
  switch (verdict) {
    case GuardVerdict::undecided:
      return "undecided";
    case GuardVerdict::breach:
      return "breach";
    case GuardVerdict::satisfied:
      return "satisfied";
  }
  return "unknown";
}

void printCanary(Output& output, const CanaryStatistics& canary, const FieldMasking& masking) {
  output.line("  " + counted(canary.samples, "canary read") + ": " + grouped(canary.failed) + " failed, " +
              grouped(canary.brokeRules) + " broke a rule, " + grouped(canary.diverged) + " diverged, " +
              grouped(canary.unexpectedlyUnset) + " lost a value");
  if (canary.passedOver != 0)
    output.line("  " + grouped(canary.passedOver) + " reads came too fast, and were passed over");
  if (canary.failed != 0) {
    output.line("  failed:");
    printTally(output, canary.failures, masking);
  }
  if (canary.brokeRules != 0) {
    output.line("  broke a rule:");
    printTally(output, canary.brokenRules, masking);
  }
  printFields(output, canary.fields, masking);
  if (canary.activeLatency.count() != 0) printLatency(output, canary);
}

void printDivergences(Output& output, const std::vector<Divergence>& divergences, const KeyPrinter& keys) {
  Table table({"  diverged", "fields", ">version", "seen"});
  for (const Divergence& one : divergences) {
    table.add({"  " + keys.print(one.key.bytes()), joined(one.fields), std::to_string(one.version),
               printTime(one.seenAt)});
  }
  if (divergences.empty())
    output.line("  no row has diverged");
  else
    table.print(output);
}

void writeGuardRails(JsonWriter& writer, const GuardRails& rails) {
  writer.name("guardRails").beginObject().member("minimumSamples", rails.minimumSamples);
  writeNumber(writer.name("maxErrorShare"), rails.maxErrorShare);
  writeNumber(writer.name("maxDivergenceShare"), rails.maxDivergenceShare);
  writeNumber(writer.name("maxLatencyRatio"), rails.maxLatencyRatio);
  writer.member("holdForSeconds", static_cast<std::uint64_t>(rails.holdFor.count())).endObject();
}

void writeDecision(JsonWriter& writer, const GuardDecision& decision, const FieldMasking& masking) {
  writer.member("verdict", verdictName(decision.verdict)).member("reason", masking.reason(decision.reason));
}

void writeCanary(JsonWriter& writer, const CanaryStatistics& canary, const FieldMasking& masking) {
  writer.member("samples", canary.samples)
      .member("passedOver", canary.passedOver)
      .member("failed", canary.failed);
  writer.member("brokeRules", canary.brokeRules).member("diverged", canary.diverged);
  writer.member("unexpectedlyUnset", canary.unexpectedlyUnset);
  writeTally(writer, "failures", "otherFailures", canary.failures, masking);
  writeTally(writer, "brokenRules", "otherBrokenRules", canary.brokenRules, masking);
  writer.name("fields").beginArray();
  for (const CanaryField& field : canary.fields) {
    const bool isMasked = masking.masks(field);
    writer.beginObject().member("field", field.name);
    writeDistribution(writer, "active", field.active, isMasked);
    writeDistribution(writer, "staged", field.staged, isMasked);
    writer.member("diverged", field.diverged).member("unexpectedlyUnset", field.unexpectedlyUnset);
    writer.endObject();
  }
  writer.endArray().name("latencyNanoseconds").beginObject();
  writeLatency(writer, "active", canary.activeLatency);
  writeLatency(writer, "staged", canary.stagedLatency);
  writer.endObject();
}

void writeDivergences(JsonWriter& writer, const std::vector<Divergence>& divergences,
                      const KeyPrinter& keys) {
  writer.name("divergences").beginArray();
  for (const Divergence& one : divergences) {
    writer.beginObject().member("key", keys.print(one.key.bytes())).name("fields").beginArray();
    for (const std::string& field : one.fields) writer.text(field);
    writer.endArray().member("version", std::uint64_t{one.version});
    writer.member("seenAt", printTime(one.seenAt)).endObject();
  }
  writer.endArray();
}

}  // namespace instar::tools
