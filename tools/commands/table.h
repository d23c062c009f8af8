#pragma once

// Columns of text for people, padded to equal width; numbers to the right. One thread.

#include <string>
#include <vector>

#include "instar/tools/output.h"

namespace instar::tools {

class Table {
 public:
  // A name that begins with > is that of a column of numbers.
  explicit Table(std::vector<std::string> names);

  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text() const;
  void print(Output& output) const { output.write(text()); }

 private:
  std::vector<bool> numbers_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace instar::tools
