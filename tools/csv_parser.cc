#include "instar/tools/csv_parser.h"

#include <csv.h>

#include <new>

#include "instar/format/error.h"

namespace instar::tools {

struct CsvParser::Parser {
  csv_parser state{};
  CsvRecord record;
  std::vector<CsvRecord>* records = nullptr;  // of the call in progress
  bool afterReturn = false;                   // the last line end was a carriage return

  static int noSpace(unsigned char) { return 0; }

  static void cell(void* bytes, std::size_t size, void* self) {
    auto& record = static_cast<Parser*>(self)->record;
    if (bytes == nullptr) {
      record.emplace_back();
    } else {
      record.emplace_back(std::string(static_cast<const char*>(bytes), size));
    }
  }

  // `end` is the character that ended the record, -1 for the end of the input. Line ends of blank lines are
  // reported too.
  static void endRecord(int end, void* self) {
    auto& parser = *static_cast<Parser*>(self);
    const bool secondHalf = end == '\n' && parser.afterReturn && parser.record.empty();
    parser.afterReturn = end == '\r';
    if (!secondHalf) parser.records->push_back(std::move(parser.record));
    parser.record.clear();
  }
};

CsvParser::CsvParser(char separator) : parser_(std::make_unique<Parser>()), separator_(separator) { reset(); }

CsvParser::~CsvParser() { csv_free(&parser_->state); }

void CsvParser::reset() {
  csv_free(&parser_->state);
  csv_init(&parser_->state, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL | CSV_EMPTY_IS_NULL);
  csv_set_delim(&parser_->state, static_cast<unsigned char>(separator_));
  csv_set_space_func(&parser_->state, Parser::noSpace);
  parser_->record.clear();
  open_ = false;
}

void CsvParser::parse(std::string_view line, std::vector<CsvRecord>& records) {
  const std::size_t before = records.size();
  parser_->records = &records;
  const std::size_t taken =
      csv_parse(&parser_->state, line.data(), line.size(), Parser::cell, Parser::endRecord, parser_.get());
  if (taken == line.size()) {
    open_ = records.size() == before;
    return;
  }
  const int failure = csv_error(&parser_->state);
  reset();
  if (failure == CSV_ENOMEM) throw std::bad_alloc();
  throw Error(ErrorCode::fixInput, "the line is not CSV",
              {{"field", "column " + std::to_string(taken + 1)},
               {"reason", "a cell with quotes in it stands between quotes, and its quotes are doubled"}});
}

void CsvParser::finish(std::vector<CsvRecord>& records) {
  if (!open_) return;
  parser_->records = &records;
  const int failure = csv_fini(&parser_->state, Parser::cell, Parser::endRecord, parser_.get());
  reset();
  if (failure != 0) {
    throw Error(ErrorCode::fixInput, "the line is not CSV",
                {{"field", "end of the input"}, {"reason", "the closing quote of the last cell is missing"}});
  }
}

}  // namespace instar::tools
