// Files in which a bit has flipped where LMDB keeps its own numbers: none is read as if nothing had happened,
// or beyond its end.

#include <gtest/gtest.h>

#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

constexpr std::size_t kPageSize = 4096;

class StorageDamage : public ::testing::Test {
 protected:
  StorageDamage() {
    const auto environment = open(path);
    const TreeId tree = openTree(*environment);
    const auto writer = beginWrite(*environment);
    for (char name = 'a'; name <= 'z'; ++name) put(*writer, tree, keyOf(name), "a value");
    put(*writer, tree, "large", std::string(10'000, 'x'));
    writer->commit();
    sound = readFile(path);
  }

  static std::string keyOf(char name) { return std::string("the key ") + name; }

  testing::TemporaryFolder folder;
  std::filesystem::path path = folder / "store";
  std::string sound;
};

// Beginning a transaction opened the trees that the file counts, found as many as before and began again, for
// ever.
TEST_F(StorageDamage, AFileThatCountsMoreTreesThanItHasIsRefused) {
  constexpr std::size_t kTreesInMetaPage = 120;
  for (std::size_t page = 0; page < 2; ++page) {
    sound[page * kPageSize + kTreesInMetaPage] ^= 4;
  }
  writeFile(path, sound);
  for (const OpenMode mode : {OpenMode::openExisting, OpenMode::readOnly}) {
    const auto environment = open(path, withMode(mode));
    EXPECT_ERROR(beginRead(*environment), restoreFromBackup, "damaged");
    EXPECT_ERROR(environment->info(), restoreFromBackup, "damaged");
    if (mode == OpenMode::openExisting) {
      EXPECT_ERROR(beginWrite(*environment), restoreFromBackup, "damaged");
    }
  }
}

}  // namespace
}  // namespace instar::storage
