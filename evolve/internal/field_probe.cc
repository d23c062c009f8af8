#include "instar/evolve/internal/field_probe.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "instar/evolve/internal/key_spec.h"

namespace instar::internal {
namespace {

using capnp::schema::Type;

unsigned widthOf(Type::Which type) noexcept {
  switch (type) {
    case Type::INT8:
    case Type::UINT8:
      return 1;
    case Type::INT16:
    case Type::UINT16:
    case Type::ENUM:
      return 2;
    case Type::INT32:
    case Type::UINT32:
    case Type::FLOAT32:
      return 4;
    default:
      return 8;
  }
}

std::uint64_t load(kj::ArrayPtr<const kj::byte> data, std::size_t begin, unsigned width) noexcept {
  std::uint64_t bits = 0;
  if (begin + width <= data.size()) std::memcpy(&bits, data.begin() + begin, width);
  return bits;
}

template <class Whole>
FieldNumber whole(Whole value) noexcept {
  FieldNumber number{.value = static_cast<double>(value)};
  number.steps = value;
  number.steps *= 1 << 24;
  return number;
}

std::optional<FieldNumber> floating(double value) noexcept {
  if (std::isnan(value)) return std::nullopt;
  FieldNumber number{.value = value + 0.0};  // 0 has one sign
  number.steps = static_cast<decltype(number.steps)>(std::round(std::clamp(value, -0x1p64, 0x1p64) * 0x1p24));
  return number;
}

}  // namespace

bool isPointerType(Type::Which type) noexcept {
  return type == Type::TEXT || type == Type::DATA || type == Type::LIST || type == Type::STRUCT ||
         type == Type::ANY_POINTER || type == Type::INTERFACE;
}

FieldProbe::FieldProbe(const FieldPath& field)
    : type_(field.type().which()),
      isPointer_(isPointerType(type_)),
      offset_(field.field().getProto().getSlot().getOffset()),
      defaultBits_(defaultBits(field.field().getProto().getSlot().getDefaultValue())) {
  for (const auto& step : field.steps()) {
    const std::uint16_t number = step.getProto().getDiscriminantValue();
    if (number == capnp::schema::Field::NO_DISCRIMINANT) continue;
    const auto holder = step.getContainingStruct().getProto().getStruct();
    unions_.push_back({holder.getDiscriminantOffset(), number});
  }
}

bool FieldProbe::isSet(const RecordSections& record) const {
  for (const UnionMember& one : unions_) {
    if (load(record.data, std::size_t{one.offset} * 2, 2) != one.number) return false;
  }
  return !isPointer_ || (offset_ < record.pointers.size() && !record.pointers[offset_].isNull());
}

std::uint64_t FieldProbe::bits(const RecordSections& record) const noexcept {
  if (type_ == Type::BOOL) return (load(record.data, offset_ / 8, 1) >> (offset_ % 8) & 1U) ^ defaultBits_;
  const unsigned width = widthOf(type_);
  return load(record.data, std::size_t{offset_} * width, width) ^ defaultBits_;
}

bool FieldProbe::isPlainlySame(const RecordSections& left, const RecordSections& right) const {
  if (!isPointer_) return bits(left) == bits(right);
  if (offset_ >= left.pointers.size() || offset_ >= right.pointers.size()) return false;
  const auto one = left.pointers[offset_];
  const auto other = right.pointers[offset_];
  if (one.isNull() || other.isNull()) return one.isNull() && other.isNull();
  if (type_ == Type::TEXT) return one.getAs<capnp::Text>() == other.getAs<capnp::Text>();
  return one == other;
}

std::optional<FieldNumber> FieldProbe::number(const RecordSections& record) const {
  switch (type_) {
    case Type::BOOL:
    case Type::UINT8:
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64:
    case Type::ENUM:
      return whole(bits(record));
    case Type::INT8:
      return whole(static_cast<std::int8_t>(bits(record)));
    case Type::INT16:
      return whole(static_cast<std::int16_t>(bits(record)));
    case Type::INT32:
      return whole(static_cast<std::int32_t>(bits(record)));
    case Type::INT64:
      return whole(static_cast<std::int64_t>(bits(record)));
    case Type::FLOAT32:
      return floating(std::bit_cast<float>(static_cast<std::uint32_t>(bits(record))));
    case Type::FLOAT64:
      return floating(std::bit_cast<double>(bits(record)));
    case Type::TEXT:
      return whole(record.pointers[offset_].getAs<capnp::Text>().size());
    case Type::DATA:
      return whole(record.pointers[offset_].getAs<capnp::Data>().size());
    case Type::LIST:
      return whole(record.pointers[offset_].getAs<capnp::AnyList>().size());
    default:
      return std::nullopt;
  }
}

}  // namespace instar::internal
