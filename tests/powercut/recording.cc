#include "instar/tests/powercut/recording.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <utility>

namespace instar::powercut {
namespace {

struct Mark {
  std::string_view word;
  std::string store;
  std::string_view text;
};

Mark parse(std::string_view payload) {
  const auto lineEnd = std::min(payload.find('\n'), payload.size());
  const std::string_view line = payload.substr(0, lineEnd);
  const auto space = line.find(' ');
  if (space == std::string_view::npos) throw std::runtime_error("not a mark: " + std::string(line));
  return {line.substr(0, space), std::string(line.substr(space + 1)),
          lineEnd == payload.size() ? std::string_view() : payload.substr(lineEnd + 1)};
}

// Without a text it would be the same as a store without collections, which would be right then.
[[noreturn]] void throwUndescribed(const std::string& store, std::size_t state) {
  throw std::runtime_error("the program does not say what state " + std::to_string(state) + " of " + store +
                           " is");
}

}  // namespace

Recording Recording::read(const std::filesystem::path& log) {
  std::ifstream file(log, std::ios::binary);
  if (!file) throw std::runtime_error("there is no recording: " + log.string());
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  std::vector<Event> events;
  for (std::size_t position = 0; position < bytes.size();) {
    RecordHeader header;
    if (bytes.size() - position < sizeof header) throw std::runtime_error("the recording is cut short");
    std::memcpy(&header, bytes.data() + position, sizeof header);
    position += sizeof header;
    if (header.magic != kRecordMagic || header.size > bytes.size() - position)
      throw std::runtime_error("this is not a recording: " + log.string());
    events.push_back(
        {header.operation, header.file, header.number, header.offset, bytes.substr(position, header.size)});
    position += header.size;
    if (header.operation == Operation::unknown)
      throw std::runtime_error("the program made a call that is not modelled: " + events.back().payload);
  }
  return Recording(std::move(events));
}

Recording::Recording(std::vector<Event> events) : events_(std::move(events)) {
  std::set<std::string> undescribed;  // stores whose last state has been begun, and nothing else
  for (const Event& event : events_) {
    if (event.operation != Operation::mark) continue;
    const Mark mark = parse(event.payload);
    States& states = stores_.try_emplace(mark.store, 1, "absent\n").first->second;
    if (mark.word == "begin") {
      if (!undescribed.insert(mark.store).second) throwUndescribed(mark.store, states.size() - 1);
      states.emplace_back();
    }
    if (mark.word == "state") {
      states.back() = mark.text;
      undescribed.erase(mark.store);
    }
  }
  for (const std::string& store : undescribed) throwUndescribed(store, stores_.at(store).size() - 1);
}

std::map<std::string, Allowed> Recording::allowedAt(std::size_t point) const {
  std::map<std::string, Allowed> allowed;
  for (const auto& [name, states] : stores_) allowed[name] = {};
  for (std::size_t index = 0; index < point; ++index) {
    if (events_[index].operation != Operation::mark) continue;
    const Mark mark = parse(events_[index].payload);
    Allowed& states = allowed[mark.store];
    if (mark.word == "begin") {
      ++states.last;
    } else if (mark.word == "acknowledged") {
      states.first = states.last;
      states.anything = false;
    } else if (mark.word == "unpromised") {
      states.anything = true;
    }
  }
  return allowed;
}

}  // namespace instar::powercut
