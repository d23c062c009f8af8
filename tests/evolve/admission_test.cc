#include "instar/evolve/admission.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "instar/format/error.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

// A struct with this version and these members.
RecordSchema contact(unsigned version, const std::string& members) {
  return parseDeclarations("struct Contact @0xa000000000000001 $Instar.version(" + std::to_string(version) +
                               ") { " + members + " }",
                           "Contact");
}

constexpr const char* kOne = "id @0 :UInt64;";
constexpr const char* kTwo = "id @0 :UInt64; name @1 :Text;";
constexpr const char* kThree = "id @0 :UInt64; name @1 :Text; mail @2 :Text;";
constexpr const char* kUnion = "id @0 :UInt64; union { name @1 :Text; nameless @2 :Void; }";

// What a file holds: the schemas of a collection, and its floors.
class Collection {
 public:
  void store(const RecordSchema& schema) { schemas_.insert_or_assign(schema.version(), schema); }

  // Opens and, where a version is to be stored, stores it.
  Admission open(const RecordSchema& program, Opening opening = Opening::plain) {
    loaded_ = 0;
    auto admission = admit(versions_, stored(), program, opening);
    const bool stages = admission.kind == AdmissionKind::stageVersion;
    bool stores = stages || admission.kind == AdmissionKind::addVersion ||
                  admission.kind == AdmissionKind::insertVersion;
    if (stores) store(program);
    if (stages) states_[program.version()] = VersionState::staged;
    versions_ = admission.versions;
    return admission;
  }

  Error openingFails(const RecordSchema& program, Opening opening = Opening::plain) {
    try {
      auto admission = admit(versions_, stored(), program, opening);
      if (admission.refusal) {
        EXPECT_EQ(admission.kind, AdmissionKind::refused);
        EXPECT_EQ(admission.versions, versions_);
        EXPECT_FALSE(admission.judgements.empty());
        return *admission.refusal;
      }
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "version " << program.version() << " was admitted";
    return Error(ErrorCode::fixCall, "nothing was thrown");
  }

  void abort(std::uint16_t version) {
    states_[version] = VersionState::aborted;
    versions_.current = stored().below(static_cast<std::uint16_t>(version + 1)).value_or(0);
  }
  void promote(std::uint16_t version) {
    versions_ = promoted(versions_, stored(), version);
    states_.erase(version);
  }

  CollectionVersions& versions() { return versions_; }
  int loaded() const { return loaded_; }

 private:
  StoredVersions stored() {
    return {.load = [this](std::uint16_t version) -> std::optional<RecordSchema> {
              ++loaded_;
              auto found = schemas_.find(version);
              return found == schemas_.end() ? std::nullopt : std::optional(found->second);
            },
            .state = [this](std::uint16_t version) -> std::optional<VersionState> {
              if (!schemas_.contains(version)) return std::nullopt;
              auto found = states_.find(version);
              return found == states_.end() ? VersionState::active : found->second;
            },
            .below = [this](std::uint16_t version) { return nearestBelow(version, false); },
            .above = [this](std::uint16_t version) -> std::optional<std::uint16_t> {
              auto next = schemas_.upper_bound(version);
              while (next != schemas_.end() && states_.contains(next->first)) ++next;
              return next == schemas_.end() ? std::nullopt : std::optional(next->first);
            },
            .abortedBelow = [this](std::uint16_t version) { return nearestBelow(version, true); },
            .highest = [this]() -> std::uint16_t {
              return schemas_.empty() ? std::uint16_t{0} : schemas_.rbegin()->first;
            }};
  }

  std::optional<std::uint16_t> nearestBelow(std::uint16_t version, bool aborted) const {
    for (auto next = schemas_.lower_bound(version); next != schemas_.begin();) {
      --next;
      const auto state = states_.find(next->first);
      if (aborted ? state != states_.end() && state->second == VersionState::aborted : state == states_.end())
        return next->first;
    }
    return std::nullopt;
  }

  std::map<std::uint16_t, RecordSchema> schemas_;
  std::map<std::uint16_t, VersionState> states_;  // of those that nobody depends on
  CollectionVersions versions_;
  int loaded_ = 0;
};

TEST(Admission, StoresTheFirstVersionWhateverItsNumber) {
  Collection collection;
  auto admission = collection.open(contact(7, kTwo));
  EXPECT_EQ(admission.kind, AdmissionKind::addVersion);
  EXPECT_EQ(admission.versions, (CollectionVersions{7, 1, 1}));
  EXPECT_TRUE(admission.judgements.empty());
}

TEST(Admission, HasNothingToDoForTheSameSchema) {
  Collection collection;
  collection.open(contact(1, kOne));
  EXPECT_EQ(collection.open(contact(1, kOne)).kind, AdmissionKind::same);
}

TEST(Admission, AddsAHigherVersionWithItsChanges) {
  Collection collection;
  collection.open(contact(1, kOne));
  auto admission = collection.open(contact(2, kTwo));
  EXPECT_EQ(admission.kind, AdmissionKind::addVersion);
  EXPECT_EQ(admission.versions, (CollectionVersions{2, 1, 1}));
  ASSERT_EQ(admission.judgements.size(), 1U);
  EXPECT_EQ(admission.judgements[0].what, "Contact.name: a new field @1");
}

TEST(Admission, AddsAHigherVersionWithoutAnyChange) {
  Collection collection;
  collection.open(contact(1, kOne));
  auto admission = collection.open(contact(5, kOne));
  EXPECT_EQ(admission.kind, AdmissionKind::addVersion);
  EXPECT_EQ(admission.versions.current, 5);
}

TEST(Admission, LetsAnOlderProgramIn) {
  Collection collection;
  collection.open(contact(1, kOne));
  collection.open(contact(2, kTwo));
  auto admission = collection.open(contact(1, kOne));
  EXPECT_EQ(admission.kind, AdmissionKind::olderProgram);
  EXPECT_EQ(admission.versions.current, 2);
}

TEST(Admission, InsertsAnOlderVersionThatFitsBetweenItsNeighbours) {
  Collection collection;
  collection.open(contact(1, kOne));
  collection.open(contact(3, kThree));
  auto admission = collection.open(contact(2, kTwo));
  EXPECT_EQ(admission.kind, AdmissionKind::insertVersion);
  EXPECT_EQ(admission.versions, (CollectionVersions{3, 1, 1}));
  EXPECT_EQ(collection.open(contact(2, kTwo)).kind, AdmissionKind::olderProgram);
}

TEST(Admission, InsertsAVersionBelowTheFirstOne) {
  Collection collection;
  collection.open(contact(3, kThree));
  EXPECT_EQ(collection.open(contact(1, kOne)).kind, AdmissionKind::insertVersion);
}

TEST(Admission, RefusesToInsertWhatTheVersionAboveDoesNotHave) {
  Collection collection;
  collection.open(contact(1, kOne));
  collection.open(contact(3, kTwo));
  auto error = collection.openingFails(contact(2, kThree));
  EXPECT_EQ(error.code(), ErrorCode::fixSchema);
  EXPECT_EQ(error.fact("from version"), "2");
  EXPECT_EQ(error.fact("to version"), "3");
}

TEST(Admission, RefusesToInsertWhatTheVersionBelowDoesNotAllow) {
  Collection collection;
  collection.open(contact(1, kTwo));
  collection.open(contact(3, kThree));
  auto error = collection.openingFails(contact(2, kOne));
  EXPECT_EQ(error.code(), ErrorCode::fixSchema);
  EXPECT_EQ(error.fact("from version"), "1");
  EXPECT_EQ(error.fact("to version"), "2");
}

TEST(Admission, RefusesAnotherSchemaUnderTheSameNumberAndListsTheDifferences) {
  Collection collection;
  collection.open(contact(1, kOne));
  auto error = collection.openingFails(contact(1, kThree));
  EXPECT_EQ(error.code(), ErrorCode::fixSchema);
  EXPECT_NE(std::string(error.message()).find("raise the number"), std::string::npos);
  EXPECT_EQ(error.fact("version"), "1");
  EXPECT_EQ(error.fact("changes"), "Contact.name: a new field @1\nContact.mail: a new field @2");
}

TEST(Admission, RefusesAnotherSchemaUnderAnOlderNumber) {
  Collection collection;
  collection.open(contact(1, kOne));
  collection.open(contact(2, kTwo));
  EXPECT_EQ(collection.openingFails(contact(1, kTwo)).code(), ErrorCode::fixSchema);
}

TEST(Admission, RefusesABreakingChangeWithEachRefusalAndItsSafeWay) {
  Collection collection;
  collection.open(contact(1, kThree));
  auto error = collection.openingFails(
      contact(2, "id @0 :UInt32; name @1 :Text = \"x\"; mail @2 :Text; new @3 :Void;"));
  EXPECT_EQ(error.code(), ErrorCode::fixSchema);
  EXPECT_EQ(error.fact("type"), "Contact");
  auto changes = std::string(error.fact("changes"));
  EXPECT_NE(changes.find("Contact.id: the type changed from UInt64 to UInt32"), std::string::npos);
  EXPECT_NE(changes.find("Contact.name: the default changed"), std::string::npos);
  EXPECT_NE(changes.find("instead: "), std::string::npos);
  EXPECT_EQ(changes.find("Contact.new"), std::string::npos) << "what is allowed is no refusal";
}

TEST(Admission, RaisesBothFloorsForAFieldThatMovesIntoAUnion) {
  Collection collection;
  collection.open(contact(1, kTwo));
  auto admission = collection.open(contact(2, kUnion));
  EXPECT_EQ(admission.versions, (CollectionVersions{2, 2, 2}));
  EXPECT_EQ(collection.openingFails(contact(1, kTwo)).code(), ErrorCode::upgradeProgram);
}

TEST(Admission, KeepsRaisedFloorsWhenLaterVersionsAreAdditive) {
  Collection collection;
  collection.open(contact(1, kTwo));
  collection.open(contact(2, kUnion));
  auto admission = collection.open(contact(3, std::string(kUnion) + " more @3 :Text;"));
  EXPECT_EQ(admission.versions, (CollectionVersions{3, 2, 2}));
}

TEST(Admission, TellsAProgramBelowTheReaderFloorBothVersions) {
  Collection collection;
  collection.open(contact(1, kOne));
  collection.open(contact(2, kTwo));
  collection.versions().readerFloor = 2;
  auto error = collection.openingFails(contact(1, kOne));
  EXPECT_EQ(error.code(), ErrorCode::upgradeProgram);
  EXPECT_EQ(error.fact("version of the program"), "1");
  EXPECT_EQ(error.fact("lowest version"), "2");
}

TEST(Admission, LetsAProgramBelowTheWriterFloorRead) {
  Collection collection;
  collection.open(contact(1, kOne));
  collection.open(contact(2, kTwo));
  collection.versions().writerFloor = 2;
  EXPECT_EQ(collection.open(contact(1, kOne)).kind, AdmissionKind::olderProgram);
}

TEST(Admission, DoesNotInsertAVersionThatWouldMisreadTheOneAbove) {
  Collection collection;
  collection.open(contact(5, kUnion));  // nothing was below, so no floor has risen
  auto error = collection.openingFails(contact(4, kTwo));
  EXPECT_EQ(error.code(), ErrorCode::upgradeProgram);
  EXPECT_EQ(error.fact("lowest version"), "5");
}

// The file began with the newest struct, so no floor tells of those before.
TEST(Admission, TellsAProgramOfAReplacedStructBothVersions) {
  const auto client = parseDeclarations(
      "struct Client @0xa000000000000003 $Instar.version(5) "
      "$Instar.replaces(since = 4, type = 0xa000000000000002, call = \"clientFromCustomer\") { label @0 "
      ":Text; }",
      "Client");
  const auto customer = parseDeclarations(
      "struct Customer @0xa000000000000002 $Instar.version(3) "
      "$Instar.replaces(since = 3, type = 0xa000000000000001, call = \"customerFromContact\") { name @0 "
      ":Text; }",
      "Customer");
  Collection collection;
  collection.open(client);
  for (const auto& older : {customer, contact(2, kTwo)}) {
    const Error error = collection.openingFails(older);
    EXPECT_EQ(error.code(), ErrorCode::upgradeProgram) << error.what();
    EXPECT_EQ(error.fact("version of the program"), std::to_string(older.version()));
    EXPECT_EQ(error.fact("lowest version"), "4");
  }
  EXPECT_EQ(collection.openingFails(contact(4, kTwo)).code(), ErrorCode::fixSchema)
      << "which is no older program: the version is one of the new struct";
}

TEST(Admission, LooksAtThreeVersionsAtTheMost) {
  Collection collection;
  for (unsigned version = 1; version <= 1000; version += 2) collection.store(contact(version, kOne));
  collection.versions().current = 999;
  collection.open(contact(500, kOne));
  EXPECT_LE(collection.loaded(), 3);
  collection.open(contact(1001, kTwo));
  EXPECT_LE(collection.loaded(), 3);
}

TEST(Admission, ReportsACatalogThatLacksAVersion) {
  Collection collection;
  collection.open(contact(1, kOne));
  StoredVersions broken{.load = [](std::uint16_t) { return std::nullopt; },
                        .state = [](std::uint16_t) { return std::nullopt; },
                        .below = [](std::uint16_t) { return std::optional<std::uint16_t>(1); },
                        .above = [](std::uint16_t) { return std::nullopt; },
                        .abortedBelow = [](std::uint16_t) { return std::nullopt; },
                        .highest = []() { return std::uint16_t{1}; }};
  try {
    admit(collection.versions(), broken, contact(2, kTwo));
    ADD_FAILURE() << "admitted against a version that is not there";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::restoreFromBackup);
  }
}

// ---- versions that are tried before anything depends on them

constexpr const char* kSplit =
    R"(id @0 :UInt64; name @1 :Text $Instar.mirrored(since = 3, concat = [(field = "last")]);
       last @2 :Text $Instar.derived(since = 3, copy = "name");)";

TEST(StagedAdmission, LeavesTheCurrentVersionAndTheFloors) {
  Collection collection;
  collection.open(contact(2, kTwo));
  const auto admission = collection.open(contact(3, kUnion), Opening::staged);
  EXPECT_EQ(admission.kind, AdmissionKind::stageVersion);
  EXPECT_EQ(admission.versions, (CollectionVersions{2, 1, 1}));
  EXPECT_EQ(floorEffect(admission.judgements), FloorEffect::readerAndWriter);
  EXPECT_EQ(collection.open(contact(3, kUnion), Opening::staged).kind, AdmissionKind::stagedVersion);
  collection.promote(3);
  EXPECT_EQ(collection.versions(), (CollectionVersions{3, 3, 3}));
  EXPECT_EQ(collection.open(contact(3, kUnion), Opening::staged).kind, AdmissionKind::same);
}

TEST(StagedAdmission, HasNothingToTryInANewCollection) {
  Collection collection;
  EXPECT_EQ(collection.open(contact(1, kOne), Opening::staged).kind, AdmissionKind::addVersion);
}

TEST(StagedAdmission, TakesAnOlderVersionAsAnyProgram) {
  Collection collection;
  collection.open(contact(3, kTwo));
  EXPECT_EQ(collection.open(contact(2, kOne), Opening::staged).kind, AdmissionKind::insertVersion);
  EXPECT_EQ(collection.open(contact(2, kOne), Opening::staged).kind, AdmissionKind::olderProgram);
}

TEST(StagedAdmission, RefusesOthersWhileOneIsStaged) {
  Collection collection;
  collection.open(contact(1, kOne));
  collection.open(contact(3, kTwo), Opening::staged);
  EXPECT_NE(std::string(collection.openingFails(contact(3, kTwo)).what()).find("promote it"),
            std::string::npos);
  for (const auto opening : {Opening::plain, Opening::staged}) {
    for (const unsigned version : {2U, 4U}) {
      const Error error = collection.openingFails(contact(version, kTwo), opening);
      EXPECT_EQ(error.code(), ErrorCode::fixSchema);
      EXPECT_EQ(error.fact("staged version"), "3");
    }
    EXPECT_NE(
        std::string(collection.openingFails(contact(3, kThree), opening).what()).find("kept its number"),
        std::string::npos);
  }
}

TEST(StagedAdmission, RefusesAnotherStruct) {
  Collection collection;
  collection.open(contact(1, kOne));
  const auto replaced = parseDeclarations(
      R"(struct Customer @0xa000000000000002 $Instar.version(2)
             $Instar.replaces(since = 2, type = 0xa000000000000001, call = "f") { id @0 :UInt64; })",
      "Customer");
  EXPECT_NE(std::string(collection.openingFails(replaced, Opening::staged).what()).find("instar canary"),
            std::string::npos);
  EXPECT_EQ(collection.open(replaced).kind, AdmissionKind::addVersion);
}

TEST(StagedAdmission, KeepsTheNumberAndThePlacesOfAnAbortedVersion) {
  Collection collection;
  collection.open(contact(2, kTwo));
  collection.open(contact(3, kThree), Opening::staged);
  collection.abort(3);
  EXPECT_NE(std::string(collection.openingFails(contact(3, kThree)).what()).find("raise the number"),
            std::string::npos);
  EXPECT_EQ(collection.open(contact(3, kThree), Opening::staged).kind, AdmissionKind::abortedVersion);
  collection.openingFails(contact(3, kTwo), Opening::staged);
  // mail @2 is gone, or of another type.
  EXPECT_EQ(collection.openingFails(contact(4, kTwo)).fact("from version"), "3");
  EXPECT_EQ(collection.openingFails(contact(4, "id @0 :UInt64; name @1 :Text; age @2 :UInt8;")).code(),
            ErrorCode::fixSchema);
  EXPECT_EQ(collection.open(contact(4, kThree)).kind, AdmissionKind::addVersion);
  EXPECT_EQ(collection.open(contact(3, kThree), Opening::staged).kind, AdmissionKind::abortedVersion);
}

TEST(StagedAdmission, TakesNoNumberBelowAnAbortedOne) {
  Collection collection;
  collection.open(contact(1, kOne));
  collection.open(contact(5, kTwo), Opening::staged);
  collection.abort(5);
  EXPECT_EQ(collection.openingFails(contact(3, kTwo)).fact("aborted version"), "5");
  EXPECT_EQ(collection.openingFails(contact(3, kTwo), Opening::staged).fact("aborted version"), "5");
  EXPECT_EQ(collection.open(contact(6, kTwo), Opening::staged).kind, AdmissionKind::stageVersion);
}

TEST(StagedAdmission, LetsALaterVersionDeriveInAnotherWay) {
  Collection collection;
  collection.open(contact(2, kTwo));
  collection.open(contact(3, kSplit), Opening::staged);
  collection.abort(3);
  const std::string members =
      R"(id @0 :UInt64; name @1 :Text $Instar.mirrored(since = 4, concat = [(field = "last"), (text = ".")]);
         last @2 :Text $Instar.derived(since = SINCE, split = (field = "name", by = ".", part = 0));)";
  const auto since = [&](const char* number) {
    std::string text = members;
    return text.replace(text.find("SINCE"), 5, number);
  };
  EXPECT_EQ(collection.openingFails(contact(4, since("3"))).fact("from version"), "3");
  const auto admission = collection.open(contact(4, since("4")));
  EXPECT_EQ(admission.kind, AdmissionKind::addVersion);
  EXPECT_EQ(admission.versions, (CollectionVersions{4, 1, 1}));
}

TEST(StagedAdmission, DoesNotJudgeAgainstWhatWasAbortedBeforeTheCurrentVersion) {
  Collection collection;
  collection.open(contact(2, kTwo));
  collection.open(contact(3, kThree), Opening::staged);
  collection.abort(3);
  collection.open(contact(4, kThree));
  collection.open(contact(5, kThree));
  EXPECT_LE(collection.loaded(), 1);
  EXPECT_EQ(collection.open(contact(2, kTwo)).kind, AdmissionKind::olderProgram);
}

}  // namespace
}  // namespace instar::testing
