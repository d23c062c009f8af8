#include "instar/tools/schema_limits.h"

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "instar/format/error.h"

namespace instar::tools {
namespace {

constexpr std::string_view kDeclaring[] = {"struct", "enum",  "interface",  "union",  "group",
                                           "using",  "const", "annotation", "import", "embed"};

bool isWordCharacter(char character) {
  return std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '_';
}

// Walks over the text as Cap'n Proto's lexer does: comments end with their line, and so do strings that
// nobody has closed, where that one ends altogether.
class Walk {
 public:
  Walk(std::string_view text, const std::string& file, std::size_t& declarations, SchemaStrings& strings)
      : text_(text), file_(file), declarations_(declarations), strings_(strings) {}

  void run() {
    while (!text_.empty()) {
      const char first = text_.front();
      if (isWordCharacter(first)) {
        word();
      } else {
        mark(first);
      }
    }
  }

 private:
  [[noreturn]] void refuse(const char* message, std::size_t limit) const {
    throw Error(ErrorCode::fixSchema, message,
                {{"file", file_}, {"line", std::to_string(line_)}, {"limit", std::to_string(limit)}});
  }

  void skip(std::size_t count) { text_.remove_prefix(std::min(count, text_.size())); }

  void word() {
    const auto end = std::ranges::find_if_not(text_, isWordCharacter);
    const std::string_view word = text_.substr(0, static_cast<std::size_t>(end - text_.begin()));
    if (std::ranges::find(kDeclaring, word) != std::end(kDeclaring) &&
        ++declarations_ > kMaxSchemaDeclarations) {
      refuse("the schema has too many declarations: import fewer files, or keep other types elsewhere",
             kMaxSchemaDeclarations);
    }
    isEmbedding_ = word == "embed";
    skip(word.size());
  }

  void mark(char first) {
    switch (first) {
      case '#':
        return skip(text_.find('\n'));
      case '"':
        return string();
      case '\n':
        ++line_;
        break;
      case '(':
        refuseDeeper();
        part();
        parts_.push_back(0);
        break;
      case '[':
        refuseDeeper();
        parts_.push_back(0);
        break;
      case '{':
        refuseDeeper();
        endExpression();
        parts_.push_back(0);
        break;
      case ')':
      case ']':
        close();
        break;
      case '}':
        close();
        endExpression();
        break;
      case ';':
      case ',':
        endExpression();
        break;
      case '.':
        part();
        break;
      default:
        break;
    }
    if (std::isspace(static_cast<unsigned char>(first)) == 0) isEmbedding_ = false;
    skip(1);
  }

  // Of "a.b(c)": what stands before is inside of it for the compiler, and so is what stands in its brackets.
  void part() {
    ++parts_.back();
    if (++allParts_ > kMaxSchemaPath)
      refuse("a name in the schema has too many parts: give it a shorter one", kMaxSchemaPath);
  }

  void endExpression() {
    allParts_ -= parts_.back();
    parts_.back() = 0;
  }

  void refuseDeeper() const {
    if (parts_.size() > kMaxSchemaNesting)
      refuse("the schema is nested too deeply: declare inner types outside", kMaxSchemaNesting);
  }

  void close() {
    if (parts_.size() == 1) return;  // of none that was opened
    endExpression();
    parts_.pop_back();
  }

  void string() {
    skip(1);
    const std::string_view start = text_;
    while (!text_.empty() && text_.front() != '"' && text_.front() != '\n')
      skip(text_.front() == '\\' && text_.size() > 1 && text_[1] != '\n' ? 2 : 1);
    strings_.add(start.substr(0, start.size() - text_.size()), std::exchange(isEmbedding_, false));
    if (!text_.empty() && text_.front() == '"') skip(1);
  }

  std::string_view text_;
  const std::string& file_;
  std::size_t& declarations_;
  SchemaStrings& strings_;
  bool isEmbedding_ = false;  // nothing but blanks and comments since the word
  std::size_t line_ = 1;
  std::vector<std::size_t> parts_{0};  // of the expression in each bracket that is open, and outside of them
  std::size_t allParts_ = 0;
};

}  // namespace

void SchemaStrings::add(std::string_view string, bool isEmbedded) {
  if (string.find('\\') == std::string_view::npos)
    (isEmbedded ? embedded_ : others_).emplace(string);
  else
    hasEscapes_ = hasEscapes_ || !isEmbedded;
}

bool SchemaStrings::isOnlyEmbedded(std::string_view name) const {
  return !hasEscapes_ && embedded_.contains(name) && !others_.contains(name);
}

SchemaStrings SchemaLimits::check(std::string_view text, const std::string& file) {
  SchemaStrings strings;
  Walk(text, file, declarations_, strings).run();
  return strings;
}

void SchemaLimits::count(std::size_t bytes, const std::string& file) {
  bytes_ += bytes;
  if (bytes_ <= kMaxSchemaBytes) return;
  throw Error(ErrorCode::fixSchema, "the schema is too large with all that it imports: import fewer files",
              {{"file", file}, {"limit", std::to_string(kMaxSchemaBytes)}});
}

}  // namespace instar::tools
