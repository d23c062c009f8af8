#pragma once

// Runs the real `instar` command in a folder of its own, and looks at what it wrote and how it ended. One
// thread.

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "instar/format/bytes.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::tools {

struct Result {
  int status = -1;  // the exit status; -1 where a signal ended it
  std::string output;
  std::string messages;
};

struct RunOptions {
  std::string input = {};            // its standard input
  bool inputIsPipe = false;          // and it comes through a pipe, which has room for 64 KiB
  std::string inputFrom = {};        // a file in its place
  bool unreadableInput = false;      // standard input is an end of a pipe that cannot be read
  std::string temporaryFolder = {};  // its TMPDIR
  std::string outputTo = {};         // a file in place of a captured output
  bool closeOutput = false;          // starts without standard output
  bool brokenPipe = false;           // standard output is a pipe that nobody reads
  bool withoutPrivileges = false;
  unsigned longestSeconds = 0;  // then a signal ends it; 0: none does
};

class CommandTest : public ::testing::Test {
 protected:
  Result run(const std::vector<std::string>& arguments, const RunOptions& options = {}) const;

  // The same, which is expected to end with the given status; returns the output.
  std::string expect(int status, const std::vector<std::string>& arguments,
                     const RunOptions& options = {}) const;

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const;
  static std::string schema(const std::string& name) { return std::string(INSTAR_TEST_SCHEMAS) + "/" + name; }

  // Contacts (main, 1), (main, 2) and (side, 1) of version 1; the file's path.
  std::string makeContacts() const;
  // The same with a row of version 2 as well: (main, 3).
  std::string makeEvolvedContacts() const;

  // Schemas `payments_v1.capnp:Payment` and `payments_v2.capnp:Payment` in the folder; the second moves a
  // field into a union, which raises both floors to 2.
  void writePayments() const;

  // Changes the stored bytes of one row of a collection behind everybody's back.
  static void tamper(const std::string& file, const std::string& collection, Bytes key,
                     const std::function<void(std::span<std::byte>)>& change);

  // Names, sizes and times of everything in the folder.
  std::map<std::string, std::string> listing() const;

  testing::TemporaryFolder folder_;
};

inline std::size_t countLines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace instar::tools
