#include "instar/engine/internal/staging/canary_record.h"

#include <algorithm>

#include "instar/format/file_format.h"

namespace instar {
namespace {

__extension__ using Wide = __int128;
__extension__ using UnsignedWide = unsigned __int128;

Key recordKey(std::string_view collection) {
  Key key(kCanaryKeyPrefix);
  key.append(asBytes(collection));
  return key;
}

std::string text(capnp::Text::Reader reader) { return {reader.begin(), reader.size()}; }

void fill(catalog::CanaryFailures::Builder record, const FailureTally& tally) {
  record.setOthers(tally.others());
  auto kinds = record.initKinds(static_cast<unsigned>(tally.kinds().size()));
  unsigned next = 0;
  for (const auto& [failure, count] : tally.kinds()) {
    auto kind = kinds[next++];
    kind.setField(stringPtr(failure.field));
    kind.setFunction(stringPtr(failure.function));
    kind.setReason(stringPtr(failure.reason));
    kind.setCount(count);
  }
}

FailureTally toTally(catalog::CanaryFailures::Reader record) {
  FailureTally tally;
  for (const auto kind : record.getKinds()) {
    tally.add({.field = text(kind.getField()),
               .function = text(kind.getFunction()),
               .reason = text(kind.getReason())},
              kind.getCount());
  }
  tally.addOthers(record.getOthers());
  return tally;
}

void fill(catalog::CanaryDistribution::Builder record, const FieldDistribution& distribution) {
  record.setRows(distribution.rows);
  record.setUnset(distribution.unset);
  record.setNumbers(distribution.numbers);
  record.setLeast(distribution.least);
  record.setGreatest(distribution.greatest);
  record.setSumLow(static_cast<std::uint64_t>(distribution.sumOfSteps));
  record.setSumHigh(static_cast<std::int64_t>(distribution.sumOfSteps >> 64));
}

FieldDistribution toDistribution(catalog::CanaryDistribution::Reader record) {
  FieldDistribution distribution;
  distribution.rows = record.getRows();
  distribution.unset = record.getUnset();
  distribution.numbers = record.getNumbers();
  distribution.least = record.getLeast();
  distribution.greatest = record.getGreatest();
  distribution.sumOfSteps =
      static_cast<Wide>(static_cast<UnsignedWide>(record.getSumHigh()) << 64 | record.getSumLow());
  return distribution;
}

void fill(capnp::List<catalog::CanaryField>::Builder list, const std::vector<CanaryField>& fields) {
  unsigned next = 0;
  for (const CanaryField& field : fields) {
    auto record = list[next++];
    record.setName(stringPtr(field.name));
    fill(record.initActive(), field.active);
    fill(record.initStaged(), field.staged);
    record.setDiverged(field.diverged);
    record.setUnexpectedlyUnset(field.unexpectedlyUnset);
  }
}

std::vector<CanaryField> toFields(capnp::List<catalog::CanaryField>::Reader list) {
  std::vector<CanaryField> fields;
  for (const auto record : list) {
    fields.push_back({.name = text(record.getName()),
                      .active = toDistribution(record.getActive()),
                      .staged = toDistribution(record.getStaged()),
                      .diverged = record.getDiverged(),
                      .unexpectedlyUnset = record.getUnexpectedlyUnset()});
  }
  return fields;
}

// Empty buckets are left out: nearly all are.
template <class Init>
void fill(const Init& init, const LatencyHistogram& histogram) {
  unsigned used = 0;
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) used += histogram.bucket(i) > 0 ? 1U : 0U;
  capnp::List<catalog::CanaryLatency>::Builder list = init(used);
  unsigned next = 0;
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
    if (histogram.bucket(i) == 0) continue;
    auto record = list[next++];
    record.setBucket(static_cast<std::uint16_t>(i));
    record.setCount(histogram.bucket(i));
  }
}

LatencyHistogram toHistogram(capnp::List<catalog::CanaryLatency>::Reader list) {
  LatencyHistogram histogram;
  for (const auto record : list) {
    const std::size_t last = LatencyHistogram::kBuckets - 1;
    histogram.addToBucket(std::min<std::size_t>(record.getBucket(), last), record.getCount());
  }
  return histogram;
}

}  // namespace

std::optional<CanaryStatistics> readCanaryRecord(TransactionState& transaction, std::string_view collection,
                                                 std::uint16_t version) {
  const auto record = Catalog(transaction).read<catalog::Canary>(recordKey(collection));
  if (!record || record->getVersion() != version) return std::nullopt;
  return CanaryStatistics{.samples = record->getSamples(),
                          .passedOver = record->getPassedOver(),
                          .failed = record->getFailed(),
                          .brokeRules = record->getBrokeRules(),
                          .diverged = record->getDiverged(),
                          .unexpectedlyUnset = record->getUnexpectedlyUnset(),
                          .failures = toTally(record->getFailures()),
                          .brokenRules = toTally(record->getBrokenRules()),
                          .fields = toFields(record->getFields()),
                          .activeLatency = toHistogram(record->getActiveLatency()),
                          .stagedLatency = toHistogram(record->getStagedLatency())};
}

CanaryStatistics addToCanaryRecord(TransactionState& transaction, std::string_view collection,
                                   std::uint16_t version, const CanaryStatistics& more) {
  CanaryStatistics whole = readCanaryRecord(transaction, collection, version).value_or(CanaryStatistics{});
  whole.merge(more);
  Draft<catalog::Canary> record{{}};
  record->setVersion(version);
  record->setSamples(whole.samples);
  record->setPassedOver(whole.passedOver);
  record->setFailed(whole.failed);
  record->setBrokeRules(whole.brokeRules);
  record->setDiverged(whole.diverged);
  record->setUnexpectedlyUnset(whole.unexpectedlyUnset);
  fill(record->initFailures(), whole.failures);
  fill(record->initBrokenRules(), whole.brokenRules);
  fill(record->initFields(static_cast<unsigned>(whole.fields.size())), whole.fields);
  fill([&](unsigned size) { return record->initActiveLatency(size); }, whole.activeLatency);
  fill([&](unsigned size) { return record->initStagedLatency(size); }, whole.stagedLatency);
  Catalog(transaction).write(recordKey(collection), record);
  return whole;
}

}  // namespace instar
