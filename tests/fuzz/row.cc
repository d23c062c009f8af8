// Arbitrary bytes as a stored row: they are refused or read as a record, and never more than that; every form
// in which the row is printed ends with it or with an exception. A sound row with any one byte changed is
// refused.

#include <capnp/dynamic.h>
#include <capnp/pretty-print.h>
#include <capnp/serialize.h>

#include <vector>

#include "instar/format/key_text.h"
#include "instar/format/payload.h"
#include "instar/format/row.h"
#include "instar/tests/fuzz/fuzzers.h"
#include "instar/tests/fuzz/sample.capnp.h"
#include "instar/tools/csv_form.h"
#include "instar/tools/json_form.h"
#include "instar/tools/text_form.h"

namespace {

using namespace instar;

constexpr std::size_t kKeyLength = 5;

// Prints every field in each form; whatever is wrong with the payload ends as an exception.
void printAll(Bytes payload) {
  static const tools::CsvColumns columns(capnp::Schema::from<fuzz::Sample>(), {},
                                         tools::CsvColumns::Use::write);
  std::vector<std::uint64_t> words(payload.size() / sizeof(std::uint64_t));
  std::memcpy(words.data(), payload.data(), payload.size());
  const auto print = [&](auto&& form) {
    try {
      const kj::ArrayPtr<const capnp::word> segment(reinterpret_cast<const capnp::word*>(words.data()),
                                                    words.size());
      capnp::SegmentArrayMessageReader message(kj::arrayPtr(&segment, 1), {1024, 64});
      form(capnp::DynamicStruct::Reader(message.getRoot<fuzz::Sample>()));
    } catch (const kj::Exception&) {
      return;
    }
  };
  std::string out;
  print([](capnp::DynamicStruct::Reader record) { kj::str(capnp::prettyPrint(record)); });
  print([&](capnp::DynamicStruct::Reader record) {
    tools::JsonWriter json(out);
    json.beginObject();
    tools::writeJsonMembers(json, record, {});
    json.endObject();
    fuzz::require(isValidUtf8(out), "JSON is UTF-8");
  });
  out.clear();
  print([&](capnp::DynamicStruct::Reader record) {
    tools::writeText(out, record, {});
    fuzz::require(isValidUtf8(out), "text is UTF-8");
  });
  print([](capnp::DynamicStruct::Reader record) { columns.write(record); });
}

// A payload that is called whole is read without Cap'n Proto's own checks: every pointer is followed. Not
// printed, because a list of elements without a size may have any number of them, checks or no checks.
void readUnchecked(Bytes payload) {
  if (!isWhole(payload)) return;
  std::vector<std::uint64_t> words(payload.size() / sizeof(std::uint64_t));
  std::memcpy(words.data(), payload.data(), payload.size());
  const auto* const start = reinterpret_cast<const capnp::word*>(words.data());
  capnp::MallocMessageBuilder copy;
  copy.setRoot(capnp::readMessageUnchecked<capnp::AnyPointer>(start));
}

void checkRow(Bytes key, Bytes value) {
  RowView row;
  if (decodeRow(key, value, Verify::no, row) != RowDamage::none) return;
  fuzz::require(row.version != 0, "a row has a version");
  fuzz::require(row.payload.data() + row.payload.size() == value.data() + value.size(),
                "the payload ends the row");
  std::string out;
  tools::writeHex(out, key, value);
}

// Takes the input as a payload, and flips one bit of the row made of it.
void checkPayload(Bytes key, Bytes input) {
  const std::size_t length = input.size() / sizeof(capnp::word) * sizeof(capnp::word);
  if (length == 0) return;
  const Bytes payload = input.first(length);
  printAll(payload);
  readUnchecked(payload);
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

void instar::fuzz::fuzzRow(Bytes bytes) {
  if (bytes.size() <= kKeyLength) return;
  checkRow(bytes.first(kKeyLength), bytes.subspan(kKeyLength));
  checkPayload(bytes.first(kKeyLength), bytes.subspan(kKeyLength));
}
