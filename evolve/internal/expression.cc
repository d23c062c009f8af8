#include "instar/evolve/internal/expression.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "instar/evolve/internal/conversion.h"
#include "instar/evolve/internal/literal.h"
#include "instar/evolve/internal/refuse.h"
#include "instar/evolve/internal/type_ref.h"
#include "instar/evolve/internal/value_text.h"
#include "instar/evolve/record_message.h"
#include "instar/evolve/scalar_text.h"
#include "instar/format/error.h"
#include "instar/schema.capnp.h"

namespace instar::internal {
namespace {

using capnp::DynamicList;
using capnp::DynamicStruct;
using capnp::DynamicValue;
using Annotation = annotation::Derivation;
using Source = Annotation::Reader;
using Run = std::function<void(DynamicStruct::Builder record)>;

std::string_view view(capnp::Text::Reader text) noexcept { return {text.begin(), text.size()}; }

[[noreturn]] void refuseTypes(const char* message, capnp::Type from, capnp::Type to) {
  refuse(message, {{"from", typeName(from)}, {"to", typeName(to)}});
}

// A literal with the number of an enumerant in place of its name.
std::string withoutName(capnp::Text::Reader text, capnp::Type type) {
  const std::string plain(view(text));
  const auto value = type.isEnum() ? parseScalar(plain, type) : std::nullopt;
  return value ? std::to_string(value->as<capnp::DynamicEnum>().getRaw()) : plain;
}

// A value that a schema spells as text.
class Literal {
 public:
  Literal(capnp::Text::Reader text, capnp::Type type) : text_(std::make_shared<std::string>(view(text))) {
    if (type.isText()) {
      value_ = DynamicValue::Reader(capnp::Text::Reader(text_->c_str(), text_->size()));
    } else if (isScalar(type)) {
      value_ = parseKnownScalar(*text_, type);
    }
    if (!value_)
      refuse("the text is not a value of the field's type", {{"value", *text_}, {"to", typeName(type)}});
  }
  const DynamicValue::Reader& value() const noexcept { return *value_; }

 private:
  std::shared_ptr<const std::string> text_;  // that the value borrows
  std::optional<DynamicValue::Reader> value_;
};

// Applies a conversion to the value of one field; to every element where both are lists.
Run convertOne(const FieldPath& source, const FieldPath& target, Conversion convert, bool isList) {
  if (!isList) {
    return [source, target, convert = std::move(convert)](DynamicStruct::Builder record) {
      const auto value = source.read(record.asReader());
      if (!value) return;
      std::string text;
      target.parent(record).set(target.field(), convert(*value, text));
    };
  }
  return [source, target, convert = std::move(convert)](DynamicStruct::Builder record) {
    const auto value = source.read(record.asReader());
    if (!value) return;
    const auto from = value->as<DynamicList>();
    auto to = target.parent(record).init(target.field(), from.size()).as<DynamicList>();
    std::string text;
    for (unsigned i = 0; i < from.size(); ++i) to.set(i, convert(from[i], text));
  };
}

struct TypePair {
  capnp::Type from;
  capnp::Type to;
  bool isList = false;
};

TypePair elementTypes(const FieldPath& source, const FieldPath& target) {
  TypePair pair{source.type(), target.type()};
  pair.isList = pair.from.isList() && pair.to.isList();
  if (pair.isList) {
    pair.from = pair.from.asList().getElementType();
    pair.to = pair.to.asList().getElementType();
  }
  return pair;
}

std::string_view trimmed(std::string_view text, std::string_view characters) {
  if (characters.empty()) return text;
  const std::size_t begin = std::min(text.find_first_not_of(characters), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(characters) + 1);
}

// The part of a text between its separators; nothing where there is none of that number.
std::optional<std::string_view> partFromFront(std::string_view text, std::string_view by, int part,
                                              bool rest) {
  for (; part > 0; --part) {
    const std::size_t end = text.find(by);
    if (end == std::string_view::npos) return std::nullopt;
    text.remove_prefix(end + by.size());
  }
  return rest ? text : text.substr(0, text.find(by));
}

std::optional<std::string_view> partFromBack(std::string_view text, std::string_view by, int part,
                                             bool rest) {
  for (; part < -1; ++part) {
    const std::size_t begin = text.rfind(by);
    if (begin == std::string_view::npos) return std::nullopt;
    text = text.substr(0, begin);
  }
  const std::size_t begin = rest ? std::string_view::npos : text.rfind(by);
  return begin == std::string_view::npos ? text : text.substr(begin + by.size());
}

std::optional<std::string_view> partOf(std::string_view text, std::string_view by, int part, bool rest) {
  return part < 0 ? partFromBack(text, by, part, rest) : partFromFront(text, by, part, rest);
}

// The derivation with the numbers of the fields in place of their paths.
std::string meaningOf(capnp::StructSchema record, const FieldPath& target, Source source) {
  const auto numbers = [&](capnp::Text::Reader path) { return FieldPath(record, view(path)).numbers(); };
  RecordMessage message;
  message.setRoot(source);
  auto copy = message.getRoot<Annotation>();
  switch (source.which()) {
    case Annotation::COPY:
      copy.setCopy(numbers(source.getCopy()));
      break;
    case Annotation::CONVERT:
      copy.setConvert(numbers(source.getConvert()));
      break;
    case Annotation::SCALE:
      copy.getScale().setField(numbers(source.getScale().getField()));
      break;
    case Annotation::SPLIT:
      copy.getSplit().setField(numbers(source.getSplit().getField()));
      break;
    case Annotation::MATCH: {
      const FieldPath from(record, view(source.getMatch().getField()));
      const TypePair types = elementTypes(from, target);
      copy.getMatch().setField(from.numbers());
      for (auto one : copy.getMatch().getCases()) {
        one.setFrom(withoutName(one.asReader().getFrom(), types.from));
        one.setTo(withoutName(one.asReader().getTo(), types.to));
      }
      if (source.getMatch().hasOtherwise())
        copy.getMatch().setOtherwise(withoutName(source.getMatch().getOtherwise(), types.to));
      break;
    }
    case Annotation::CONCAT:
      for (auto piece : copy.getConcat()) {
        if (piece.isField()) piece.setField(numbers(piece.asReader().getField()));
      }
      break;
    case Annotation::COALESCE:
      for (unsigned i = 0; i < source.getCoalesce().size(); ++i)
        copy.getCoalesce().set(i, numbers(source.getCoalesce()[i]));
      break;
    case Annotation::CONSTANT:
      copy.setConstant(withoutName(source.getConstant(), target.type()));
      break;
    case Annotation::CALL:
      for (unsigned i = 0; i < source.getCall().getFrom().size(); ++i)
        copy.getCall().getFrom().set(i, numbers(source.getCall().getFrom()[i]));
      break;
    case Annotation::NONE:
      break;
  }
  return target.numbers() + " " + valueText(DynamicStruct::Reader(copy.asReader()));
}

// Checks one annotation and makes what runs it.
class Compiler {
 public:
  Compiler(capnp::StructSchema record, const FieldPath& target) : record_(record), target_(target) {}

  Run compile(Source source) {
    switch (source.which()) {
      case Annotation::COPY:
        return copy(source.getCopy());
      case Annotation::CONVERT:
        return convert(source.getConvert());
      case Annotation::SCALE:
        return scale(source.getScale());
      case Annotation::CONCAT:
        return concat(source.getConcat());
      case Annotation::SPLIT:
        return split(source.getSplit());
      case Annotation::MATCH:
        return match(source.getMatch());
      case Annotation::CONSTANT:
        return constant(source.getConstant());
      case Annotation::COALESCE:
        return coalesce(source.getCoalesce());
      case Annotation::CALL:
        return call(source.getCall());
      case Annotation::NONE:
        break;
    }
    refuse(
        "nothing says how the value is made: add one of copy, convert, scale, concat, split, match, "
        "constant, coalesce, call");
  }

  std::vector<FieldPath> takeSources() { return std::move(sources_); }
  std::set<std::uint64_t> takeEnumsByName() { return std::move(enumsByName_); }
  std::string takeFunction() { return std::move(function_); }

 private:
  const FieldPath& source(capnp::Text::Reader path) { return sources_.emplace_back(record_, view(path)); }

  void useNames(capnp::Type type) {
    if (type.isEnum()) enumsByName_.insert(type.asEnum().getProto().getId());
  }

  void requireTarget(bool fits, const char* message) const {
    if (!fits) refuse(message, {{"to", typeName(target_.type())}});
  }

  Run copy(capnp::Text::Reader path) {
    const FieldPath from = source(path);
    if (from.type() != target_.type())
      refuseTypes("a copy needs the same type on both sides; use convert", from.type(), target_.type());
    return [from, target = target_](DynamicStruct::Builder record) {
      const auto value = from.read(record.asReader());
      if (value) target.parent(record).set(target.field(), *value);
    };
  }

  Run convert(capnp::Text::Reader path) {
    const FieldPath from = source(path);
    const TypePair types = elementTypes(from, target_);
    if (types.to.isText()) useNames(types.from);
    if (types.from.isText()) useNames(types.to);
    Conversion conversion = internal::conversion(types.from, types.to);
    if (!conversion) refuseTypes("there is no conversion between these types", from.type(), target_.type());
    return convertOne(from, target_, std::move(conversion), types.isList);
  }

  Run scale(Annotation::Scale::Reader scale) {
    const FieldPath from = source(scale.getField());
    const TypePair types = elementTypes(from, target_);
    if (scale.getDivide() == 0) refuse("a number cannot be divided by 0; write another `divide`");
    Conversion conversion = scaling(
        types.from, types.to, {scale.getSubtract(), scale.getMultiply(), scale.getDivide(), scale.getAdd()});
    if (!conversion) refuseTypes("only numbers can be scaled", from.type(), target_.type());
    return convertOne(from, target_, std::move(conversion), types.isList);
  }

  Run concat(capnp::List<Annotation::Piece>::Reader list) {
    requireTarget(target_.type().isText(), "a concat makes a Text");
    struct Piece {
      std::string text;
      std::optional<FieldPath> field;
    };
    std::vector<Piece> pieces;
    for (const auto piece : list) {
      if (piece.isText()) {
        pieces.push_back({std::string(view(piece.getText())), std::nullopt});
        continue;
      }
      const FieldPath& from = source(piece.getField());
      if (!from.type().isText() && !isScalar(from.type()))
        refuseTypes("only texts, numbers, Bool and enums can be put together", from.type(), target_.type());
      useNames(from.type());
      pieces.push_back({"", from});
    }
    return [pieces = std::move(pieces), target = target_](DynamicStruct::Builder record) {
      std::string text;
      for (const Piece& piece : pieces) {
        text += piece.text;
        const auto value = piece.field ? piece.field->read(record.asReader()) : std::nullopt;
        if (value) text += comparableText(*value, piece.field->type());
      }
      target.parent(record).set(target.field(), capnp::Text::Reader(text.c_str(), text.size()));
    };
  }

  Run split(Annotation::Split::Reader split) {
    const FieldPath from = source(split.getField());
    if (!from.type().isText() || !target_.type().isText())
      refuseTypes("a split takes a Text and makes one", from.type(), target_.type());
    if (split.getBy().size() == 0) refuse("a text cannot be cut at nothing; write what `by` is");
    const std::string_view trim = view(split.getTrim());
    if (std::any_of(trim.begin(), trim.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
      refuse("only ASCII characters can be trimmed; take the others out of `trim`");
    return [from, target = target_, by = std::string(view(split.getBy())),
            trim = std::string(view(split.getTrim())), part = split.getPart(),
            rest = split.getRest()](DynamicStruct::Builder record) {
      const auto value = from.read(record.asReader());
      if (!value) return;
      const auto found = partOf(view(value->as<capnp::Text>()), by, part, rest);
      if (!found) return;
      const std::string text(trimmed(*found, trim));
      target.parent(record).set(target.field(), capnp::Text::Reader(text.c_str(), text.size()));
    };
  }

  Run match(Annotation::Match::Reader match) {
    const FieldPath from = source(match.getField());
    const TypePair types = elementTypes(from, target_);
    if (!types.from.isText() && !isScalar(types.from))
      refuseTypes("a match looks up texts, numbers, Bool and enums", from.type(), target_.type());
    std::map<std::string, Literal, std::less<>> table;
    for (const auto one : match.getCases()) {
      const Literal key(one.getFrom(), types.from);
      if (!table.try_emplace(comparableText(key.value(), types.from), one.getTo(), types.to).second)
        refuse("a value is twice in the table", {{"value", std::string(view(one.getFrom()))}});
    }
    std::optional<Literal> otherwise;
    if (match.hasOtherwise()) otherwise.emplace(match.getOtherwise(), types.to);
    Conversion lookUp = [table = std::move(table), otherwise, type = types.from](
                            const DynamicValue::Reader& value, std::string&) {
      const auto found = table.find(comparableText(value, type));
      if (found != table.end()) return found->second.value();
      if (!otherwise) throw Unfit{"the value is not in the table of the match"};
      return otherwise->value();
    };
    return convertOne(from, target_, std::move(lookUp), types.isList);
  }

  Run constant(capnp::Text::Reader text) {
    return [literal = Literal(text, target_.type()), target = target_](DynamicStruct::Builder record) {
      target.parent(record).set(target.field(), literal.value());
    };
  }

  Run coalesce(capnp::List<capnp::Text>::Reader paths) {
    std::vector<FieldPath> candidates;
    for (const auto path : paths) {
      const FieldPath& from = source(path);
      if (from.type() != target_.type())
        refuseTypes("coalesce needs the same type on both sides", from.type(), target_.type());
      candidates.push_back(from);
    }
    if (candidates.empty()) refuse("coalesce needs fields to choose from");
    return [candidates = std::move(candidates), target = target_](DynamicStruct::Builder record) {
      for (const FieldPath& candidate : candidates) {
        const auto value = candidate.readIfNotDefault(record.asReader());
        if (!value || isEmpty(*value)) continue;
        target.parent(record).set(target.field(), *value);
        return;
      }
    };
  }

  Run call(Annotation::Call::Reader call) {
    function_ = view(call.getFunction());
    if (function_.empty()) refuse("a call needs the name of a function; write function = \"...\"");
    if (!isPlainText(function_)) {
      refuse("the name of a function is UTF-8 without control characters; write another",
             {{"function", textLiteral(function_)}});
    }
    if (call.getFrom().size() == 0)
      refuse("a call needs fields to make the value from; write from = [\"...\"]");
    for (const auto path : call.getFrom()) source(path);
    return {};  // what it runs is the program's (plan.h)
  }

  static bool isEmpty(const DynamicValue::Reader& value) {
    switch (value.getType()) {
      case DynamicValue::TEXT:
        return value.as<capnp::Text>().size() == 0;
      case DynamicValue::DATA:
        return value.as<capnp::Data>().size() == 0;
      case DynamicValue::LIST:
        return value.as<DynamicList>().size() == 0;
      default:
        return false;
    }
  }

  const capnp::StructSchema record_;
  const FieldPath& target_;
  std::vector<FieldPath> sources_;
  std::set<std::uint64_t> enumsByName_;
  std::string function_;
};

}  // namespace

Expression compile(capnp::StructSchema record, const FieldPath& target, Source source) {
  Compiler compiler(record, target);
  Run run = compiler.compile(source);
  return {.sources = compiler.takeSources(),
          .enumsByName = compiler.takeEnumsByName(),
          .meaning = meaningOf(record, target, source),
          .function = compiler.takeFunction(),
          .run = std::move(run)};
}

}  // namespace instar::internal
