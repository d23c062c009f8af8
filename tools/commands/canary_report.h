#pragma once

// What canary reads have shown, as the commands print it. One thread.

#include <string_view>
#include <vector>

#include "instar/engine/staging.h"
#include "instar/tools/json_text.h"
#include "instar/tools/masking.h"
#include "instar/tools/output.h"

namespace instar::tools {

// Hides the values of sensitive fields; those that the versions themselves mark are not counted at all.
struct FieldMasking {
  RecordSchema schema;  // of the version that is tried
  Masking masking;

  bool masks(const CanaryField& field) const { return masking.masksPath(schema.root(), field.name); }
};

std::string_view verdictName(GuardVerdict verdict);

// Lines that begin with two blanks.
void printCanary(Output& output, const CanaryStatistics& canary, const FieldMasking& masking);
void printDivergences(Output& output, const std::vector<Divergence>& divergences, const KeyPrinter& keys);

// As members of an object.
void writeGuardRails(JsonWriter& writer, const GuardRails& rails);
void writeDecision(JsonWriter& writer, const GuardDecision& decision);
void writeCanary(JsonWriter& writer, const CanaryStatistics& canary, const FieldMasking& masking);
void writeDivergences(JsonWriter& writer, const std::vector<Divergence>& divergences, const KeyPrinter& keys);

}  // namespace instar::tools
