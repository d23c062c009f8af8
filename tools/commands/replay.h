#pragma once

#include <fstream>
#include <istream>
#include <span>

namespace instar::tools {

// An input that is read twice. What cannot go back to its beginning, as a pipe, is kept in a file without a
// name.
class Replay {
 public:
  // Borrows the input. Throws Error(freeSpace) or Error(fixEnvironment) where it cannot be kept or read.
  explicit Replay(std::istream& input);

  std::istream& fromBeginning();

 private:
  void keep(std::streambuf& input);
  void openNameless();
  static std::streamsize read(std::streambuf& input, std::span<char> buffer);

  std::istream* input_;
  std::streampos begin_;
  std::fstream kept_;
};

}  // namespace instar::tools
