#pragma once

// Every state that a file can be in, and how a file in that state is made. The files in files/ were made by
// it once; each stays as it is, whatever becomes of the code here. One thread.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "instar/engine/store.h"

namespace instar::frozen {

enum class Kind : std::uint8_t {
  sound,    // all that was stored comes out, by whatever program
  damaged,  // what is sound comes out, by salvage at the latest
  refused,  // says what to do instead
};

struct FileState {
  std::string name;
  Kind kind = Kind::sound;
  std::vector<std::string> programs = {};  // schemas of the programs that it is opened by, the oldest first
  std::function<void(const std::filesystem::path& file)> make = {};
  // Whether the file is in the state that it is named by. Null: no program can open it.
  std::function<bool(const Store&)> isThere = {};
  // A thread has a part in it: the same could come out in another way.
  bool isTimed = false;
  // The schemas call functions, which the instar command does not have.
  bool callsFunctions = false;
};

const std::vector<FileState>& fileStates();

// The schema in schemas/NAME.capnp; its struct is called Person or Member.
RecordSchema programSchema(const std::string& name);

// The functions that the schemas call.
std::shared_ptr<const Functions> programFunctions();

}  // namespace instar::frozen
