#include "instar/evolve/guard_reason.h"

namespace instar {
namespace {

constexpr std::string_view kMost = ", most of them";
constexpr std::string_view kBy = " by ";
constexpr std::string_view kWords = ": ";

}  // namespace

std::string mostFrequentIn(const FailureTally& tally) {
  const auto most = tally.mostFrequent();
  if (!most) return {};
  std::string text(kMost);
  if (!most->field.empty()) text += " at " + most->field;
  if (!most->function.empty()) text.append(kBy).append(most->function);
  return text.append(kWords).append(most->reason);
}

std::size_t functionWords(std::string_view reason) noexcept {
  for (auto most = reason.find(kMost); most != reason.npos; most = reason.find(kMost, most + 1)) {
    const auto words = reason.find(kWords, most);
    if (words == reason.npos) break;
    if (reason.substr(most, words - most).find(kBy) != reason.npos) return words + kWords.size();
  }
  return reason.npos;
}

}  // namespace instar
