// Two versions of a record type with bytes of their nodes changed, as a damaged or hostile catalog would
// have them: each is refused as what it is, or is a schema; and of two schemas the difference is told and
// judged, and the newer program is let in or refused.

#include <capnp/serialize.h>

#include "instar/evolve/admission.h"
#include "instar/evolve/difference.h"
#include "instar/evolve/schema_text.h"
#include "instar/format/error.h"
#include "instar/tests/fuzz/fuzzers.h"
#include "instar/tests/fuzz/made_schemas.h"
#include "instar/tools/csv_form.h"

namespace {

using namespace instar;
using NodeList = capnp::List<capnp::schema::Node>;

std::optional<RecordSchema> damagedSchema(NodeList::Reader nodes, std::uint64_t id, fuzz::Input& input) {
  capnp::MallocMessageBuilder message(8192);
  message.initRoot<capnp::AnyPointer>().setAs<NodeList>(nodes);
  const auto segments = message.getSegmentsForOutput();
  const auto segment = segments[0];  // all of it, but for the largest of them
  std::vector<std::uint64_t> words(segment.size());
  std::memcpy(words.data(), segment.begin(), words.size() * sizeof(capnp::word));
  auto* const bytes = reinterpret_cast<unsigned char*>(words.data());
  for (std::size_t changes = input.below(16); changes > 0; --changes) {
    const std::size_t place = input.below(std::min<std::size_t>(words.size() * sizeof(capnp::word), 65536));
    bytes[place] ^= input.byte();
  }
  const kj::ArrayPtr<const capnp::word> changed(reinterpret_cast<const capnp::word*>(words.data()),
                                                words.size());
  try {
    capnp::SegmentArrayMessageReader reader(kj::arrayPtr(&changed, 1));
    return RecordSchema::fromNodes(reader.getRoot<capnp::AnyPointer>().getAs<NodeList>(), id);
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::restoreFromBackup, "what the file has is damaged");
  } catch (const kj::Exception&) {  // the list itself
  }
  return std::nullopt;
}

void checkAlone(const RecordSchema& schema) {
  fuzz::require(
      RecordSchema::fromNodes(schema.nodes(), schema.rootId()).fingerprint() == schema.fingerprint(),
      "a schema that is read again is the same");
  fuzz::require(difference(schema, schema).empty(), "and does not differ from itself");
  fuzz::require(!schemaText(schema).empty(), "it can be printed");
  try {
    const tools::CsvColumns columns(schema.root(), {}, tools::CsvColumns::Use::write);
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::fixCall, "a type may need too many columns");
  }
}

StoredVersions onlyVersion(const RecordSchema& stored) {
  const std::uint16_t number = stored.version();
  return {
      .load = [&stored, number](std::uint16_t version) -> std::optional<RecordSchema> {
        if (version != number) return std::nullopt;
        return stored;
      },
      .state = [number](std::uint16_t version) -> std::optional<VersionState> {
        if (version != number) return std::nullopt;
        return VersionState::active;
      },
      .below = [number](std::uint16_t version) -> std::optional<std::uint16_t> {
        if (version <= number) return std::nullopt;
        return number;
      },
      .above = [number](std::uint16_t version) -> std::optional<std::uint16_t> {
        if (version >= number) return std::nullopt;
        return number;
      },
      .abortedBelow = [](std::uint16_t) -> std::optional<std::uint16_t> { return std::nullopt; },
      .highest = [number] { return number; },
  };
}

void checkPair(const RecordSchema& older, const RecordSchema& newer) {
  const auto changes = difference(older, newer);
  if (older.fingerprint() == newer.fingerprint())
    fuzz::require(changes.empty(), "what means the same does not differ");
  const auto judgements = judge(changes);
  fuzz::require(judgements.size() == changes.size(), "every change is judged");
  for (const Judgement& one : judgements) {
    const bool refused = one.verdict == Verdict::refused;
    fuzz::require(!one.what.empty() && (!refused || (!one.why.empty() && !one.instead.empty())),
                  "a refusal has its reason and the safe way");
  }
  fuzz::require(!describe(judgements).empty() || changes.empty(), "changes can be told");
  fuzz::require(judgeStored(onlyVersion(older), newer).size() <= changes.size(),
                "those against what is stored");
  for (const Opening opening : {Opening::plain, Opening::staged}) {
    try {
      const Admission admission = admit({.current = older.version()}, onlyVersion(older), newer, opening);
      fuzz::require((admission.kind == AdmissionKind::refused) == admission.refusal.has_value(),
                    "who is refused is told why");
      if (admission.kind == AdmissionKind::addVersion)
        fuzz::require(!isRefused(admission.judgements), "what is refused is not added");
    } catch (const Error& error) {
      fuzz::require(error.code() == ErrorCode::upgradeProgram || error.code() == ErrorCode::restoreFromBackup,
                    "an older program is told that it is one");
    }
  }
}

}  // namespace

void instar::fuzz::fuzzAdmission(Bytes bytes) {
  Input input(bytes);
  MadeSchemas made(input);
  const auto older = damagedSchema(made.older(), kRecordId, input);
  const auto newer = damagedSchema(made.newer(), made.newerId(), input);
  if (older) checkAlone(*older);
  if (newer) checkAlone(*newer);
  if (older && newer) {
    checkPair(*older, *newer);
    checkPair(*newer, *older);
  }
}
