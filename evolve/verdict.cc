#include "instar/evolve/verdict.h"

#include <algorithm>
#include <utility>

#include "instar/evolve/internal/literal.h"

namespace instar {
namespace {

Judgement additive(std::string what) {
  return {Verdict::additive, FloorEffect::none, std::move(what), {}, {}};
}

Judgement refused(std::string what, std::string why, std::string instead) {
  return {Verdict::refused, FloorEffect::none, std::move(what), std::move(why), std::move(instead)};
}

std::string obsoleteName(const std::string& path) {
  auto name = path.substr(path.rfind('.') + 1);  // the whole path where it has no dot
  if (!name.empty() && name.front() >= 'a' && name.front() <= 'z')
    name.front() = static_cast<char>(name.front() - 'a' + 'A');
  return "obsolete" + name;
}

std::string at(std::uint16_t ordinal) { return "@" + std::to_string(ordinal); }

Judgement ruleOfConversion(const RecordReplaced& change) {
  auto what = change.newer + ": replaces " + change.older + " " + change.how;
  if (change.declaredId != change.olderId) {
    return refused(
        std::move(what),
        "rows of version " + std::to_string(change.olderVersion) + " are of " + change.older + ", " +
            internal::idLiteral(change.olderId) + ", which nothing says how to turn into it",
        "name the id of that struct; or open the file first with the release whose struct is named");
  }
  if (change.since <= change.olderVersion) {
    return refused(
        std::move(what),
        "rows of version " + std::to_string(change.olderVersion) +
            " are of the old struct, and would not be converted",
        "write since = " + std::to_string(change.olderVersion + 1) + " or the number of this version");
  }
  return {Verdict::replaced,
          FloorEffect::readerAndWriter,
          std::move(what),
          "an older program does not know the new struct",
          {}};
}

Judgement rule(const RecordReplaced& change) {
  if (!change.how.empty()) return ruleOfConversion(change);
  return refused(
      change.newer + ": a replaced type, " + internal::idLiteral(change.olderId) + " became " +
          internal::idLiteral(change.newerId),
      "a record is recognised by its id, and nothing says how to turn the old type into the new one",
      "keep the old id: write " + internal::idLiteral(change.olderId) + " after the name, as in `struct " +
          change.newer + " " + internal::idLiteral(change.olderId) +
          "`; or name a function that converts rows, with $Instar.replaces");
}

Judgement rule(const KeyUnmasked& change) {
  return refused(
      change.type + "." + change.field + ": the key is not sensitive, in the replaced struct it is",
      "rows stay under their keys, which every output would show", "write $Instar.sensitive here too");
}

Judgement rule(const ReplacementChanged& change) {
  return refused(
      change.type + ": replaces " + change.newer + ", before it was " + change.older,
      "rows of the struct before could be there, and would be read in another way or not at all",
      "write the annotation as it was; change what the function does before the version is released");
}

Judgement rule(const TypeRenamed& change) {
  return additive(change.newer + ": the type was called " + change.older);
}

Judgement rule(const KindChanged& change) {
  return refused(change.type + ": a struct became an enum, or an enum a struct",
                 "the bytes of one mean nothing to the other",
                 "give the new type a name and an id of its own");
}

Judgement rule(const GenericsChanged& change) {
  if (change.olderCount == change.newerCount)
    return additive(change.type + ": type parameters are used differently");
  return additive(change.type + ": type parameters, " + std::to_string(change.olderCount) + " became " +
                  std::to_string(change.newerCount));
}

Judgement rule(const FieldAdded& change) {
  auto what = change.type + "." + change.field + ": a new field " + at(change.ordinal);
  if (change.place == UnionPlace::existing) what += ", a new member of a union";
  if (change.place == UnionPlace::added) what += " in a new union";
  return additive(std::move(what));
}

Judgement rule(const FieldRemoved& change) {
  return refused(change.type + "." + change.field + ": field " + at(change.ordinal) + " was removed",
                 "stored rows hold it, and a later field would take its place in the bytes",
                 "keep it; rename it, e.g. " + obsoleteName(change.field));
}

Judgement rule(const FieldRenamed& change) {
  return additive(change.type + "." + change.newer + ": the field was called " + change.older);
}

Judgement rule(const NameTaken& change) {
  return refused(change.type + "." + change.name + ": the name of " + at(change.olderOrdinal) +
                     " now stands at " + at(change.newerOrdinal),
                 "rows know the number only, so each of the two would show what the other has stored",
                 "put the numbers back; to rename both, use names that neither has had");
}

Judgement rule(const FieldMoved& change) {
  auto what = change.type + "." + change.newer + ": the field moved, it was " + change.older;
  if (change.intoNewGroup) return additive(std::move(what));
  return refused(std::move(what),
                 "Cap'n Proto lets one existing field move into a new group, and nothing else",
                 "leave it where it was");
}

Judgement rule(const GroupRenamed& change) {
  return additive(change.type + "." + change.newer + ": the group was called " + change.older);
}

Judgement rule(const JoinedUnion& change) {
  auto what = change.type + "." + change.field + ": the field moved into a union";
  if (change.place == UnionPlace::existing) {
    return refused(std::move(what),
                   "in old rows another member of that union can be set, and the field as well",
                   "leave it outside, and add a new member");
  }
  if (change.discriminant != 0) {
    return refused(std::move(what),
                   "old rows read as member 0 of a new union, and this field is member " +
                       std::to_string(change.discriminant) + ", so their values would be lost",
                   "move one existing field at the most, the one with the lowest number");
  }
  auto judgement = additive(std::move(what));
  judgement.floor = FloorEffect::readerAndWriter;
  judgement.why = "an older program would take another member's bytes for the field's";
  return judgement;
}

Judgement rule(const LeftUnion& change) {
  return refused(change.type + "." + change.field + ": the field moved out of a union",
                 "in rows where another member is set, its bytes would show as the field's",
                 "leave it in the union, and add a new field outside");
}

Judgement rule(const PlaceChanged& change) {
  return refused(change.type + "." + change.field + ": it lies elsewhere in the bytes",
                 "stored rows have it in the old place",
                 "put fields, groups and unions back as they were, and give new fields the next numbers");
}

std::string reason(TypeStep step) {
  switch (step) {
    case TypeStep::textToData:
      return "a stored Text would read as Data with a NUL at its end";
    case TypeStep::widened:
      return "Cap'n Proto refuses it for a field that can have a default, and an older program would meet "
             "values that it cannot read";
    case TypeStep::listElementToUnfitStruct:
      return "stored elements read as field @0 of the struct, which must be of the old type, outside of "
             "groups and unions, "
             "without a default, and not Bool";
    default:
      return "stored rows have the old type in that place";
  }
}

Judgement rule(const FieldTypeChanged& change, const LostId& lost) {
  const auto older = internal::idLiteral(lost.olderId);
  return refused(
      change.type + "." + change.field + ": the id of its type " + change.newer + " changed, from " + older +
          " to " + internal::idLiteral(lost.newerId),
      "a type is recognised by its id; one without an id of its own takes it from the file, or from the "
      "type around it",
      "keep the old id: write it after the name, as in `" + lost.declaration + " " + older + "`");
}

Judgement rule(const FieldTypeChanged& change) {
  if (change.lostId && change.step == TypeStep::other) return rule(change, *change.lostId);
  auto what =
      change.type + "." + change.field + ": the type changed from " + change.older + " to " + change.newer;
  if (change.step == TypeStep::sameBytes || change.step == TypeStep::listElementToStruct)
    return additive(std::move(what));
  return refused(std::move(what), reason(change.step),
                 "keep it; rename it, e.g. " + obsoleteName(change.field) +
                     ", and add a new field with the new type, derived from it");
}

Judgement rule(const DefaultChanged& change) {
  return refused(
      change.type + "." + change.field + ": the default changed from " + change.older + " to " + change.newer,
      "rows store the difference to the default, so every stored value would change",
      "keep it, and add a new field with the new default, derived from it");
}

Judgement rule(const EnumerantAdded& change) {
  return additive(change.type + "." + change.name + ": a new enumerant");
}

Judgement rule(const EnumerantRemoved& change) {
  return refused(change.type + "." + change.name + ": the enumerant was removed",
                 "stored rows have its number, and a later enumerant would take it",
                 "keep it; rename it, e.g. " + obsoleteName(change.name));
}

Judgement rule(const EnumerantRenamed& change) {
  auto what = change.type + "." + change.newer + ": the enumerant was called " + change.older;
  if (!change.nameIsUsed) return additive(std::move(what));
  return refused(
      std::move(what),
      "a derived or mirrored field has its name as text, which stored rows and older programs know",
      "keep the name");
}

Judgement rule(const KeyChanged& change) {
  return refused(change.type + ": the key changed from " + change.older + " to " + change.newer,
                 "stored rows lie under the old key",
                 "keep the key; copy the rows into a new collection for a new one");
}

Judgement rule(const SensitiveAdded& change) {
  return additive(change.type + "." + change.field + ": now sensitive");
}

Judgement rule(const SensitiveRemoved& change) {
  return additive(change.type + "." + change.field +
                  ": no longer sensitive; masked as long as a version in the file has the mark");
}

Judgement derived(std::string what, FloorEffect floor = FloorEffect::none, std::string why = {}) {
  return {Verdict::derived, floor, std::move(what), std::move(why), {}};
}

Judgement rule(const DerivationAdded& change) {
  auto what = change.type + "." + change.field + ": derived " + change.how;
  if (!change.isNewField) {
    return refused(std::move(what),
                   "rows of older versions hold the field already, and would show another value",
                   "add a new field and derive that");
  }
  if (change.since <= change.olderVersion) {
    return refused(
        std::move(what),
        "rows of version " + std::to_string(change.olderVersion) +
            " do not have the field, and would not get it",
        "write since = " + std::to_string(change.olderVersion + 1) + " or the number of this version");
  }
  if (change.comesBack) return derived(std::move(what));
  return derived(std::move(what), FloorEffect::writer,
                 "when an older program rewrites a row, the field is derived again, and what a newer one "
                 "wrote is lost; mirror "
                 "the fields that it is derived from to let older programs write");
}

Judgement rule(const DerivationRemoved& change) {
  return refused(change.type + "." + change.field + ": no longer derived",
                 "rows that were written before the field existed would lose it", "keep the annotation");
}

Judgement rule(const DerivationChanged& change) {
  return refused(change.type + "." + change.field + ": derived in another way, " + change.older + " became " +
                     change.newer,
                 "a row would show one value before it is rewritten and another one after",
                 "keep it, and derive a new field in the new way");
}

Judgement rule(const MirrorAdded& change) {
  auto what = change.type + "." + change.field + ": mirrored " + change.how;
  if (change.since <= change.olderVersion) {
    return refused(
        std::move(what),
        "writers of version " + std::to_string(change.olderVersion) + " do not keep the field right",
        "write since = " + std::to_string(change.olderVersion + 1) + " or the number of this version");
  }
  if (change.comesBack) return derived(std::move(what));
  return derived(std::move(what), FloorEffect::writer,
                 "when a newer program puts a row, the field is made anew, and what an older one wrote is "
                 "lost; derive the "
                 "fields that it is made from from it to let older programs write");
}

Judgement rule(const MirrorRemoved& change) {
  return derived(change.type + "." + change.field + ": no longer mirrored", FloorEffect::readerAndWriter,
                 "an older program would read values that nobody keeps right any more");
}

Judgement rule(const MirrorChanged& change) {
  return refused(change.type + "." + change.field + ": mirrored in another way, " + change.older +
                     " became " + change.newer,
                 "older programs would read rows of both ways and cannot tell them apart",
                 "keep it; or end it, which shuts older programs out, and begin with another field");
}

Judgement rule(const RetirementAdded& change) {
  auto what = change.type + "." + change.field + ": retired from version " + std::to_string(change.since);
  if (change.isNewField) return derived(std::move(what));
  if (change.since <= change.olderVersion) {
    return refused(std::move(what),
                   "rows of version " + std::to_string(change.olderVersion) + " have the field",
                   "write " + std::to_string(change.olderVersion + 1) + " or the number of this version");
  }
  return derived(std::move(what), FloorEffect::readerAndWriter,
                 "an older program would find the field empty in rows that newer ones write");
}

Judgement rule(const RetirementRemoved& change) {
  return refused(change.type + "." + change.field + ": no longer retired", "rows have lost its values",
                 "keep the annotation, and add a new field");
}

Judgement rule(const RetirementMoved& change) {
  return refused(change.type + "." + change.field + ": retired from version " + std::to_string(change.newer) +
                     " instead of " + std::to_string(change.older),
                 "rows of the versions between would change their meaning",
                 "keep " + std::to_string(change.older));
}

Judgement rule(const StepAdded& change) {
  auto what = change.type + ": upgraded " + change.how;
  if (change.to <= change.olderVersion) {
    return refused(
        std::move(what),
        "rows of version " + std::to_string(change.olderVersion) + " would not be changed by it",
        "write to = " + std::to_string(change.olderVersion + 1) + " or the number of this version");
  }
  return derived(std::move(what), FloorEffect::readerAndWriter,
                 "nobody knows what the function changes, so an older program may misread it");
}

Judgement rule(const StepRemoved& change) {
  return refused(change.type + ": no longer upgraded " + change.how,
                 "a row of an older version would be read in another way than one that has been put since",
                 "keep the step, and add another one");
}

Judgement rule(const ValidatorAdded& change) {
  return additive(change.type + ": rows have to keep the rule " + change.name);
}

Judgement rule(const ValidatorRemoved& change) {
  return additive(change.type + ": rows no longer have to keep the rule " + change.name);
}

}  // namespace

std::string_view verdictName(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::additive:
      return "additive";
    case Verdict::derived:
      return "derived";
    case Verdict::replaced:
      return "replaced";
    case Verdict::refused:
      break;
  }
  return "refused";
}

Judgement judge(const Change& change) {
  return std::visit([](const auto& one) { return rule(one); }, change);
}

std::vector<Judgement> judge(const std::vector<Change>& changes) {
  std::vector<Judgement> judgements;
  judgements.reserve(changes.size());
  for (const auto& change : changes) judgements.push_back(judge(change));
  return judgements;
}

bool isRefused(const std::vector<Judgement>& judgements) noexcept {
  return std::any_of(judgements.begin(), judgements.end(),
                     [](const Judgement& judgement) { return judgement.verdict == Verdict::refused; });
}

FloorEffect floorEffect(const std::vector<Judgement>& judgements) noexcept {
  FloorEffect effect = FloorEffect::none;
  for (const Judgement& judgement : judgements) effect = std::max(effect, judgement.floor);
  return effect;
}

std::string describe(const std::vector<Judgement>& judgements) {
  std::string text;
  for (const auto& judgement : judgements) {
    if (!text.empty()) text += '\n';
    text += judgement.what;
    if (!judgement.why.empty()) text += "; " + judgement.why;
    if (!judgement.instead.empty()) text += "; instead: " + judgement.instead;
  }
  return text;
}

}  // namespace instar
