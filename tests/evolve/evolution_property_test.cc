#include <capnp/dynamic.h>
#include <capnp/message.h>
#include <capnp/schema-loader.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <random>
#include <string>

#include "instar/evolve/difference.h"
#include "instar/evolve/schema_text.h"
#include "instar/evolve/verdict.h"
#include "instar/tests/evolve/random_schema.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using capnp::DynamicList;
using capnp::DynamicStruct;
using capnp::DynamicValue;

RecordSchema parse(const RandomSchema& model) {
  try {
    return parseDeclarations(model.text(), model.recordName());
  } catch (const kj::Exception& exception) {
    if (isRefusedLayout(exception)) RC_DISCARD("a layout that the compiler refuses");
    throw;
  }
}

std::string whyLoaderRefuses(const RecordSchema& older, const RecordSchema& newer) {
  capnp::SchemaLoader loader;
  try {
    for (auto node : older.nodes()) loader.load(node);
    for (auto node : newer.nodes()) loader.load(node);
    return {};
  } catch (const kj::Exception& exception) {
    return exception.getDescription().cStr();
  }
}

// Fills rows with whatever their schema allows.
class RowFiller {
 public:
  explicit RowFiller(std::uint64_t seed) : random_(seed) {}

  void fill(DynamicStruct::Builder row, int depth = 0) {
    for (auto field : row.getSchema().getNonUnionFields()) fillField(row, field, depth);
    auto members = row.getSchema().getUnionFields();
    if (members.size() > 0) fillField(row, members[below(members.size())], depth);
  }

 private:
  unsigned below(unsigned count) { return static_cast<unsigned>(random_() % count); }

  void fillField(DynamicStruct::Builder row, capnp::StructSchema::Field field, int depth) {
    auto type = field.getType();
    constexpr int kMaxDepth = 3;
    if (field.getProto().isGroup()) return fill(row.init(field).as<DynamicStruct>(), depth);
    if (type.isStruct()) {
      if (depth < kMaxDepth) fill(row.init(field).as<DynamicStruct>(), depth + 1);
    } else if (type.isList()) {
      if (depth < kMaxDepth) fillList(row.init(field, below(4)).as<DynamicList>(), depth);
    } else {
      row.set(field, scalar(type));
    }
  }

  void fillList(DynamicList::Builder list, int depth) {
    auto type = list.getSchema().getElementType();
    for (unsigned position = 0; position < list.size(); ++position) {
      if (type.isStruct()) {
        fill(list[position].as<DynamicStruct>(), depth + 1);
      } else {
        list.set(position, scalar(type));
      }
    }
  }

  DynamicValue::Reader scalar(capnp::Type type) {
    if (type.isVoid()) return capnp::VOID;
    if (type.isBool()) return below(2) == 1;
    if (type.isText()) return "some text";
    if (type.isData()) return capnp::Data::Reader(reinterpret_cast<const capnp::byte*>("data"), 4);
    if (type.isEnum()) {
      auto enumerants = type.asEnum().getEnumerants();
      return capnp::DynamicEnum(enumerants[below(enumerants.size())]);
    }
    return static_cast<std::int64_t>(below(128));
  }

  std::mt19937_64 random_;
};

// A type that contains itself, in the member that a union begins with, goes on without end where a row ends.
bool isAbsentStruct(DynamicStruct::Reader row, capnp::StructSchema::Field field) {
  return field.getType().isStruct() && !row.has(field);
}

// The values of a row by the ordinals of their fields. Members of unions that are not set and structs
// that are absent are left out.
void collectValues(DynamicStruct::Reader row, std::map<unsigned, DynamicValue::Reader>& values) {
  auto collect = [&](capnp::StructSchema::Field field) {
    if (field.getProto().isGroup()) {
      collectValues(row.get(field).as<DynamicStruct>(), values);
    } else if (!isAbsentStruct(row, field)) {
      values.emplace(field.getProto().getOrdinal().getExplicit(), row.get(field));
    }
  };
  for (auto field : row.getSchema().getNonUnionFields()) collect(field);
  KJ_IF_MAYBE (active, row.which()) {
    collect(*active);
  }
}

std::map<unsigned, DynamicValue::Reader> valuesOf(DynamicStruct::Reader row) {
  std::map<unsigned, DynamicValue::Reader> values;
  collectValues(row, values);
  return values;
}

void expectSame(const DynamicValue::Reader& older, const DynamicValue::Reader& newer,
                const std::string& where);

// Everything that the older schema knows of a row is the same in the newer one.
void expectSameRow(DynamicStruct::Reader older, DynamicStruct::Reader newer, const std::string& where) {
  auto known = valuesOf(newer);
  for (const auto& [ordinal, value] : valuesOf(older)) {
    auto place = where + "@" + std::to_string(ordinal);
    auto found = known.find(ordinal);
    if (found == known.end()) {
      RC_FAIL("lost " + place);
    }
    expectSame(value, found->second, place);
  }
}

void expectSameList(DynamicList::Reader older, DynamicList::Reader newer, const std::string& where) {
  RC_ASSERT(older.size() == newer.size());
  bool widened =
      newer.getSchema().getElementType().isStruct() && !older.getSchema().getElementType().isStruct();
  for (unsigned position = 0; position < older.size(); ++position) {
    auto element = newer[position];
    expectSame(older[position], widened ? valuesOf(element.as<DynamicStruct>()).at(0) : element,
               where + "[]");
  }
}

void expectSame(const DynamicValue::Reader& older, const DynamicValue::Reader& newer,
                const std::string& where) {
  switch (older.getType()) {
    case DynamicValue::STRUCT:
      return expectSameRow(older.as<DynamicStruct>(), newer.as<DynamicStruct>(), where);
    case DynamicValue::LIST:
      return expectSameList(older.as<DynamicList>(), newer.as<DynamicList>(), where);
    case DynamicValue::ENUM:
      RC_ASSERT(older.as<capnp::DynamicEnum>().getRaw() == newer.as<capnp::DynamicEnum>().getRaw());
      return;
    default:
      if (kj::str(older) != kj::str(newer)) RC_FAIL(where + " differs");
  }
}

void checkRows(const RecordSchema& older, const RecordSchema& newer, bool olderMayRead, std::uint64_t seed) {
  capnp::MallocMessageBuilder olderRow;
  RowFiller(seed).fill(olderRow.initRoot<DynamicStruct>(older.root()));
  auto bytes = olderRow.getRoot<capnp::AnyPointer>().asReader();
  expectSameRow(bytes.getAs<DynamicStruct>(older.root()), bytes.getAs<DynamicStruct>(newer.root()),
                "older row ");
  if (!olderMayRead) return;
  capnp::MallocMessageBuilder newerRow;
  RowFiller(seed).fill(newerRow.initRoot<DynamicStruct>(newer.root()));
  auto newerBytes = newerRow.getRoot<capnp::AnyPointer>().asReader();
  expectSameRow(newerBytes.getAs<DynamicStruct>(older.root()), newerBytes.getAs<DynamicStruct>(newer.root()),
                "newer row ");
}

TEST(EvolutionProperty, AdditiveEditsAreAllowedAndKeepEveryRow) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    RandomSchema model(seed);
    auto older = parse(model);
    bool raises = false;
    std::string edits;
    for (unsigned count = 1 + static_cast<unsigned>(seed % 5); count > 0; --count) {
      auto label = model.changeAdditively();
      raises |= label == Label::raisesFloors;
      if (label != Label::none) edits += model.lastChange() + "\n";
    }
    auto newer = parse(model);
    auto judgements = judge(difference(older, newer));
    RC_LOG() << schemaText(older) << edits << model.text() << describe(judgements);
    RC_ASSERT(!isRefused(judgements));
    RC_ASSERT(whyLoaderRefuses(older, newer) == std::string());
    RC_ASSERT(judgements.empty() == (older.fingerprint() == newer.fingerprint()));
    RC_ASSERT(raises || floorEffect(judgements) == FloorEffect::none);
    checkRows(older, newer, floorEffect(judgements) == FloorEffect::none, seed);
  }));
}

TEST(EvolutionProperty, FieldsMovedIntoUnionsRaiseTheFloors) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    RandomSchema model(seed);
    auto older = parse(model);
    auto label = Label::none;
    while (label == Label::none) label = model.moveIntoUnion();
    auto newer = parse(model);
    auto judgements = judge(difference(older, newer));
    RC_LOG() << schemaText(older) << model.lastChange() << "\n" << model.text() << describe(judgements);
    RC_ASSERT(!isRefused(judgements));
    RC_ASSERT((floorEffect(judgements) != FloorEffect::none) ==
              !judgements.empty());  // the type need not be one that the record uses
    checkRows(older, newer, false, seed);
  }));
}

TEST(EvolutionProperty, BreakingEditsAreRefused) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    RandomSchema model(seed);
    auto older = parse(model);
    auto label = Label::none;
    for (int attempt = 0; attempt < 20 && label == Label::none; ++attempt) label = model.breakSomething();
    auto change = model.lastChange();
    auto newer = parse(model);
    auto judgements = judge(difference(older, newer));
    RC_LOG() << schemaText(older) << change << "\n" << model.text() << describe(judgements);
    RC_ASSERT(label == Label::breaking);
    RC_ASSERT(isRefused(judgements));
  }));
}

TEST(EvolutionProperty, TextMeansTheSameWhenParsedAgain) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    RandomSchema model(seed);
    auto schema = parse(model);
    auto text = schemaText(schema);
    RC_LOG() << text;
    RC_ASSERT(parseRecord(text, model.recordName()).fingerprint() == schema.fingerprint());
    RC_ASSERT(RecordSchema::fromNodes(schema.nodes(), schema.rootId()).fingerprint() == schema.fingerprint());
  }));
}

}  // namespace
}  // namespace instar::testing
