// Arbitrary bytes as a key: what decodes encodes to the same bytes again, and what is printed is read back as
// the same key.

#include "instar/evolve/record_schema.h"
#include "instar/format/error.h"
#include "instar/format/key_text.h"
#include "instar/tests/fuzz/fuzzing.h"
#include "instar/tests/fuzz/sample.capnp.h"

namespace {

using namespace instar;

void checkDecoded(const KeySpec& spec, Bytes bytes) {
  std::vector<std::string> storage;
  std::vector<KeyValue> values;
  if (!decodeKey(spec, bytes, storage, values)) return;
  Key again;
  encodeKey(spec, values, KeyForm::whole, again);
  fuzz::require(compareBytes(again.bytes(), bytes) == 0, "a key that decodes encodes to the same bytes");
  const Key read = parseKey(spec, printKey(spec, bytes), KeyForm::whole);
  fuzz::require(read == again, "a printed key is read back as the same key");
}

// Arbitrary text as a key: either an error, or a key that survives being printed.
void checkText(const KeySpec& spec, std::string_view text) {
  try {
    const Key key = parseKey(spec, text, KeyForm::whole);
    fuzz::require(parseKey(spec, printKey(spec, key.bytes()), KeyForm::whole) == key,
                  "a key survives being printed");
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::fixCall, "text that is no key is the caller's mistake");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const RecordSchema schema = RecordSchema::fromStruct(capnp::Schema::from<fuzz::Sample>());
  static const KeySpec byteStrings;
  const Bytes bytes = fuzz::inputBytes(data, size);
  checkText(schema.key(), asText(bytes));
  checkText(byteStrings, asText(bytes));
  if (size == 0 || size > kMaxKeyLength) return 0;
  checkDecoded(schema.key(), bytes);
  checkDecoded(byteStrings, bytes);
  return 0;
}
