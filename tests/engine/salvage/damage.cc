#include "instar/tests/engine/salvage/damage.h"

#include <algorithm>

namespace instar::testing {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kSector = 512;

class Damager {
 public:
  Damager(const BaseFile& base, std::uint64_t seed) : base_(base), random_(seed) { file_.bytes = base.bytes; }

  DamagedFile run() {
    file_.kind = static_cast<DamageKind>(1 + below(kDamageKinds));
    const std::size_t times = std::size_t{1} << below(4);
    if (file_.kind == DamageKind::truncated)
      cut();
    else
      for (std::size_t i = 0; i < times; ++i) once();
    compare();
    return std::move(file_);
  }

 private:
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }
  std::size_t anyPage() { return below(file_.bytes.size() / kPage); }

  // Of the bytes of a page those at its beginning matter most.
  std::size_t anyByte() {
    const std::size_t page = anyPage() * kPage;
    switch (below(3)) {
      case 0:
        return page + below(16);
      case 1:
        return page + below(192);
      default:
        return page + below(kPage);
    }
  }

  void flip(std::size_t start, std::size_t length) {
    for (std::size_t i = 0; i < length; ++i) file_.bytes[start + i] = static_cast<char>(random_());
  }

  void once() {
    const std::size_t sector = below(file_.bytes.size() / kSector) * kSector;
    switch (file_.kind) {
      case DamageKind::bits: {
        char& byte = file_.bytes[anyByte()];
        byte = static_cast<char>(byte ^ (1 << below(8)));
        break;
      }
      case DamageKind::sectorsFlipped:
        return flip(sector, kSector);
      case DamageKind::pagesFlipped:
        return flip(anyPage() * kPage, kPage);
      case DamageKind::sectorsZeroed:
        std::fill_n(file_.bytes.begin() + static_cast<std::ptrdiff_t>(sector), kSector, '\0');
        break;
      case DamageKind::pagesZeroed:
        std::fill_n(file_.bytes.begin() + static_cast<std::ptrdiff_t>(anyPage() * kPage), kPage, '\0');
        break;
      case DamageKind::pagesSwapped: {
        const auto left = file_.bytes.begin() + static_cast<std::ptrdiff_t>(anyPage() * kPage);
        const auto right = file_.bytes.begin() + static_cast<std::ptrdiff_t>(anyPage() * kPage);
        if (left != right) std::swap_ranges(left, left + kPage, right);
        break;
      }
      case DamageKind::oldPages:
        bringBack();
        break;
      case DamageKind::truncated:
        break;
    }
  }

  void bringBack() {
    const std::string& earlier = base_.earlier[below(base_.earlier.size())];
    const std::size_t pages = std::min(earlier.size(), file_.bytes.size()) / kPage;
    const std::size_t page = below(pages) * kPage;
    file_.bytes.replace(page, kPage, earlier, page, kPage);
  }

  void cut() {
    std::size_t length = below(2) == 0 ? anyPage() * kPage : below(file_.bytes.size());
    file_.bytes.resize(length);
  }

  void compare() {
    for (std::size_t page = 0; page * kPage < base_.bytes.size(); ++page) {
      const std::string_view before = std::string_view(base_.bytes).substr(page * kPage, kPage);
      const std::string_view after = page * kPage < file_.bytes.size()
                                         ? std::string_view(file_.bytes).substr(page * kPage, kPage)
                                         : std::string_view();
      if (before != after) file_.touched.insert(page);
    }
  }

  const BaseFile& base_;
  std::mt19937_64 random_;
  DamagedFile file_;
};

}  // namespace

const char* nameOf(DamageKind kind) noexcept {
  switch (kind) {
    case DamageKind::bits:
      return "bits flipped";
    case DamageKind::sectorsFlipped:
      return "sectors flipped";
    case DamageKind::pagesFlipped:
      return "pages flipped";
    case DamageKind::sectorsZeroed:
      return "sectors zeroed";
    case DamageKind::pagesZeroed:
      return "pages zeroed";
    case DamageKind::pagesSwapped:
      return "pages swapped";
    case DamageKind::truncated:
      return "truncated";
    case DamageKind::oldPages:
      return "old pages brought back";
  }
  return "unknown";
}

DamagedFile damage(const BaseFile& base, std::uint64_t seed) { return Damager(base, seed).run(); }

}  // namespace instar::testing
