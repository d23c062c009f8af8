// Arbitrary text as a row in JSON: an error that says where, or a row that is the same after being written
// and read again.

#include <capnp/message.h>

#include "instar/format/error.h"
#include "instar/tests/fuzz/fuzzers.h"
#include "instar/tests/fuzz/sample.capnp.h"
#include "instar/tools/json_form.h"
#include "instar/tools/json_text.h"

namespace {

using namespace instar;

std::string write(capnp::DynamicStruct::Reader record, const tools::Masking& masking) {
  std::string text;
  tools::JsonWriter out(text);
  out.beginObject();
  tools::writeJsonMembers(out, record, masking);
  out.endObject();
  return text;
}

std::string readAndWrite(std::string_view text, const tools::Masking& masking) {
  capnp::MallocMessageBuilder message;
  const auto record = message.initRoot<capnp::DynamicStruct>(capnp::Schema::from<fuzz::Sample>());
  tools::readJson(tools::parseJson(text), record, {});
  return write(record.asReader(), masking);
}

}  // namespace

void instar::fuzz::fuzzJson(Bytes bytes) {
  static const tools::Masking shown;
  std::string once;
  try {
    once = readAndWrite(asText(bytes), shown);
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::fixInput, "text that is no row is the input's mistake");
    fuzz::require(!error.fact("reason").empty(), "and the reason is given");
    return;
  }
  fuzz::require(readAndWrite(once, shown) == once, "a row that is written reads as the same row");
}
