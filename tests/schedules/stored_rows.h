#pragma once

// What rows hold, so that each says by itself who has put it: the number of its transaction, the same in text
// together with the key, and a filler that follows from both. Programs of version 1 put the text, those of
// later ones its two parts, which are derived from it and mirrored into it.

#include <capnp/dynamic.h>

#include <string>

#include "instar/evolve/record_schema.h"
#include "instar/tests/schedules/history.h"

namespace instar::schedules {

inline constexpr const char* kRows = "rows";    // of programs that depend on their versions
inline constexpr const char* kTrial = "trial";  // whose versions come and go
inline constexpr std::uint64_t kRowKeys = 48;   // from 0 on; that of 0 is kTurn
inline constexpr std::uint64_t kTrialKeys = 24;

// Registers of the keys. What version 3 of the rows has added is one of its own, which older programs keep.
constexpr Register rowRegister(std::uint64_t key) { return static_cast<Register>(key); }
constexpr Register addedRegister(std::uint64_t key) { return static_cast<Register>(10'000 + key); }
constexpr Register trialRegister(std::uint64_t key) { return static_cast<Register>(20'000 + key); }

inline constexpr std::uint16_t kSplitVersion = 2;  // from which on the text is made of its parts
inline constexpr const char* kAddedField = "added3";

// Version `number`; the text has been made of two since version `since`. From version 3 on each adds a field.
RecordSchema storedVersion(unsigned number, unsigned since);

void fillRow(capnp::DynamicStruct::Builder record, bool isSplit, std::uint64_t key, Writer writer);

// What is wrong with the row; empty: nothing.
std::string faultOfRow(capnp::DynamicStruct::Reader row, bool isSplit, std::uint64_t key);

Writer writerOf(capnp::DynamicStruct::Reader row);

}  // namespace instar::schedules
