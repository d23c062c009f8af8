#include "instar/tests/model/model.h"

#include "instar/engine/internal/staging/key_share.h"

namespace instar::model {

std::vector<unsigned> Model::readers() const {
  std::vector<unsigned> found;
  for (unsigned number = readerFloor; number <= versions.newest(); ++number) {
    if (versions[number].state != VersionState::aborted) found.push_back(number);
  }
  return found;
}

std::vector<unsigned> Model::writers() const {
  std::vector<unsigned> found = readers();
  std::erase_if(found, [this](unsigned number) { return number < writerFloor; });
  return found;
}

std::vector<unsigned> Model::readersOf(const Snapshot& snapshot) const {
  std::vector<unsigned> found = readers();
  std::erase_if(found, [&](unsigned number) {
    return number > snapshot.versions.newest() || !isDependedUpon(snapshot.versions[number].state);
  });
  return found;
}

std::vector<unsigned> Model::shutOut() const {
  std::vector<unsigned> found;
  for (unsigned number = 1; number < writerFloor; ++number) {
    if (versions[number].state != VersionState::aborted) found.push_back(number);
  }
  return found;
}

unsigned Model::servedAs(unsigned version, const std::string& key) const {
  if (version != versions.staged()) return version;
  const KeyShare share(kCollection, static_cast<std::uint16_t>(version));
  return share.of(asBytes(key)) < percent ? version : versions.below(version);
}

bool Model::canGiveUp() const {
  const unsigned current = versions.current();
  const unsigned below = versions.below(current);
  return versions.staged() == 0 && below > 0 && readerFloor <= below && writerFloor <= below;
}

unsigned Model::retirable() const {
  const unsigned below = versions.below(versions.current());
  return below >= std::min(readerFloor, writerFloor) ? below : 0;
}

std::string Model::key(const Choice& choice) {
  return std::string(choice.key % 3, 'k') + std::to_string(choice.key % 24);
}

std::string Model::value(const Choice& choice) const {
  constexpr std::size_t kShort = 40, kLong = 3000, kVeryLong = 20'000;
  const std::size_t length = choice.how % 32 == 31 ? kVeryLong
                             : choice.how % 8 == 7 ? choice.size % kLong
                                                   : choice.size % kShort;
  return std::string(length, static_cast<char>('a' + choice.size % 26));
}

std::map<unsigned, std::string> Model::others(unsigned version, const Choice& choice) const {
  std::map<unsigned, std::string> filled;
  for (const Field& field : versions[version].fields) {
    const bool isMeant = ((choice.how >> (field.number % 5)) & 1) != 0;
    if (isMeant && field.change != Change::mirrored)
      filled[field.number] = std::to_string(choice.size + field.number);
  }
  return filled;
}

Records& Model::write() {
  if (!pending) pending = committed;
  return *pending;
}

void Model::put(unsigned version, const Choice& choice) {
  const std::string name = key(choice);
  const unsigned as = servedAs(version, name);
  hasWritten = true;
  Record& record = write()[name];
  if (record.era != versions[as].era) record = {};
  record.value = value(choice);
  record.era = versions[as].era;
  const auto filled = others(as, choice);
  for (const Field& field : versions[as].fields) {
    if (field.change == Change::mirrored) continue;
    const auto given = filled.find(field.number);
    const char* const unset = field.change == Change::lossy ? "" : "7";
    record.others[field.number] = given == filled.end() ? unset : given->second;
  }
}

void Model::edit(unsigned version, const Choice& choice) {
  const std::string name = key(choice);
  write();
  const auto found = pending->find(name);
  if (found == pending->end()) return;
  hasWritten = true;
  const unsigned as = servedAs(version, name);
  Record& record = found->second;
  record.settle(versions, as);
  record.value = value(choice);
  for (const auto& [number, text] : others(as, choice)) record.others[number] = text;
}

void Model::erase(const Choice& choice) { hasWritten |= write().erase(key(choice)) == 1; }

void Model::commit() {
  committed = *std::move(pending);
  forgetTransactions();
}

void Model::abort() {
  pending.reset();
  hasWritten = false;
}

void Model::forgetTransactions() { abort(); }

void Model::addVersion(Change change, VersionState state) {
  versions.add(change, state);
  if (change == Change::lossy || change == Change::replaced) writerFloor = versions.newest();
  if (change == Change::replaced) readerFloor = versions.newest();
}

void Model::retire(unsigned version) {
  for (unsigned number = 1; number <= version; ++number) {
    if (versions[number].state == VersionState::active) versions.state(number) = VersionState::retired;
  }
  readerFloor = std::max(readerFloor, version + 1);
  writerFloor = std::max(writerFloor, version + 1);
}

}  // namespace instar::model
