#pragma once

// One thread of a program: it writes, reads and scans at random, and tells its log what it has done and seen.
// One thread.

#include <atomic>
#include <filesystem>
#include <optional>
#include <random>
#include <string>

#include "instar/engine/store.h"
#include "instar/tests/schedules/event_log.h"
#include "instar/tests/schedules/stored_rows.h"

namespace instar::schedules {

// Bugs that programs can be given, so that it is known that they would be found.
enum class Plant : std::uint8_t {
  none,
  keptSnapshot,       // a reader goes on with an old snapshot, and takes it for a new one
  secondTransaction,  // a writer puts a part of its rows in another transaction
  forgottenCommit,    // a writer aborts, and says that it has committed
  forgottenPut,       // of the store itself: a commit leaves out a row (forgetful_storage.h)
};

struct Identity {
  std::string program{};     // its name
  unsigned incarnation = 0;  // of a program, as it was started
  unsigned thread = 0;
};

using StoredRows = Collection<capnp::DynamicStruct>;

class Client {
 public:
  struct Options {
    Identity identity;
    unsigned seed = 0;
    unsigned version = 0;  // of the rows; 0: the newest one of the file
    Plant plant = Plant::none;
  };
  Client(Store store, const std::filesystem::path& logs, const Options& options);

  void write();
  void look();  // at a few rows, one after another, and at some of them again
  void scan();  // over all

  // All of another store, which shows what there was between the two times: a copy.
  void readCopy(const Store& copy, Time calledAt, Time begunAt, bool isNumbered);
  void readEnd();

  // A program that has opened its version to try it reads and writes the trial through that.
  void setTrial(StoredRows trial) { trial_ = std::move(trial); }

  unsigned below(unsigned count) { return static_cast<unsigned>(random_() % count); }
  EventLog& log() noexcept { return log_; }
  void noteRefused(std::string_view what, const Error& error);  // which is expected, and counted
  const Store& store() const noexcept { return store_; }

 private:
  struct Step;

  Writer nextId() noexcept;
  void pause(unsigned most);  // milliseconds, and seldom long
  void reopenTrial();
  void giveUp(const Reading& reading, const Error& error);  // rethrows what is not expected

  void writeRows(WriteTransaction& transaction, Writing& writing);
  void takeTurn(WriteTransaction& transaction, Writing& writing);
  void change(WriteTransaction& transaction, const StoredRows& rows, std::uint64_t key, Writing& writing);
  void put(WriteTransaction& transaction, const StoredRows& rows, std::uint64_t key, Writing& writing);
  void abort(WriteTransaction& transaction, Writing& writing);
  void commit(WriteTransaction& transaction, Writing& writing);
  void commitInTwo(WriteTransaction& transaction, Writing& writing);

  bool isTrial(const StoredRows& rows) const { return rows.name() == kTrial; }
  Register registerOf(const StoredRows& rows, std::uint64_t key) const;
  void noteRow(const StoredRows& rows, std::uint64_t key, const Row<capnp::DynamicStruct>& row,
               std::vector<Operation>& operations);
  void readRow(const Transaction& transaction, const StoredRows& rows, std::uint64_t key,
               std::vector<Operation>& operations);
  void readAll(const Transaction& transaction, const StoredRows& rows, std::vector<Operation>& operations);

  Store store_;
  EventLog log_;
  const Options options_;
  std::mt19937 random_;
  std::uint32_t written_ = 0;
  StoredRows rows_;
  StoredRows trial_;
  std::optional<ReadTransaction> kept_;  // of Plant::keptSnapshot
};

}  // namespace instar::schedules
