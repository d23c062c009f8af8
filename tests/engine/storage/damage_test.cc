// Files in which a bit has flipped where LMDB keeps its own numbers: none is read as if nothing had happened,
// or beyond its end.

#include <gtest/gtest.h>

#include <array>

#include "instar/format/key.h"
#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

constexpr std::size_t kPageSize = 4096;
constexpr std::size_t kNodeHeader = 8;  // value length: 2 bytes low, 2 high; flags: 2; key length: 2

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

  // Where the only node of this key begins in the file.
  std::size_t nodeOf(const std::string& key) const {
    const std::size_t found = sound.rfind(key);
    EXPECT_NE(found, std::string::npos);
    return found - kNodeHeader;
  }

  void flip(std::size_t position, unsigned bit) const {
    std::string bytes = sound;
    bytes[position] = static_cast<char>(static_cast<unsigned char>(bytes[position]) ^ 1U << bit);
    writeFile(path, bytes);
  }

  // Touches every byte of every entry, in each of the ways there are.
  static std::size_t readAll(Environment& environment, Access access) {
    const TreeId tree = environment.openTree("tree", false).value();
    const auto transaction = environment.begin(access, kLong);
    std::size_t sum = 0;
    const auto read = [&sum](Bytes bytes) {
      for (const std::byte byte : bytes) sum += std::to_integer<std::size_t>(byte);
    };
    for (char name = 'a'; name <= 'z'; ++name) {
      if (const auto value = transaction->get(tree, asBytes(keyOf(name)))) read(*value);
    }
    const auto cursor = transaction->cursor(tree);
    for (bool more = cursor->last(); more; more = cursor->previous()) {
      read(cursor->key());
      read(cursor->value());
    }
    if (!cursor->first()) return sum;
    std::array<Entry, 16> ahead;
    while (const std::size_t count = cursor->next(ahead)) {
      for (const Entry& entry : std::span(ahead).first(count)) {
        EXPECT_GE(entry.key.size(), 1U);
        EXPECT_LE(entry.key.size(), kMaxKeyLength);
        read(entry.key);
        read(entry.value);
      }
    }
    return sum;
  }

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

// The length of a key that a flipped bit had made longer than a key can be was answered with advice to use
// shorter keys; a value that had become longer was read to where the file ends, and the process with it.
TEST_F(StorageDamage, AnEntryThatReachesOutOfItsPageIsDamage) {
  struct Case {
    const char* what;
    std::string key;
    std::size_t byte;
    unsigned bit;
  };
  for (const Case& flipped : {Case{"the key is longer than a key can be", keyOf('k'), 7, 6},
                              Case{"the key reaches into the next page", keyOf('a'), 7, 0},
                              Case{"the value reaches into the next page", keyOf('k'), 1, 5},
                              Case{"the value reaches beyond the file", keyOf('k'), 3, 4},
                              Case{"the large value reaches beyond its pages", "large", 1, 6},
                              Case{"the large value reaches beyond the file", "large", 3, 5},
                              Case{"the large value is said to lie in the leaf", "large", 4, 0}}) {
    SCOPED_TRACE(flipped.what);
    flip(nodeOf(flipped.key) + flipped.byte, flipped.bit);
    const auto environment = open(path, withMode(OpenMode::readOnly));
    EXPECT_ERROR(readAll(*environment, Access::read), restoreFromBackup, "damaged");
  }
}

TEST_F(StorageDamage, AKeyThatIsTooLongIsDamageInAWriteTransactionToo) {
  flip(nodeOf(keyOf('k')) + 7, 6);
  EXPECT_ERROR(readAll(*open(path), Access::write), restoreFromBackup, "damaged");
}

// Every bit of both lengths. Where the entry stays inside its page the row's checksum has to tell. Left
// out is the length of a large value's key: behind it LMDB itself looks for the value's page, wherever
// that is.
TEST_F(StorageDamage, NoLengthOfAnEntryMakesReadingFailInAnotherWay) {
  const std::size_t expected = readAll(*open(path), Access::read);
  ASSERT_GT(expected, 0U);
  std::size_t refused = 0;
  std::size_t different = 0;
  for (const std::string& key : {keyOf('a'), keyOf('k'), keyOf('z'), std::string("large")}) {
    for (const std::size_t byte : {0U, 1U, 2U, 3U, 6U, 7U}) {
      if (key == "large" && byte >= 6) continue;
      for (unsigned bit = 0; bit < 8; ++bit) {
        SCOPED_TRACE(key + ", byte " + std::to_string(byte) + ", bit " + std::to_string(bit));
        flip(nodeOf(key) + byte, bit);
        try {
          const auto environment = open(path, withMode(OpenMode::readOnly));
          if (readAll(*environment, Access::read) != expected) ++different;
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::restoreFromBackup) << error.what();
          ++refused;
        }
      }
    }
  }
  EXPECT_GT(refused, 100U);
  EXPECT_GT(different, 0U) << "otherwise nothing is left to the checksums";
}

}  // namespace
}  // namespace instar::storage
