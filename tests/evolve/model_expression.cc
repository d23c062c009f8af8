#include "instar/tests/evolve/model_expression.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace instar::testing {
namespace {

using Kind = ModelType::Kind;
using Convert = std::function<Value(const Value& value, unsigned enumerants)>;

constexpr unsigned kEveryEnumerant = std::numeric_limits<unsigned>::max();

Value read(const ModelRow& row, Source source) {
  const Value& value = row[source.field];
  if (!value.isSet()) return {};
  return source.member < 0 ? value : value.elements()[static_cast<std::size_t>(source.member)];
}

std::string quoted(const std::string& text) { return '"' + text + '"'; }

Value wholeOf(Wide number, ModelType type) {
  const unsigned digits = type.isSigned ? type.bits - 1 : type.bits;
  const Wide beyond = Wide{1} << digits;
  if (number >= beyond || number < (type.isSigned ? -beyond : 0)) throw Underivable{};
  return wholeValue(number);
}

Value floatingOf(double number, ModelType type) {
  if (type.bits == 64) return {number};
  if (std::isfinite(number) && std::abs(number) > std::numeric_limits<float>::max()) throw Underivable{};
  return {static_cast<double>(static_cast<float>(number))};
}

Value wholeOfFloating(double number, ModelType type) {
  if (number != std::floor(number) || std::abs(number) > 1e30) throw Underivable{};
  return wholeOf(static_cast<Wide>(number), type);
}

Value enumerantOf(Wide number, unsigned enumerants) {
  if (number < 0 || number >= enumerants) throw Underivable{};
  return wholeValue(number);
}

bool isDigits(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

Wide parseDigits(const std::string& text) {
  Wide number = 0;
  for (const char digit : text) {
    number = number * 10 + (digit - '0');
    if (number > Wide{1} << 70) throw Underivable{};
  }
  return number;
}

Value parseFloating(const std::string& text, ModelType type) {
  if (text.empty() || text[0] == '+' || text.find_first_not_of("-+0123456789.e") != std::string::npos)
    throw Underivable{};
  char* end = nullptr;
  const double number =
      type.bits == 32 ? double{std::strtof(text.c_str(), &end)} : std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size()) throw Underivable{};
  return {number};
}

Value parse(const std::string& text, ModelType type, unsigned enumerants) {
  switch (type.kind) {
    case Kind::boolean:
      if (text != "true" && text != "false") throw Underivable{};
      return wholeValue(text == "true" ? 1 : 0);
    case Kind::enumerant: {
      const std::string digits = text.starts_with("e") ? text.substr(1) : text;
      if (!isDigits(digits)) throw Underivable{};
      return enumerantOf(parseDigits(digits), enumerants);
    }
    case Kind::whole: {
      const bool isNegative = type.isSigned && text.starts_with("-");
      const std::string digits = text.substr(isNegative ? 1 : 0);
      if (!isDigits(digits)) throw Underivable{};
      return wholeOf(isNegative ? -parseDigits(digits) : parseDigits(digits), type);
    }
    case Kind::floating:
      return parseFloating(text, type);
    default:
      return textValue(text);
  }
}

Value convertOne(const Value& value, ModelType from, ModelType to, unsigned enumerants) {
  if (to.kind == Kind::text && from.kind == Kind::data) {
    if (value.text().find('\xff') != std::string::npos)
      throw Underivable{};  // the only bytes in use that are not UTF-8
    return value;
  }
  if (to.kind == Kind::text) return textValue(dumpText(value, from, enumerants));
  if (from.kind == Kind::text) return parse(value.text(), to, enumerants);
  if (from.kind == Kind::floating)
    return to.kind == Kind::whole ? wholeOfFloating(value.floating(), to) : floatingOf(value.floating(), to);
  switch (to.kind) {
    case Kind::boolean:
      if (value.whole() != 0 && value.whole() != 1) throw Underivable{};
      return value;
    case Kind::enumerant:
      return enumerantOf(value.whole(), enumerants);
    case Kind::floating:
      return to.bits == 32 ? Value{static_cast<double>(static_cast<float>(value.whole()))}
                           : Value{static_cast<double>(value.whole())};
    default:
      return wholeOf(value.whole(), to);
  }
}

Wide roundedQuotient(Wide number, Wide divisor) {
  const bool isNegative = (number < 0) != (divisor < 0);
  const Wide size = number < 0 ? -number : number;
  const Wide by = divisor < 0 ? -divisor : divisor;
  const Wide quotient = (2 * size + by) / (2 * by);  // halves away from zero
  return isNegative ? -quotient : quotient;
}

Value scaleOne(const Value& value, ModelType from, ModelType to, const ModelScale& scale) {
  if (from.kind == Kind::whole && to.kind == Kind::whole)
    return wholeOf(
        roundedQuotient((value.whole() - scale.subtract) * scale.multiply, scale.divide) + scale.add, to);
  const double number = from.kind == Kind::whole ? static_cast<double>(value.whole()) : value.floating();
  const double result = (number - static_cast<double>(scale.subtract)) * static_cast<double>(scale.multiply) /
                            static_cast<double>(scale.divide) +
                        static_cast<double>(scale.add);
  return to.kind == Kind::floating ? floatingOf(result, to) : wholeOfFloating(std::round(result), to);
}

std::vector<std::string> cut(const std::string& text, const std::string& by) {
  std::vector<std::string> parts(1);
  for (std::size_t at = 0; at < text.size();) {
    if (text.compare(at, by.size(), by) == 0) {
      parts.emplace_back();
      at += by.size();
    } else {
      parts.back() += text[at++];
    }
  }
  return parts;
}

Value partOf(const std::string& text, const ModelSplit& split) {
  const auto parts = cut(text, split.by);
  const int count = static_cast<int>(parts.size());
  const int wanted = split.part < 0 ? count + split.part : split.part;
  if (wanted < 0 || wanted >= count) return {};
  const int first = split.rest && split.part < 0 ? 0 : wanted;
  const int last = split.rest && split.part >= 0 ? count - 1 : wanted;
  std::string joined;
  for (int part = first; part <= last; ++part)
    joined += (part == first ? "" : split.by) + parts[static_cast<std::size_t>(part)];
  const auto isTrimmed = [&](char c) { return split.trim.find(c) != std::string::npos; };
  while (!joined.empty() && isTrimmed(joined.back())) joined.pop_back();
  while (!joined.empty() && isTrimmed(joined.front())) joined.erase(0, 1);
  return textValue(joined);
}

// One value, or every element of a list.
ModelExpression each(Source source, bool isList, Convert convert,
                     std::function<std::string(const std::string& path)> text) {
  return {.sources = {source},
          .text = [source, text](const auto& path) { return text(quoted(path(source))); },
          .run = [source, isList, convert](const ModelRow& row, unsigned enumerants) -> Value {
            const Value value = read(row, source);
            if (!value.isSet()) return {};
            if (!isList) return convert(value, enumerants);
            std::vector<Value> elements;
            for (const Value& element : value.elements()) elements.push_back(convert(element, enumerants));
            return {std::move(elements)};
          }};
}

}  // namespace

std::string dumpText(const Value& value, ModelType type, unsigned enumerants) {
  switch (type.kind) {
    case Kind::boolean:
      return value.whole() == 1 ? "true" : "false";
    case Kind::whole:
      return value.whole() < 0 ? std::to_string(static_cast<std::int64_t>(value.whole()))
                               : std::to_string(static_cast<std::uint64_t>(value.whole()));
    case Kind::enumerant: {
      const auto number = std::to_string(static_cast<unsigned>(value.whole()));
      return value.whole() < enumerants ? "e" + number : number;
    }
    case Kind::floating: {
      std::array<char, 40> buffer;
      char* const begin = buffer.data();
      char* const end = begin + buffer.size();
      const auto result = type.bits == 32 ? std::to_chars(begin, end, static_cast<float>(value.floating()))
                                          : std::to_chars(begin, end, value.floating());
      return {begin, result.ptr};
    }
    default:
      return value.text();
  }
}

bool canConvert(ModelType from, ModelType to) {
  if (from.isList != to.isList) return false;
  if (from.kind == Kind::structure || to.kind == Kind::structure) return false;
  if (from.kind == Kind::data || to.kind == Kind::data)
    return from.kind == Kind::text || to.kind == Kind::text;
  if (from.kind == Kind::text || to.kind == Kind::text) return from.kind != to.kind;
  if (from.kind == Kind::whole) return true;
  if (from.kind == Kind::floating) return to.kind == Kind::whole || to.kind == Kind::floating;
  return to.kind == Kind::whole;
}

ModelExpression copyOf(Source source) {
  return {.sources = {source},
          .text = [source](const auto& path) { return "copy = " + quoted(path(source)); },
          .run = [source](const ModelRow& row, unsigned) { return read(row, source); }};
}

ModelExpression convertOf(Source source, ModelType from, ModelType to) {
  return each(
      source, from.isList,
      [from, to](const Value& value, unsigned enumerants) { return convertOne(value, from, to, enumerants); },
      [](const std::string& path) { return "convert = " + path; });
}

ModelExpression scaleOf(Source source, ModelType from, ModelType to, ModelScale scale) {
  return each(
      source, from.isList,
      [from, to, scale](const Value& value, unsigned) { return scaleOne(value, from, to, scale); },
      [scale](const std::string& path) {
        return "scale = (field = " + path + ", subtract = " + std::to_string(scale.subtract) +
               ", multiply = " + std::to_string(scale.multiply) +
               ", divide = " + std::to_string(scale.divide) + ", add = " + std::to_string(scale.add) + ")";
      });
}

ModelExpression concatOf(std::vector<ModelPiece> pieces) {
  std::vector<Source> sources;
  for (const ModelPiece& piece : pieces) {
    if (piece.field) sources.push_back(*piece.field);
  }
  return {.sources = std::move(sources),
          .text =
              [pieces](const auto& path) {
                std::string text;
                for (const ModelPiece& piece : pieces) {
                  text += (text.empty() ? "" : ", ") +
                          (piece.field ? "(field = " + quoted(path(*piece.field))
                                       : "(text = " + quoted(piece.text)) +
                          ")";
                }
                return "concat = [" + text + "]";
              },
          .run =
              [pieces](const ModelRow& row, unsigned enumerants) {
                std::string text;
                for (const ModelPiece& piece : pieces) {
                  text += piece.text;
                  const Value value = piece.field ? read(row, *piece.field) : Value{};
                  if (value.isSet()) text += dumpText(value, piece.type, enumerants);
                }
                return textValue(text);
              }};
}

ModelExpression splitOf(Source source, ModelSplit split) {
  return each(
      source, false, [split](const Value& value, unsigned) { return partOf(value.text(), split); },
      [split](const std::string& path) {
        return "split = (field = " + path + ", by = " + quoted(split.by) +
               ", part = " + std::to_string(split.part) + ", rest = " + (split.rest ? "true" : "false") +
               ", trim = " + quoted(split.trim) + ")";
      });
}

ModelExpression matchOf(Source source, ModelType from, ModelType to, ModelTable table) {
  const auto literal = [](const Value& value, ModelType type) {
    return quoted(dumpText(value, type, kEveryEnumerant));
  };
  return each(
      source, from.isList,
      [table](const Value& value, unsigned) {
        for (const auto& [key, result] : table.cases) {
          if (key == value) return result;
        }
        if (!table.otherwise) throw Underivable{};
        return *table.otherwise;
      },
      [from, to, table, literal](const std::string& path) {
        std::string cases;
        for (const auto& [key, result] : table.cases) {
          cases += (cases.empty() ? "" : ", ") + ("(from = " + literal(key, from)) +
                   ", to = " + literal(result, to) + ")";
        }
        const std::string otherwise = table.otherwise ? ", otherwise = " + literal(*table.otherwise, to) : "";
        return "match = (field = " + path + ", cases = [" + cases + "]" + otherwise + ")";
      });
}

ModelExpression constantOf(Value value, ModelType type) {
  return {.sources = {},
          .text = [value, type](
                      const auto&) { return "constant = " + quoted(dumpText(value, type, kEveryEnumerant)); },
          .run = [value](const ModelRow&, unsigned) { return value; }};
}

ModelExpression coalesceOf(std::vector<std::pair<Source, Value>> candidates) {
  std::vector<Source> sources;
  for (const auto& [source, none] : candidates) sources.push_back(source);
  return {.sources = std::move(sources),
          .text =
              [candidates](const auto& path) {
                std::string text;
                for (const auto& [source, none] : candidates)
                  text += (text.empty() ? "" : ", ") + quoted(path(source));
                return "coalesce = [" + text + "]";
              },
          .run = [candidates](const ModelRow& row, unsigned) -> Value {
            for (const auto& [source, none] : candidates) {
              const Value value = read(row, source);
              const bool isEmpty = value == textValue("") || value == Value{std::vector<Value>{}};
              if (value.isSet() && !isEmpty && value != none) return value;
            }
            return {};
          }};
}

}  // namespace instar::testing
