#pragma once

// Whether what a power cut has left is what was promised: each store is there, whole, in one of the states
// that are allowed, work goes on, and besides the stores there is nothing but their lock files and what was
// under construction. One thread.

#include <filesystem>
#include <map>
#include <string>

#include "instar/tests/powercut/disk_model.h"
#include "instar/tests/powercut/recording.h"

namespace instar::powercut {

struct ImageCheck {
  bool readsFirst = false;  // opened for reading only before anything else
  bool compacts = false;    // all is upgraded and packed at the end
};

// The files are written to the folder, which is empty, and opened there. Returns what is wrong; empty:
// nothing.
std::string faultOf(const Image& image, const std::filesystem::path& folder, const Recording& recording,
                    const std::map<std::string, Allowed>& allowed, const ImageCheck& options);

}  // namespace instar::powercut
