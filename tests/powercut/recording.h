#pragma once

// What a program did to the files of a folder, and said of itself meanwhile. Immutable once read; any thread.

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "instar/tests/powercut/log_record.h"

namespace instar::powercut {

struct Event {
  Operation operation = Operation::mark;
  std::uint32_t file = 0;
  std::uint32_t number = 0;
  std::uint64_t offset = 0;
  std::string payload;
};

// The states of one store, numbered from 0 on: state 0 is what was there at the beginning, nothing.
using States = std::vector<std::string>;

// Which states of a store may be there at some point: what was acknowledged last, or what was begun since.
struct Allowed {
  std::size_t first = 0;
  std::size_t last = 0;
  bool anything = false;  // nothing is promised, not even that the file is sound

  friend auto operator<=>(const Allowed&, const Allowed&) = default;
};

class Recording {
 public:
  // Throw std::runtime_error where something is recorded that is not modelled, the log is not whole, or a
  // state that was begun has no text.
  static Recording read(const std::filesystem::path& log);
  explicit Recording(std::vector<Event> events);

  const std::vector<Event>& events() const noexcept { return events_; }
  // By the name of the store's file. Marks are
  //     begin NAME           the next state may be there from here on
  //     acknowledged NAME    the state that was begun last is there for good
  //     unpromised NAME      until the next acknowledgement anything may become of the file
  //     state NAME\n…        what the state that was begun last is; anywhere before the next begins
  const std::map<std::string, States>& stores() const noexcept { return stores_; }
  // What may be there when the first `point` events have happened.
  std::map<std::string, Allowed> allowedAt(std::size_t point) const;

 private:
  std::vector<Event> events_;
  std::map<std::string, States> stores_;
};

}  // namespace instar::powercut
