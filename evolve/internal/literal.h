#pragma once

// Literals as .capnp text spells them. Pure; any thread.

#include <capnp/blob.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace instar::internal {

// The shortest text that reads as the same number; "inf", "-inf", "nan".
std::string floatLiteral(float value);
std::string floatLiteral(double value);

// In quotes. Bytes that are not UTF-8 are escaped, and so are control characters.
std::string textLiteral(std::string_view text);

// UTF-8 without control characters: what can be shown to people as it is.
bool isPlainText(std::string_view text);

// Without leading zeros: "9f8e".
std::string hexadecimal(std::uint64_t number);

// "@0x9f8e".
std::string idLiteral(std::uint64_t id);

// 0x"0a ff".
std::string dataLiteral(capnp::Data::Reader data);

}  // namespace instar::internal
