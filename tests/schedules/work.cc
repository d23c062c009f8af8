#include "instar/tests/schedules/work.h"

namespace instar::schedules {
namespace {

class Search {
 public:
  explicit Search(const ScheduleResult& all) : counts_(all.counts) {
    for (const auto& [what, count] : counts_)
      if (const auto end = what.find(" refused"); end != std::string::npos)
        refused_[what.substr(0, end)] += count;
  }

  void expectMoreThan(std::uint64_t least, const std::string& what, std::uint64_t count) {
    if (count <= least)
      missing_.push_back(what + ": " + std::to_string(count) + ", not more than " + std::to_string(least));
  }
  void expectMoreThan(std::uint64_t least, const std::string& what) {
    expectMoreThan(least, what, countOf(what));
  }
  void expectRefusedBelow(std::uint64_t limit, const std::string& what) {
    if (refused_[what] >= limit)
      missing_.push_back(what + ": " + std::to_string(refused_[what]) + " refused, which has to be below " +
                         std::to_string(limit));
  }

  std::uint64_t countOf(const std::string& what) const {
    const auto found = counts_.find(what);
    return found == counts_.end() ? 0 : found->second;
  }
  std::vector<std::string> missing() && { return std::move(missing_); }

 private:
  const std::map<std::string, std::uint64_t>& counts_;
  std::map<std::string, std::uint64_t> refused_;
  std::vector<std::string> missing_;
};

}  // namespace

void add(ScheduleResult& all, const ScheduleResult& round) {
  for (const auto& [what, count] : round.counts) all.counts[what] += count;
  all.starts += round.starts;
  all.kills += round.kills;
  all.stops += round.stops;
  all.clockJumps += round.clockJumps;
}

std::vector<std::string> missingWork(const ScheduleResult& all) {
  Search search(all);
  search.expectMoreThan(0, "kills", all.kills);
  search.expectMoreThan(0, "stops", all.stops);
  search.expectMoreThan(0, "times the clock was set", all.clockJumps);
  for (const char* const what :
       {"oldest: commits", "split: commits", "newest: commits", "oldest: snapshots", "split: snapshots",
        "newest: snapshots", "copier: snapshots", "visitor: snapshots"})
    search.expectMoreThan(10, what);
  for (const char* const what :
       {"newest: migrations", "stager: commits", "stager: snapshots", "stager: staged", "stager: promoted",
        "stager: aborted", "stager: percent set", "copier: copies", "last: audit, packed",
        "last: audit, staged", "last: audit, promoted", "last: audit, aborted"})
    search.expectMoreThan(0, what);
  // What is refused and expected is the lesser part.
  for (const char* const program : {"oldest", "split", "newest", "stager"}) {
    const std::string name(program);
    search.expectRefusedBelow(search.countOf(name + ": commits"), name + ": writes");
    search.expectRefusedBelow(search.countOf(name + ": snapshots"), name + ": snapshots");
  }
  // Who compacts is often in the way, and guard rails are seldom satisfied.
  std::uint64_t changes = 0;
  for (const char* const what : {"staged", "promoted", "aborted", "retired", "percent set", "shadow set"})
    changes += search.countOf(std::string("stager: ") + what);
  search.expectRefusedBelow(4 * changes, "stager: changes");
  return std::move(search).missing();
}

}  // namespace instar::schedules
