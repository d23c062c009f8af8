#include "instar/evolve/functions.h"

#include <kj/exception.h>

#include "instar/evolve/internal/conversion.h"
#include "instar/format/error.h"
#include "instar/format/key_text.h"

namespace instar {
namespace {

// Types from the file and from the program are the same where their ids are.
bool isSame(capnp::Type one, capnp::Type other) {
  if (one.which() != other.which()) return false;
  if (one.isList()) return isSame(one.asList().getElementType(), other.asList().getElementType());
  if (one.isEnum()) return one.asEnum().getProto().getId() == other.asEnum().getProto().getId();
  if (one.isStruct()) return one.asStruct().getProto().getId() == other.asStruct().getProto().getId();
  return true;
}

void checkName(const std::string& name, bool isTaken) {
  if (name.empty()) throw Error(ErrorCode::fixCall, "a function needs a name that schemas can call it by");
  if (isTaken)
    throw Error(ErrorCode::fixCall, "there is a function of that name already; give this one another",
                {{"function", name}});
}

}  // namespace

void FieldTarget::set(const capnp::DynamicValue::Reader& value) {
  if (value.getType() == capnp::DynamicValue::TEXT) {
    const auto text = value.as<capnp::Text>();
    if (!isValidUtf8({text.begin(), text.size()})) throw UpgradeFailure("the text is not UTF-8");
  }
  try {
    holder_.set(field_, value);
  } catch (const kj::Exception&) {
    throw UpgradeFailure("the function made a value that is not of the field's type, or too large");
  }
}

capnp::DynamicStruct::Builder FieldTarget::initStruct() {
  return holder_.init(field_).as<capnp::DynamicStruct>();
}

capnp::DynamicList::Builder FieldTarget::initList(unsigned size) {
  return holder_.init(field_, size).as<capnp::DynamicList>();
}

void Functions::add(std::string name, internal::ValueFunction function) {
  checkName(name, values_.contains(name));
  values_.emplace(std::move(name), std::move(function));
}

const internal::ValueFunction* Functions::findValue(std::string_view name) const noexcept {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

std::string internal::typeMisfit(std::string_view what, capnp::Type given, capnp::Type wanted) {
  if (isSame(given, wanted)) return {};
  return std::string(what) + " " + typeName(wanted) + ", the field is " + typeName(given);
}

std::string internal::countMisfit(std::size_t given, std::size_t wanted) {
  return "it takes " + std::to_string(wanted) + " fields, and the schema names " + std::to_string(given);
}

}  // namespace instar
