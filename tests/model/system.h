#pragma once

// The store under test: a file with its programs, the transaction and the snapshots that are open, and all
// comparisons with the model. What is not as it should be ends the case (RC_FAIL). One thread.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "instar/engine/store.h"
#include "instar/tests/model/model.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::model {

using Rows = Collection<capnp::DynamicStruct>;

// How a store is opened; a test puts a fault in between.
using Opener = std::function<Store(const std::filesystem::path& path, const StoreOptions& options)>;

class System {
 public:
  explicit System(Opener opener);
  System(const System&) = delete;
  System& operator=(const System&) = delete;
  ~System() { close(); }

  const Store& store() const { return *store_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path beside(const std::string& name) const { return folder_ / name; }

  void open(bool withThread, Durability durability = Durability::off);
  void close();

  // The program of that version, which is started where it is not running yet.
  const Rows& program(const Model& model, unsigned version);
  void start(unsigned version, Rows rows) { programs_.insert_or_assign(version, std::move(rows)); }
  void end(unsigned version) { programs_.erase(version); }

  WriteTransaction& transaction();
  bool isWriting() const noexcept { return transaction_.has_value(); }
  void commit();
  void abort() { transaction_.reset(); }
  std::vector<ReadTransaction>& snapshots() noexcept { return snapshots_; }

  // What the program fills in, as the model does.
  void put(const Model& model, unsigned version, const Choice& choice);
  void edit(const Model& model, unsigned version, const Choice& choice);

  // The transaction, where one is open, or a new snapshot.
  template <class Look>
  void look(Look&& look) {
    if (transaction_) return look(*transaction_);
    const auto snapshot = store_->read();
    look(snapshot);
  }

  // All rows as the program sees them, by scans in both directions and one by one.
  void compare(const Model& model, unsigned version, const Transaction& seen, const Records& expected);
  void compareScan(const Model& model, unsigned version, const Transaction& seen, const Choice& choice);
  void compareKey(const Model& model, unsigned version, const Transaction& seen, const std::string& key,
                  const Records& expected);
  // What the file says of its versions.
  void compareVersions(const Model& model);
  // Nothing is damaged, nothing is left over.
  static void checkFile(const Store& store);

 private:
  void fill(const Model& model, capnp::DynamicStruct::Builder record, unsigned as,
            const Choice& choice) const;
  static void compareRow(const Model& model, unsigned version, const Row<capnp::DynamicStruct>& row,
                         const std::string& key, const Record& expected);

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "store.instar";
  Opener opener_;
  std::optional<Store> store_;
  std::map<unsigned, Rows> programs_;
  std::optional<WriteTransaction> transaction_;
  std::vector<ReadTransaction> snapshots_;
};

StoreOptions storeOptions(bool withThread, Durability durability);

// Whether the version is to be tried by its program, and how much of it.
StagingOptions trialOptions(double percent);

}  // namespace instar::model
