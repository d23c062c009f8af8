#pragma once
// The page without its runs, as assemble.cmake puts it together from what lies beside it.

#include <string_view>

namespace instar::bench {

extern const std::string_view kPageText;

}  // namespace instar::bench
