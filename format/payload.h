#pragma once

// Whether a payload is whole in itself: every pointer in it leads to something that lies inside it entirely.
//
// Cap'n Proto checks each pointer when it is followed, and to do so sets up a message around the bytes. For a
// small row that costs more than reading the row. A payload that is whole can be read without either, however
// it came to be. What is not plainly whole is left to Cap'n Proto's own checks: far pointers, capabilities,
// objects with pointers that several pointers share, nesting beyond kMaxWholeNesting.
//
// Pure functions over memory; any thread.

#include "instar/format/bytes.h"

namespace instar {

inline constexpr unsigned kMaxWholeNesting =
    64;  // pointers inside one another; bounds the stack that is used

// `payload` is one Cap'n Proto segment without a segment table. O(pointers); any bytes may be given.
bool isWhole(Bytes payload) noexcept;

}  // namespace instar
