#pragma once
// The runs as one HTML page that needs nothing else: pictures, drawn by a script that is in it, and a table
// for those without one. Each call is on its own; any thread.

#include <filesystem>
#include <span>
#include <string>

namespace instar::bench {

// Each run is a JSON object as capnp-json writes a Run (run.capnp). Throws std::invalid_argument with the
// place of a text that is none, before anything is written, and std::runtime_error where the file cannot be
// written.
void writePage(std::span<const std::string> runsAsJson, const std::filesystem::path& to);

}  // namespace instar::bench
