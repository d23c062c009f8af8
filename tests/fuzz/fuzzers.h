#pragma once

// The fuzzers: what each does to one input. The same function runs in a program of libFuzzer
// (`./dev fuzz`) and in the normal suite, over what lies in corpus/NAME. Each throws BrokenPromise where a
// promise about arbitrary input is broken; errors that the promise allows it catches itself.
//
// A new one: a file with its function, a line here and in fuzzers.cc, its name in CMakeLists.txt, and
// inputs in corpus/NAME. Any thread.

#include <span>
#include <string_view>

#include "instar/tests/fuzz/input.h"

namespace instar::fuzz {

void fuzzAdmission(Bytes input);  // damaged and odd schemas in pairs: read, compared, judged, admitted
void fuzzBlock(Bytes input);      // cold blocks
void fuzzCatalog(Bytes input);    // every record of a file's catalog and audit, and all that reads them
void fuzzImport(Bytes input);     // rows in ndjson, csv and tsv
void fuzzJson(Bytes input);       // one row in JSON
void fuzzKey(Bytes input);        // keys as bytes and as text
void fuzzPlan(Bytes input);       // two versions of a record type and a row: upgraded, mirrored, canary-read
void fuzzRow(Bytes input);        // stored rows, and every form in which they are printed
void fuzzScalar(Bytes input);     // scalars as text
void fuzzWalker(Bytes input);     // damaged files: their pages, and what is salvaged of them

struct Fuzzer {
  std::string_view name;
  void (*run)(Bytes input);
};
std::span<const Fuzzer> fuzzers() noexcept;

}  // namespace instar::fuzz
