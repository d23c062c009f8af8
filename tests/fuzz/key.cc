// Arbitrary bytes as a key: what decodes encodes to the same bytes again, and what is printed is read back as
// the same key. Arbitrary text as a key: an error, or a key that survives being printed.

#include "instar/evolve/record_schema.h"
#include "instar/format/error.h"
#include "instar/format/key_text.h"
#include "instar/tests/fuzz/fuzzers.h"
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

void checkText(const KeySpec& spec, std::string_view text) {
  for (const KeyForm form : {KeyForm::whole, KeyForm::prefix, KeyForm::openPrefix}) {
    try {
      const Key key = parseKey(spec, text, form);
      if (form != KeyForm::whole) continue;
      fuzz::require(parseKey(spec, printKey(spec, key.bytes()), KeyForm::whole) == key,
                    "a key survives being printed");
      Key next;
      fuzz::require(!nextAfterPrefix(key.bytes(), next) || next > key, "what is behind a prefix is greater");
    } catch (const Error& error) {
      fuzz::require(error.code() == ErrorCode::fixCall, "text that is no key is the caller's mistake");
    }
  }
}

// One to four parts of any type.
KeySpec specOf(fuzz::Input& input) {
  constexpr auto kTypes = static_cast<unsigned>(KeyType::data);
  KeySpec spec;
  for (std::size_t parts = 1 + input.below(4); parts > 0; --parts) {
    KeyPart part{.name = "part" + std::to_string(parts),
                 .type = static_cast<KeyType>(1 + input.below(kTypes))};
    if (part.type == KeyType::enumeration) part.enumerants = {"red", "green", "7", "true"};
    spec.push_back(std::move(part));
  }
  return spec;
}

}  // namespace

void instar::fuzz::fuzzKey(Bytes bytes) {
  static const RecordSchema schema = RecordSchema::fromStruct(capnp::Schema::from<Sample>());
  static const KeySpec byteStrings;
  Input input(bytes);
  const KeySpec any = specOf(input);
  for (const KeySpec* spec : {&schema.key(), &byteStrings, &any}) {
    const Bytes key = spec == &any ? input.rest() : bytes;
    checkText(*spec, asText(key));
    if (!key.empty() && key.size() <= kMaxKeyLength) checkDecoded(*spec, key);
  }
}
