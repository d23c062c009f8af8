#include "instar/tools/row_source.h"

#include <algorithm>
#include <vector>

#include "instar/format/error.h"
#include "instar/format/key_text.h"
#include "instar/tools/csv_parser.h"
#include "instar/tools/json_form.h"
#include "instar/tools/scalar_text.h"

namespace instar::tools {
namespace {

constexpr const char* kKeyNeeded = "the keys of the collection are byte strings, and each row needs one";
constexpr const char* kFieldNeeded = "this field is part of the key, and each row needs it";

// Text and Data may be absent in a row; a number in the key that is absent was forgotten, and rows would meet
// under 0.
bool mayBeAbsent(const KeyPart& part) { return part.type == KeyType::text || part.type == KeyType::data; }

// Lines with their line ends; a byte order mark at the beginning is passed over.
class LineReader {
 public:
  explicit LineReader(std::istream& input) : input_(input) {}

  std::uint64_t number() const noexcept { return number_; }

  bool next(std::string& line) {
    line.clear();
    ++number_;
    try {
      read(line);
    } catch (const std::ios_base::failure& failure) {
      throw Error(ErrorCode::fixEnvironment, "the input cannot be read",
                  {{"line", std::to_string(number_)}, {"reason", failure.what()}});
    }
    if (number_ == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);
    return !line.empty();
  }

 private:
  void read(std::string& line) {
    std::streambuf& buffer = *input_.rdbuf();
    for (int c = buffer.sbumpc(); c != std::char_traits<char>::eof(); c = buffer.sbumpc()) {
      line += static_cast<char>(c);
      if (c == '\n') break;
      if (line.size() == kMaxLineLength) {
        throw Error(ErrorCode::fixEnvironment, "the input has a line that is too long for a row",
                    {{"line", std::to_string(number_)}, {"limit", std::to_string(kMaxLineLength)}});
      }
    }
  }

  std::istream& input_;
  std::uint64_t number_ = 0;
};

std::string keyFieldNames(const RecordSchema& schema) {
  std::string names;
  for (const KeyPart& part : schema.key()) names.append(names.empty() ? "" : ", ").append(part.name);
  return names;
}

Key byteStringKey(const std::string& name, const std::string& bytes) {
  if (bytes.empty()) refuseValue(name, "a key has at least one byte");
  return Key(bytes);
}

// Of a field, or of one around it.
std::optional<std::uint16_t> retirementOf(capnp::StructSchema type, std::string_view path) {
  while (true) {
    const std::string name(path.substr(0, path.find('.')));
    path.remove_prefix(std::min(name.size() + 1, path.size()));
    KJ_IF_MAYBE (field, type.findFieldByName(name.c_str())) {
      if (const auto since = retiredSince(*field)) return since;
      if (path.empty() || !field->getType().isStruct()) return std::nullopt;
      type = field->getType().asStruct();
    } else {
      return std::nullopt;
    }
  }
}

class NdjsonSource final : public RowSource {
 public:
  NdjsonSource(std::istream& input, const RecordSchema& schema, const Masking& masking,
               const RowSourceOptions& options)
      : lines_(input), schema_(schema), masking_(masking), options_(options) {}

  bool next() override {
    std::string line;
    do {
      if (!lines_.next(line)) return false;
    } while (line.find_first_not_of(" \t\r\n") == std::string::npos);
    row_ = {};
    row_ = parseJson(line);
    return true;
  }

  std::uint64_t line() const noexcept override { return lines_.number(); }

  bool isForeign() const override {
    const JsonValue* collection = row_.find("$collection");
    return collection != nullptr && collection->text != options_.collection;
  }

  std::optional<Key> fill(capnp::DynamicStruct::Builder record) override {
    for (const JsonMember& member : row_.members) checkSpecial(member.name);
    readJson(row_, record, {.ignoreUnknown = options_.ignoreUnknown, .masking = &masking_});
    if (schema_.key().empty()) return readKey();
    for (const KeyPart& part : schema_.key()) checkPresent(part);
    return std::nullopt;
  }

 private:
  void checkSpecial(const std::string& name) const {
    if (!name.starts_with('$') || name == "$collection" || name == "$version" || name == "$masked" ||
        name == "$union")
      return;
    const bool isKey = name == "$key" || name == "$keyBytes";
    if (isKey && !schema_.key().empty()) {
      refuseValue(name, "the key is made of the fields of the row: " + keyFieldNames(schema_));
    }
    if (!isKey && !options_.ignoreUnknown) refuseValue(name, "no member has this name");
  }

  void checkPresent(const KeyPart& part) const {
    if (mayBeAbsent(part)) return;
    const JsonValue* value = &row_;
    for (std::string_view rest = part.name; value != nullptr && !rest.empty();) {
      const std::string_view name = rest.substr(0, rest.find('.'));
      rest.remove_prefix(std::min(name.size() + 1, rest.size()));
      value = value->find(name);
    }
    if (value == nullptr) refuseValue(part.name, kFieldNeeded);
  }

  Key readKey() const {
    const JsonValue* text = row_.find("$key");
    const JsonValue* bytes = row_.find("$keyBytes");
    if ((text == nullptr) == (bytes == nullptr)) refuseValue("$key", kKeyNeeded);
    std::string key;
    if (text != nullptr) {
      if (text->kind != JsonValue::Kind::text) refuseValue("$key", "expected a text");
      key = text->text;
    } else if (bytes->kind != JsonValue::Kind::text || !fromBase64(bytes->text, key)) {
      refuseValue("$keyBytes", "expected a text in base64");
    }
    return byteStringKey(text != nullptr ? "$key" : "$keyBytes", key);
  }

  LineReader lines_;
  const RecordSchema& schema_;
  const Masking& masking_;
  const RowSourceOptions& options_;
  JsonValue row_;
};

class CsvSource final : public RowSource {
 public:
  CsvSource(std::istream& input, char separator, const RecordSchema& schema, const Masking& masking,
            const RowSourceOptions& options)
      : lines_(input),
        parser_(separator),
        schema_(schema),
        options_(options),
        columns_(schema.root(), masking, CsvColumns::Use::read) {
    if (options.header == Header::present) {
      if (nextRecord()) readHeader(record_);
    } else {
      assumeHeader();
    }
  }

  bool next() override {
    if (!nextRecord()) return false;
    if (options_.header == Header::unsaid && lines_.number() == 1 && looksLikeHeader()) {
      refuseValue("column 1", "this looks like a header line; pass --header, or --no-header if it is a row");
    }
    if (record_.size() != targets_.size()) {
      refuseValue(
          "column " + std::to_string(std::min(record_.size(), targets_.size()) + 1),
          "expected " + std::to_string(targets_.size()) + " cells, found " + std::to_string(record_.size()));
    }
    return true;
  }

  std::uint64_t line() const noexcept override { return line_; }

  bool isForeign() const override { return false; }

  std::optional<Key> fill(capnp::DynamicStruct::Builder record) override {
    std::vector<const CsvCell*> cells(columns_.names().size());
    const CsvCell* key = nullptr;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      if (targets_[i] == kKey) key = &record_[i];
      if (targets_[i] < cells.size()) cells[targets_[i]] = &record_[i];
    }
    for (const KeyPart& part : schema_.key()) checkPresent(part, cells[findColumn(part.name)]);
    columns_.read(cells, record);
    if (!schema_.key().empty()) return std::nullopt;
    if (key == nullptr || !key->has_value()) refuseValue("$key", kKeyNeeded);
    return byteStringKey("$key", cellText(**key, "$key"));
  }

 private:
  // Where a cell goes, if not to a column of the record.
  static constexpr std::size_t kKey = SIZE_MAX;
  static constexpr std::size_t kIgnored = SIZE_MAX - 1;

  bool nextRecord() {
    while (at_ == records_.size()) {
      records_.clear();
      at_ = 0;
      std::string line;
      const bool begins = !parser_.isOpen();
      const bool more = lines_.next(line);
      if (begins) line_ = lines_.number();
      if (more) {
        parser_.parse(line, records_);
      } else {
        parser_.finish(records_);
        if (records_.empty()) return false;
      }
      dropBlankLines();
    }
    record_ = std::move(records_[at_++]);
    return true;
  }

  // A blank line is a row only where a row is one absent cell.
  void dropBlankLines() {
    for (CsvRecord& record : records_) {
      if (record.empty() && targets_.size() == 1) record.emplace_back();
    }
    std::erase_if(records_, [](const CsvRecord& record) { return record.empty(); });
  }

  std::size_t findColumn(const std::string& name) const {
    const auto& names = columns_.names();
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  }

  static void checkPresent(const KeyPart& part, const CsvCell* cell) {
    if (mayBeAbsent(part) || (cell != nullptr && cell->has_value())) return;
    refuseValue(part.name, kFieldNeeded);
  }

  void readHeader(const CsvRecord& header) {
    for (const CsvCell& cell : header) {
      const std::string name = cell.value_or("");
      const std::size_t target = findTarget(name);
      if (target != kIgnored && std::find(targets_.begin(), targets_.end(), target) != targets_.end()) {
        refuseValue(name, "the header names this column twice");
      }
      targets_.push_back(target);
    }
    for (const KeyPart& part : schema_.key()) {
      if (std::find(targets_.begin(), targets_.end(), findColumn(part.name)) == targets_.end()) {
        refuseValue(part.name, "this field is part of the key, and the header does not name it");
      }
    }
  }

  std::size_t findTarget(const std::string& name) const {
    if (name == "$version") return kIgnored;
    if (name == "$key" && schema_.key().empty()) return kKey;
    if (const std::size_t found = findColumn(name); found < columns_.names().size()) return found;
    if (options_.ignoreUnknown) return kIgnored;
    const auto isInside = [&](const std::string& column) { return column.starts_with(name + "."); };
    if (!name.empty() && std::any_of(columns_.names().begin(), columns_.names().end(), isInside)) {
      refuseValue(name,
                  "a struct has a column for each field; where it was masked, dump again with --unmask");
    }
    if (const auto since = retirementOf(schema_.root(), name))
      refuseValue(name, "retired since version " + std::to_string(*since));
    refuseValue(name, "the schema has no such field");
  }

  // Without a header: the key of a collection with byte-string keys, then the fields in their order.
  void assumeHeader() {
    if (schema_.key().empty()) targets_.push_back(kKey);
    for (std::size_t i = 0; i < columns_.names().size(); ++i) {
      if (!columns_.names()[i].ends_with("$present")) targets_.push_back(i);
    }
  }

  bool looksLikeHeader() const {
    return std::all_of(record_.begin(), record_.end(), [&](const CsvCell& cell) {
      const std::string name = cell.value_or("");
      return name == "$key" || name == "$version" || findColumn(name) < columns_.names().size();
    });
  }

  LineReader lines_;
  CsvParser parser_;
  const RecordSchema& schema_;
  const RowSourceOptions& options_;
  CsvColumns columns_;
  std::vector<std::size_t> targets_;  // of each cell
  std::vector<CsvRecord> records_;    // that the last line completed
  std::size_t at_ = 0;
  CsvRecord record_;
  std::uint64_t line_ = 0;
};

}  // namespace

std::unique_ptr<RowSource> makeRowSource(InputFormat format, std::istream& input, const RecordSchema& schema,
                                         const Masking& masking, const RowSourceOptions& options) {
  if (format == InputFormat::ndjson) return std::make_unique<NdjsonSource>(input, schema, masking, options);
  const char separator = format == InputFormat::tsv ? '\t' : ',';
  return std::make_unique<CsvSource>(input, separator, schema, masking, options);
}

}  // namespace instar::tools
