#pragma once

// Rows on their way in, from text: one JSON object a line, or records of CSV and TSV.
//
// A source goes from row to row; a row that is wrong is an error, and next() then goes on behind it. One
// thread.

#include <capnp/dynamic.h>

#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <string>

#include "instar/evolve/record_schema.h"
#include "instar/tools/masking.h"

namespace instar::tools {

// Bytes of one line of input: room for the largest row, 1 GiB, in base64.
inline constexpr std::size_t kMaxLineLength = std::size_t{3} << 29;

enum class InputFormat : std::uint8_t { ndjson = 1, csv, tsv };

// What the first line of CSV is.
enum class Header : std::uint8_t {
  unsaid = 1,  // a row, unless it looks like names of columns: that is refused, because it may be either
  present,     // names of columns
  absent,      // a row, whatever it looks like
};

struct RowSourceOptions {
  std::string collection = {};  // rows that name another one are foreign
  Header header = Header::unsaid;
  bool ignoreUnknown = false;  // fields that the schema does not have
};

class RowSource {
 public:
  virtual ~RowSource() = default;

  // Goes to the next row; false at the end. Throws Error(fixInput), with the facts `field` and `reason`, for
  // a line that is not a row; Error(fixEnvironment) where the input cannot be read.
  virtual bool next() = 0;

  // The line that the row, or what was wrong, begins on; from 1.
  virtual std::uint64_t line() const noexcept = 0;

  // Whether the row belongs to another collection, as a dump of a whole file says.
  virtual bool isForeign() const = 0;

  // Fills an empty record with the row that next() went to; for byte-string keys, its key. Throws as next()
  // does.
  virtual std::optional<Key> fill(capnp::DynamicStruct::Builder record) = 0;
};

// All arguments are borrowed for as long as the source lives.
std::unique_ptr<RowSource> makeRowSource(InputFormat format, std::istream& input, const RecordSchema& schema,
                                         const Masking& masking, const RowSourceOptions& options);

}  // namespace instar::tools
