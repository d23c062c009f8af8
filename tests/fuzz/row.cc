// Arbitrary bytes as a stored row: they are refused or read as a record, and never more than that. A sound
// row with any one byte changed is refused.

#include <capnp/dynamic.h>
#include <capnp/pretty-print.h>
#include <capnp/serialize.h>

#include <vector>

#include "instar/format/row.h"
#include "instar/tests/fuzz/fuzzing.h"
#include "instar/tests/fuzz/sample.capnp.h"

namespace {

using namespace instar;

constexpr std::size_t kKeyLength = 5;

// Reads every field; whatever is wrong with the payload ends as an exception.
void readAll(Bytes payload) {
  std::vector<capnp::word> words(payload.size() / sizeof(capnp::word));
  std::memcpy(words.data(), payload.data(), payload.size());
  const kj::ArrayPtr<const capnp::word> segment(words.data(), words.size());
  try {
    capnp::SegmentArrayMessageReader message(kj::arrayPtr(&segment, 1), {1024, 64});
    kj::str(capnp::prettyPrint(message.getRoot<fuzz::Sample>()));
  } catch (const kj::Exception&) {
    return;
  }
}

void checkRow(Bytes key, Bytes value) {
  RowView row;
  if (decodeRow(key, value, Verify::no, row) != RowDamage::none) return;
  fuzz::require(row.version != 0, "a row has a version");
  fuzz::require(row.payload.data() + row.payload.size() == value.data() + value.size(),
                "the payload ends the row");
  readAll(row.payload);
}

// Takes the input as a payload, and flips one bit of the row made of it.
void checkDamage(Bytes key, Bytes input) {
  const std::size_t length = input.size() / sizeof(capnp::word) * sizeof(capnp::word);
  if (length == 0) return;
  const Bytes payload = input.first(length);
  std::vector<std::byte> value(rowHeaderLength(key.size(), RowPlacement::leaf) + length);
  encodeRow(value, key, 1, payload, RowPlacement::leaf);
  RowView row;
  fuzz::require(decodeRow(key, value, Verify::yes, row) == RowDamage::none, "what was encoded decodes");
  fuzz::require(compareBytes(row.payload, payload) == 0, "and is the same");
  const std::size_t place = static_cast<std::size_t>(payload[0]) * 31 % value.size();
  value[place] ^= std::byte{0x10};
  fuzz::require(decodeRow(key, value, Verify::yes, row) != RowDamage::none, "a flipped bit is noticed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = fuzz::inputBytes(data, size);
  if (size <= kKeyLength) return 0;
  checkRow(bytes.first(kKeyLength), bytes.subspan(kKeyLength));
  checkDamage(bytes.first(kKeyLength), bytes.subspan(kKeyLength));
  return 0;
}
