#pragma once

// Rows of one collection in the form that a user asked for. Pure; one thread.

#include <capnp/dynamic.h>

#include <optional>
#include <string>

#include "instar/tools/csv_form.h"
#include "instar/tools/masking.h"

namespace instar::tools {

enum class RowFormat : std::uint8_t { ndjson = 1, csv, tsv, text, hex, capnp };

struct RowPrinterOptions {
  RowFormat format = RowFormat::ndjson;
  bool withVersion = false;     // beside each row, the version that it was written with
  bool keysOnly = false;        // keys in the form that `instar get` takes, without a look at the rows
  bool nameCollection = false;  // in each row; only ndjson can
};

class RowPrinter {
 public:
  // `schema` is the version whose fields are shown.
  RowPrinter(std::string collection, const RecordSchema& schema, const Masking& masking,
             const RowPrinterOptions& options);

  // What comes before the first row.
  void begin(std::string& out) const;

  // Appends one row, or nothing where it throws: kj::Exception where the bytes are not a record. `payload`
  // are the bytes that `record` reads.
  void row(std::string& out, Bytes key, std::uint16_t version, Bytes payload,
           capnp::DynamicStruct::Reader record) const;

  // Appends a key alone, for keysOnly.
  void key(std::string& out, Bytes key, std::uint16_t version) const;

  const KeyPrinter& keys() const noexcept { return keys_; }

 private:
  void writeJson(std::string& out, Bytes key, std::uint16_t version,
                 capnp::DynamicStruct::Reader record) const;
  void writeCsv(std::string& out, Bytes key, std::uint16_t version,
                capnp::DynamicStruct::Reader record) const;
  void writeCapnp(std::string& out, Bytes payload, capnp::DynamicStruct::Reader record) const;
  void writeCapnpText(std::string& out, Bytes key, std::uint16_t version,
                      capnp::DynamicStruct::Reader record) const;

  std::string collection_;
  Masking masking_;
  KeyPrinter keys_;
  RowPrinterOptions options_;
  bool byteStringKeys_;
  char separator_;
  std::optional<CsvColumns> columns_;
};

}  // namespace instar::tools
