#include "instar/bench/lmdb_reference.h"

#include <stdexcept>
#include <string>

namespace instar::bench {
namespace {

unsigned flagsOf(Durability durability) noexcept {
  switch (durability) {
    case Durability::full:
      return 0;
    case Durability::normal:
      return MDB_NOMETASYNC;
    case Durability::off:
      return MDB_NOSYNC;
  }
  return 0;
}

}  // namespace

void checkLmdb(int code, const char* call) {
  if (code != 0) throw std::runtime_error(std::string(call) + ": " + mdb_strerror(code));
}

LmdbReference::LmdbReference(const std::filesystem::path& path, Durability durability, const char* tree) {
  checkLmdb(mdb_env_create(&environment_), "mdb_env_create");
  try {
    checkLmdb(mdb_env_set_maxdbs(environment_, 4), "mdb_env_set_maxdbs");
    checkLmdb(mdb_env_set_mapsize(environment_, kMapSize), "mdb_env_set_mapsize");
    const unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | flagsOf(durability);
    checkLmdb(mdb_env_open(environment_, path.c_str(), flags, 0644), "mdb_env_open");
    LmdbTransaction transaction(*this, 0);
    checkLmdb(mdb_dbi_open(transaction.get(), tree, MDB_CREATE, &tree_), "mdb_dbi_open");
    transaction.commit();
  } catch (...) {
    mdb_env_close(environment_);
    throw;
  }
}

}  // namespace instar::bench
