#pragma once

// The inputs of a fuzzer that are kept in the repository. One thread.

#include <filesystem>
#include <string>
#include <vector>

#include "instar/tests/fuzz/fuzzers.h"

namespace instar::fuzz {

struct CorpusReport {
  std::size_t inputs = 0;
  std::vector<std::string> broken;  // the input's name and what it has broken
};

// Runs every file of the folder; an exception of any kind is a broken promise.
CorpusReport runCorpus(const Fuzzer& fuzzer, const std::filesystem::path& folder);

}  // namespace instar::fuzz
