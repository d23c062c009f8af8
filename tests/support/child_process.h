#pragma once

// Another process for a test: a fork that runs a function, step by step with its parent. Fork before the
// parent opens anything, unless the fork is what is tested. One thread.

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <stdexcept>

#ifdef INSTAR_COVERAGE
extern "C" void __gcov_dump();
#endif

namespace instar::testing {

// One end of a conversation between two processes. Each step is one byte.
class Steps {
 public:
  Steps(int input, int output) noexcept : input_(input), output_(output) {}

  void tell() const {
    const char step = 's';
    if (::write(output_, &step, 1) != 1) throw std::runtime_error("the other process is gone");
  }
  // A test that is wrong ends after a minute instead of hanging.
  void await() const {
    struct pollfd request {
      input_, POLLIN, 0
    };
    char step = 0;
    if (::poll(&request, 1, 60'000) != 1 || ::read(input_, &step, 1) != 1) {
      throw std::runtime_error("the other process is gone or silent");
    }
  }

 private:
  int input_;
  int output_;
};

class ChildProcess {
 public:
  using Body = std::function<void(const Steps& parent)>;

  explicit ChildProcess(const Body& body) {
    if (::pipe(toChild_) != 0 || ::pipe(toParent_) != 0) throw std::runtime_error("pipe failed");
    std::fflush(nullptr);
    process_ = ::fork();
    if (process_ < 0) throw std::runtime_error("fork failed");
    if (process_ == 0) run(body);
    ::close(toChild_[0]);
    ::close(toParent_[1]);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    if (!isOver_) kill();
    ::close(toChild_[1]);
    ::close(toParent_[0]);
  }

  pid_t process() const noexcept { return process_; }
  void tell() const { steps().tell(); }
  void await() const { steps().await(); }

  // Waits for its end; it has failed where the body threw or an expectation in it did not hold.
  void expectSuccess() {
    int status = 0;
    ::waitpid(process_, &status, 0);
    isOver_ = true;
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS) << "status " << status;
  }

  void kill() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    isOver_ = true;
  }

 private:
  Steps steps() const noexcept { return {toParent_[0], toChild_[1]}; }

  [[noreturn]] void run(const Body& body) const {
    ::close(toChild_[1]);
    ::close(toParent_[0]);
    bool isGood = true;
    try {
      body(Steps(toChild_[0], toParent_[1]));
    } catch (const std::exception& exception) {
      std::fprintf(stderr, "in the child: %s\n", exception.what());
      isGood = false;
    }
    std::fflush(nullptr);
#ifdef INSTAR_COVERAGE
    __gcov_dump();  // _exit does not
#endif
    ::_exit(isGood && !::testing::Test::HasFailure() ? EXIT_SUCCESS : EXIT_FAILURE);
  }

  int toChild_[2] = {-1, -1};
  int toParent_[2] = {-1, -1};
  pid_t process_ = 0;
  bool isOver_ = false;
};

}  // namespace instar::testing
