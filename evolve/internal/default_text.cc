#include "instar/evolve/internal/default_text.h"

#include "instar/evolve/internal/canonical.h"
#include "instar/evolve/internal/literal.h"

namespace instar::internal {

using capnp::schema::Value;

std::string defaultText(Value::Reader value) {
  switch (value.which()) {
    case Value::VOID:
      return "void";
    case Value::BOOL:
      return value.getBool() ? "true" : "false";
    case Value::INT8:
      return std::to_string(value.getInt8());
    case Value::INT16:
      return std::to_string(value.getInt16());
    case Value::INT32:
      return std::to_string(value.getInt32());
    case Value::INT64:
      return std::to_string(value.getInt64());
    case Value::UINT8:
      return std::to_string(value.getUint8());
    case Value::UINT16:
      return std::to_string(value.getUint16());
    case Value::UINT32:
      return std::to_string(value.getUint32());
    case Value::UINT64:
      return std::to_string(value.getUint64());
    case Value::FLOAT32:
      return floatLiteral(value.getFloat32());
    case Value::FLOAT64:
      return floatLiteral(value.getFloat64());
    case Value::ENUM:
      return "@" + std::to_string(value.getEnum());
    case Value::TEXT:
      return textLiteral({value.getText().begin(), value.getText().size()});
    case Value::DATA:
      return dataLiteral(value.getData());
    default:
      return canonicalDefault(value).empty() ? "none" : "a value";
  }
}

}  // namespace instar::internal
