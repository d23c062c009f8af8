#pragma once

// Whether a change is allowed, rule by rule: strict, and each refusal with its reason and the safe way.
//
// Additive means that old bytes are valid new bytes which read the same, and that an older program does right
// by newer rows, unless the floors say that it must not touch them. The rules:
//
//     field added                       additive: old rows read its default, older programs keep what they do
//                                       not know
//     member added to a union           additive: an older program meets a number in which() that it does not
//                                       know
//     enumerant added                   additive: likewise
//     field, group, type or enumerant   additive: bytes do not carry names. Not to a name that another field has
//       renamed                         had, which is what swapped ordinals look like
//     field moved into a new group      additive: the bytes are the same. Only one; with a second one Cap'n
//                                       Proto's own check of compatibility no longer follows
//     field moved into a new union      additive as the union's number 0, because old rows have a zero there. Only
//                                       one, and both floors rise: an older program would take the bytes of
//                                       another member for the field's
//     List(T) becomes List(S)           additive where field @0 of the struct S is a T without a default: Cap'n
//                                       Proto reads either list as the other. Not for Bool, whose lists are
//                                       packed in bits
//     parameters of a generic type      additive: fields are compared with the parameters replaced
//     $sensitive added or removed       additive: it is about output
//     $derived on a new field           derived: older rows get it when they are read. The writer floor rises unless
//                                       mirrors give the field's value back: an older program that rewrites a row has
//                                       it derived again, and what a newer one wrote would be lost
//     $mirrored on an older field       derived: newer writers keep it right for older programs. The writer floor rises
//                                       unless what the field is made from is derived from it: what an older program
//                                       writes would be lost
//     $mirrored removed                 derived: and both floors rise, since older programs would read what is no
//                                       longer kept right
//     $retired on an older field        derived: rows lose it when they are read, and both floors rise, since older
//                                       programs would find it empty
//     $replaces on another record       replaced: a function converts older rows when they are read. Both floors rise: an older
//       struct                          program does not know the new struct
//     $upgraded on the record struct    derived: a function changes older rows when they are read. Both floors rise, because
//                                       nobody knows what it changes: an older program may misread it
//     $validated added or removed       additive: it is about dry runs and checks
//     all else                          refused
//
// Pure; any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "instar/evolve/difference.h"

namespace instar {

enum class Verdict : std::uint8_t {
  additive,  // free
  derived,   // declared in the schema, and done when a row is read or put
  replaced,  // another struct, made by a function when a row is read
  refused,
};

// Which programs of older versions are shut out of the collection by a change.
enum class FloorEffect : std::uint8_t { none, writer, readerAndWriter };

struct Judgement {
  Verdict verdict = Verdict::refused;
  FloorEffect floor = FloorEffect::none;
  std::string what;     // one line: "Contact.tier: the default changed from 1 to 2"
  std::string why;      // the reason of a refusal or of a risen floor; empty otherwise
  std::string instead;  // the safe way; empty where nothing is refused
};

std::string_view verdictName(Verdict verdict) noexcept;  // "additive", "derived", "replaced", "refused"

Judgement judge(const Change& change);

// One for each change, in their order.
std::vector<Judgement> judge(const std::vector<Change>& changes);

bool isRefused(const std::vector<Judgement>& judgements) noexcept;
// The most that any of them does.
FloorEffect floorEffect(const std::vector<Judgement>& judgements) noexcept;

// What was changed, why it is refused, what to do instead: one judgement a line, refusals with all three
// parts.
std::string describe(const std::vector<Judgement>& judgements);

}  // namespace instar
