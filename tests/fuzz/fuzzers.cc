#include "instar/tests/fuzz/fuzzers.h"

#include <array>

namespace instar::fuzz {

std::span<const Fuzzer> fuzzers() noexcept {
  static constexpr std::array kFuzzers = {
      Fuzzer{"admission", fuzzAdmission}, Fuzzer{"block", fuzzBlock}, Fuzzer{"catalog", fuzzCatalog},
      Fuzzer{"import", fuzzImport},       Fuzzer{"json", fuzzJson},   Fuzzer{"key", fuzzKey},
      Fuzzer{"plan", fuzzPlan},           Fuzzer{"row", fuzzRow},     Fuzzer{"scalar", fuzzScalar},
      Fuzzer{"walker", fuzzWalker},
  };
  return kFuzzers;
}

}  // namespace instar::fuzz
