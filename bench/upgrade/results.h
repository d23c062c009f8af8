#pragma once
// The runs in a folder: runs/*.json, a file each, and totals.csv and series.csv made from them. A run that is
// there is not done again. One thread, one process at a time.

#include <capnp/message.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "instar/bench/upgrade/run.capnp.h"

namespace instar::bench {

std::string toJson(Run::Reader run);
// Throws std::runtime_error for what is not a run.
void fromJson(const std::string& text, Run::Builder run);

std::string readText(const std::filesystem::path& path);
// A reader of the file sees all of it or nothing.
void writeText(const std::filesystem::path& path, const std::string& text);

// A run in memory of its own.
class RunRecord {
 public:
  RunRecord() : message_(std::make_unique<capnp::MallocMessageBuilder>()) { message_->initRoot<Run>(); }
  Run::Builder builder() { return message_->getRoot<Run>(); }
  Run::Reader reader() const { return message_->getRoot<Run>().asReader(); }

 private:
  std::unique_ptr<capnp::MallocMessageBuilder> message_;
};

class Results {
 public:
  // Reads what is there. Throws std::runtime_error, naming the file, where that is not a run.
  explicit Results(std::filesystem::path folder);

  const std::filesystem::path& folder() const noexcept { return folder_; }
  bool has(std::string_view name, unsigned repetition) const;
  // Removes all runs of this name.
  void forget(std::string_view name);
  // Stores it.
  void add(RunRecord run);
  // Fills in, of all runs, what the same load takes by itself (bytesWrittenByLoad, processorSecondsOfLoad),
  // from those of loadAlone() that are there: before a report, since these may come later. In memory only.
  void findLoads();
  const std::vector<RunRecord>& runs() const noexcept { return runs_; }
  std::vector<std::string> asJson() const;

  void writeCsv() const;

 private:
  std::filesystem::path folder_;
  std::vector<RunRecord> runs_;
};

// A line of names, and a line a run: every field of Run but the seconds. And a line a second.
std::string totalsAsCsv(const std::vector<RunRecord>& runs);
std::string seriesAsCsv(const std::vector<RunRecord>& runs);

}  // namespace instar::bench
