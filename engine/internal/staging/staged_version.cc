#include "instar/engine/internal/staging/staged_version.h"

namespace instar {

StagedVersion::StagedVersion(std::string_view collection, std::uint16_t version, Plans below,
                             bool isShadowOnly, std::function<bool(Bytes key)> served,
                             std::shared_ptr<CanaryTrial> trial)
    : share_(collection, version),
      below_(std::move(below)),
      version_(version),
      versionBelow_(below_.schema().version()),
      isShadowOnly_(isShadowOnly),
      served_(std::move(served)),
      trial_(std::move(trial)) {}

void StagedVersion::see(VersionState state, const std::optional<Catalog::StagingRecord>& record) {
  const bool isOurs = record && record->version == version_;
  percent_.store(isOurs ? record->percent : 0, std::memory_order_relaxed);
  shadow_.store(isOurs ? record->shadow : 0, std::memory_order_relaxed);
  hasShares_.store(isOurs && record->percent + record->shadow > 0, std::memory_order_relaxed);
  if (isOurs) trial_->setGuardRails(record->guardRails);
  state_.store(state, std::memory_order_release);
}

}  // namespace instar
