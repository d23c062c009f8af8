// Arbitrary text as a value of each scalar type: nothing, or a value that is printed and read again as the
// same.

#include <capnp/schema.h>

#include "instar/evolve/scalar_text.h"
#include "instar/tests/fuzz/fuzzers.h"
#include "instar/tests/fuzz/sample.capnp.h"
#include "instar/tools/scalar_text.h"

namespace {

using namespace instar;

void checkScalar(std::string_view text, capnp::Type type) {
  const auto value = parseScalar(text, type);
  if (!value) return;
  const std::string printed = printScalar(*value, type);
  const auto again = parseScalar(printed, type);
  fuzz::require(again.has_value(), "a value that is printed is read");
  fuzz::require(printScalar(*again, type) == printed, "and is the same");
}

void checkBase64(std::string_view text) {
  std::string bytes;
  if (!tools::fromBase64(text, bytes)) return;
  std::string again;
  fuzz::require(tools::fromBase64(tools::toBase64(asBytes(bytes)), again) && again == bytes,
                "bytes come back from base64");
}

}  // namespace

void instar::fuzz::fuzzScalar(Bytes bytes) {
  using Which = capnp::schema::Type;
  const std::string_view text = asText(bytes);
  for (const auto which : {Which::BOOL, Which::INT8, Which::INT16, Which::INT32, Which::INT64, Which::UINT8,
                           Which::UINT16, Which::UINT32, Which::UINT64, Which::FLOAT32, Which::FLOAT64}) {
    checkScalar(text, capnp::Type(which));
  }
  checkScalar(text, capnp::Type(capnp::EnumSchema(capnp::Schema::from<Colour>())));
  checkBase64(text);
}
