#pragma once

// What programs have done to a store and seen in it, each in its own words. Registers are what is read and
// written: one for each key of a collection. A value is the number of the transaction that put it, so that
// nothing is read without saying who made it; 0: there is nothing.
//
// Every transaction that writes also reads and puts the register `kTurn` first, which is never erased: so
// each names the one before it, and the order of all follows from what was stored, whatever the engine says
// about it. Times are of CLOCK_MONOTONIC, which all processes of a machine share, in nanoseconds. Plain
// values.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace instar::schedules {

using Register = std::uint32_t;
using Writer = std::uint64_t;
using Time = std::int64_t;

inline constexpr Register kTurn = 0;
inline constexpr Writer kNothing = 0;

struct Operation {
  enum class Kind : std::uint8_t { read, put, erase };
  Kind kind = Kind::read;
  Register place = kTurn;
  Writer value = kNothing;  // that was read

  friend bool operator==(const Operation&, const Operation&) = default;
};

enum class Outcome : std::uint8_t {
  unknown,       // its program died in the midst of the commit
  acknowledged,  // the commit has returned
  aborted,       // was given up, on purpose
};

// A transaction that writes, up to its commit.
struct Writing {
  Writer id = kNothing;
  std::uint64_t number = 0;  // that the engine gives to the commit
  Time calledAt = 0;         // before it was begun
  Time begunAt = 0;          // and after: it is the one writer from here on
  Time endCalledAt = 0;      // before its commit or its abort: it is until here at least
  Time acknowledgedAt = 0;   // where it was
  Outcome outcome = Outcome::unknown;
  std::vector<Operation> operations{};
};

// A snapshot, and what was read in it, in any order.
struct Reading {
  std::uint64_t number = 0;  // of the commit that it shows, as the engine says; 0: it does not say
  Time calledAt = 0;         // before it was begun
  Time begunAt = 0;          // and after
  std::vector<Operation> operations{};
};

struct History {
  std::vector<Writing> writings;
  std::vector<Reading> readings;
  std::map<Register, Writer> end;     // what there is when all is over; registers with nothing are left out
  std::vector<std::string> problems;  // what programs have noticed themselves
  std::map<std::string, std::uint64_t> counts;  // of what was done, by program: "oldest: commits"
};

}  // namespace instar::schedules
