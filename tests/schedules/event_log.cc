#include "instar/tests/schedules/event_log.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <stdexcept>
#include <unordered_map>

namespace instar::schedules {
namespace {

using Kind = Operation::Kind;

void add(std::string& line, std::uint64_t number) { line += ' ' + std::to_string(number); }

void add(std::string& line, const std::vector<Operation>& operations) {
  for (const Operation& operation : operations) {
    line += operation.kind == Kind::read ? " r" : operation.kind == Kind::put ? " p" : " e";
    line += std::to_string(operation.place);
    if (operation.kind == Kind::read) line += '=' + std::to_string(operation.value);
  }
}

class Line {
 public:
  explicit Line(std::string_view text) : text_(text) {}

  template <class Number>
  Number number() {
    skip(' ');
    Number value = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc()) throw std::runtime_error("not a number: " + std::string(text_));
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    return value;
  }

  std::vector<Operation> operations(Writer writer) {
    std::vector<Operation> all;
    while (!text_.empty()) {
      skip(' ');
      const char kind = text_.front();
      text_.remove_prefix(1);
      Operation operation{.place = number<Register>()};
      if (kind == 'r') {
        skip('=');
        operation.value = number<Writer>();
      } else {
        operation.kind = kind == 'p' ? Kind::put : Kind::erase;
        operation.value = kind == 'p' ? writer : kNothing;
      }
      all.push_back(operation);
    }
    return all;
  }

 private:
  void skip(char wanted) {
    if (!text_.empty() && text_.front() == wanted) text_.remove_prefix(1);
  }

  std::string_view text_;
};

Writing writingOf(Line line, Outcome outcome) {
  Writing writing{.id = line.number<Writer>()};
  writing.number = line.number<std::uint64_t>();
  writing.calledAt = line.number<Time>();
  writing.begunAt = line.number<Time>();
  writing.endCalledAt = line.number<Time>();
  writing.outcome = outcome;
  writing.operations = line.operations(writing.id);
  return writing;
}

Reading readingOf(Line line) {
  Reading reading{.number = line.number<std::uint64_t>()};
  reading.calledAt = line.number<Time>();
  reading.begunAt = line.number<Time>();
  reading.operations = line.operations(kNothing);
  return reading;
}

}  // namespace

Time now() noexcept {
  struct timespec time {};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return Time{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

EventLog::EventLog(const std::filesystem::path& file)
    : descriptor_(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (descriptor_ < 0) throw std::runtime_error("cannot open " + file.string());
}

EventLog::~EventLog() { ::close(descriptor_); }

void EventLog::write(std::string line) {
  line += '\n';
  if (::write(descriptor_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    throw std::runtime_error("cannot write the log");
}

void EventLog::tell(char kind, const Writing& writing) {
  std::string line(1, kind);
  add(line, writing.id);
  add(line, writing.number);
  add(line, static_cast<std::uint64_t>(writing.calledAt));
  add(line, static_cast<std::uint64_t>(writing.begunAt));
  add(line, static_cast<std::uint64_t>(writing.endCalledAt));
  add(line, writing.operations);
  write(std::move(line));
}

void EventLog::acknowledged(Writer id, Time at) {
  write("A " + std::to_string(id) + ' ' + std::to_string(at));
}

void EventLog::read(const Reading& reading) {
  std::string line = "R";
  add(line, reading.number);
  add(line, static_cast<std::uint64_t>(reading.calledAt));
  add(line, static_cast<std::uint64_t>(reading.begunAt));
  add(line, reading.operations);
  write(std::move(line));
}

void EventLog::ends(Register place, Writer value) {
  write("E " + std::to_string(place) + ' ' + std::to_string(value));
}

void EventLog::problem(std::string what) {
  std::ranges::replace(what, '\n', ' ');
  write("P " + what);
}

void EventLog::count(std::string_view what) { write("C " + std::string(what)); }

History readLogs(const std::filesystem::path& folder) {
  History history;
  std::unordered_map<Writer, Time> acknowledged;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path());
    const std::string name = entry.path().filename().string();
    const std::string program = name.substr(0, name.find('-')) + ": ";
    for (std::string text; std::getline(file, text);) {
      if (file.eof()) break;  // its program was killed on the way
      if (text.size() < 2) throw std::runtime_error("an empty line in " + entry.path().string());
      Line line(std::string_view(text).substr(1));
      switch (text.front()) {
        case 'W':
          history.writings.push_back(writingOf(line, Outcome::unknown));
          break;
        case 'X':
          history.writings.push_back(writingOf(line, Outcome::aborted));
          break;
        case 'A': {
          const Writer id = line.number<Writer>();
          acknowledged[id] = line.number<Time>();
          ++history.counts[program + "commits"];
          break;
        }
        case 'R':
          history.readings.push_back(readingOf(line));
          ++history.counts[program + "snapshots"];
          break;
        case 'E': {
          const Register place = line.number<Register>();
          history.end[place] = line.number<Writer>();
          break;
        }
        case 'C':
          ++history.counts[program + text.substr(2)];
          break;
        case 'P':
          history.problems.push_back(text.substr(2));
          break;
        default:
          throw std::runtime_error("not an event: " + text);
      }
    }
  }
  for (Writing& writing : history.writings) {
    const auto found = acknowledged.find(writing.id);
    if (found == acknowledged.end()) continue;
    writing.outcome = Outcome::acknowledged;
    writing.acknowledgedAt = found->second;
  }
  return history;
}

}  // namespace instar::schedules
