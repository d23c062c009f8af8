#pragma once

// What a store has to be, kept beside it: rows as the newest commit has them and as the open transaction has
// them, snapshots that are held, versions and floors. Pure; one thread.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "instar/tests/model/versions.h"

namespace instar::model {

inline constexpr const char* kCollection = "items";
inline constexpr unsigned kMostVersions = 9;
inline constexpr std::size_t kMostSnapshots = 3;

using Records = std::map<std::string, Record>;

// What a command does it with. Whatever the numbers are, they mean something.
struct Choice {
  std::uint8_t key = 0;
  std::uint16_t size = 0;
  std::uint8_t program = 0;
  std::uint8_t how = 0;
};

struct Model {
  Versions versions;
  unsigned readerFloor = 1;
  unsigned writerFloor = 1;
  double percent = 0;  // of the keys that the staged version serves

  Records committed;
  std::optional<Records> pending;  // in the transaction that is open
  bool hasWritten = false;         // it has something to write
  struct Snapshot {
    std::shared_ptr<const Records> rows;
    Versions versions;  // as they were
  };
  std::vector<Snapshot> snapshots;

  bool hasThread = false;  // that compacts
  bool isPaused = false;

  // --- questions

  const Records& rows() const { return pending ? *pending : committed; }
  std::vector<unsigned> readers() const;  // versions whose programs may read, the oldest first
  std::vector<unsigned> writers() const;
  // That programs have depended on since the snapshot.
  std::vector<unsigned> readersOf(const Snapshot& snapshot) const;
  std::vector<unsigned> shutOut() const;  // that may not write, though the store knows them
  unsigned reader(const Choice& choice) const { return pick(readers(), choice.program); }
  unsigned writer(const Choice& choice) const { return pick(writers(), choice.program); }
  // As the program of which version one of `version` reads and puts the key.
  unsigned servedAs(unsigned version, const std::string& key) const;
  bool canGiveUp() const;  // the current version, for the one below
  // The versions that may be retired: this one and all below; 0: none.
  unsigned retirable() const;

  static std::string key(const Choice& choice);
  std::string value(const Choice& choice) const;
  // The other fields that the program fills in, by the number of their version.
  std::map<unsigned, std::string> others(unsigned version, const Choice& choice) const;

  // --- what happens

  void put(unsigned version, const Choice& choice);
  void edit(unsigned version, const Choice& choice);
  void erase(const Choice& choice);
  void commit();
  void abort();
  void forgetTransactions();
  void addVersion(Change change, VersionState state);
  void giveUp(unsigned version) { versions.state(version) = VersionState::aborted; }
  void retire(unsigned version);

  static unsigned pick(const std::vector<unsigned>& among, unsigned number) {
    return among.at(number % among.size());
  }

 private:
  Records& write();
};

}  // namespace instar::model
