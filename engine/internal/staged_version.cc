#include "instar/engine/internal/staged_version.h"

#include "instar/format/checksum.h"

namespace instar {

StagedVersion::StagedVersion(std::string_view collection, std::uint16_t version, Plans below,
                             bool isShadowOnly, std::function<bool(Bytes key)> served)
    : seed_(hash64(asBytes(collection), version)),
      below_(std::move(below)),
      version_(version),
      versionBelow_(below_.schema().version()),
      isShadowOnly_(isShadowOnly),
      served_(std::move(served)) {}

void StagedVersion::see(VersionState state, const std::optional<Catalog::StagingRecord>& record) noexcept {
  percent_.store(record && record->version == version_ ? record->percent : 0, std::memory_order_relaxed);
  state_.store(state, std::memory_order_release);
}

// The upper 53 bits of the hash, which a double can hold.
double StagedVersion::share(Bytes key) const noexcept {
  return static_cast<double>(hash64(key, seed_) >> 11) * (100.0 / 9007199254740992.0);
}

}  // namespace instar
