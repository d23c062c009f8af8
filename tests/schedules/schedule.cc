#include "instar/tests/schedules/schedule.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

#include "instar/tests/schedules/clock.h"

namespace instar::schedules {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Far more than any of it takes; what is not over then hangs.
constexpr std::chrono::minutes kEnough(3);

class SharedBoard {
 public:
  SharedBoard() {
    void* const memory =
        ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("mmap failed");
    board_ = new (memory) Board;
    useClockOffset(&board_->clockOffset);
  }
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  ~SharedBoard() {
    useClockOffset(nullptr);
    ::munmap(board_, sizeof(Board));
  }
  Board& operator*() const noexcept { return *board_; }

 private:
  Board* board_ = nullptr;
};

template <class Body>
pid_t forkToRun(Body&& body) {
  std::fflush(nullptr);
  const pid_t process = ::fork();
  if (process < 0) throw std::runtime_error("fork failed");
  if (process != 0) return process;
  try {
    body();
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "in a program: %s\n", exception.what());
    ::_exit(EXIT_FAILURE);
  }
  std::fflush(nullptr);
  ::_exit(EXIT_SUCCESS);
}

std::string describeStatus(int status) {
  return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                             : "status " + std::to_string(WEXITSTATUS(status));
}

class Schedule {
 public:
  explicit Schedule(const ScheduleOptions& options)
      : options_(options),
        setting_{.folder = options.folder, .seed = options.seed, .plant = options.plant, .board = &*shared_},
        random_(options.seed) {}
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;
  ~Schedule() {
    for (Place& place : places_)
      if (place.process != 0) endByForce(place);
  }

  ScheduleResult run() {
    std::filesystem::create_directories(setting_.folder);
    finish(forkToRun([&] { prepareStore(setting_); }), "the first program");
    disturb();
    endAll();
    const unsigned incarnation = nextIncarnation_++;
    finish(forkToRun([&] { inspectStore(incarnation, setting_); }), "the inspection");
    History history = readLogs(setting_.logs());
    history.problems.insert(history.problems.end(), problems_.begin(), problems_.end());
    result_.verdict = judge(history);
    result_.counts = std::move(history.counts);
    return std::move(result_);
  }

 private:
  // Where a program of one kind runs, or is to run.
  struct Place {
    pid_t process = 0;
    Clock::time_point startAt{};                  // not before, where there is none
    std::optional<Clock::time_point> continueAt;  // where it is stopped
  };

  unsigned below(unsigned count) { return static_cast<unsigned>(random_() % count); }

  void disturb() {
    const auto start = Clock::now();
    // Versions come while others are at work.
    for (unsigned kind = 0; kind < kProgramKinds; ++kind)
      places_[kind].startAt = start + options_.length * (kind == 0 ? 0 : below(30)) / 100;
    for (const auto end = start + options_.length; Clock::now() < end;) {
      for (unsigned kind = 0; kind < kProgramKinds; ++kind) keep(static_cast<ProgramKind>(kind));
      act();
      std::this_thread::sleep_for(milliseconds(1 + below(20)));
    }
  }

  void keep(ProgramKind kind) {
    Place& place = places_[static_cast<std::size_t>(kind)];
    if (place.process == 0) {
      if (Clock::now() >= place.startAt) start(kind);
      return;
    }
    if (place.continueAt && Clock::now() >= *place.continueAt) goOn(place);
    int status = 0;
    if (::waitpid(place.process, &status, WNOHANG) == 0) return;
    problems_.push_back("a program of kind " + std::to_string(static_cast<unsigned>(kind)) +
                        " has ended by itself with " + describeStatus(status));
    place.process = 0;
  }

  void start(ProgramKind kind) {
    const unsigned incarnation = nextIncarnation_++;
    places_[static_cast<std::size_t>(kind)].process =
        forkToRun([&] { runProgram(kind, incarnation, setting_); });
    ++result_.starts;
  }

  void goOn(Place& place) {
    ::kill(place.process, SIGCONT);
    place.continueAt.reset();
  }

  void endByForce(Place& place) {
    ::kill(place.process, SIGKILL);
    ::waitpid(place.process, nullptr, 0);
    place = {};
  }

  void act() {
    if (below(5) == 0) return setClock();
    Place& place = places_[below(kProgramKinds)];
    if (place.process == 0) return;
    if (below(6) == 0) {  // whether or not it is stopped
      endByForce(place);
      place.startAt = Clock::now() + milliseconds(below(100));
      ++result_.kills;
    } else if (!place.continueAt) {
      ::kill(place.process, SIGSTOP);
      place.continueAt = Clock::now() + milliseconds(1 + (below(8) == 0 ? below(400) : below(40)));
      ++result_.stops;
    }
  }

  // By seconds, hours, days or years, either way; now and then back to what is right.
  void setClock() {
    constexpr std::array<std::int64_t, 5> kUnits{1, 60, 3600, 86'400, 365 * 86'400};
    const std::int64_t unit = kUnits[below(kUnits.size())] * 1'000'000'000;
    const std::int64_t offset = unit * (static_cast<std::int64_t>(below(21)) - 10);
    (*shared_).clockOffset = below(6) == 0 ? 0 : offset;
    ++result_.clockJumps;
  }

  void endAll() {
    (*shared_).isOver = true;
    for (Place& place : places_)  // first of all, since one may hold the lock of writers
      if (place.process != 0) goOn(place);
    for (unsigned kind = 0; kind < kProgramKinds; ++kind) {
      Place& place = places_[kind];
      if (place.process == 0) continue;
      finish(std::exchange(place.process, 0), "a program of kind " + std::to_string(kind));
    }
    (*shared_).isOver = false;
  }

  void finish(pid_t process, const std::string& who) {
    const auto end = Clock::now() + kEnough;
    int status = 0;
    while (::waitpid(process, &status, WNOHANG) == 0) {
      if (Clock::now() > end) {
        problems_.push_back(who + " does not come to an end");
        ::kill(process, SIGKILL);
        ::waitpid(process, nullptr, 0);
        return;
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
      problems_.push_back(who + " has ended with " + describeStatus(status));
  }

  const ScheduleOptions options_;
  const SharedBoard shared_;
  const Setting setting_;
  std::mt19937 random_;
  ScheduleResult result_;
  std::array<Place, kProgramKinds> places_;
  unsigned nextIncarnation_ = 2;
  std::vector<std::string> problems_;
};

}  // namespace

bool isFound(const PlantedBug& bug, const Verdict& verdict) {
  return std::ranges::any_of(verdict.violations,
                             [&](const Violation& violation) { return violation.fault == bug.fault; });
}

ScheduleResult runSchedule(const ScheduleOptions& options) { return Schedule(options).run(); }

std::string describe(const ScheduleResult& result, std::size_t mostListed) {
  const Verdict& verdict = result.verdict;
  std::string text =
      std::to_string(verdict.commits) + " commits (" + std::to_string(verdict.perhaps) +
      " of which nobody was told), " + std::to_string(verdict.readings) + " snapshots, " +
      std::to_string(verdict.operations) + " values; " + std::to_string(result.starts) + " starts, " +
      std::to_string(result.kills) + " kills, " + std::to_string(result.stops) + " stops, " +
      std::to_string(result.clockJumps) + " times the clock was set; " +
      (verdict.isGood() ? "as promised" : std::to_string(verdict.violations.size()) + " violations");
  for (std::size_t i = 0; i < std::min(mostListed, verdict.violations.size()); ++i) {
    const Violation& violation = verdict.violations[i];
    text += "\n  " + std::string(nameOf(violation.fault)) + ": " + violation.what;
  }
  return text;
}

}  // namespace instar::schedules
