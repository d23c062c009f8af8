#pragma once

// What comes out of a file, as the text that lies beside each frozen one. One thread.

#include <filesystem>
#include <string>

#include "instar/tests/frozen/states.h"

namespace instar::frozen {

// All of it, in parts that begin with a line "== …": what the file says of itself, with the states of its
// versions; the rows as the file has them, then as each program does; what check finds; of a damaged one what
// salvage brings out. The file is only read. Rows are JSON, as `instar dump --with-version` prints them.
std::string describe(const FileState& state, const std::filesystem::path& file);

// The lines of one part of it; empty where there is none.
std::string partOf(const std::string& description, const std::string& part);

inline const std::string kRowsPart = "rows";
inline const std::string kSalvagedPart = "salvaged";

// Of very many lines a few, and what all of them add up to.
std::string abridged(const std::string& lines);

// The rows of all collections through their newest versions.
void describeRows(std::string& text, const Store& store);

}  // namespace instar::frozen
