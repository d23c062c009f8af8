#include "instar/evolve/mirror_check.h"

#include <capnp/dynamic.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "instar/evolve/internal/derivation.h"
#include "instar/evolve/internal/field_probe.h"
#include "instar/evolve/internal/value_text.h"
#include "instar/evolve/record_message.h"

namespace instar {
namespace {

using capnp::DynamicStruct;
using capnp::DynamicValue;
using internal::Derivation;
using internal::FieldPath;
using internal::FieldProbe;
using internal::RecordSections;

struct Mirror {
  FieldPath field;
  FieldProbe probe;
};

// Whether programs of the schema keep the mirror in the same way.
bool keeps(const RecordSchema& schema, const Derivation& mirror) {
  const auto& kept = schema.derivations().mirrored;
  return std::any_of(kept.begin(), kept.end(), [&](const Derivation& other) {
    return other.since == mirror.since && other.target.numbers() == mirror.target.numbers() &&
           other.expression.meaning == mirror.expression.meaning;
  });
}

std::vector<Mirror> mirrorsOf(const RecordSchema& schema, const RecordSchema* other) {
  std::vector<Mirror> mirrors;
  for (const Derivation& one : schema.derivations().mirrored) {
    if (other == nullptr || !keeps(*other, one)) mirrors.push_back({one.target, FieldProbe(one.target)});
  }
  return mirrors;
}

// The pointers in the record struct that lead to what mirrors are made from.
std::set<std::uint32_t> mirrorPointers(const RecordSchema& schema) {
  std::set<std::uint32_t> pointers;
  for (const Derivation& one : schema.derivations().mirrored) {
    for (const FieldPath& source : one.expression.sources) {
      const auto& steps = source.steps();
      const auto slot = std::find_if_not(steps.begin(), steps.end(),
                                         [](const auto step) { return step.getProto().isGroup(); });
      if (slot == steps.end()) {  // a group, with all that it has
        for (std::uint16_t i = 0; i < schema.root().getProto().getStruct().getPointerCount(); ++i)
          pointers.insert(i);
      } else if (internal::isPointerType(slot->getType().which())) {
        pointers.insert(slot->getProto().getSlot().getOffset());
      }
    }
  }
  return pointers;
}

// All numbers of a record, and those of its pointers. Both are of the same struct; one may be shorter.
void copyParts(const RecordSections& from, const std::set<std::uint32_t>& pointers,
               capnp::AnyStruct::Builder to) {
  auto data = to.getDataSection();
  if (data.size() > 0) std::memcpy(data.begin(), from.data.begin(), std::min(data.size(), from.data.size()));
  auto places = to.getPointerSection();
  for (const std::uint32_t pointer : pointers) {
    if (pointer < from.pointers.size()) places[pointer].set(from.pointers[pointer]);
  }
}

// What programs read there: the default where nothing is set.
DynamicValue::Reader valueOf(const FieldPath& member, DynamicStruct::Reader record) {
  for (auto step = member.steps().begin(); step + 1 != member.steps().end(); ++step)
    record = record.get(*step).as<DynamicStruct>();
  return record.get(member.field());
}

bool isSame(const DynamicValue::Reader& left, const DynamicValue::Reader& right) {
  switch (left.getType()) {
    case DynamicValue::BOOL:
      return left.as<bool>() == right.as<bool>();
    case DynamicValue::INT:
      return left.as<std::int64_t>() == right.as<std::int64_t>();
    case DynamicValue::UINT:
      return left.as<std::uint64_t>() == right.as<std::uint64_t>();
    case DynamicValue::FLOAT: {
      const auto one = left.as<double>();
      const auto other = right.as<double>();
      return one == other || (std::isnan(one) && std::isnan(other));
    }
    case DynamicValue::ENUM:
      return left.as<capnp::DynamicEnum>().getRaw() == right.as<capnp::DynamicEnum>().getRaw();
    case DynamicValue::TEXT:
      return left.as<capnp::Text>() == right.as<capnp::Text>();
    case DynamicValue::DATA:
      return left.as<capnp::Data>() == right.as<capnp::Data>();
    case DynamicValue::ANY_POINTER:
      return left.as<capnp::AnyPointer>() == right.as<capnp::AnyPointer>();
    default:
      return internal::valueText(left) == internal::valueText(right);
  }
}

}  // namespace

struct MirrorCheck::Bound {
  Bound(Plans given, const RecordSchema* other)
      : plans(std::move(given)),
        mirrors(mirrorsOf(plans.schema(), other)),
        pointers(mirrorPointers(plans.schema())) {}

  const Plans plans;
  const std::vector<Mirror> mirrors;
  const std::set<std::uint32_t> pointers;  // to the sources of all mirrors
};

MirrorCheck::MirrorCheck(Plans plans, const RecordSchema* other)
    : bound_(std::make_shared<Bound>(std::move(plans), other)) {}
MirrorCheck::MirrorCheck(Plans plans) : MirrorCheck(std::move(plans), nullptr) {}
MirrorCheck::MirrorCheck(Plans plans, const RecordSchema& other) : MirrorCheck(std::move(plans), &other) {}

bool MirrorCheck::isEmpty() const noexcept { return bound_->mirrors.empty(); }

// Mirrors are made from their sources alone, so that no more of the record has to be copied.
std::vector<std::string> MirrorCheck::diverged(capnp::AnyStruct::Reader record) const {
  std::vector<std::string> diverged;
  if (isEmpty()) return diverged;
  internal::RoomyMessage<96> message;
  const auto root = bound_->plans.schema().root();
  const auto copy = message.initRoot<DynamicStruct>(root);
  const RecordSections stored(record);
  copyParts(stored, bound_->pointers, DynamicStruct::Builder(copy).as<capnp::AnyStruct>());
  bound_->plans.prepareToPut(copy);
  const auto put = copy.asReader();
  const RecordSections made(put);
  for (const auto& [field, probe] : bound_->mirrors) {
    if (!probe.isPlainlySame(made, stored) &&
        !isSame(valueOf(field, put), valueOf(field, record.as<DynamicStruct>(root))))
      diverged.push_back(field.text());
  }
  return diverged;
}

}  // namespace instar
