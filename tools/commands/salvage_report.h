#pragma once

// What salvage has found, for people and as JSON. Keys are masked as everywhere. One thread.

#include "instar/engine/salvage.h"
#include "instar/tools/commands/command.h"

namespace instar::tools {

class JsonWriter;

// One line: "page 12 of rows/notes: it cannot be read".
std::string describeProblem(const PageProblem& problem);

// `salvaged` is the new file, whose schemas say how keys are written.
void printSalvageText(Context& context, const SalvageReport& report, const Store& salvaged, bool unmask);
void printSalvageJson(Context& context, const SalvageReport& report, const Store& salvaged, bool unmask);

// Adds "pageProblemCount" and "pageProblems" to an object that is open.
void writeProblems(JsonWriter& writer, std::uint64_t count, const std::vector<PageProblem>& problems);

}  // namespace instar::tools
