#pragma once

// The one exception type of Instar. It is thrown for what a correct program cannot prevent; an absent row is
// not an error. The code says what the caller does next, the message is static text, the context names the
// things involved.

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace instar {

enum class ErrorCode : std::uint8_t {
  fixCall = 1,        // the call or its arguments are wrong: change the program
  fixSchema,          // the schema is wrong or changes what may not change: change the .capnp file
  fixInput,           // data from outside is wrong: change the data
  fixEnvironment,     // path, permission, kind of file or file system: change the surroundings
  retry,              // somebody else holds it now: try again later
  freeSpace,          // the disk or the map is full: free space, then try again
  upgradeProgram,     // the file or the collection has moved on: use a newer release
  restoreFromBackup,  // bytes are damaged: restore them from a backup
  readBack,           // it is unknown whether the commit was stored: read, then decide
  fixRow,             // a stored row does not fit what the schema makes of it: correct the row or the schema
};

// Name of a code as it stands in messages and in JSON, for example "fixCall".
std::string_view errorCodeName(ErrorCode code) noexcept;

class Error : public std::exception {
 public:
  struct Fact {
    std::string name;
    std::string value;
  };

  // `message` must have static storage duration.
  Error(ErrorCode code, const char* message, std::vector<Fact> facts = {});

  ErrorCode code() const noexcept { return code_; }
  const char* message() const noexcept { return message_; }
  const std::vector<Fact>& facts() const noexcept { return facts_; }

  // The value of a fact, or empty where there is none of that name.
  std::string_view fact(std::string_view name) const noexcept;

  // Message and facts in one line: "message (name: value, name: value)".
  const char* what() const noexcept override { return what_.c_str(); }

  // The same error with one more fact, for a caller who knows more than the thrower.
  Error with(std::string name, std::string value) const;

 private:
  ErrorCode code_;
  const char* message_;
  std::vector<Fact> facts_;
  std::string what_;
};

}  // namespace instar
