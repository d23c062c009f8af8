#include "instar/tools/messages.h"

namespace instar::tools {
namespace {

constexpr std::string_view kToEmptyLine = "\r\033[K";

}  // namespace

void Messages::line(std::string_view text) {
  clearPassing();
  stream_ << text << '\n' << std::flush;
}

void Messages::showPassing(std::string_view text) {
  if (!seen_) return;
  stream_ << kToEmptyLine << text << std::flush;
  shown_ = true;
}

void Messages::clearPassing() {
  if (shown_) stream_ << kToEmptyLine << std::flush;
  shown_ = false;
}

}  // namespace instar::tools
