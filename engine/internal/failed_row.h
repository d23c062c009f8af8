#pragma once

// A row that cannot be upgraded, as rehearsals and migrations list it. Pure; any thread.

#include "instar/engine/failed_row.h"
#include "instar/format/bytes.h"
#include "instar/format/error.h"

namespace instar {

// `error` is what upgrading the row has thrown.
inline FailedRow failedRow(Bytes key, std::uint16_t version, const Error& error) {
  return {.key = {key.begin(), key.end()},
          .version = version,
          .field = std::string(error.fact("field")),
          .function = std::string(error.fact("function")),
          .reason = std::string(error.fact("reason"))};
}

}  // namespace instar
