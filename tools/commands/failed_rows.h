#pragma once

// Rows that cannot be upgraded, as the commands list them. One thread.

#include "instar/engine/rehearsal.h"
#include "instar/tools/json_text.h"
#include "instar/tools/masking.h"
#include "instar/tools/output.h"

namespace instar::tools {

// `failed` counts those that are not listed too.
void printFailures(Output& output, const std::vector<FailedRow>& failures, std::uint64_t failed,
                   const KeyPrinter& keys);
void writeFailures(JsonWriter& writer, const std::vector<FailedRow>& failures, const KeyPrinter& keys);

void printRehearsal(Output& output, const Rehearsal& rehearsal, const KeyPrinter& keys);
// As a member "rehearsal" of an object.
void writeRehearsal(JsonWriter& writer, const Rehearsal& rehearsal, const KeyPrinter& keys);

}  // namespace instar::tools
