#pragma once

// What differs between two versions of a record type, as data. Judging it is another matter (verdict.h), and
// so is printing.
//
//  1. Pair the record structs, then the structs and enums that paired fields lead to, each pair once.
//  2. In a pair of structs dissolve groups and unions; fields of the same ordinal are the same field.
//  3. Compare each pair of fields with the parameters of generic types replaced by what they are bound to.
//
// Invariant: the result is empty exactly where both schemas mean the same, the number of the version aside.
// Pure; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "instar/evolve/record_schema.h"

namespace instar {

// The record struct has another Cap'n Proto id.
struct RecordReplaced {
  std::string older;
  std::string newer;
  std::uint64_t olderId = 0;
  std::uint64_t newerId = 0;
  std::string how = {};            // $Instar.replaces; empty without it
  std::uint64_t declaredId = 0;    // that it names
  std::uint16_t since = 0;         // likewise
  std::uint16_t olderVersion = 0;  // where it is there
  friend bool operator==(const RecordReplaced&, const RecordReplaced&) = default;
};

// A part of the key was sensitive in the replaced struct, and is not in the new one.
struct KeyUnmasked {
  std::string type;
  std::string field;
  friend bool operator==(const KeyUnmasked&, const KeyUnmasked&) = default;
};

// $Instar.replaces on the same record struct.
struct ReplacementChanged {
  std::string type;
  std::string older;
  std::string newer;
  friend bool operator==(const ReplacementChanged&, const ReplacementChanged&) = default;
};

// $Instar.upgraded on the record struct.
struct StepAdded {
  std::string type;
  std::string how;
  std::uint16_t to = 0;
  std::uint16_t olderVersion = 0;
  friend bool operator==(const StepAdded&, const StepAdded&) = default;
};

struct StepRemoved {
  std::string type;
  std::string how;
  friend bool operator==(const StepRemoved&, const StepRemoved&) = default;
};

// $Instar.validated on the record struct.
struct ValidatorAdded {
  std::string type;
  std::string name;
  friend bool operator==(const ValidatorAdded&, const ValidatorAdded&) = default;
};

struct ValidatorRemoved {
  std::string type;
  std::string name;
  friend bool operator==(const ValidatorRemoved&, const ValidatorRemoved&) = default;
};

struct TypeRenamed {
  std::string older;
  std::string newer;
  friend bool operator==(const TypeRenamed&, const TypeRenamed&) = default;
};

// A type of the same id was a struct and is an enum, or the reverse.
struct KindChanged {
  std::string type;
  friend bool operator==(const KindChanged&, const KindChanged&) = default;
};

// The parameters of a generic type, or how types use them. What the fields come out as is compared on its
// own.
struct GenericsChanged {
  std::string type;
  std::uint16_t olderCount = 0;
  std::uint16_t newerCount = 0;
  friend bool operator==(const GenericsChanged&, const GenericsChanged&) = default;
};

enum class UnionPlace : std::uint8_t {
  none,
  existing,  // a union that the older schema has
  added,     // a union that the older schema does not have
};

struct FieldAdded {
  std::string type;
  std::string field;  // with its groups: "address.city"; likewise in every struct below
  std::uint16_t ordinal = 0;
  UnionPlace place = UnionPlace::none;
  friend bool operator==(const FieldAdded&, const FieldAdded&) = default;
};

struct FieldRemoved {
  std::string type;
  std::string field;
  std::uint16_t ordinal = 0;
  friend bool operator==(const FieldRemoved&, const FieldRemoved&) = default;
};

struct FieldRenamed {
  std::string type;
  std::string older;
  std::string newer;
  friend bool operator==(const FieldRenamed&, const FieldRenamed&) = default;
};

// A field carries the name that another field has had: swapped names, or swapped ordinals.
struct NameTaken {
  std::string type;
  std::string name;
  std::uint16_t olderOrdinal = 0;  // of the field that had the name
  std::uint16_t newerOrdinal = 0;  // of the field that has it now
  friend bool operator==(const NameTaken&, const NameTaken&) = default;
};

// Into a group, out of one, or from one into another.
struct FieldMoved {
  std::string type;
  std::string older;
  std::string newer;
  bool intoNewGroup = false;  // and every other field of the group is new
  friend bool operator==(const FieldMoved&, const FieldMoved&) = default;
};

struct GroupRenamed {
  std::string type;
  std::string older;
  std::string newer;
  friend bool operator==(const GroupRenamed&, const GroupRenamed&) = default;
};

struct JoinedUnion {
  std::string type;
  std::string field;
  std::uint16_t discriminant = 0;  // the field's number in the union
  UnionPlace place = UnionPlace::added;
  friend bool operator==(const JoinedUnion&, const JoinedUnion&) = default;
};

struct LeftUnion {
  std::string type;
  std::string field;
  friend bool operator==(const LeftUnion&, const LeftUnion&) = default;
};

// The field, or the discriminant of a union around it, lies elsewhere in the bytes.
struct PlaceChanged {
  std::string type;
  std::string field;
  friend bool operator==(const PlaceChanged&, const PlaceChanged&) = default;
};

enum class TypeStep : std::uint8_t {
  other,
  sameBytes,  // the types differ in arguments that no field uses
  textToData,
  widened,                   // a list of bytes to Data, or a pointer to AnyPointer, AnyStruct, AnyList
  listElementToStruct,       // List(T) to List(S), where S is a struct whose field @0 is a T
  listElementToUnfitStruct,  // the same, where field @0 of S does not stand in for a T
};

// A type of the same name has another id: most likely it has none of its own in the schema, and took one from
// the file's or from that of the type around it.
struct LostId {
  std::string declaration;  // "struct Address"
  std::uint64_t olderId = 0;
  std::uint64_t newerId = 0;
  friend bool operator==(const LostId&, const LostId&) = default;
};

struct FieldTypeChanged {
  std::string type;
  std::string field;
  std::string older;
  std::string newer;
  TypeStep step = TypeStep::other;
  std::optional<LostId> lostId = {};  // where nothing else tells the types apart
  friend bool operator==(const FieldTypeChanged&, const FieldTypeChanged&) = default;
};

struct DefaultChanged {
  std::string type;
  std::string field;
  std::string older;
  std::string newer;
  friend bool operator==(const DefaultChanged&, const DefaultChanged&) = default;
};

struct EnumerantAdded {
  std::string type;
  std::string name;
  friend bool operator==(const EnumerantAdded&, const EnumerantAdded&) = default;
};

struct EnumerantRemoved {
  std::string type;
  std::string name;
  friend bool operator==(const EnumerantRemoved&, const EnumerantRemoved&) = default;
};

struct EnumerantRenamed {
  std::string type;
  std::string older;
  std::string newer;
  bool nameIsUsed = false;  // by a derivation, as text
  friend bool operator==(const EnumerantRenamed&, const EnumerantRenamed&) = default;
};

struct KeyChanged {
  std::string type;
  std::string older;  // "id, name"
  std::string newer;
  friend bool operator==(const KeyChanged&, const KeyChanged&) = default;
};

struct SensitiveAdded {
  std::string type;
  std::string field;
  friend bool operator==(const SensitiveAdded&, const SensitiveAdded&) = default;
};

struct SensitiveRemoved {
  std::string type;
  std::string field;
  friend bool operator==(const SensitiveRemoved&, const SensitiveRemoved&) = default;
};

// $Instar.derived on a field: of a new field, or of one that older rows hold already.
struct DerivationAdded {
  std::string type;
  std::string field;
  std::string how;
  std::uint16_t since = 0;
  std::uint16_t olderVersion = 0;
  bool isNewField = true;
  // Whether what a newer program writes into the field is still there when an older one has rewritten
  // the row, and the field is derived again: every source is mirrored or part of the key, and one of the
  // mirrors is made from the field.
  bool comesBack = false;
  friend bool operator==(const DerivationAdded&, const DerivationAdded&) = default;
};

struct DerivationRemoved {
  std::string type;
  std::string field;
  friend bool operator==(const DerivationRemoved&, const DerivationRemoved&) = default;
};

struct DerivationChanged {
  std::string type;
  std::string field;
  std::string older;
  std::string newer;
  friend bool operator==(const DerivationChanged&, const DerivationChanged&) = default;
};

// $Instar.mirrored on a field.
struct MirrorAdded {
  std::string type;
  std::string field;
  std::string how;
  std::uint16_t since = 0;
  std::uint16_t olderVersion = 0;
  // Whether what an older program writes into the field is not lost when a newer one puts the row: every
  // source is derived from it anew, or part of the key, and not all are that.
  bool comesBack = false;
  friend bool operator==(const MirrorAdded&, const MirrorAdded&) = default;
};

struct MirrorRemoved {
  std::string type;
  std::string field;
  friend bool operator==(const MirrorRemoved&, const MirrorRemoved&) = default;
};

struct MirrorChanged {
  std::string type;
  std::string field;
  std::string older;
  std::string newer;
  friend bool operator==(const MirrorChanged&, const MirrorChanged&) = default;
};

// $Instar.retired on a field.
struct RetirementAdded {
  std::string type;
  std::string field;
  std::uint16_t since = 0;
  std::uint16_t olderVersion = 0;
  bool isNewField = false;  // the older version does not have it at all
  friend bool operator==(const RetirementAdded&, const RetirementAdded&) = default;
};

struct RetirementRemoved {
  std::string type;
  std::string field;
  friend bool operator==(const RetirementRemoved&, const RetirementRemoved&) = default;
};

struct RetirementMoved {
  std::string type;
  std::string field;
  std::uint16_t older = 0;  // the versions that it begins with
  std::uint16_t newer = 0;
  friend bool operator==(const RetirementMoved&, const RetirementMoved&) = default;
};

using Change =
    std::variant<RecordReplaced, KeyUnmasked, ReplacementChanged, StepAdded, StepRemoved, ValidatorAdded,
                 ValidatorRemoved, TypeRenamed, KindChanged, GenericsChanged, FieldAdded, FieldRemoved,
                 FieldRenamed, NameTaken, FieldMoved, GroupRenamed, JoinedUnion, LeftUnion, PlaceChanged,
                 FieldTypeChanged, DefaultChanged, EnumerantAdded, EnumerantRemoved, EnumerantRenamed,
                 KeyChanged, SensitiveAdded, SensitiveRemoved, DerivationAdded, DerivationRemoved,
                 DerivationChanged, MirrorAdded, MirrorRemoved, MirrorChanged, RetirementAdded,
                 RetirementRemoved, RetirementMoved>;

// In the order of types as the record leads to them, then of fields. Where the record struct is replaced,
// that is all, but for the key.
std::vector<Change> difference(const RecordSchema& older, const RecordSchema& newer);

}  // namespace instar
