// What errors of the system and of LMDB become: a code that says what the caller does next, and words for it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include "instar/engine/internal/storage/file_system.h"
#include "instar/engine/internal/storage/lmdb_error.h"

namespace instar::storage {
namespace {

using ::testing::HasSubstr;

struct Case {
  int number;
  ErrorCode next;
  const char* text;
};

TEST(StorageErrors, OfTheSystemSayWhatToDoNext) {
  const Case cases[] = {
      {ENOSPC, ErrorCode::freeSpace, "the disk is full"},
      {EDQUOT, ErrorCode::freeSpace, "quota"},
      {EFBIG, ErrorCode::freeSpace, "limit on file sizes"},
      {ENOMEM, ErrorCode::freeSpace, "memory"},
      {EIO, ErrorCode::fixEnvironment, "the disk reports an error"},
      {EINTR, ErrorCode::retry, "try again"},
      {ENOENT, ErrorCode::fixEnvironment, "no such file"},
      {EACCES, ErrorCode::fixEnvironment, "permission"},
      {EPERM, ErrorCode::fixEnvironment, "permission"},
      {EROFS, ErrorCode::fixEnvironment, "for reading only"},
      {EISDIR, ErrorCode::fixEnvironment, "name a file"},
      {ENOTDIR, ErrorCode::fixEnvironment, "not a folder"},
      {EMFILE, ErrorCode::fixEnvironment, "too many files"},
      {ENFILE, ErrorCode::fixEnvironment, "too many files"},
      {EEXIST, ErrorCode::fixEnvironment, "the file exists"},
      {ELOOP, ErrorCode::fixEnvironment, "see the reason"},
  };
  for (const auto& [number, next, text] : cases) {
    const Error error = systemError(number, "open", "/dev/null");
    EXPECT_EQ(error.code(), next) << error.what();
    EXPECT_THAT(error.message(), HasSubstr(text));
    EXPECT_EQ(error.fact("call"), "open");
    EXPECT_EQ(error.fact("path"), "/dev/null");
    EXPECT_EQ(error.fact("reason"), std::generic_category().message(number));
  }
}

TEST(StorageErrors, OfLmdbSayWhatToDoNext) {
  const Case cases[] = {
      {lmdb::kPageNotFound, ErrorCode::restoreFromBackup, "a page of the file is missing"},
      {lmdb::kCorrupted, ErrorCode::restoreFromBackup, "a page of the file is damaged"},
      {lmdb::kPanic, ErrorCode::retry, "opened anew"},
      {lmdb::kVersionMismatch, ErrorCode::fixEnvironment, "another version of LMDB"},
      {lmdb::kInvalid, ErrorCode::fixEnvironment, "not an Instar file"},
      {lmdb::kMapFull, ErrorCode::retry, "the map was too small"},
      {lmdb::kTooManyTrees, ErrorCode::fixCall, "fewer collections"},
      {lmdb::kReadersFull, ErrorCode::retry, "close snapshots"},
      {lmdb::kTransactionFull, ErrorCode::fixCall, "commit more often"},
      {lmdb::kMapResized, ErrorCode::retry, "enlarged the file"},
      {lmdb::kIncompatible, ErrorCode::fixEnvironment, "not an Instar file"},
      {lmdb::kBadReaderSlot, ErrorCode::retry, "begin another transaction"},
      {lmdb::kBadTransaction, ErrorCode::fixCall, "has failed before"},
      {lmdb::kBadTree, ErrorCode::fixCall, "the tree is not open"},
      {EINVAL, ErrorCode::fixCall, "began before the tree was opened"},
      {lmdb::kNotFound, ErrorCode::fixEnvironment, "LMDB refuses"},  // no failure, so it has no words
  };
  std::set<std::string> messages;
  for (const auto& [number, next, text] : cases) {
    const Error error = lmdb::error(number, "mdb_get", "/dev/null");
    EXPECT_EQ(error.code(), next) << error.what();
    EXPECT_THAT(error.message(), HasSubstr(text));
    EXPECT_EQ(error.fact("call"), "mdb_get");
    EXPECT_EQ(error.fact("code"), std::to_string(number));
    messages.insert(error.message());
  }
  EXPECT_EQ(messages.size(), std::size(cases));
}

TEST(StorageErrors, OfTheSystemThatLmdbPassesOnReadAsTheSystems) {
  const Error error = lmdb::error(ENOSPC, "mdb_txn_commit", "/dev/null");
  EXPECT_EQ(error.code(), ErrorCode::freeSpace);
  EXPECT_EQ(error.fact("call"), "mdb_txn_commit");
  EXPECT_EQ(error.fact("reason"), std::generic_category().message(ENOSPC));
}

}  // namespace
}  // namespace instar::storage
