#include "instar/tools/row_printer.h"

#include <capnp/serialize.h>

#include "instar/evolve/record_message.h"
#include "instar/format/key_text.h"
#include "instar/tools/json_form.h"
#include "instar/tools/scalar_text.h"
#include "instar/tools/text_form.h"

namespace instar::tools {
namespace {

bool hasColumns(const RowPrinterOptions& options) {
  return options.format == RowFormat::csv || options.format == RowFormat::tsv;
}

// The segment table of a message of one segment, in front of every framed message.
std::string segmentTable(std::size_t payloadSize) {
  const std::uint32_t table[] = {0, static_cast<std::uint32_t>(payloadSize / sizeof(capnp::word))};
  return std::string(asText(std::as_bytes(std::span(table))));
}

}  // namespace

RowPrinter::RowPrinter(std::string collection, const RecordSchema& schema, const Masking& masking,
                       const RowPrinterOptions& options)
    : collection_(std::move(collection)),
      masking_(masking),
      keys_(schema, masking),
      options_(options),
      byteStringKeys_(schema.key().empty()),
      separator_(options.format == RowFormat::tsv ? '\t' : ',') {
  if (hasColumns(options)) columns_.emplace(schema.root(), masking, CsvColumns::Use::write);
}

void RowPrinter::begin(std::string& out) const {
  if (!columns_) return;
  CsvRecord names;
  if (byteStringKeys_ || options_.keysOnly) names.emplace_back("$key");
  if (options_.withVersion) names.emplace_back("$version");
  if (!options_.keysOnly) names.insert(names.end(), columns_->names().begin(), columns_->names().end());
  writeCsvRecord(out, names, separator_);
}

void RowPrinter::row(std::string& out, Bytes key, std::uint16_t version, Bytes payload,
                     capnp::DynamicStruct::Reader record) const {
  const std::size_t before = out.size();
  try {
    switch (options_.format) {
      case RowFormat::ndjson:
        return writeJson(out, key, version, record);
      case RowFormat::csv:
      case RowFormat::tsv:
        return writeCsv(out, key, version, record);
      case RowFormat::capnp:
        return writeCapnp(out, payload, record);
      default:
        return writeCapnpText(out, key, version, record);
    }
  } catch (...) {
    out.resize(before);
    throw;
  }
}

void RowPrinter::writeJson(std::string& out, Bytes key, std::uint16_t version,
                           capnp::DynamicStruct::Reader record) const {
  JsonWriter writer(out);
  writer.beginObject();
  if (options_.nameCollection) writer.member("$collection", collection_);
  if (byteStringKeys_) {
    const bool text = isValidUtf8(asText(key));
    writer.member(text ? "$key" : "$keyBytes", text ? std::string(asText(key)) : toBase64(key));
  }
  if (options_.withVersion) writer.member("$version", std::uint64_t{version});
  writeJsonMembers(writer, record, masking_);
  writer.endObject();
  out += '\n';
}

void RowPrinter::writeCsv(std::string& out, Bytes key, std::uint16_t version,
                          capnp::DynamicStruct::Reader record) const {
  CsvRecord cells;
  if (byteStringKeys_) cells.emplace_back(textCell(asText(key)));
  if (options_.withVersion) cells.emplace_back(std::to_string(version));
  CsvRecord fields = columns_->write(record);
  cells.insert(cells.end(), std::make_move_iterator(fields.begin()), std::make_move_iterator(fields.end()));
  writeCsvRecord(out, cells, separator_);
}

void RowPrinter::writeCapnp(std::string& out, Bytes payload, capnp::DynamicStruct::Reader record) const {
  if (masking_.empty()) {
    out.append(segmentTable(payload.size())).append(asText(payload));
    return;
  }
  internal::RecordMessage copy;
  masking_.copyVisible(record, copy.initRoot<capnp::DynamicStruct>(record.getSchema()));
  const auto words = capnp::messageToFlatArray(copy);
  out.append(asText(std::as_bytes(std::span(words.begin(), words.size()))));
}

void RowPrinter::writeCapnpText(std::string& out, Bytes key, std::uint16_t version,
                                capnp::DynamicStruct::Reader record) const {
  out.append(keys_.print(key));
  if (options_.withVersion) out.append(" @").append(std::to_string(version));
  out.append(": ");
  writeText(out, record, masking_);
  out += '\n';
}

void RowPrinter::key(std::string& out, Bytes key, std::uint16_t version) const {
  const std::string text = keys_.print(key);
  if (options_.format == RowFormat::ndjson) {
    JsonWriter writer(out);
    writer.beginObject();
    if (options_.nameCollection) writer.member("$collection", collection_);
    writer.member("$key", text);
    if (options_.withVersion) writer.member("$version", std::uint64_t{version});
    writer.endObject();
    out += '\n';
  } else if (columns_) {
    CsvRecord cells{text};
    if (options_.withVersion) cells.emplace_back(std::to_string(version));
    writeCsvRecord(out, cells, separator_);
  } else {
    out.append(text);
    if (options_.withVersion) out.append(" @").append(std::to_string(version));
    out += '\n';
  }
}

}  // namespace instar::tools
