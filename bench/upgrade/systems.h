#pragma once
// The subjects of each system, for makeSubject() in subject.h, and which strategies each of them has.

#include <chrono>

#include "instar/bench/upgrade/subject.h"

namespace instar::bench {

inline constexpr std::uint64_t kRowsPerBatch = 1'000;  // of Strategy::batches, where the program makes them
// After each of them. A mutex, which LMDB's lock is too, is not fair: without a pause the batches keep it to
// themselves, and a write waits for the end of the migration.
inline constexpr std::chrono::milliseconds kPauseBetweenBatches{10};
inline constexpr std::uint64_t kRowsPerFilling = 10'000;  // of a transaction of fill()

bool instarOffers(const Scenario& scenario) noexcept;
std::unique_ptr<Subject> makeInstarSubject(const Scenario& scenario, const std::filesystem::path& folder);

bool sqliteOffers(const Scenario& scenario) noexcept;
std::unique_ptr<Subject> makeSqliteSubject(const Scenario& scenario, const std::filesystem::path& folder);

bool lmdbOffers(const Scenario& scenario) noexcept;
std::unique_ptr<Subject> makeLmdbSubject(const Scenario& scenario, const std::filesystem::path& folder);

// Only where INSTAR_BENCH_ROCKSDB is defined.
bool rocksDbOffers(const Scenario& scenario) noexcept;
std::unique_ptr<Subject> makeRocksDbSubject(const Scenario& scenario, const std::filesystem::path& folder);

}  // namespace instar::bench
