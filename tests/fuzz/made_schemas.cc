#include "instar/tests/fuzz/made_schemas.h"

#include <capnp/dynamic.h>

#include <array>

#include "instar/evolve/internal/annotations.h"
#include "instar/schema.capnp.h"

namespace instar::fuzz {
namespace {

using capnp::schema::Field;
using capnp::schema::Node;
using capnp::schema::Type;
using capnp::schema::Value;

constexpr std::uint64_t kInnerId = kRecordId + 1;
constexpr std::uint64_t kColourId = kRecordId + 2;
constexpr std::uint64_t kGroupId = kRecordId + 3;
constexpr std::uint64_t kNewRecordId = kRecordId + 4;

// A field has a word of data and a pointer of its own, whichever it needs, so that no choice of types is
// wrong.
constexpr unsigned kMaxFields = 12;

constexpr std::array kTypes = {Type::UINT64, Type::TEXT,   Type::INT32,      Type::BOOL,    Type::FLOAT64,
                               Type::ENUM,   Type::DATA,   Type::UINT8,      Type::INT8,    Type::INT16,
                               Type::INT64,  Type::UINT16, Type::UINT32,     Type::FLOAT32, Type::STRUCT,
                               Type::LIST,   Type::VOID,   Type::ANY_POINTER};

unsigned bitsOf(Type::Which type) {
  switch (type) {
    case Type::BOOL:
      return 1;
    case Type::INT8:
    case Type::UINT8:
      return 8;
    case Type::INT16:
    case Type::UINT16:
    case Type::ENUM:
      return 16;
    case Type::INT32:
    case Type::UINT32:
    case Type::FLOAT32:
      return 32;
    case Type::INT64:
    case Type::UINT64:
    case Type::FLOAT64:
      return 64;
    default:
      return 0;
  }
}

void buildType(Type::Builder type, Type::Which which, Type::Which element) {
  switch (which) {
    case Type::VOID:
      return type.setVoid();
    case Type::BOOL:
      return type.setBool();
    case Type::INT8:
      return type.setInt8();
    case Type::INT16:
      return type.setInt16();
    case Type::INT32:
      return type.setInt32();
    case Type::INT64:
      return type.setInt64();
    case Type::UINT8:
      return type.setUint8();
    case Type::UINT16:
      return type.setUint16();
    case Type::UINT32:
      return type.setUint32();
    case Type::UINT64:
      return type.setUint64();
    case Type::FLOAT32:
      return type.setFloat32();
    case Type::FLOAT64:
      return type.setFloat64();
    case Type::TEXT:
      return type.setText();
    case Type::DATA:
      return type.setData();
    case Type::ENUM:
      return type.initEnum().setTypeId(kColourId);
    case Type::STRUCT:
      return type.initStruct().setTypeId(kInnerId);
    case Type::LIST:
      return buildType(type.initList().initElementType(), element, Type::UINT8);
    default:
      type.initAnyPointer().initUnconstrained().setAnyKind();
  }
}

void buildDefault(Value::Builder value, Type::Which which, std::uint64_t bits) {
  switch (which) {
    case Type::VOID:
      return value.setVoid();
    case Type::BOOL:
      return value.setBool((bits & 1) != 0);
    case Type::INT8:
      return value.setInt8(static_cast<std::int8_t>(bits));
    case Type::INT16:
      return value.setInt16(static_cast<std::int16_t>(bits));
    case Type::INT32:
      return value.setInt32(static_cast<std::int32_t>(bits));
    case Type::INT64:
      return value.setInt64(static_cast<std::int64_t>(bits));
    case Type::UINT8:
      return value.setUint8(static_cast<std::uint8_t>(bits));
    case Type::UINT16:
      return value.setUint16(static_cast<std::uint16_t>(bits));
    case Type::UINT32:
      return value.setUint32(static_cast<std::uint32_t>(bits));
    case Type::UINT64:
      return value.setUint64(bits);
    case Type::FLOAT32:
      return value.setFloat32(static_cast<float>(bits));
    case Type::FLOAT64:
      return value.setFloat64(static_cast<double>(bits));
    case Type::TEXT:
      return bits == 0 ? static_cast<void>(value.initText(0)) : value.setText("text");
    case Type::DATA:
      value.initData(static_cast<unsigned>(bits % 4));
      return;
    case Type::ENUM:
      return value.setEnum(static_cast<std::uint16_t>(bits % 4));
    case Type::STRUCT:
      value.initStruct();
      return;
    case Type::LIST:
      value.initList();
      return;
    default:
      value.initAnyPointer();
  }
}

void name(Node::Builder node, std::uint64_t id, const char* name, std::uint64_t scope) {
  node.setId(id);
  node.setDisplayName(name);
  node.setDisplayNamePrefixLength(static_cast<unsigned>(std::string_view(name).find_last_of(":.") + 1));
  node.setScopeId(scope);
}

void slot(Field::Builder field, const char* name, unsigned ordinal, Type::Which type, unsigned offset) {
  field.setName(name);
  field.setCodeOrder(static_cast<std::uint16_t>(ordinal));
  field.setDiscriminantValue(Field::NO_DISCRIMINANT);
  field.initOrdinal().setExplicit(static_cast<std::uint16_t>(ordinal));
  buildType(field.initSlot().initType(), type, Type::UINT8);
  field.getSlot().setOffset(offset);
  buildDefault(field.getSlot().initDefaultValue(), type, 0);
}

void buildInner(Node::Builder node) {
  name(node, kInnerId, "made.capnp:Record.Inner", kRecordId);
  auto type = node.initStruct();
  type.setDataWordCount(1);
  type.setPointerCount(1);
  type.setPreferredListEncoding(capnp::schema::ElementSize::INLINE_COMPOSITE);
  auto fields = type.initFields(2);
  slot(fields[0], "count", 0, Type::UINT32, 0);
  slot(fields[1], "label", 1, Type::TEXT, 0);
}

void buildColour(Node::Builder node, bool isNewer) {
  name(node, kColourId, "made.capnp:Record.Colour", kRecordId);
  constexpr const char* kNames[] = {"red", "green", "blue", "grey"};
  auto enumerants = node.initEnum().initEnumerants(isNewer ? 4 : 3);
  for (unsigned i = 0; i < enumerants.size(); ++i) {
    enumerants[i].setName(kNames[i]);
    enumerants[i].setCodeOrder(static_cast<std::uint16_t>(i));
  }
}

Value::Builder annotation(capnp::schema::Annotation::Builder one, std::uint64_t id) {
  one.setId(id);
  return one.initValue();
}

}  // namespace

MadeSchemas::MadeSchemas(Input& input) {
  olderFields_ = 1 + input.below(6);
  const std::size_t count = olderFields_ + input.below(5);
  for (std::size_t i = 0; i < count; ++i) {
    fields_.push_back(makeField(input));
    fields_.back().name = "f" + std::to_string(i);
  }
  // A union has two members, so that each version has one or none.
  std::size_t members = 0;
  for (std::size_t i = 0; i < olderFields_; ++i) members += fields_[i].inUnion ? 1 : 0;
  if (members < 2) {
    for (MadeField& field : fields_) field.inUnion = false;
  }
  const std::size_t parts = std::min(olderFields_, input.below(3));
  for (std::size_t part = 0; part < parts; ++part)
    fields_[part].keyPosition = static_cast<std::uint8_t>(part);
  build(older_, input, false);
  build(newer_, input, true);
}

MadeSchemas::MadeField MadeSchemas::makeField(Input& input) {
  MadeField field;
  field.type = static_cast<std::uint8_t>(input.below(kTypes.size()));
  if (kTypes[field.type] == Type::LIST)
    field.element = static_cast<std::uint8_t>(input.below(kTypes.size() - 3));
  const std::uint8_t choice = input.byte();
  field.inGroup = choice % 4 == 1;
  field.inUnion = choice % 4 == 2;
  field.hasDefault = choice / 4 % 4 == 1;
  if (field.hasDefault) field.defaultBits = input.number(2);
  return field;
}

capnp::List<Node>::Reader MadeSchemas::nodesOf(capnp::MallocMessageBuilder& message) {
  return message.getRoot<capnp::AnyPointer>().getAs<capnp::List<Node>>().asReader();
}

void MadeSchemas::build(capnp::MallocMessageBuilder& message, Input& input, bool isNewer) {
  bool hasGroup = false;
  if (isNewer && input.below(8) == 1) newerId_ = kNewRecordId;
  const std::size_t count = isNewer ? fields_.size() : olderFields_;
  for (std::size_t i = 0; i < count; ++i) hasGroup = hasGroup || fields_[i].inGroup;
  auto nodes = message.initRoot<capnp::AnyPointer>().initAs<capnp::List<Node>>(hasGroup ? 4U : 3U);
  name(nodes[0], isNewer ? newerId_ : kRecordId, "made.capnp:Record", 1);
  buildInner(nodes[1]);
  buildColour(nodes[2], isNewer && input.chance());
  if (hasGroup) name(nodes[3], kGroupId, "made.capnp:Record.group", kRecordId);
  buildRecord(nodes[0], hasGroup ? nodes[3] : nodes[0], input, isNewer);
  annotateRecord(nodes[0], input, isNewer);
}

void MadeSchemas::buildRecord(Node::Builder record, Node::Builder group, Input& input, bool isNewer) {
  const std::size_t count = isNewer ? fields_.size() : olderFields_;
  unsigned inGroup = 0;
  unsigned inUnion = 0;
  for (std::size_t i = 0; i < count; ++i) {
    inGroup += fields_[i].inGroup ? 1 : 0;
    inUnion += fields_[i].inUnion ? 1 : 0;
  }
  const auto section = [](capnp::schema::Node::Struct::Builder type) {
    type.setDataWordCount(kMaxFields + 1);
    type.setPointerCount(kMaxFields);
    type.setPreferredListEncoding(capnp::schema::ElementSize::INLINE_COMPOSITE);
  };
  auto type = record.initStruct();
  section(type);
  type.setDiscriminantCount(static_cast<std::uint16_t>(inUnion));
  type.setDiscriminantOffset(inUnion == 0 ? 0 : kMaxFields * 4);
  auto members = type.initFields(static_cast<unsigned>(count) - inGroup + (inGroup == 0 ? 0 : 1));
  capnp::List<Field>::Builder grouped;
  if (inGroup != 0) {
    auto body = group.initStruct();
    section(body);
    body.setIsGroup(true);
    grouped = body.initFields(inGroup);
  }
  unsigned next = 0;
  unsigned nextGrouped = 0;
  std::uint16_t nextMember = 0;
  for (unsigned ordinal = 0; ordinal < count; ++ordinal) {
    const MadeField& made = fields_[ordinal];
    if (made.inGroup && nextGrouped == 0) {
      auto field = members[next];
      field.setName("group");
      field.setCodeOrder(static_cast<std::uint16_t>(next++));
      field.setDiscriminantValue(Field::NO_DISCRIMINANT);
      field.initGroup().setTypeId(kGroupId);
    }
    auto field = made.inGroup ? grouped[nextGrouped] : members[next];
    field.setCodeOrder(static_cast<std::uint16_t>(made.inGroup ? nextGrouped++ : next++));
    field.setDiscriminantValue(made.inUnion ? nextMember++ : Field::NO_DISCRIMINANT);
    buildField(field, ordinal, input, isNewer);
  }
}

void MadeSchemas::buildField(Field::Builder field, unsigned ordinal, Input& input, bool isNewer) {
  const MadeField& made = fields_[ordinal];
  const Type::Which which = kTypes[made.type];
  field.setName(made.name.c_str());
  field.initOrdinal().setExplicit(static_cast<std::uint16_t>(ordinal));
  auto slot = field.initSlot();
  buildType(slot.initType(), which, kTypes[made.element]);
  const unsigned bits = bitsOf(which);
  slot.setOffset(which == Type::VOID ? 0 : bits == 0 ? ordinal : ordinal * (64 / bits));
  buildDefault(slot.initDefaultValue(), which, made.defaultBits);
  slot.setHadExplicitDefault(made.hasDefault);
  annotate(field, ordinal, input, isNewer);
}

void MadeSchemas::annotate(Field::Builder field, unsigned ordinal, Input& input, bool isNewer) {
  const MadeField& made = fields_[ordinal];
  const bool isKey = made.keyPosition != 0xff;
  const std::size_t choice = isNewer ? input.below(8) : 0;
  const std::uint64_t id = ordinal >= olderFields_ && choice < 6 ? internal::kDerivedAnnotation
                           : choice == 6                         ? internal::kSensitiveAnnotation
                           : choice == 5                         ? internal::kRetiredAnnotation
                           : choice >= 3                         ? internal::kMirroredAnnotation
                                                                 : 0;
  auto annotations = field.initAnnotations((isKey ? 1U : 0U) + (id != 0 ? 1U : 0U));
  unsigned next = 0;
  if (isKey) annotation(annotations[next++], internal::kKeyAnnotation).setUint8(made.keyPosition);
  if (id == 0) return;
  auto value = annotation(annotations[next], id);
  if (id == internal::kSensitiveAnnotation)
    value.setVoid();
  else if (id == internal::kRetiredAnnotation)
    value.setUint16(2);
  else
    fillDerivation(value.initStruct(), input);
}

void MadeSchemas::annotateRecord(Node::Builder record, Input& input, bool isNewer) {
  const std::uint8_t choice = isNewer ? input.byte() : std::uint8_t{0};
  const bool hasStep = choice % 8 == 1;
  const bool hasRule = choice / 8 % 4 == 1;
  const bool replaces = choice / 32 % 2 == 1;
  auto annotations = record.initAnnotations(1U + (hasStep ? 1 : 0) + (hasRule ? 1 : 0) + (replaces ? 1 : 0));
  unsigned next = 0;
  annotation(annotations[next++], internal::kVersionAnnotation).setUint16(isNewer ? 2 : 1);
  if (hasStep) {
    auto steps = annotation(annotations[next++], internal::kUpgradedAnnotation)
                     .initList()
                     .initAs<capnp::List<annotation::Step>>(1);
    steps[0].setTo(2);
    steps[0].setCall(input.chance() ? "missing" : "grow");
  }
  if (hasRule) {
    auto rules = annotation(annotations[next++], internal::kValidatedAnnotation)
                     .initList()
                     .initAs<capnp::List<capnp::Text>>(1);
    rules.set(0, "isRight");
  }
  if (replaces) {
    auto replacement = annotation(annotations[next], internal::kReplacesAnnotation)
                           .initStruct()
                           .initAs<annotation::Replacement>();
    replacement.setSince(2);
    replacement.setType(newerId_ == kRecordId ? kNewRecordId : kRecordId);
    replacement.setCall("remake");
  }
}

std::string MadeSchemas::anyPath(Input& input) const {
  const std::size_t choice = input.below(fields_.size() + 3);
  if (choice < fields_.size()) return (fields_[choice].inGroup ? "group." : "") + fields_[choice].name;
  if (choice == fields_.size()) return input.text(8);
  return fields_[input.below(fields_.size())].name + (choice % 2 == 0 ? ".label" : ".count");
}

void MadeSchemas::fillDerivation(capnp::AnyPointer::Builder value, Input& input) const {
  auto derivation = value.initAs<annotation::Derivation>();
  const std::uint8_t since = input.byte();
  derivation.setSince(since < 0xf0 ? std::uint16_t{2} : static_cast<std::uint16_t>(since - 0xf0));
  const auto path = [&] { return anyPath(input); };
  switch (input.below(10)) {
    case 0:
      return derivation.setCopy(path().c_str());
    case 1:
      return derivation.setConvert(path().c_str());
    case 2: {
      auto scale = derivation.initScale();
      scale.setField(path().c_str());
      const std::uint8_t parts = input.byte();
      const auto any = [&] { return static_cast<std::int64_t>(input.number((parts & 0x80) != 0 ? 8 : 1)); };
      if ((parts & 1) != 0) scale.setSubtract(any());
      if ((parts & 2) != 0) scale.setMultiply(any());
      if ((parts & 4) != 0) scale.setDivide(any());
      if ((parts & 8) != 0) scale.setAdd(any());
      return;
    }
    case 3: {
      auto pieces = derivation.initConcat(static_cast<unsigned>(input.below(4)));
      for (auto piece : pieces) {
        if (input.chance())
          piece.setText(input.text(4).c_str());
        else
          piece.setField(path().c_str());
      }
      return;
    }
    case 4: {
      auto split = derivation.initSplit();
      split.setField(path().c_str());
      split.setBy(input.text(3).c_str());
      split.setPart(static_cast<std::int16_t>(static_cast<std::int8_t>(input.byte())));
      split.setRest(input.chance());
      if (input.chance()) split.setTrim(input.text(3).c_str());
      return;
    }
    case 5: {
      auto match = derivation.initMatch();
      match.setField(path().c_str());
      auto cases = match.initCases(static_cast<unsigned>(input.below(4)));
      for (auto one : cases) {
        one.setFrom(input.text(4).c_str());
        one.setTo(input.text(4).c_str());
      }
      if (input.chance()) match.setOtherwise(input.text(4).c_str());
      return;
    }
    case 6:
      return derivation.setConstant(input.text(6).c_str());
    case 7: {
      auto sources = derivation.initCoalesce(static_cast<unsigned>(input.below(4)));
      for (unsigned i = 0; i < sources.size(); ++i) sources.set(i, path().c_str());
      return;
    }
    case 8: {
      auto call = derivation.initCall();
      constexpr const char* kNames[] = {"length", "next", "missing", ""};
      call.setFunction(kNames[input.below(4)]);
      auto sources = call.initFrom(static_cast<unsigned>(input.below(3)));
      for (unsigned i = 0; i < sources.size(); ++i) sources.set(i, path().c_str());
      return;
    }
    default:
      return derivation.setNone();
  }
}

std::shared_ptr<const Functions> madeFunctions() {
  using capnp::DynamicStruct;
  static const auto functions = [] {
    auto made = std::make_shared<Functions>();
    made->value("length", [](capnp::Text::Reader text) { return static_cast<std::uint64_t>(text.size()); });
    made->value("next", [](std::optional<std::uint64_t> number) -> std::optional<std::uint64_t> {
      if (!number) return std::nullopt;
      return *number + 1;
    });
    made->step<DynamicStruct>("grow", [](DynamicStruct::Builder record) {
      for (auto field : record.getSchema().getNonUnionFields()) {
        if (field.getType().isText()) record.set(field, "grown longer than it was before");
      }
    });
    made->validator<DynamicStruct>("isRight", [](DynamicStruct::Reader record) -> std::optional<std::string> {
      return record.totalSize().wordCount % 2 == 0 ? std::optional<std::string>("it is odd") : std::nullopt;
    });
    made->conversion<DynamicStruct, DynamicStruct>("remake",
                                                   [](DynamicStruct::Reader, DynamicStruct::Builder) {});
    return std::shared_ptr<const Functions>(std::move(made));
  }();
  return functions;
}

}  // namespace instar::fuzz
