#pragma once

// The syntax of CSV and TSV (RFC 4180) on the way in, by libcsv.

#include <memory>
#include <string_view>
#include <vector>

#include "instar/tools/csv_form.h"

namespace instar::tools {

// Puts records together from lines. Quotes may span lines; an unquoted empty cell is absent, a quoted one
// empty. Owns a parser of libcsv; one thread at a time.
class CsvParser {
 public:
  explicit CsvParser(char separator);
  CsvParser(const CsvParser&) = delete;
  CsvParser& operator=(const CsvParser&) = delete;
  ~CsvParser();

  // Takes one line with its line end and appends the records that it completes. Throws Error(fixInput) where
  // the line is not CSV; what was begun is dropped, and the next line begins a record.
  void parse(std::string_view line, std::vector<CsvRecord>& records);

  // At the end of the input: the last record, where its line end is missing.
  void finish(std::vector<CsvRecord>& records);

  // Whether a record has begun and not ended.
  bool isOpen() const noexcept { return open_; }

 private:
  struct Parser;
  void reset();

  std::unique_ptr<Parser> parser_;
  char separator_;
  bool open_ = false;
};

}  // namespace instar::tools
