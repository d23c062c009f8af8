#pragma once

// What the command says on standard error: lines that stay, and at a terminal one passing line below them
// that is written over again and again. A line that stays takes the passing one away first, so that neither
// is read as part of the other. One thread.

#include <ostream>
#include <string_view>

namespace instar::tools {

class Messages {
 public:
  // `seen`: by somebody at a terminal. Where nobody sees it there is no passing line.
  Messages(std::ostream& stream, bool seen) : stream_(stream), seen_(seen) {}
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;

  bool areSeen() const noexcept { return seen_; }

  void line(std::string_view text);

  void showPassing(std::string_view text);
  void clearPassing();

 private:
  std::ostream& stream_;
  bool seen_;
  bool shown_ = false;
};

}  // namespace instar::tools
