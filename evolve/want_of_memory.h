#pragma once

// Where an exception of Cap'n Proto's is taken for damage: it throws the same one for want of memory, and
// nothing is wrong with the row then. No state; any thread.

#include <kj/exception.h>

#include <new>

namespace instar::internal {

// Throws std::bad_alloc where the exception is about memory.
inline void passOnWantOfMemory(const kj::Exception& exception) {
  if (exception.getType() == kj::Exception::Type::OVERLOADED) throw std::bad_alloc();
}

}  // namespace instar::internal
