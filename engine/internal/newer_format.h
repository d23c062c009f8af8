#pragma once

// Files of newer releases, which this code neither opens nor salvages. Any thread.

#include <cstdint>

namespace instar {

// Throws Error(upgradeProgram) where this code does not know files with this number in them.
void refuseNewerFormat(std::uint16_t version);

}  // namespace instar
