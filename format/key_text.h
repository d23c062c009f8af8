#pragma once

// Keys as people write and read them: on the command line, in messages, in dumps.
//
// Parts are separated by commas: `main,7`. A number, a Bool (true, false) and an enum's name stand as they
// are. Text stands as it is where it is made of printable characters without comma, quote and backslash and
// does not begin with 0x; otherwise between quotes, with \" \\ and \xNN. Data is 0x and hexadecimal digits. A
// byte-string key is written like Text where it is valid UTF-8, else like Data.
//
// Pure; any thread.

#include <string>
#include <string_view>

#include "instar/format/key.h"

namespace instar {

// For any bytes: what does not decode under `spec` is printed as hexadecimal.
std::string printKey(const KeySpec& spec, Bytes key);

// The inverse of printKey; with KeyForm::prefix the text may hold fewer parts. A key of a single Text part,
// and a byte-string key, may also be written as it is, whatever it contains, unless it begins with a quote or
// with 0x. Throws Error(fixCall) saying which part is wrong and what is expected.
Key parseKey(const KeySpec& spec, std::string_view text, KeyForm form);

// "0x" is not part of either.
std::string toHex(Bytes bytes);
bool fromHex(std::string_view hex, std::string& bytes);

bool isValidUtf8(std::string_view text) noexcept;

}  // namespace instar
