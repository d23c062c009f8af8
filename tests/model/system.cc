#include "instar/tests/model/system.h"

#include <rapidcheck.h>

#include "instar/engine/check.h"
#include "instar/engine/compaction.h"
#include "instar/engine/staging.h"

namespace instar::model {
namespace {

using capnp::DynamicStruct;

constexpr std::uint64_t kNever = UINT64_MAX;  // canary reads: guard rails are tested elsewhere

std::string textOf(capnp::DynamicValue::Reader value) {
  if (value.getType() == capnp::DynamicValue::TEXT) return value.as<capnp::Text>().cStr();
  return std::to_string(value.as<std::uint32_t>());
}

std::string shortened(const std::string& text) {
  constexpr std::size_t kShown = 60;
  if (text.size() <= kShown) return "\"" + text + "\"";
  return "\"" + text.substr(0, kShown) + "…\" (" + std::to_string(text.size()) + " bytes)";
}

[[noreturn]] void fail(const std::string& what) {
  RC_FAIL(what);
  throw std::logic_error("unreachable");
}

void require(bool isSo, const std::string& what) {
  if (!isSo) fail(what);
}

ScanOptions rangeOf(const Rows& rows, const Choice& choice) {
  ScanOptions range;
  const std::string first = Model::key({.key = choice.key});
  const std::string second = Model::key({.key = choice.program});
  if ((choice.how & 1) != 0) range.from = rows.key(std::min(first, second));
  if ((choice.how & 2) != 0) range.to = rows.key(std::max(first, second));
  if ((choice.how & 4) != 0) range.prefix = rows.prefix(std::string(choice.key % 3, 'k'));
  range.reverse = (choice.how & 8) != 0;
  if ((choice.how & 16) != 0) range.limit = choice.size % 8;
  return range;
}

std::vector<std::string> keysIn(const Records& records, const Rows& rows, const ScanOptions& range) {
  std::vector<std::string> keys;
  for (const auto& [name, record] : records) {
    const Key key = rows.key(name);
    const auto begins = [&](Bytes prefix) {
      return key.bytes().size() >= prefix.size() &&
             compareBytes(key.bytes().first(prefix.size()), prefix) == 0;
    };
    if (range.from && compareBytes(key.bytes(), range.from->bytes()) < 0) continue;
    if (range.to && compareBytes(key.bytes(), range.to->bytes()) >= 0) continue;
    if (range.prefix && !begins(range.prefix->bytes())) continue;
    keys.push_back(name);
  }
  if (range.reverse) std::reverse(keys.begin(), keys.end());
  if (keys.size() > range.limit) keys.resize(range.limit);
  return keys;
}

}  // namespace

StoreOptions storeOptions(bool withThread, Durability durability) {
  StoreOptions options{.durability = durability, .writeBackRows = 64, .functions = functions()};
  if (withThread) {
    options.compaction = {.mode = CompactionMode::compress,
                          .rate = 0,
                          .lockTime = std::chrono::microseconds(0),
                          .minFreeDisk = 0,
                          .coldBelow = 1e9,
                          .lowPriority = false};
  }
  return options;
}

StagingOptions trialOptions(double percent) {
  return {.percent = percent, .shadow = 100, .guardRails = {.minimumSamples = kNever}};
}

System::System(Opener opener) : opener_(std::move(opener)) { open(false); }

void System::open(bool withThread, Durability durability) {
  store_ = opener_(path_, storeOptions(withThread, durability));
}

void System::close() {
  snapshots_.clear();
  transaction_.reset();
  programs_.clear();
  store_.reset();
}

const Rows& System::program(const Model& model, unsigned version) {
  const auto found = programs_.find(version);
  if (found != programs_.end()) return found->second;
  const RecordSchema schema = model.versions.schema(version);
  const bool isTrial = version == model.versions.staged();
  return programs_
      .emplace(version, isTrial ? store_->stage(kCollection, schema, trialOptions(model.percent))
                                : store_->collection(kCollection, schema))
      .first->second;
}

WriteTransaction& System::transaction() {
  if (!transaction_) transaction_ = store_->write();
  return *transaction_;
}

void System::commit() {
  transaction_->commit();
  transaction_.reset();
}

void System::fill(const Model& model, DynamicStruct::Builder record, unsigned as,
                  const Choice& choice) const {
  // The newest of the texts that say the same: the others are mirrored from it.
  std::string name = "value";
  std::string text = model.value(choice);
  for (const Field& field : model.versions[as].fields) {
    if (field.change != Change::mirrored) continue;
    name = field.name();
    text = std::to_string(field.number) + ":" + text;
  }
  record.set(name, text.c_str());
  const auto others = model.others(as, choice);
  for (const Field& field : model.versions[as].fields) {
    const auto given = others.find(field.number);
    if (given == others.end()) continue;
    if (field.change == Change::lossy)
      record.set(field.name(), given->second.c_str());
    else
      record.set(field.name(), static_cast<std::uint32_t>(std::stoul(given->second)));
  }
}

void System::put(const Model& model, unsigned version, const Choice& choice) {
  const Rows& rows = program(model, version);
  const std::string key = Model::key(choice);
  const unsigned as = model.servedAs(version, key);
  WriteTransaction& transaction = this->transaction();
  require(rows.serves(transaction, rows.key(key), static_cast<std::uint16_t>(version)) == (as == version),
          "the program is told to fill in another version than " + std::to_string(as));
  auto draft = rows.create();
  draft->set("key", key.c_str());
  fill(model, *draft, as, choice);
  if (choice.size % 2 == 0)
    rows.put(transaction, draft);
  else
    rows.put(transaction, draft->asReader());
}

void System::edit(const Model& model, unsigned version, const Choice& choice) {
  const Rows& rows = program(model, version);
  const std::string key = Model::key(choice);
  auto draft = rows.edit(transaction(), key);
  require(static_cast<bool>(draft) == model.rows().contains(key), "edit() finds another row: " + key);
  if (!draft) return;
  fill(model, *draft, model.servedAs(version, key), choice);
  rows.put(transaction(), draft);
}

void System::compareRow(const Model& model, unsigned version, const Row<DynamicStruct>& row,
                        const std::string& key, const Record& expected) {
  const std::string who = "read by version " + std::to_string(version) + ", " + key + ": ";
  const unsigned as = model.servedAs(version, key);
  require(row.servedAs() == as,
          who + "it is served as " + std::to_string(row.servedAs()) + " in place of " + std::to_string(as));
  require(textOf(row->get("key")) == key, who + "it has another key");
  for (const auto& [field, text] : expected.seenBy(model.versions, as)) {
    const std::string found = textOf(row->get(field));
    require(found == text, who + field + " is " + shortened(found) + " in place of " + shortened(text));
  }
}

void System::compare(const Model& model, unsigned version, const Transaction& seen, const Records& expected) {
  const Rows& rows = program(model, version);
  const std::uint64_t count = rows.count(seen);
  require(count == expected.size(),
          "it counts " + std::to_string(count) + " rows in place of " + std::to_string(expected.size()));
  auto next = expected.begin();
  for (const auto row : rows.scan(seen)) {
    require(next != expected.end(), "there is a row too many: " + textOf(row->get("key")));
    compareRow(model, version, row, next->first, next->second);
    ++next;
  }
  require(next == expected.end(), "a row is missing at the end");
  auto last = expected.rbegin();
  for (const auto row : rows.scan(seen, {.reverse = true})) {
    require(last != expected.rend() && textOf(row->get("key")) == last->first, "backwards it is another row");
    ++last;
  }
}

void System::compareScan(const Model& model, unsigned version, const Transaction& seen,
                         const Choice& choice) {
  const Rows& rows = program(model, version);
  const ScanOptions range = rangeOf(rows, choice);
  const auto expected = keysIn(model.rows(), rows, range);
  std::size_t count = 0;
  for (const auto row : rows.scan(seen, range)) {
    require(count < expected.size(), "the scan has a row too many: " + textOf(row->get("key")));
    const std::string& key = expected[count++];
    compareRow(model, version, row, key, model.rows().at(key));
  }
  require(count == expected.size(),
          "the scan ends at " + std::to_string(count) + " of " + std::to_string(expected.size()) + " rows");
  require(rows.count(seen, range) == count, "the range is counted otherwise than it is scanned");
}

void System::compareKey(const Model& model, unsigned version, const Transaction& seen, const std::string& key,
                        const Records& expected) {
  const Rows& rows = program(model, version);
  const auto found = expected.find(key);
  require(rows.contains(seen, key) == (found != expected.end()), "contains() is wrong about " + key);
  const auto row = rows.get(seen, key);
  require(static_cast<bool>(row) == (found != expected.end()), "get() is wrong about " + key);
  if (row) compareRow(model, version, row, key, found->second);
}

void System::compareVersions(const Model& model) {
  const auto snapshot = store_->read();
  const auto collections = store_->collections(snapshot);
  if (collections.empty()) return;  // no program has been there yet
  const CollectionInfo& info = collections.front();
  require(info.currentVersion == model.versions.current() && info.readerFloor == model.readerFloor &&
              info.writerFloor == model.writerFloor,
          "version " + std::to_string(info.currentVersion) + " with floors " +
              std::to_string(info.readerFloor) + " and " + std::to_string(info.writerFloor) +
              " in place of " + std::to_string(model.versions.current()) + " with " +
              std::to_string(model.readerFloor) + " and " + std::to_string(model.writerFloor));
  for (const VersionInfo& version : store_->versions(snapshot, kCollection)) {
    // Settled is found out, and says nothing that the model knows.
    const VersionState state = version.state == VersionState::settled ? VersionState::active : version.state;
    require(state == model.versions[version.number].state,
            "version " + std::to_string(version.number) + " is " + std::string(stateName(version.state)));
  }
}

void System::checkFile(const Store& store) {
  const CheckReport report = check(store);
  require(report.sound(), "check finds: " + (report.problems.empty() ? "" : report.problems.front().message));
  require(verify(store).problems == 0, "verify finds a partition that is not what was stored");
  const AuditTrail audit = readAudit(store, store.read());
  require(audit.damage.empty(), "the audit is broken: " + audit.damage);
}

}  // namespace instar::model
