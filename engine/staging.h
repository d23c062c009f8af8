#pragma once

// Versions that are tried before anything depends on them, and how a version comes and goes:
//
//     staged ──► active ──► settled ──► retired
//        └──────────┴──────────┴──► aborted
//
//     auto contacts = store.stage<Contact>("contacts", {.percent = 5});   // in the new program
//     if (auto row = contacts.get(snapshot, 7)) row.serves(3) ? useNew(*row) : useOld(*row);
//
// A program that opens a version with Store::stage() is served by the share of the keys that is set in the
// file. Under a key that is served it reads and puts records of its version; under every other one it does as
// a program of the version below whose struct happens to have more fields: it gets rows as that version has
// them, fills in the fields of that version, and what it puts is stamped with it; what the row that is there
// has in the fields of newer versions stays. Programs of older versions see nothing of it, except that rows
// can be there which a newer program has written. A version that would shut older programs out is never
// served while it is staged; it is tried in the shadow.
//
// A draft keeps to what it was read as, whatever has become of the version when it is put; only where it was
// read as an older record, and the version has shut such programs out since, put throws Error(retry). A new
// record belongs to the key, and a Reader that is put is a new record: ask serves() of the collection in the
// transaction in which it is put. The answer holds until that ends, whatever becomes of reads meanwhile.
//
// On a share of the reads of such a program the version is tried (evolve/canary.h), some milliseconds later
// and by a thread of the store, so that the program waits for nothing but a copy of the row; what is read
// faster than that is passed over. The thread adds up what all programs have seen, in the file, at most once
// a second, and calls functions of the program where the schema does.
// A version that breaks its guard rails (evolve/guard_rails.h) is aborted: rows are handed out the old way at
// once in the store that has found it, whatever the handle, and it serves nothing anywhere as soon as the
// file says so. A store that is open for reading only tries nothing.
//
// Every change of state is one small transaction with an entry in the audit, and reaches running programs
// with their next transaction. The functions throw Error(fixCall) that says what is missing where a change is
// not allowed, also for a collection or version that is not there; and as Store::write() and commit() do. Any
// thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "instar/engine/store.h"
#include "instar/evolve/canary_statistics.h"

namespace instar {

// How the version is tried that is staged, or was staged last.
struct StagingStatus {
  std::uint16_t version = 0;
  VersionState state = VersionState::staged;
  double percent = 0;         // of the keys that are served
  double shadow = 0;          // of the keys on whose reads it is tried
  bool isShadowOnly = false;  // it shuts older programs out, and is not served before it is promoted
  std::int64_t stagedAt = 0;  // nanoseconds since 1970, UTC
  std::string stagedBy;       // program
  std::string endReason;      // why it was promoted or aborted; empty: it is staged
  bool promotes = false;      // once the guard rails are satisfied
  GuardRails guardRails;
  CanaryStatistics canary;  // of all programs together, a second old
  GuardDecision decision;   // what the guard rails say to it now
  std::string problem;      // of this program: why it can neither store nor end it; empty: nothing is wrong
};

// Nothing where no version was ever staged.
std::optional<StagingStatus> stagingStatus(const Store& store, const Transaction& transaction,
                                           std::string_view collection);

// Of the staged version. A key that is in a share stays in it when it grows.
void setStagedPercent(const Store& store, std::string_view collection, std::uint16_t version, double percent);
void setStagedShadow(const Store& store, std::string_view collection, std::uint16_t version, double percent);

// The staged version becomes the current one; floors rise as they do where a program opens a version that was
// not staged. Refused where the guard rails are not satisfied, unless it is forced.
struct PromoteOptions {
  bool forced = false;
  std::string reason = {};  // for the audit; empty: what the guard rails say
};
void promoteVersion(const Store& store, std::string_view collection, std::uint16_t version,
                    const PromoteOptions& options = {});

// Gives up the staged version, or the current one where it has shut nobody out: the version below is the
// current one then, and programs of the aborted one only read, unless they have opened it with stage(),
// before it was promoted or while it was the current one: these go on as programs of the version below. Rows
// of it stay as they are, and are read as those of a newer program. Its number and the places of its fields
// are not given again.
struct AbortOptions {
  bool stagedOnly = false;  // refused where it is not staged any more: somebody has promoted it
};
void abortVersion(const Store& store, std::string_view collection, std::uint16_t version,
                  std::string_view reason, const AbortOptions& options = {});

// Shuts out programs of this version and of all below, for good: both floors rise above it. Refused until no
// row is left that has to be upgraded from one of them (countVersions() of check.h; compaction sees to it),
// and with Error(retry) while a reader has a snapshot that may show one. Reads headers of rows where
// compaction has not been over them: then also with Error(retry) where somebody writes meanwhile.
void retireVersions(const Store& store, std::string_view collection, std::uint16_t version);

// A row whose mirrored fields hold something else than what they are made from gives, as a canary read has
// met it: older programs read something else than newer ones.
struct Divergence {
  Key key;
  std::vector<std::string> fields;
  std::uint16_t version = 0;  // that was tried
  std::int64_t seenAt = 0;    // nanoseconds since 1970, UTC
};

// Of the version that is staged, or was staged last; no more than 1,000, in no particular order. A row that
// was put since may be right again.
std::vector<Divergence> divergences(const Store& store, const Transaction& transaction,
                                    std::string_view collection);

}  // namespace instar
