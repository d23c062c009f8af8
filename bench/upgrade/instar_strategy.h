#pragma once
// How an application over Instar goes about each Strategy, whatever its record type.

#include "instar/bench/upgrade/subject.h"
#include "instar/engine/instar.h"

namespace instar::bench {

inline constexpr const char* kCollection = "orders";
inline constexpr std::chrono::minutes kWriteTimeout{10};  // longer than any migration in one transaction

StoreOptions storeOptions(const Scenario& scenario);

// What goes on beside the sessions, until nothing is left to do or `stop` is set.
// One writer's work; others wait or take turns with it as the engine lets them. eagerLater is not among it.
void migrateBeside(const Store& store, const std::string& collection, const Scenario& scenario,
                   MigrationProgress& progress, const std::atomic<bool>& stop);

// All rows of older versions in one transaction, or none where `stop` is set before it is committed.
template <class T>
void rewriteInOneTransaction(const Store& store, const Collection<T>& rows, MigrationProgress& progress,
                             const std::atomic<bool>& stop) {
  auto transaction = store.write();
  const auto snapshot = store.read();  // behind the lock: what others have committed before is in it
  const std::uint16_t newest = rows.schema().version();
  std::uint64_t rewritten = 0;
  for (const auto& row : rows.scan(snapshot)) {
    if (stop) return;
    if (row.version() == newest) continue;
    if (rows.keySpec().empty())
      rows.put(transaction, Key(row.key()), *row);
    else
      rows.put(transaction, *row);
    ++rewritten;
  }
  transaction.commit();
  progress.add(rewritten);
  progress.complete = true;
}

}  // namespace instar::bench
