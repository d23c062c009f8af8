#pragma once

// What canary reads have shown, as the commands print it. One thread.

#include <string>
#include <string_view>
#include <vector>

#include "instar/engine/staging.h"
#include "instar/tools/json_text.h"
#include "instar/tools/masking.h"
#include "instar/tools/output.h"

namespace instar::tools {

// What stands for the words of a function: `$masked(reason)`.
std::string maskedWords();
// A reason of guard rails (evolve/guard_reason.h) without the words of a function, if there are any.
std::string maskFunctionWords(std::string_view reason);

// Hides the values of sensitive fields; those that the versions themselves mark are not counted at all. Where
// there are any, it also hides what functions say of rows.
struct FieldMasking {
  RecordSchema schema;  // of the version that is tried
  Masking masking;

  bool masks(const CanaryField& field) const { return masking.masksPath(schema.root(), field.name); }
  std::string reason(const CanaryFailure& failure) const {
    return masking.empty() || failure.function.empty() ? failure.reason : maskedWords();
  }
  std::string reason(const std::string& ofGuardRails) const {
    return masking.empty() ? ofGuardRails : maskFunctionWords(ofGuardRails);
  }
};

// A number of JSON, as short as it can be and read back the same; null for what JSON has no number for.
void writeNumber(JsonWriter& writer, double value);
// Names of fields: "name, address.city".
std::string joined(const std::vector<std::string>& names);
std::string_view verdictName(GuardVerdict verdict);

// Lines that begin with two blanks.
void printCanary(Output& output, const CanaryStatistics& canary, const FieldMasking& masking);
void printDivergences(Output& output, const std::vector<Divergence>& divergences, const KeyPrinter& keys);

// As members of an object.
void writeGuardRails(JsonWriter& writer, const GuardRails& rails);
void writeDecision(JsonWriter& writer, const GuardDecision& decision, const FieldMasking& masking);
void writeCanary(JsonWriter& writer, const CanaryStatistics& canary, const FieldMasking& masking);
void writeDivergences(JsonWriter& writer, const std::vector<Divergence>& divergences, const KeyPrinter& keys);

}  // namespace instar::tools
