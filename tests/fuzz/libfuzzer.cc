// The program of one fuzzer, which INSTAR_FUZZER names.

#include <cstdlib>

#include "instar/tests/fuzz/fuzzers.h"

namespace {

const instar::fuzz::Fuzzer& chosen() {
  for (const auto& fuzzer : instar::fuzz::fuzzers())
    if (fuzzer.name == INSTAR_FUZZER) return fuzzer;
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const instar::fuzz::Fuzzer& fuzzer = chosen();
  fuzzer.run(std::as_bytes(std::span(data, size)));
  return 0;
}
