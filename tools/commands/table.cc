#include "instar/tools/commands/table.h"

#include <algorithm>

namespace instar::tools {
namespace {

// Characters, not bytes.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

Table::Table(std::vector<std::string> names) {
  for (std::string& name : names) {
    numbers_.push_back(name.starts_with('>'));
    if (numbers_.back()) name.erase(0, 1);
  }
  rows_.push_back(std::move(names));
}

std::string Table::text() const {
  std::string out;
  std::vector<std::size_t> widths(numbers_.size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - width(row[i]), ' ');
      if (i != 0) line += "  ";
      line += numbers_[i] ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    (out += line) += '\n';
  }
  return out;
}

}  // namespace instar::tools
