#include "instar/engine/internal/salvage/record_check.h"

#include <capnp/dynamic.h>

#include "instar/engine/internal/catalog.h"
#include "instar/evolve/want_of_memory.h"
#include "instar/format/error.h"
#include "instar/format/file_format.h"

namespace instar {
namespace {

constexpr std::uint64_t kTraversalTimes = 8;
constexpr std::uint64_t kTraversalSpare = 4096;  // words

capnp::ReaderOptions limitsFor(std::size_t words) {
  return {.traversalLimitInWords = kTraversalTimes * words + kTraversalSpare, .nestingLimit = 64};
}

bool isShare(double percent) noexcept { return percent >= 0 && percent <= 100; }

// Follows every pointer, with the types of the fields; an exception where one leads nowhere.
template <class Record>
typename Record::Reader readWhole(const capnp::AnyPointer::Reader& root) {
  const auto record = root.getAs<Record>();
  static_cast<void>(kj::str(capnp::DynamicStruct::Reader(record)));
  return record;
}

const char* findWrongVersion(std::string_view key, catalog::Version::Reader record) {
  const auto named = versionOfKey(key);
  if (!named || named->second != record.getNumber()) return "it is under the key of another one";
  if (record.getState() == catalog::VersionState::INVALID ||
      record.getState() > catalog::VersionState::RETIRED)
    return "the state in it is none";
  const RecordSchema schema = RecordSchema::fromNodes(record.getNodes(), record.getRootId());
  if (schema.version() != record.getNumber()) return "the schema in it has another number";
  if (schema.fingerprint() != record.getFingerprint()) return "the fingerprint is not that of its schema";
  return nullptr;
}

const char* findWrongCollection(std::string_view key, catalog::Collection::Reader record) {
  const auto name = record.getName();
  if (key.substr(kCollectionKeyPrefix.size()) != std::string_view(name.begin(), name.size()))
    return "it is under the key of another one";
  if (record.getCurrentVersion() == 0) return "it has no current version";
  if (record.getReaderFloor() > record.getCurrentVersion() ||
      record.getWriterFloor() > record.getCurrentVersion())
    return "a floor is above the current version";
  return nullptr;
}

const char* findWrongStaging(catalog::Staging::Reader record) {
  if (!isShare(record.getPercent()) || !isShare(record.getShadow())) return "a share in it is none";
  return nullptr;
}

const char* judgeRecord(std::string_view key, const capnp::AnyPointer::Reader& root) {
  if (key == kFormatKey) {
    const auto record = readWhole<catalog::Format>(root);
    return record.getMagic() == kMagic && record.getVersion() != 0 ? nullptr : "it is of another program";
  }
  if (key == kGenerationKey) readWhole<catalog::Generation>(root);
  if (key.starts_with(kCollectionKeyPrefix))
    return findWrongCollection(key, readWhole<catalog::Collection>(root));
  if (key.starts_with(kVersionKeyPrefix)) return findWrongVersion(key, readWhole<catalog::Version>(root));
  if (key.starts_with(kStagingKeyPrefix)) return findWrongStaging(readWhole<catalog::Staging>(root));
  if (key.starts_with(kCanaryKeyPrefix)) readWhole<catalog::Canary>(root);
  if (key.starts_with(kDivergenceKeyPrefix)) readWhole<catalog::Divergence>(root);
  return nullptr;
}

}  // namespace

AlignedRecord::AlignedRecord(Bytes payload)
    : copy_(payload.size() / sizeof(capnp::word)),
      segment_(copy_.data(), copy_.size()),
      message_(kj::arrayPtr(&segment_, 1), limitsFor(copy_.size())) {
  std::memcpy(copy_.data(), payload.data(), copy_.size() * sizeof(capnp::word));
}

std::optional<std::pair<std::string_view, std::uint16_t>> versionOfKey(std::string_view key) noexcept {
  constexpr std::size_t kNumberLength = 3;  // a slash, and the number
  if (!key.starts_with(kVersionKeyPrefix) || key.size() <= kVersionKeyPrefix.size() + kNumberLength ||
      key[key.size() - kNumberLength] != '/')
    return std::nullopt;
  const auto byte = [&](std::size_t fromEnd) {
    return static_cast<unsigned char>(key[key.size() - fromEnd]);
  };
  const auto number = static_cast<std::uint16_t>(byte(2) << 8 | byte(1));
  key.remove_prefix(kVersionKeyPrefix.size());
  key.remove_suffix(kNumberLength);
  return std::pair(key, number);
}

const char* findWrong(std::string_view key, const RowView& record) {
  try {
    AlignedRecord aligned(record.payload);
    return judgeRecord(key, aligned.root());
  } catch (const kj::Exception& exception) {
    internal::passOnWantOfMemory(exception);
    return "it cannot be decoded";
  } catch (const Error&) {
    return "the schema in it is none";
  }
}

std::uint16_t subjectOf(std::string_view key, const RowView& record) {
  AlignedRecord aligned(record.payload);
  if (key.starts_with(kStagingKeyPrefix)) return aligned.root().getAs<catalog::Staging>().getVersion();
  if (key.starts_with(kCanaryKeyPrefix)) return aligned.root().getAs<catalog::Canary>().getVersion();
  if (key.starts_with(kDivergenceKeyPrefix)) return aligned.root().getAs<catalog::Divergence>().getVersion();
  return 0;
}

}  // namespace instar
