#pragma once

// Literals as .capnp text spells them. Pure; any thread.

#include <capnp/blob.h>

#include <string>
#include <string_view>

namespace instar::internal {

// The shortest text that reads as the same number; "inf", "-inf", "nan".
std::string floatLiteral(float value);
std::string floatLiteral(double value);

// In quotes. Bytes that are not UTF-8 are escaped, and so are control characters.
std::string textLiteral(std::string_view text);

// 0x"0a ff".
std::string dataLiteral(capnp::Data::Reader data);

}  // namespace instar::internal
