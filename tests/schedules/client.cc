#include "instar/tests/schedules/client.h"

#include <chrono>
#include <thread>

namespace instar::schedules {
namespace {

using Kind = Operation::Kind;

StoredRows openRows(const Store& store, unsigned version) {
  return version == 0 ? store.collection(kRows)
                      : store.collection(kRows, storedVersion(version, kSplitVersion));
}

bool hasAdded(const StoredRows& rows) { return rows.name() == kRows && rows.schema().version() >= 3; }

std::string nameOfLog(const Identity& identity) {
  return identity.program + "-" + std::to_string(identity.incarnation) + "-" +
         std::to_string(identity.thread);
}

}  // namespace

Client::Client(Store store, const std::filesystem::path& logs, const Options& options)
    : store_(std::move(store)),
      log_(logs / nameOfLog(options.identity)),
      options_(options),
      random_(options.seed * 1'000'003 + options.identity.incarnation * 1009 + options.identity.thread),
      rows_(openRows(store_, options.version)),
      trial_(store_.collection(kTrial)) {}

Writer Client::nextId() noexcept {
  return (Writer{options_.identity.incarnation} << 40 | Writer{options_.identity.thread} << 32) + ++written_;
}

void Client::pause(unsigned most) {
  const unsigned milliseconds = below(10) == 0 ? below(most) : 0;
  if (milliseconds != 0) std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

void Client::noteRefused(std::string_view what, const Error& error) {
  log_.count(std::string(what) + " refused, " + std::string(errorCodeName(error.code())));
}

void Client::reopenTrial() { trial_ = store_.collection(kTrial); }

Register Client::registerOf(const StoredRows& rows, std::uint64_t key) const {
  return isTrial(rows) ? trialRegister(key) : rowRegister(key);
}

// --- writing

void Client::write() {
  Writing writing{.id = nextId(), .calledAt = now()};
  bool isCalled = false;
  std::optional<WriteTransaction> transaction;  // nobody else's turn before its end is in the log
  try {
    transaction.emplace(store_.write());
    writing.begunAt = now();
    writing.number = transaction->id();
    takeTurn(*transaction, writing);
    writeRows(*transaction, writing);
    if (below(12) == 0) return abort(*transaction, writing);
    isCalled = true;
    commit(*transaction, writing);
  } catch (const Error& error) {
    if (isCalled || (error.code() != ErrorCode::retry && error.code() != ErrorCode::upgradeProgram)) throw;
    // Another writer has held on for too long, or the version of the trial has gone.
    noteRefused("writes", error);
    if (transaction) abort(*transaction, writing);
    if (error.code() == ErrorCode::upgradeProgram) reopenTrial();
  }
}

void Client::abort(WriteTransaction& transaction, Writing& writing) {
  writing.endCalledAt = now();
  log_.aborted(writing);
  transaction.abort();
}

void Client::commit(WriteTransaction& transaction, Writing& writing) {
  pause(5);
  if (options_.plant == Plant::secondTransaction && below(4) == 0) return commitInTwo(transaction, writing);
  writing.endCalledAt = now();
  log_.commits(writing);
  if (options_.plant == Plant::forgottenCommit && below(20) == 0) {
    transaction.abort();
  } else {
    transaction.commit();
  }
  log_.acknowledged(writing.id, now());
}

// Tells of one transaction, and of all that it puts, before the first half is there.
void Client::commitInTwo(WriteTransaction& transaction, Writing& writing) {
  const std::uint64_t key = 1 + below(static_cast<unsigned>(kRowKeys) - 2);
  for (const std::uint64_t later : {key, key + 1})
    writing.operations.push_back({Kind::put, rowRegister(later), writing.id});
  writing.endCalledAt = now();
  log_.commits(writing);
  transaction.commit();
  std::this_thread::sleep_for(std::chrono::milliseconds(1 + below(5)));
  transaction = store_.write();
  Writing rest{.id = writing.id};
  for (const std::uint64_t later : {key, key + 1}) put(transaction, rows_, later, rest);
  transaction.commit();
  log_.acknowledged(writing.id, now());
}

void Client::takeTurn(WriteTransaction& transaction, Writing& writing) {
  readRow(transaction, rows_, kTurn, writing.operations);
  put(transaction, rows_, kTurn, writing);
}

void Client::writeRows(WriteTransaction& transaction, Writing& writing) {
  const unsigned count = 1 + below(6);
  for (unsigned i = 0; i < count; ++i) {
    const bool isOfTrial = below(4) == 0;
    change(transaction, isOfTrial ? trial_ : rows_,
           isOfTrial ? below(kTrialKeys) : 1 + below(static_cast<unsigned>(kRowKeys) - 1), writing);
  }
}

void Client::change(WriteTransaction& transaction, const StoredRows& rows, std::uint64_t key,
                    Writing& writing) {
  if (below(2) == 0) readRow(transaction, rows, key, writing.operations);
  if (below(6) == 0) {
    rows.erase(transaction, key);
    writing.operations.push_back({Kind::erase, registerOf(rows, key), kNothing});
    if (!isTrial(rows)) writing.operations.push_back({Kind::erase, addedRegister(key), kNothing});
  } else {
    put(transaction, rows, key, writing);
  }
  if (below(4) == 0) readRow(transaction, rows, key, writing.operations);
}

// A new record, or the one that is there with other values.
void Client::put(WriteTransaction& transaction, const StoredRows& rows, std::uint64_t key, Writing& writing) {
  auto edited = rows.edit(transaction, key);
  auto made = rows.create();
  const bool edits = static_cast<bool>(edited) && below(2) == 0;
  auto& draft = edits ? edited : made;
  const bool isSplit = edits ? draft.origin()->servedAs >= kSplitVersion
                             : rows.serves(transaction, rows.key(key), kSplitVersion);
  fillRow(*draft, isSplit, key, writing.id);
  if (hasAdded(rows)) draft->set(kAddedField, writing.id);
  rows.put(transaction, draft);
  writing.operations.push_back({Kind::put, registerOf(rows, key), writing.id});
  if (hasAdded(rows)) writing.operations.push_back({Kind::put, addedRegister(key), writing.id});
}

// --- reading

void Client::noteRow(const StoredRows& rows, std::uint64_t key, const Row<capnp::DynamicStruct>& row,
                     std::vector<Operation>& operations) {
  const bool isThere = static_cast<bool>(row);
  operations.push_back({Kind::read, registerOf(rows, key), isThere ? writerOf(*row) : kNothing});
  if (hasAdded(rows)) {
    operations.push_back(
        {Kind::read, addedRegister(key), isThere ? row->get(kAddedField).as<std::uint64_t>() : kNothing});
  }
  if (!isThere) return;
  if (const std::string fault = faultOfRow(*row, row.serves(kSplitVersion), key); !fault.empty())
    log_.problem(rows.name() + ": " + fault);
}

void Client::readRow(const Transaction& transaction, const StoredRows& rows, std::uint64_t key,
                     std::vector<Operation>& operations) {
  const auto row = rows.get(transaction, key);
  noteRow(rows, key, row, operations);
}

void Client::readAll(const Transaction& transaction, const StoredRows& rows,
                     std::vector<Operation>& operations) {
  const std::uint64_t keys = isTrial(rows) ? kTrialKeys : kRowKeys;
  std::vector<bool> isThere(keys);
  std::uint64_t count = 0;
  const bool isReverse = below(2) == 0;
  std::optional<std::uint64_t> last;
  for (const auto row : rows.scan(transaction, {.reverse = isReverse})) {
    const auto key = row->get("id").as<std::uint64_t>();
    if (key >= keys) {
      log_.problem("a row of key " + std::to_string(key));
      continue;
    }
    if (last && (isReverse ? key >= *last : key <= *last)) log_.problem("a scan out of order");
    last = key;
    isThere[key] = true;
    noteRow(rows, key, row, operations);
    ++count;
  }
  for (std::uint64_t key = 0; key < keys; ++key) {
    if (isThere[key]) continue;
    operations.push_back({Kind::read, registerOf(rows, key), kNothing});
    if (hasAdded(rows)) operations.push_back({Kind::read, addedRegister(key), kNothing});
  }
  if (rows.count(transaction) != count) log_.problem("a scan has other rows than are counted");
}

// What was read before a snapshot came to a bad end was read all the same.
void Client::giveUp(const Reading& reading, const Error& error) {
  if (error.code() != ErrorCode::upgradeProgram && error.code() != ErrorCode::retry) throw;
  noteRefused("snapshots", error);
  if (!reading.operations.empty()) log_.read(reading);
  if (error.code() == ErrorCode::upgradeProgram) reopenTrial();
}

void Client::look() {
  Reading reading{.calledAt = now()};
  try {
    std::optional<ReadTransaction> own;
    if (options_.plant == Plant::keptSnapshot) {
      if (!kept_ || below(50) == 0) kept_.emplace(store_.read());
    } else {
      own.emplace(store_.read());
    }
    const ReadTransaction& snapshot = own ? *own : *kept_;
    reading.begunAt = now();
    reading.number = snapshot.id();
    const unsigned first = below(kRowKeys);
    for (unsigned i = 0; i < 8; ++i) {
      readRow(snapshot, rows_, (first + i * (1 + i % 3)) % kRowKeys, reading.operations);
      if (i % 3 == 0) readRow(snapshot, trial_, below(kTrialKeys), reading.operations);
      pause(30);
    }
    readRow(snapshot, rows_, first, reading.operations);
    readRow(snapshot, rows_, kTurn, reading.operations);
    log_.read(reading);
  } catch (const Error& error) {
    giveUp(reading, error);
  }
}

void Client::scan() {
  Reading reading{.calledAt = now()};
  try {
    const auto snapshot = store_.read();
    reading.begunAt = now();
    reading.number = snapshot.id();
    readAll(snapshot, rows_, reading.operations);
    log_.read(reading);  // for its program may be killed
    pause(50);
    readAll(snapshot, trial_, reading.operations);
    readRow(snapshot, rows_, below(kRowKeys), reading.operations);
    log_.read(reading);
  } catch (const Error& error) {
    giveUp(reading, error);
  }
}

void Client::readCopy(const Store& copy, Time calledAt, Time begunAt, bool isNumbered) {
  const auto snapshot = copy.read();
  Reading reading{.number = isNumbered ? snapshot.id() : 0, .calledAt = calledAt, .begunAt = begunAt};
  readAll(snapshot, copy.collection(kRows), reading.operations);
  readAll(snapshot, copy.collection(kTrial), reading.operations);
  log_.read(reading);
}

void Client::readEnd() {
  const auto snapshot = store_.read();
  std::vector<Operation> operations;
  readAll(snapshot, rows_, operations);
  readAll(snapshot, trial_, operations);
  for (const Operation& operation : operations)
    if (operation.value != kNothing) log_.ends(operation.place, operation.value);
}

}  // namespace instar::schedules
