#pragma once

// Rows as records of CSV and TSV: a column for each scalar, text and data, structs and groups spread out
// under dotted names, everything that has no such form (lists, recursive structs, AnyPointer) as JSON in its
// cell.
//
//     absent pointer           nothing at all
//     empty Text and Data      ""
//     Text                     as it is; where it is not UTF-8, or begins with $bytes( or $masked(: $bytes(base64)
//     unions                   `<path>.$union` names the active member, only its columns are filled
//     structs with pointers    `<path>.$present` is true where the struct is there; not needed on the way in where
//       only                   another of its columns is filled
//     masked fields            $masked(text 1..8), which is refused on the way in
//
// CsvColumns is immutable after construction; any thread.

#include <capnp/dynamic.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "instar/tools/masking.h"

namespace instar::tools {

// Columns that one struct may have. A type that spreads out further is for ndjson.
inline constexpr std::size_t kMaxColumns = 4096;

using CsvCell = std::optional<std::string>;  // nothing: absent
using CsvRecord = std::vector<CsvCell>;

// Appends one record and its line end. Cells are put between quotes where they must be.
void writeCsvRecord(std::string& out, const CsvRecord& record, char separator);

// Text in a cell, and back. cellText throws Error(fixInput) for what is masked or not well-formed.
std::string textCell(std::string_view text);
std::string cellText(const std::string& cell, const std::string& column);

class CsvColumns {
 public:
  // For writing, sensitive fields are masked; for reading, `masking` only keeps their values out of messages.
  enum class Use : std::uint8_t { write = 1, read };

  // Throws Error(fixCall) where the type needs more than kMaxColumns.
  CsvColumns(capnp::StructSchema type, const Masking& masking, Use use);

  const std::vector<std::string>& names() const noexcept { return names_; }

  // Takes the cells of one row; as many as names(). Throws kj::Exception where the row's bytes are not a
  // record.
  CsvRecord write(capnp::DynamicStruct::Reader record) const;

  // Fills an empty record from cells in the order of names(); nullptr for columns that the input does not
  // have. Throws Error(fixInput) with the facts `field` and `reason`.
  void read(const std::vector<const CsvCell*>& cells, capnp::DynamicStruct::Builder record) const;

 private:
  static constexpr std::size_t kNone = SIZE_MAX;

  struct Column;
  // The columns of one struct or group.
  struct Group {
    std::size_t unionColumn = kNone;
    std::size_t presentColumn = kNone;
    std::vector<Column> columns;
  };
  struct Column {
    capnp::StructSchema::Field field;
    std::size_t index = kNone;  // of its cell; kNone where it is spread out
    bool sensitive = false;
    Group group = {};
  };

  // Where a struct stands, while the columns are laid out.
  struct Surroundings {
    std::string prefix = {};
    std::vector<std::uint64_t> types = {};  // of the structs around it
    bool sensitive = false;
  };
  Group build(capnp::StructSchema type, const Surroundings& around);
  Column buildColumn(capnp::StructSchema::Field field, const Surroundings& around);
  std::size_t addColumn(std::string name);
  static bool alwaysFills(const Group& group);

  void writeGroup(const Group& group, capnp::DynamicStruct::Reader record, CsvRecord& cells) const;
  void writeColumn(const Column& column, capnp::DynamicStruct::Reader record, CsvRecord& cells) const;
  std::string writeCell(const Column& column, capnp::DynamicStruct::Reader record) const;

  using Cells = std::vector<const CsvCell*>;
  static const std::string* cell(const Cells& cells, std::size_t index);
  bool isFilled(const Column& column, const Cells& cells) const;
  bool isFilled(const Group& group, const Cells& cells) const;
  const Column* activeMember(const Group& group, const Cells& cells) const;
  void readGroup(const Group& group, const Cells& cells, capnp::DynamicStruct::Builder record) const;
  void readColumn(const Column& column, const Cells& cells, bool active,
                  capnp::DynamicStruct::Builder record) const;
  void readCell(const Column& column, const std::string& text, capnp::DynamicStruct::Builder record) const;
  void readJsonCell(const Column& column, const std::string& text,
                    capnp::DynamicStruct::Builder record) const;

  Masking masking_;
  Use use_;
  std::vector<std::string> names_;
  Group root_;
};

}  // namespace instar::tools
