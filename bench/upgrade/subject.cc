#include "instar/bench/upgrade/subject.h"

#include <stdexcept>

#include "instar/bench/upgrade/systems.h"

namespace instar::bench {

namespace {

bool hasStrategy(const Scenario& scenario) noexcept {
  switch (scenario.system) {
    case System::instar:
      return instarOffers(scenario);
    case System::sqlite:
      return sqliteOffers(scenario);
    case System::lmdb:
      return lmdbOffers(scenario);
    case System::rocksdb:
#ifdef INSTAR_BENCH_ROCKSDB
      return rocksDbOffers(scenario);
#else
      return false;
#endif
  }
  return false;
}

// Instar's compaction, in a thread or in migrate().
bool isOfCompaction(const Scenario& scenario) noexcept {
  return scenario.system == System::instar &&
         (scenario.strategy == Strategy::batches || scenario.strategy == Strategy::background ||
          scenario.strategy == Strategy::paced || scenario.strategy == Strategy::standard);
}

}  // namespace

// What would be ignored is refused: a run's name says how it was made.
std::string whyNotOffered(const Scenario& scenario) {
  const Strategy strategy = scenario.strategy;
  if (scenario.change == Change::own && scenario.system != System::instar)
    return "a file of your own is measured over Instar alone";
  if (scenario.change != Change::own && !scenario.collection.empty())
    return "collection= is for own files; leave it out";
  if (scenario.rate != 0 && strategy != Strategy::paced && strategy != Strategy::background)
    return "rate= is for paced (and for background, which is paced then); leave it out";
  if (scenario.lockTime != 0 && !isOfCompaction(scenario))
    return "lock= is for Instar's batches, background, paced and standard; leave it out";
  if (scenario.packs && !isOfCompaction(scenario))
    return "packs is for Instar's batches, background, paced and standard; leave it out";
  if (scenario.kill && (!comesToAnEnd(strategy) || scenario.change == Change::additive))
    return "no row is brought over by the migration itself, so a kill cannot lose any; leave kill out";
  if (hasStrategy(scenario)) return {};
#ifndef INSTAR_BENCH_ROCKSDB
  if (scenario.system == System::rocksdb) return "this build has no RocksDB; install it and build again";
#endif
  return std::string(textOf(scenario.system)) + " does not have the strategy " +
         std::string(textOf(strategy)) + " for the change " + std::string(textOf(scenario.change)) +
         "; see list";
}

bool isOffered(const Scenario& scenario) { return whyNotOffered(scenario).empty(); }

std::unique_ptr<Subject> makeSubject(const Scenario& scenario, const std::filesystem::path& folder) {
  if (const std::string why = whyNotOffered(scenario); !why.empty())
    throw std::invalid_argument(nameOf(scenario) + ": " + why);
  switch (scenario.system) {
    case System::instar:
      return makeInstarSubject(scenario, folder);
    case System::sqlite:
      return makeSqliteSubject(scenario, folder);
    case System::lmdb:
      return makeLmdbSubject(scenario, folder);
    case System::rocksdb:
      break;
  }
#ifdef INSTAR_BENCH_ROCKSDB
  return makeRocksDbSubject(scenario, folder);
#else
  throw std::logic_error("RocksDB is not part of this build");
#endif
}

}  // namespace instar::bench
