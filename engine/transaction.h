#pragma once

// Transactions: consistent snapshots for reading, and the one writer.
//
// A transaction is used by one thread at a time, a write transaction only by the thread that began it. A
// write transaction aborts unless it is committed. Rows and scans borrow from their transaction and must be
// gone before it ends; a transaction that ends under a living row of a snapshot stops the program with a
// message, because the row's memory would silently become another row's.

#include <cstdint>
#include <memory>

namespace instar {

class StoreState;
class TransactionState;

// What reading needs; either kind of transaction.
class Transaction {
 public:
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) noexcept;
  ~Transaction();

  // Number of the snapshot: the number of the last commit that is seen, or that this transaction's commit
  // will have.
  std::uint64_t id() const;

  // For the engine. Throws Error(fixCall) where the transaction has ended.
  TransactionState& state() const;

 protected:
  explicit Transaction(std::unique_ptr<TransactionState> state);
  std::unique_ptr<TransactionState> state_;
};

class ReadTransaction : public Transaction {
 private:
  friend class Store;
  using Transaction::Transaction;
};

class WriteTransaction : public Transaction {
 public:
  // Makes all changes visible at once, and durable as the store was opened. The transaction has then ended.
  // Throws Error(freeSpace), Error(fixEnvironment): nothing is stored. Error(readBack): it is unknown whether
  // the commit is stored; the store stays usable, read to find out.
  void commit();

  // Ends the transaction and undoes its changes.
  void abort();

 private:
  friend class Store;
  using Transaction::Transaction;
};

}  // namespace instar
