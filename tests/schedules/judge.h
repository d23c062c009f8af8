#pragma once

// Whether a history is one that Instar promises: writers one behind another, of which none begins before the
// one ahead has called its end, in the order in which they call their commits; a snapshot is the state behind
// one commit, never an older one than was acknowledged before it began, or than another snapshot had before
// it, in whatever process. Strict serializability, for short.
//
// 1. The order of commits is read off the registers: from the transaction that has the turn at the end back
//    to the first, each as the one before it is named by what it read.
// 2. Every acknowledged transaction has to be among them, none that was aborted, and their order has to be
//    that of time and of the engine's numbers. No two writers, aborted ones among them, are at work at once.
// 3. They are played again: each has to read what those before it have left, and the end has to be the end.
// 4. Of each snapshot the commits are found whose state is what was read: there has to be one, inside of what
//    time and the other snapshots allow, and it has to be the one that the engine says.
//
// O(operations · log commits). Pure; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "instar/tests/schedules/history.h"

namespace instar::schedules {

enum class Fault : std::uint8_t {
  inventedValue,        // that nobody has put there
  dirtyRead,            // of a transaction that was aborted or never got in
  lostUpdate,           // two transactions have followed the same one, and one of them is gone
  lostCommit,           // acknowledged, and gone
  disorderedCommits,    // a transaction comes behind one that has called its commit later
  writersAtOnce,        // one had begun before another one called its commit or its abort
  wrongNumber,          // the engine's number is that of another commit
  wrongReadByWriter,    // not what the one before it has left
  changedSnapshot,      // a register has two values in one snapshot
  tornSnapshot,         // no commit has left what it shows
  staleSnapshot,        // older than a commit that was acknowledged before it began
  earlySnapshot,        // newer than a commit that was called after it had begun
  disorderedSnapshots,  // older than another one that was there before it began
  wrongEnd,             // not what the last commit has left
  noticed,              // by a program
};
std::string_view nameOf(Fault fault) noexcept;

struct Violation {
  Fault fault;
  std::string what;
};

struct Verdict {
  std::vector<Violation> violations;
  std::uint64_t commits = 0;  // in order
  std::uint64_t perhaps = 0;  // among them, those that nobody has acknowledged
  std::uint64_t readings = 0;
  std::uint64_t operations = 0;  // that were judged

  bool isGood() const noexcept { return violations.empty(); }
};

Verdict judge(const History& history);

}  // namespace instar::schedules
