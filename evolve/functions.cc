#include "instar/evolve/functions.h"

#include <kj/exception.h>

#include "instar/evolve/internal/conversion.h"
#include "instar/evolve/internal/field_path.h"
#include "instar/evolve/want_of_memory.h"
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

template <class Function>
using Table = std::map<std::string, Function, std::less<>>;

template <class Function>
void insert(Table<Function>& table, std::string name, Function function) {
  if (name.empty()) throw Error(ErrorCode::fixCall, "a function needs a name that schemas can call it by");
  if (table.contains(name))
    throw Error(ErrorCode::fixCall, "there is a function of that name already; give this one another",
                {{"function", name}});
  table.emplace(std::move(name), std::move(function));
}

template <class Function>
const Function* find(const Table<Function>& table, std::string_view name) noexcept {
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace

void copyField(capnp::DynamicStruct::Reader older, capnp::DynamicStruct::Builder newer,
               std::string_view field, std::string_view as) {
  const auto find = [](capnp::StructSchema record, std::string_view name) {
    try {
      return internal::FieldPath(record, name);
    } catch (const Error&) {
      throw UpgradeFailure("the function copies the field " + std::string(name) + ", which " +
                           record.getShortDisplayName().cStr() + " does not have");
    }
  };
  const internal::FieldPath from = find(older.getSchema(), field);
  const internal::FieldPath to = find(newer.getSchema(), as.empty() ? field : as);
  if (!isSame(from.type(), to.type())) {
    throw UpgradeFailure("the function copies the field " + from.text() + ", which is " +
                         internal::typeName(from.type()) + ", to " + to.text() + ", which is " +
                         internal::typeName(to.type()));
  }
  const auto value = from.read(older);
  if (!value) return;
  capnp::DynamicStruct::Builder holder = to.parent(newer);
  const auto pointer = [&] {
    holder.clear(to.field());  // which also makes it the active member of its union
    return holder.as<capnp::AnyStruct>().getPointerSection()[to.field().getProto().getSlot().getOffset()];
  };
  if (to.type().isEnum())
    holder.set(to.field(), capnp::DynamicEnum(to.type().asEnum(), value->as<capnp::DynamicEnum>().getRaw()));
  else if (to.type().isStruct())
    pointer().setAs<capnp::DynamicStruct>(value->as<capnp::DynamicStruct>());
  else if (to.type().isList())
    pointer().setAs<capnp::DynamicList>(value->as<capnp::DynamicList>());
  else
    holder.set(to.field(), *value);
}

void FieldTarget::set(const capnp::DynamicValue::Reader& value) {
  if (value.getType() == capnp::DynamicValue::TEXT) {
    const auto text = value.as<capnp::Text>();
    if (!isValidUtf8({text.begin(), text.size()})) throw UpgradeFailure("the text is not UTF-8");
  }
  try {
    holder_.set(field_, value);
  } catch (const kj::Exception& exception) {
    internal::passOnWantOfMemory(exception);
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
  insert(values_, std::move(name), std::move(function));
}

void Functions::add(std::string name, internal::ConversionFunction function) {
  insert(conversions_, std::move(name), std::move(function));
}

void Functions::add(std::string name, internal::StepFunction function) {
  insert(steps_, std::move(name), std::move(function));
}

void Functions::add(std::string name, internal::ValidatorFunction function) {
  insert(validators_, std::move(name), std::move(function));
}

const internal::ValueFunction* Functions::findValue(std::string_view name) const noexcept {
  return find(values_, name);
}

const internal::StepFunction* Functions::findStep(std::string_view name) const noexcept {
  return find(steps_, name);
}

const internal::ValidatorFunction* Functions::findValidator(std::string_view name) const noexcept {
  return find(validators_, name);
}

const internal::ConversionFunction* Functions::findConversion(std::string_view name) const noexcept {
  return find(conversions_, name);
}

std::string internal::recordMisfit(std::string_view what, capnp::StructSchema given,
                                   capnp::StructSchema wanted) {
  if (given.getProto().getId() == wanted.getProto().getId()) return {};
  return std::string(what) + " " + wanted.getShortDisplayName().cStr() + ", the record is " +
         given.getShortDisplayName().cStr();
}

std::string internal::roomMisfit(capnp::StructSchema given, capnp::StructSchema wanted) {
  std::string misfit = recordMisfit("it fills", given, wanted);
  const auto room = given.getProto().getStruct();
  const auto needed = wanted.getProto().getStruct();
  if (misfit.empty() && (room.getDataWordCount() < needed.getDataWordCount() ||
                         room.getPointerCount() < needed.getPointerCount()))
    misfit = "it fills a newer version of " + std::string(wanted.getShortDisplayName().cStr());
  return misfit;
}

std::string internal::typeMisfit(std::string_view what, capnp::Type given, capnp::Type wanted) {
  capnp::Type element = wanted;
  while (element.isList()) element = element.asList().getElementType();
  if (wanted.isList() && (element.isEnum() || element.isStruct()))
    return std::string(what) + " " + typeName(wanted) + ", which only the general form can take";
  if (isSame(given, wanted)) return {};
  return std::string(what) + " " + typeName(wanted) + ", the field is " + typeName(given);
}

std::string internal::countMisfit(std::size_t given, std::size_t wanted) {
  return "it takes " + std::to_string(wanted) + " fields, and the schema names " + std::to_string(given);
}

}  // namespace instar
