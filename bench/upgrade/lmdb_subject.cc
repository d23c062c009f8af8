// LMDB with the flags that Instar uses: one environment, a reading transaction a thread that is reset and
// renewed, a write transaction for each change. The migration is the loop that people write: one write
// transaction and a cursor over everything.

#include "instar/bench/lmdb_reference.h"
#include "instar/bench/upgrade/systems.h"
#include "instar/bench/upgrade/tagged_subject.h"

namespace instar::bench {
namespace {

std::string_view toText(const MDB_val& value) noexcept {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

MDB_val fromText(std::string_view text) noexcept { return toValue(asBytes(text)); }

std::optional<std::string_view> find(MDB_txn* transaction, MDB_dbi tree, std::uint64_t id) {
  const Key stored = keyOf(id);
  MDB_val key = toValue(stored.bytes());
  MDB_val value;
  const int code = mdb_get(transaction, tree, &key, &value);
  if (code == MDB_NOTFOUND) return std::nullopt;
  checkLmdb(code, "mdb_get");
  return toText(value);
}

class LmdbCursor {
 public:
  LmdbCursor(MDB_txn* transaction, MDB_dbi tree, std::uint64_t from) {
    checkLmdb(mdb_cursor_open(transaction, tree, &cursor_), "mdb_cursor_open");
    const Key stored = keyOf(from);
    key_ = toValue(stored.bytes());
    move(MDB_SET_RANGE);
  }
  LmdbCursor(const LmdbCursor&) = delete;
  LmdbCursor& operator=(const LmdbCursor&) = delete;
  ~LmdbCursor() { mdb_cursor_close(cursor_); }

  bool isValid() const noexcept { return valid_; }
  std::string_view value() const noexcept { return toText(value_); }
  void next() { move(MDB_NEXT); }
  // LMDB moves what lies in the page before it stores the key there, so the key must lie somewhere else.
  void replace(std::string_view value) {
    const Key stored(toText(key_));
    MDB_val key = toValue(stored.bytes());
    MDB_val replacement = fromText(value);
    checkLmdb(mdb_cursor_put(cursor_, &key, &replacement, MDB_CURRENT), "mdb_cursor_put");
  }

 private:
  void move(MDB_cursor_op operation) {
    const int code = mdb_cursor_get(cursor_, &key_, &value_, operation);
    valid_ = code != MDB_NOTFOUND;
    if (valid_) checkLmdb(code, "mdb_cursor_get");
  }

  MDB_cursor* cursor_ = nullptr;
  MDB_val key_{};
  MDB_val value_{};
  bool valid_ = false;
};

class LmdbEngine {
 public:
  LmdbEngine(const std::filesystem::path& path, Durability durability) : reference_(path, durability) {}

  void flush() { checkLmdb(mdb_env_sync(reference_.environment(), 1), "mdb_env_sync"); }

  void settle() { flush(); }

  class Connection {
   public:
    explicit Connection(LmdbEngine& engine)
        : reference_(engine.reference_), snapshot_(reference_, MDB_RDONLY) {
      mdb_txn_reset(snapshot_.get());
    }

    class Reading {
     public:
      explicit Reading(Connection& connection)
          : transaction_(connection.snapshot_.get()), tree_(connection.reference_.tree()) {
        checkLmdb(mdb_txn_renew(transaction_), "mdb_txn_renew");
      }
      Reading(const Reading&) = delete;
      Reading& operator=(const Reading&) = delete;
      ~Reading() { mdb_txn_reset(transaction_); }

      std::optional<std::string_view> get(std::uint64_t id) { return find(transaction_, tree_, id); }
      LmdbCursor from(std::uint64_t id) { return {transaction_, tree_, id}; }

     private:
      MDB_txn* const transaction_;
      const MDB_dbi tree_;
    };

    class Writing {
     public:
      explicit Writing(Connection& connection)
          : transaction_(connection.reference_, 0), tree_(connection.reference_.tree()) {}

      std::optional<std::string_view> get(std::uint64_t id) { return find(transaction_.get(), tree_, id); }
      LmdbCursor from(std::uint64_t id) { return {transaction_.get(), tree_, id}; }
      void put(std::uint64_t id, std::string_view text) {
        const Key stored = keyOf(id);
        MDB_val key = toValue(stored.bytes());
        MDB_val value = fromText(text);
        checkLmdb(mdb_put(transaction_.get(), tree_, &key, &value, 0), "mdb_put");
      }
      bool isFull() const noexcept { return false; }  // what does not fit into memory goes to the file early
      void commit() { transaction_.commit(); }

     private:
      LmdbTransaction transaction_;
      const MDB_dbi tree_;
    };

    Reading read() { return Reading(*this); }
    Writing write() { return Writing(*this); }

   private:
    const LmdbReference& reference_;
    LmdbTransaction snapshot_;
  };

 private:
  LmdbReference reference_;
};

}  // namespace

bool lmdbOffers(const Scenario& scenario) noexcept { return taggedRowsOffer(scenario); }

std::unique_ptr<Subject> makeLmdbSubject(const Scenario& scenario, const std::filesystem::path& folder) {
  return std::make_unique<TaggedSubject<LmdbEngine>>(scenario, folder / "orders.lmdb");
}

}  // namespace instar::bench
