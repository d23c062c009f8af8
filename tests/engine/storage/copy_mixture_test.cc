// A compact copy that finds the roots of one commit with those of another, because somebody commits while
// LMDB takes them one by one.

#include <gtest/gtest.h>

#if defined(__x86_64__) && \
    !defined(INSTAR_SANITIZES_THREADS)  // the processor goes on by one instruction at a time

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

using testing::ChildProcess;
using testing::Steps;

// What a reader asks of a writer in another process.
struct Requests {
  std::atomic<int> asked{0};
  std::atomic<int> done{0};

  void askAndWait() noexcept {
    const int request = asked.fetch_add(1) + 1;
    while (done.load() < request) ::sched_yield();
  }
};

struct TrapState {
  char* pages = nullptr;
  pthread_t owner = {};
  Requests* requests = nullptr;
  int commitBefore = 0;
  int reads = 0;
};

// Counts how often other threads than the one that has made it read the two meta pages of an open file, and
// has the writer commit before one of these reads. Of signals there is one handler in a process, so there is
// one trap.
class MetaPageTrap {
 public:
  static constexpr std::size_t kBytes = 2 * 4096;

  MetaPageTrap(const std::filesystem::path& path, Requests& requests, int commitBefore) {
    state = {mapOf(path), ::pthread_self(), &requests, commitBefore, 0};
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = onRead;
    ::sigaction(SIGSEGV, &action, &oldFault_);
    action.sa_sigaction = afterRead;
    ::sigaction(SIGTRAP, &action, &oldStep_);
    protect(PROT_NONE);
  }
  MetaPageTrap(const MetaPageTrap&) = delete;
  MetaPageTrap& operator=(const MetaPageTrap&) = delete;
  ~MetaPageTrap() {
    protect(PROT_READ);
    ::sigaction(SIGSEGV, &oldFault_, nullptr);
    ::sigaction(SIGTRAP, &oldStep_, nullptr);
  }

  static int reads() noexcept { return state.reads; }

 private:
  static constexpr greg_t kOneInstruction = 0x100;  // the trap flag

  static char* mapOf(const std::filesystem::path& path) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      if (line.ends_with(path.string())) return reinterpret_cast<char*>(std::stoull(line, nullptr, 16));
    }
    throw std::runtime_error("the file is not mapped");
  }

  static void protect(int protection) noexcept { ::mprotect(state.pages, kBytes, protection); }

  static void onRead(int, siginfo_t* info, void* context) {
    const auto* const address = static_cast<const char*>(info->si_addr);
    if (address < state.pages || address >= state.pages + kBytes) std::abort();
    if (::pthread_equal(::pthread_self(), state.owner) == 0 && ++state.reads == state.commitBefore)
      state.requests->askAndWait();
    protect(PROT_READ);
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] |= kOneInstruction;
  }

  static void afterRead(int, siginfo_t*, void* context) {
    protect(PROT_NONE);
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~kOneInstruction;
  }

  static inline TrapState state;
  struct sigaction oldFault_ {};
  struct sigaction oldStep_ {};
};

// LMDB takes the number of the snapshot that it copies first, and then the roots of its trees, one by one,
// from the page that two commits later is another one's. Where two commits came in between, a sound file was
// said to have lost pages.
TEST(StorageCopyMixture, OfTwoCommitsIsNoDamage) {
  const testing::TemporaryFolder folder;
  const std::filesystem::path path = folder / "store";
  {
    const auto environment = open(path, unsynced());
    put(*environment, openTree(*environment), "a", "1");
  }
  void* const shared =
      ::mmap(nullptr, sizeof(Requests), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  Requests& requests = *new (shared) Requests;
  ChildProcess writer([&](const Steps&) {
    const auto environment = open(path, unsynced());
    for (int tree = 0;; ++tree) {
      while (requests.asked.load() == requests.done.load()) ::sched_yield();
      const TreeId created =
          openTree(*environment, "tree " + std::to_string(tree));  // a commit, and another one
      put(*environment, created, "large", std::string(20'000, 'x'));
      ++requests.done;
    }
  });
  ChildProcess copier([&](const Steps&) {
    const auto environment = open(path, unsynced());
    int readsOfOneCopy = 0;
    for (int commitBefore = 1; commitBefore == 1 || commitBefore <= readsOfOneCopy; ++commitBefore) {
      const std::filesystem::path target = folder / std::to_string(commitBefore);
      {
        const MetaPageTrap trap(path, requests, commitBefore);
        environment->copyTo(target, {.compact = true});
        if (commitBefore == 1) readsOfOneCopy = MetaPageTrap::reads();
      }
      EXPECT_EQ(requests.done, commitBefore);
      const auto copy = open(target, unsynced());
      EXPECT_EQ(get(*copy, copy->openTree("tree", false).value(), "a"), "1");
      for (int tree = 0; tree + 1 < commitBefore; ++tree) {
        const auto created = copy->openTree("tree " + std::to_string(tree), false);
        EXPECT_EQ(get(*copy, created.value(), "large"), std::string(20'000, 'x')) << commitBefore;
      }
      std::filesystem::remove(target);
    }
    EXPECT_GE(readsOfOneCopy, 5) << "the test has lost its subject";
  });
  copier.expectSuccess();
  writer.kill();
  ::munmap(shared, sizeof(Requests));
}

}  // namespace
}  // namespace instar::storage

#endif
