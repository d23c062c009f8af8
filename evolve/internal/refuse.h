#pragma once

#include <utility>
#include <vector>

#include "instar/format/error.h"

namespace instar::internal {

// Of a schema that says what cannot be done.
[[noreturn]] inline void refuse(const char* message, std::vector<Error::Fact> facts = {}) {
  throw Error(ErrorCode::fixSchema, message, std::move(facts));
}

}  // namespace instar::internal
