#include "instar/tests/schedules/judge.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

namespace instar::schedules {
namespace {

// A place in the order of commits: 0 is before the first, n behind the n-th.
using Place = std::size_t;
struct Span {
  Place first;
  Place last;
};
using Kind = Operation::Kind;

std::string nameOfWriter(Writer id) {
  return id == kNothing ? "nothing" : "transaction " + std::to_string(id);
}

class Judge {
 public:
  explicit Judge(const History& history) : history_(history) {}

  Verdict run() {
    for (const std::string& problem : history_.problems) complain(Fault::noticed, problem);
    for (const Writing& writing : history_.writings) {
      if (!byId_.emplace(writing.id, &writing).second)
        complain(Fault::inventedValue, nameOfWriter(writing.id) + " is there twice");
    }
    order();
    findLost();
    checkTimesOfCommits();
    checkOneWriterAtATime();
    play();
    indexTimes();
    for (const Writing& writing : history_.writings) checkUncommitted(writing);
    checkReadings();
    verdict_.commits = commits_.size();
    verdict_.readings = history_.readings.size();
    return std::move(verdict_);
  }

 private:
  struct Version {
    Place from;
    Writer value;
  };

  void complain(Fault fault, std::string what) { verdict_.violations.push_back({fault, std::move(what)}); }

  const Writing* find(Writer id) const {
    const auto found = byId_.find(id);
    return found == byId_.end() ? nullptr : found->second;
  }

  // What it read of the turn; nothing where it has not looked.
  static std::optional<Writer> predecessor(const Writing& writing) {
    for (const Operation& operation : writing.operations) {
      if (operation.place != kTurn) continue;
      if (operation.kind == Kind::read) return operation.value;
      break;
    }
    return std::nullopt;
  }

  // --- 1. and 2.

  void order() {
    const auto turn = history_.end.find(kTurn);
    for (Writer id = turn == history_.end.end() ? kNothing : turn->second; id != kNothing;) {
      const Writing* const writing = find(id);
      if (writing == nullptr) {
        complain(Fault::inventedValue, nameOfWriter(id) + " has the turn, and nobody knows it");
        break;
      }
      if (!placeOf_.emplace(id, 0).second) {
        complain(Fault::inventedValue, nameOfWriter(id) + " comes before itself");
        break;
      }
      if (writing->outcome == Outcome::aborted)
        complain(Fault::dirtyRead, nameOfWriter(id) + " was aborted, and is in the order of commits");
      commits_.push_back(writing);
      const auto before = predecessor(*writing);
      if (!before) {
        complain(Fault::wrongReadByWriter, nameOfWriter(id) + " has not taken its turn");
        break;
      }
      id = *before;
    }
    std::reverse(commits_.begin(), commits_.end());
    for (Place place = 0; place < commits_.size(); ++place) placeOf_[commits_[place]->id] = place + 1;
    for (const Writing* writing : commits_) verdict_.perhaps += writing->outcome == Outcome::unknown ? 1 : 0;
  }

  void findLost() {
    std::unordered_map<Writer, Writer> followers;
    for (const Writing* writing : commits_)
      if (const auto before = predecessor(*writing)) followers[*before] = writing->id;
    for (const Writing& writing : history_.writings) {
      if (writing.outcome != Outcome::acknowledged || placeOf_.contains(writing.id)) continue;
      const auto before = predecessor(writing);
      const auto other = before ? followers.find(*before) : followers.end();
      if (other == followers.end()) {
        complain(Fault::lostCommit, nameOfWriter(writing.id) + " was acknowledged, and is gone");
      } else {
        complain(Fault::lostUpdate, nameOfWriter(writing.id) +
                                        " was acknowledged, and is gone: " + nameOfWriter(other->second) +
                                        " has followed " + nameOfWriter(*before) + " too");
      }
    }
  }

  void checkTimesOfCommits() {
    for (Place place = 1; place < commits_.size(); ++place) {
      const Writing& writing = *commits_[place];
      const Writing& before = *commits_[place - 1];
      if (writing.endCalledAt <= before.endCalledAt) {
        complain(Fault::disorderedCommits, nameOfWriter(writing.id) + " comes behind " +
                                               nameOfWriter(before.id) +
                                               ", and has called its commit before that did");
      }
      if (writing.number <= before.number) {
        complain(Fault::wrongNumber, nameOfWriter(writing.id) + " has number " +
                                         std::to_string(writing.number) + ", the one before it " +
                                         std::to_string(before.number));
      }
    }
  }

  // Whoever has begun is the only one until it calls its end, whether or not that was a commit that got in.
  void checkOneWriterAtATime() {
    std::vector<const Writing*> all;
    for (const Writing& writing : history_.writings) all.push_back(&writing);
    std::ranges::sort(all, {}, &Writing::begunAt);
    const Writing* latest = nullptr;  // to call its end
    for (const Writing* const writing : all) {
      if (latest != nullptr && writing->begunAt <= latest->endCalledAt) {
        complain(Fault::writersAtOnce, nameOfWriter(writing->id) + " had begun before " +
                                           nameOfWriter(latest->id) + " called its end");
      }
      if (latest == nullptr || writing->endCalledAt > latest->endCalledAt) latest = writing;
    }
  }

  // --- 3.

  static Writer valueIn(const std::unordered_map<Register, Writer>& state, Register place) {
    const auto found = state.find(place);
    return found == state.end() ? kNothing : found->second;
  }

  void play() {
    std::unordered_map<Register, Writer> state;
    for (Place place = 1; place <= commits_.size(); ++place) {
      const Writing& writing = *commits_[place - 1];
      std::map<Register, Writer> changed;
      for (const Operation& operation : writing.operations) {
        ++verdict_.operations;
        if (operation.kind != Kind::read) {
          changed[operation.place] = operation.kind == Kind::put ? writing.id : kNothing;
          continue;
        }
        const auto own = changed.find(operation.place);
        const Writer expected = own == changed.end() ? valueIn(state, operation.place) : own->second;
        if (operation.value != expected) complainOfRead(writing, operation, expected);
      }
      for (const auto& [where, value] : changed) {
        if (valueIn(state, where) != value) versions_[where].push_back({place, value});
        state[where] = value;
      }
    }
    std::erase_if(state, [](const auto& entry) { return entry.second == kNothing; });
    const std::map<Register, Writer> expected(state.begin(), state.end());
    if (expected == history_.end) return;
    for (const auto& [place, value] : expected) compareEnd(place, value, history_.end);
    for (const auto& [place, value] : history_.end) {
      if (!expected.contains(place))
        complain(Fault::wrongEnd, "register " + std::to_string(place) + " has a value of " +
                                      nameOfWriter(value) + ", and should have none");
    }
  }

  void compareEnd(Register place, Writer value, const std::map<Register, Writer>& end) {
    const auto found = end.find(place);
    const Writer there = found == end.end() ? kNothing : found->second;
    if (there != value)
      complain(Fault::wrongEnd, "register " + std::to_string(place) + " has " + nameOfWriter(there) +
                                    " at the end, and should have " + nameOfWriter(value));
  }

  void complainOfRead(const Writing& writing, const Operation& operation, Writer expected) {
    const std::string what = nameOfWriter(writing.id) + " has read " + nameOfWriter(operation.value) +
                             " in register " + std::to_string(operation.place) + " and not " +
                             nameOfWriter(expected);
    complain(originFault(operation).value_or(Fault::wrongReadByWriter), what);
  }

  // Where nobody who was committed has put it there.
  std::optional<Fault> originFault(const Operation& operation) const {
    if (operation.value == kNothing) return std::nullopt;
    const Writing* const writer = find(operation.value);
    if (writer == nullptr) return Fault::inventedValue;
    const bool hasPut = std::ranges::any_of(writer->operations, [&](const Operation& one) {
      return one.kind == Kind::put && one.place == operation.place;
    });
    if (!hasPut) return Fault::inventedValue;
    if (!placeOf_.contains(operation.value)) return Fault::dirtyRead;
    return std::nullopt;
  }

  // One that was not committed has read what its turn had left all the same.
  void checkUncommitted(const Writing& writing) {
    if (placeOf_.contains(writing.id)) return;
    const auto before = predecessor(writing);
    const auto found = before ? placeOf_.find(*before) : placeOf_.end();
    if (before && *before != kNothing && found == placeOf_.end()) {
      if (writing.outcome != Outcome::acknowledged)  // else it was said
        complain(Fault::dirtyRead, nameOfWriter(writing.id) + " has read the turn of " +
                                       nameOfWriter(*before) + ", which was not committed");
      return;
    }
    const Place place = found == placeOf_.end() ? 0 : found->second;
    if (place != 0 && commits_[place - 1]->endCalledAt >= writing.endCalledAt) {
      complain(Fault::dirtyRead, nameOfWriter(writing.id) + " has read the turn of " + nameOfWriter(*before) +
                                     ", which had not called its commit when it ended");
    }
    if (place < acknowledgedBefore(writing.calledAt))
      complain(Fault::wrongReadByWriter, nameOfWriter(writing.id) + " has begun behind " +
                                             nameOfWriter(before.value_or(kNothing)) +
                                             ", where a later one was acknowledged");
    std::map<Register, Writer> changed;
    for (const Operation& operation : writing.operations) {
      ++verdict_.operations;
      if (operation.kind != Kind::read) {
        changed[operation.place] = operation.kind == Kind::put ? writing.id : kNothing;
        continue;
      }
      const auto own = changed.find(operation.place);
      const Writer expected = own == changed.end() ? valueAt(operation.place, place) : own->second;
      if (operation.value != expected) complainOfRead(writing, operation, expected);
    }
  }

  Writer valueAt(Register where, Place place) const {
    const auto found = versions_.find(where);
    if (found == versions_.end()) return kNothing;
    const auto behind = std::ranges::upper_bound(found->second, place, {}, &Version::from);
    return behind == found->second.begin() ? kNothing : std::prev(behind)->value;
  }

  // --- 4.

  void indexTimes() {
    for (Place place = 1; place <= commits_.size(); ++place) {
      const Writing& writing = *commits_[place - 1];
      if (writing.outcome == Outcome::acknowledged) acknowledged_.push_back({writing.acknowledgedAt, place});
      called_.push_back({writing.endCalledAt, place});
    }
    std::ranges::sort(acknowledged_, {}, &Moment::time);
    Place highest = 0;
    for (Moment& moment : acknowledged_) highest = moment.place = std::max(highest, moment.place);
    std::ranges::sort(called_, {}, &Moment::time);
    Place lowest = commits_.size() + 1;
    for (auto moment = called_.rbegin(); moment != called_.rend(); ++moment)
      lowest = moment->place = std::min(lowest, moment->place);
  }

  // The last commit that was acknowledged before the time, and the first that was called after it.
  Place acknowledgedBefore(Time time) const {
    const auto behind = std::ranges::lower_bound(acknowledged_, time, {}, &Moment::time);
    return behind == acknowledged_.begin() ? 0 : std::prev(behind)->place;
  }
  Place calledAfter(Time time) const {
    const auto behind = std::ranges::upper_bound(called_, time, {}, &Moment::time);
    return behind == called_.end() ? commits_.size() + 1 : behind->place;
  }

  // Those of `spans` behind which the register has the value.
  std::vector<Span> narrow(const std::vector<Span>& spans, const Operation& operation) const {
    static const std::vector<Version> kNever;
    const auto found = versions_.find(operation.place);
    const std::vector<Version>& versions = found == versions_.end() ? kNever : found->second;
    std::vector<Span> result;
    for (const Span& span : spans) {
      auto version = std::ranges::upper_bound(versions, span.first, {}, &Version::from);
      Writer value = version == versions.begin() ? kNothing : std::prev(version)->value;
      for (Place from = span.first; from <= span.last;) {
        const Place to = version == versions.end() ? span.last : std::min(span.last, version->from - 1);
        if (value == operation.value) result.push_back({from, to});
        if (version == versions.end()) break;
        from = version->from;
        value = version->value;
        ++version;
      }
    }
    return result;
  }

  std::vector<Span> placesOf(const Reading& reading, Span within) const {
    std::vector<Span> spans;
    if (within.first <= within.last) spans.push_back(within);
    for (const Operation& operation : reading.operations) {
      if (spans.empty()) break;
      spans = narrow(spans, operation);
    }
    return spans;
  }

  static std::string nameOfReading(const Reading& reading) {
    return "the snapshot " + std::to_string(reading.number) + " of " + std::to_string(reading.calledAt);
  }

  // Whether each register has one value, of somebody who has put it there.
  bool isReadable(const Reading& reading) {
    std::unordered_map<Register, Writer> seen;
    for (const Operation& operation : reading.operations) {
      ++verdict_.operations;
      const std::string what = nameOfReading(reading) + " has read " + nameOfWriter(operation.value) +
                               " in register " + std::to_string(operation.place);
      if (const auto fault = originFault(operation)) {
        complain(*fault, what);
        return false;
      }
      const auto [entry, isNew] = seen.emplace(operation.place, operation.value);
      if (isNew || entry->second == operation.value) continue;
      complain(Fault::changedSnapshot, what + ", and " + nameOfWriter(entry->second) + " before");
      return false;
    }
    return true;
  }

  // Where nothing fits: what is wrong, going by all commits.
  void complainOfReading(const Reading& reading, Span allowed) {
    const auto spans = placesOf(reading, {0, commits_.size()});
    if (spans.empty()) return complain(Fault::tornSnapshot, nameOfReading(reading) + whatIsTorn(reading));
    if (spans.back().last < allowed.first) {
      return complain(Fault::staleSnapshot,
                      nameOfReading(reading) + " shows commit " + std::to_string(spans.back().last) +
                          " at the latest; " + std::to_string(allowed.first) + ", of " +
                          nameOfWriter(commits_[allowed.first - 1]->id) + ", was acknowledged");
    }
    complain(Fault::earlySnapshot, nameOfReading(reading) + " shows commit " +
                                       std::to_string(spans.front().first) + " at the earliest; at most " +
                                       std::to_string(allowed.last) + " could have been there");
  }

  // The first register that does not go with those before it.
  std::string whatIsTorn(const Reading& reading) const {
    std::vector<Span> spans{{0, commits_.size()}};
    for (const Operation& operation : reading.operations) {
      auto narrower = narrow(spans, operation);
      if (narrower.empty()) {
        return ": register " + std::to_string(operation.place) + " with " + nameOfWriter(operation.value) +
               " does not go with what it shows of commits " + std::to_string(spans.front().first) + " to " +
               std::to_string(spans.back().last);
      }
      spans = std::move(narrower);
    }
    return "";
  }

  // How many commits have at most this number.
  Place placeOfNumber(std::uint64_t number) const {
    const auto behind = std::upper_bound(
        commits_.begin(), commits_.end(), number,
        [](std::uint64_t wanted, const Writing* writing) { return wanted < writing->number; });
    return static_cast<Place>(behind - commits_.begin());
  }

  struct Moment {
    Time time;
    Place place;
  };
  struct Found {
    const Reading* reading;
    Place first;
    Place last;
  };

  void checkReadings() {
    std::vector<Found> all;
    for (const Reading& reading : history_.readings) {
      if (!isReadable(reading)) continue;
      const Span allowed{acknowledgedBefore(reading.calledAt), calledAfter(reading.begunAt) - 1};
      const auto spans = placesOf(reading, allowed);
      if (spans.empty()) {
        complainOfReading(reading, allowed);
        continue;
      }
      Found found{&reading, spans.front().first, spans.back().last};
      if (reading.number != 0) {
        const Place place = placeOfNumber(reading.number);
        const auto shows = [&](const Span& span) { return span.first <= place && place <= span.last; };
        if (std::ranges::any_of(spans, shows)) {
          found.first = found.last = place;
        } else {
          complain(Fault::wrongNumber, nameOfReading(reading) + " should show commit " +
                                           std::to_string(place) + ", and shows one of " +
                                           std::to_string(found.first) + " to " + std::to_string(found.last));
        }
      }
      all.push_back(found);
    }
    checkOrderOfReadings(std::move(all));
  }

  void checkOrderOfReadings(std::vector<Found> all) {
    std::vector<Found> begun = all;
    std::ranges::sort(begun, {}, [](const Found& one) { return one.reading->begunAt; });
    std::ranges::sort(all, {}, [](const Found& one) { return one.reading->calledAt; });
    auto before = begun.begin();
    const Found* newest = nullptr;
    for (const Found& found : all) {
      for (; before != begun.end() && before->reading->begunAt < found.reading->calledAt; ++before)
        if (newest == nullptr || before->first > newest->first) newest = &*before;
      if (newest == nullptr || found.last >= newest->first) continue;
      complain(Fault::disorderedSnapshots,
               nameOfReading(*found.reading) + " shows commit " + std::to_string(found.last) +
                   " at the latest; before it began " + nameOfReading(*newest->reading) + " showed " +
                   std::to_string(newest->first));
    }
  }

  const History& history_;
  Verdict verdict_;
  std::unordered_map<Writer, const Writing*> byId_;
  std::vector<const Writing*> commits_;
  std::unordered_map<Writer, Place> placeOf_;
  std::unordered_map<Register, std::vector<Version>> versions_;
  std::vector<Moment> acknowledged_;  // by time; the place is the highest up to there
  std::vector<Moment> called_;        // by time; the place is the lowest from there on
};

}  // namespace

std::string_view nameOf(Fault fault) noexcept {
  constexpr std::string_view kNames[] = {
      "invented value",       "dirty read",          "lost update",    "lost commit",
      "disordered commits",   "two writers at once", "wrong number",   "wrong read by a writer",
      "changed snapshot",     "torn snapshot",       "stale snapshot", "early snapshot",
      "disordered snapshots", "wrong end",           "noticed"};
  return kNames[static_cast<std::size_t>(fault)];
}

Verdict judge(const History& history) { return Judge(history).run(); }

}  // namespace instar::schedules
