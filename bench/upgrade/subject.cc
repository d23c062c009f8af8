#include "instar/bench/upgrade/subject.h"

#include <stdexcept>

#include "instar/bench/upgrade/systems.h"

namespace instar::bench {

bool isOffered(const Scenario& scenario) {
  if (scenario.change == Change::own && scenario.system != System::instar) return false;
  if (scenario.packs && scenario.system != System::instar) return false;
  // Where no row is brought over, nothing can be lost.
  if (scenario.kill && (!comesToAnEnd(scenario.strategy) || scenario.change == Change::additive))
    return false;
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

std::unique_ptr<Subject> makeSubject(const Scenario& scenario, const std::filesystem::path& folder) {
  if (!isOffered(scenario)) throw std::invalid_argument(nameOf(scenario) + " is not offered by this build");
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
