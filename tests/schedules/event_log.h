#pragma once

// A history on its way to the disk: a file for each thread of each program, a line for each event, written
// with one call, so that what a killed program had to say before is there. A commit is told before it is
// called, and again when it has returned; an abort before it is called. One thread for each log.

#include <filesystem>
#include <string>
#include <string_view>

#include "instar/tests/schedules/history.h"

namespace instar::schedules {

Time now() noexcept;

class EventLog {
 public:
  explicit EventLog(const std::filesystem::path& file);
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;
  ~EventLog();

  void commits(const Writing& writing) { tell('W', writing); }
  void acknowledged(Writer id, Time at);
  void aborted(const Writing& writing) { tell('X', writing); }
  void read(const Reading& reading);
  void ends(Register place, Writer value);
  void problem(std::string what);
  void count(std::string_view what);  // one more

 private:
  void tell(char kind, const Writing& writing);
  void write(std::string line);

  int descriptor_;
};

// All logs in the folder; the name of each begins with its program's, up to a "-". A line that has no end was
// not written. Throws std::runtime_error for what is none.
History readLogs(const std::filesystem::path& folder);

}  // namespace instar::schedules
