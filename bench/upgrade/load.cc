#include "instar/bench/upgrade/load.h"

#include <sys/prctl.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <thread>

namespace instar::bench {
namespace {

using Clock = Series::Clock;

// What both threads see of each other.
struct Shared {
  const LoadEnd& end;
  const LoadOptions& options;
  std::atomic<bool> failed = false;
  std::atomic<std::uint64_t> newest;                    // id that is there
  std::atomic<std::uint64_t> position[2] = {{0}, {0}};  // in the stream: of the reader, of the writer

  bool isOver(Clock::time_point due) const noexcept { return failed || end.isBefore(due); }
};

constexpr std::chrono::milliseconds kLookEvery{20};  // at whether the load has ended

// How far a thread of a closed loop may be ahead of the other one, in operations of the stream.
constexpr std::uint64_t kAhead = 1000;

class Worker {
 public:
  Worker(const Scenario& scenario, Session& session, bool writes, Clock::time_point start, Shared& shared)
      : scenario_(scenario),
        session_(session),
        writes_(writes),
        shared_(shared),
        start_(start),
        stream_(scenario, shared.options.seed) {}

  void run(Series& series, std::vector<Operation>& written) {
    ::prctl(PR_SET_TIMERSLACK, 1UL);  // nanoseconds
    for (std::uint64_t number = 0;; ++number) {
      const Operation operation = stream_.next();
      if (operation.isWrite() != writes_) continue;
      const auto due = await(number);
      if (!due) break;
      perform(operation);
      series.add(*due, Clock::now() - *due);
      if (shared_.options.ended != nullptr) ++*shared_.options.ended;
      if (writes_) written.push_back(operation);
    }
    shared_.position[writes_ ? 1 : 0] = UINT64_MAX;  // nobody waits for this thread any more
  }

 private:
  // When it is due, in a closed loop now. Nothing where the load is over before.
  std::optional<Clock::time_point> await(std::uint64_t number) {
    return scenario_.perSecond == 0 ? awaitOther(number) : awaitDue(number);
  }

  std::optional<Clock::time_point> awaitDue(std::uint64_t number) {
    const auto due = start_ + std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(number) *
                                                                                 1e9 / scenario_.perSecond));
    while (!shared_.isOver(due)) {
      const auto now = Clock::now();
      if (now >= due) return due;
      std::this_thread::sleep_until(std::min(due, now + kLookEvery));
    }
    return {};
  }

  std::optional<Clock::time_point> awaitOther(std::uint64_t number) {
    std::atomic<std::uint64_t>& other = shared_.position[writes_ ? 0 : 1];
    shared_.position[writes_ ? 1 : 0] = number;
    for (;;) {
      const auto now = Clock::now();
      if (shared_.isOver(now)) return {};
      const std::uint64_t reached = other;
      if (number <= reached || number - reached <= kAhead) return now;
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

  void perform(const Operation& operation) {
    switch (operation.kind) {
      case Operation::Kind::read:
        session_.read(present(operation.id));
        break;
      case Operation::Kind::scan:
        session_.scan(present(operation.id), operation.count);
        break;
      case Operation::Kind::update:
        session_.update(operation.id, operation.priceCents);
        break;
      case Operation::Kind::readModifyWrite:
        session_.readModifyWrite(operation.id);
        break;
      case Operation::Kind::insert:
        session_.insert(operation.id);
        shared_.newest = operation.id;
        break;
    }
  }

  // The writer may not have come as far in the stream.
  std::uint64_t present(std::uint64_t id) const noexcept {
    return std::min<std::uint64_t>(id, shared_.newest);
  }

  const Scenario& scenario_;
  Session& session_;
  const bool writes_;
  Shared& shared_;
  const Clock::time_point start_;
  Workload stream_;
};

}  // namespace

LoadResult runLoad(const Scenario& scenario, Session& reader, Session& writer, Clock::time_point start,
                   const LoadEnd& end, const LoadOptions& options) {
  LoadResult result(start);
  Shared shared{.end = end, .options = options, .newest = scenario.rows - 1};
  std::exception_ptr failures[2];
  const auto begin = [&](Session& session, bool writes) {
    return std::thread([&, writes] {
      try {
        Worker(scenario, session, writes, start, shared)
            .run(writes ? result.writes : result.reads, result.written);
      } catch (...) {
        failures[writes ? 1 : 0] = std::current_exception();
        shared.failed = true;
      }
    });
  };
  {
    std::thread reading = begin(reader, false);
    std::thread writing;
    if (Workload::shareOfWrites(scenario.mix) > 0)
      writing = begin(writer, true);
    else
      shared.position[1] = UINT64_MAX;
    reading.join();
    if (writing.joinable()) writing.join();
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return result;
}

}  // namespace instar::bench
