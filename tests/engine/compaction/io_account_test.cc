#include "instar/engine/internal/compaction/io_account.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

class IoAccountTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::access("/proc/thread-self/io", R_OK) != 0) GTEST_SKIP() << "the kernel accounts nothing";
  }

  void write(std::size_t bytes) const {
    const std::vector<char> zeros(bytes);
    const int file = ::open((folder / "file").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ASSERT_EQ(::write(file, zeros.data(), bytes), static_cast<ssize_t>(bytes));
    ASSERT_EQ(::fsync(file), 0);
    ::close(file);
  }

  testing::TemporaryFolder folder;
};

TEST_F(IoAccountTest, CountsWhatItsThreadWrites) {
  write(10000);
  const IoAccount account;
  EXPECT_EQ(account.total().written, 0U);
  write(70000);
  EXPECT_EQ(account.total().written, 70000U);
  std::thread([&] { write(5000); }).join();
  EXPECT_EQ(account.total().written, 70000U) << "the work of another thread";
}

// What is in the page cache costs the device nothing. Files that no device holds (tmpfs) are never read.
TEST_F(IoAccountTest, CountsWhatComesFromTheDevice) {
  write(1 << 20);
  const int file = ::open((folder / "file").c_str(), O_RDONLY);
  std::vector<char> buffer(1 << 20);
  ASSERT_GT(::read(file, buffer.data(), buffer.size()), 0);
  const IoAccount account;
  ASSERT_EQ(::pread(file, buffer.data(), buffer.size(), 0), 1 << 20);
  EXPECT_EQ(account.total().read, 0U);
  ASSERT_EQ(::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
  ASSERT_EQ(::pread(file, buffer.data(), buffer.size(), 0), 1 << 20);
  const std::uint64_t read = account.total().read;
  ::close(file);
  if (read == 0) GTEST_SKIP() << "the file system keeps everything in memory";
  EXPECT_GE(read, std::uint64_t{1} << 20);
  EXPECT_LT(read, std::uint64_t{2} << 20);
}

}  // namespace
}  // namespace instar
