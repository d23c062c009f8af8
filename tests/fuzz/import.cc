// Arbitrary text as a file of rows. Each line is a row or a mistake of the input, with its reason; the
// source comes to its end; and a row that was read is the same when it is written in the same form and read
// again.

#include <capnp/message.h>

#include <sstream>

#include "instar/evolve/plan.h"
#include "instar/format/error.h"
#include "instar/tests/fuzz/fuzzers.h"
#include "instar/tests/fuzz/sample.capnp.h"
#include "instar/tools/csv_form.h"
#include "instar/tools/json_form.h"
#include "instar/tools/row_source.h"
#include "instar/tools/scalar_text.h"

namespace {

using namespace instar;
using tools::InputFormat;

const tools::Masking kShown;

struct Form {
  InputFormat format = InputFormat::ndjson;
  tools::RowSourceOptions options;
};

Form formOf(fuzz::Input& input) {
  Form form;
  const std::uint8_t choice = input.byte();
  form.format = static_cast<InputFormat>(1 + choice % 3);
  form.options.header = static_cast<tools::Header>(1 + choice / 3 % 3);
  form.options.ignoreUnknown = (choice & 0x80) != 0;
  form.options.collection = "samples";
  return form;
}

// One record as the only row of a file.
std::string written(const Form& form, const RecordSchema& schema, capnp::DynamicStruct::Reader record,
                    const std::optional<Key>& key) {
  std::string text;
  if (form.format == InputFormat::ndjson) {
    tools::JsonWriter out(text);
    out.beginObject();
    if (key) out.member("$keyBytes", tools::toBase64(key->bytes()));
    tools::writeJsonMembers(out, record, {});
    out.endObject();
    return text + '\n';
  }
  const char separator = form.format == InputFormat::tsv ? '\t' : ',';
  const tools::CsvColumns columns(schema.root(), {}, tools::CsvColumns::Use::write);
  tools::CsvRecord header;
  tools::CsvRecord cells = columns.write(record);
  for (const std::string& name : columns.names()) header.emplace_back(name);
  if (key) {
    header.insert(header.begin(), "$key");
    cells.insert(cells.begin(), tools::textCell(asText(key->bytes())));
  }
  tools::writeCsvRecord(text, header, separator);
  tools::writeCsvRecord(text, cells, separator);
  return text;
}

void checkRow(const Form& form, const RecordSchema& schema, capnp::DynamicStruct::Reader record,
              const std::optional<Key>& key) {
  const std::string once = written(form, schema, record, key);
  std::istringstream input(once);
  Form second = form;
  second.options.header = tools::Header::present;
  const auto source = tools::makeRowSource(form.format, input, schema, kShown, second.options);
  fuzz::require(source->next(), "a row that is written is one");
  capnp::MallocMessageBuilder message;
  const auto again = message.initRoot<capnp::DynamicStruct>(schema.root());
  const std::optional<Key> keyAgain = source->fill(again);
  fuzz::require(written(form, schema, again.asReader(), keyAgain) == once, "and is read as the same row");
}

void checkSource(const Form& form, const RecordSchema& schema, Bytes bytes) {
  std::istringstream input{std::string(asText(bytes))};
  std::size_t steps = 0;
  try {
    const auto source = tools::makeRowSource(form.format, input, schema, kShown, form.options);
    for (bool more = true; more;) {
      fuzz::require(steps++ <= bytes.size() + 1, "a source comes to its end");
      try {
        more = source->next();
        if (!more || source->isForeign()) continue;
        capnp::MallocMessageBuilder message;
        const auto record = message.initRoot<capnp::DynamicStruct>(schema.root());
        const std::optional<Key> key = source->fill(record);
        checkRow(form, schema, record.asReader(), key);
      } catch (const Error& error) {
        fuzz::require(error.code() == ErrorCode::fixInput || error.code() == ErrorCode::fixCall,
                      "a line that is no row is the input's mistake");
        fuzz::require(error.code() == ErrorCode::fixCall || !error.fact("reason").empty(),
                      "and the reason is given");
        fuzz::require(source->line() <= bytes.size() + 1, "and the line");
      }
    }
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::fixInput, "a header that is none is the input's mistake");
  }
}

}  // namespace

void instar::fuzz::fuzzImport(Bytes bytes) {
  static const RecordSchema keyed = RecordSchema::fromStruct(capnp::Schema::from<Sample>());
  static const RecordSchema plain = RecordSchema::fromStruct(capnp::Schema::from<Plain>());
  Input input(bytes);
  const Form form = formOf(input);
  checkSource(form, input.chance() ? keyed : plain, input.rest());
}
