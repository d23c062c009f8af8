#include "instar/tests/schedules/stager.h"

#include <algorithm>
#include <memory>

#include "instar/engine/migration.h"
#include "instar/engine/staging.h"

namespace instar::schedules {

Stager::Stager(Client& client) : client_(client) {}

void Stager::act() {
  const Store& store = client_.store();
  try {
    const auto snapshot = store.read();
    const auto status = stagingStatus(store, snapshot, kTrial);
    if (status) checkCounts(*status);
    if (status && status->state == VersionState::staged) {
      if (opened_ != status->version) open(status->version);
      return change(status->version);
    }
    std::uint16_t current = 0;
    for (const CollectionInfo& info : store.collections(snapshot))
      if (info.name == kTrial) current = info.currentVersion;
    if (current < 2 || client_.below(3) == 0) return stage(snapshot);
    leave(current);
  } catch (const Error& error) {
    // The guard rails have decided meanwhile, rows are left that need the version, others are at it.
    if (error.code() != ErrorCode::fixCall && error.code() != ErrorCode::retry &&
        error.code() != ErrorCode::upgradeProgram)
      throw;
    client_.noteRefused("changes", error);
  }
}

// No row fails, and mirrors are what they are made from.
void Stager::checkCounts(const StagingStatus& status) {
  const CanaryCounts counts = countsOf(status.canary);
  if (counts.errors + counts.diverged == 0) return;
  client_.log().problem("of " + std::to_string(counts.samples) + " reads " + std::to_string(counts.errors) +
                        " have failed and " + std::to_string(counts.diverged) + " diverged in version " +
                        std::to_string(status.version));
}

// The text is split since the first version above 1 that was not given up.
void Stager::stage(const Transaction& snapshot) {
  std::uint16_t highest = 0;
  std::uint16_t since = 0;
  for (const VersionInfo& version : client_.store().versions(snapshot, kTrial)) {
    highest = std::max(highest, version.number);
    if (since == 0 && version.number > 1 && version.state != VersionState::aborted) since = version.number;
  }
  ++highest;
  StagingOptions options{.percent = client_.below(5) * 25.0, .shadow = 50};
  options.promotes = client_.below(3) == 0;
  options.guardRails.minimumSamples = 20;
  options.guardRails.maxErrorShare = options.guardRails.maxDivergenceShare = 0.3;
  options.guardRails.holdFor = std::chrono::hours(1);  // which are over when the clock jumps
  client_.setTrial(
      client_.store().stage(kTrial, storedVersion(highest, since == 0 ? highest : since), options));
  opened_ = highest;
  client_.log().count("staged");
}

void Stager::open(std::uint16_t version) {
  const auto schema = client_.store().version(client_.store().read(), kTrial, version);
  client_.setTrial(client_.store().stage(kTrial, *schema));
  opened_ = version;
}

void Stager::change(std::uint16_t version) {
  const Store& store = client_.store();
  switch (client_.below(6)) {
    case 0:
    case 1:
      promoteVersion(store, kTrial, version, {.forced = client_.below(2) == 0});
      return client_.log().count("promoted");
    case 2:
      abortVersion(store, kTrial, version, "tried for long enough");
      return client_.log().count("aborted");
    case 3:
      setStagedShadow(store, kTrial, version, client_.below(5) * 25.0);
      return client_.log().count("shadow set");
    default:
      setStagedPercent(store, kTrial, version, client_.below(5) * 25.0);
      return client_.log().count("percent set");
  }
}

// The current version: given up, or the last one.
void Stager::leave(std::uint16_t current) {
  const Store& store = client_.store();
  if (client_.below(4) == 0) {
    abortVersion(store, kTrial, current, "given up");
    return client_.log().count("aborted");
  }
  if (client_.below(2) == 0) migrate(store, kTrial, {.mode = CompactionMode::compress});  // or others do it
  retireVersions(store, kTrial, static_cast<std::uint16_t>(current - 1));
  client_.log().count("retired");
}

}  // namespace instar::schedules
