#include "instar/bench/upgrade/page/page.h"

#include <capnp/compat/json.h>
#include <capnp/message.h>
#include <kj/exception.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "instar/bench/upgrade/aims.h"
#include "instar/bench/upgrade/figures.h"
#include "instar/bench/upgrade/page/derived.capnp.h"
#include "instar/bench/upgrade/page/page_text.h"
#include "instar/bench/upgrade/run.capnp.h"

namespace instar::bench {
namespace {

constexpr std::array<std::string_view, 9> kHeadings = {"Run",
                                                       "Repetition",
                                                       "First answer, s",
                                                       "Complete after, s",
                                                       "Longest write, ms",
                                                       "Writes p99, ms",
                                                       "Reads p99, ms",
                                                       "Bytes written",
                                                       "Command"};

std::string asHtml(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '&':
        safe += "&amp;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string numberText(double value) {
  if (!std::isfinite(value)) return "–";
  std::array<char, 32> text;
  const int size = std::snprintf(text.data(), text.size(), "%.4g", value);
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string_view textOf(capnp::Text::Reader text) { return {text.begin(), text.size()}; }

// The runs that texts say. Throws std::invalid_argument where one is no run.
class ReadRuns {
 public:
  explicit ReadRuns(std::span<const std::string> texts) {
    for (const std::string& json : texts) {
      auto run = messages_.emplace_back(std::make_unique<capnp::MallocMessageBuilder>())->initRoot<Run>();
      try {
        capnp::JsonCodec().decode(kj::arrayPtr(json.data(), json.size()), run);
      } catch (const kj::Exception& e) {
        throw std::invalid_argument("text " + std::to_string(messages_.size()) + " of " +
                                    "the page is not a run as JSON: " + e.getDescription().cStr());
      }
      runs_.push_back(run.asReader());
    }
  }
  std::span<const Run::Reader> runs() const noexcept { return runs_; }

 private:
  std::vector<std::unique_ptr<capnp::MallocMessageBuilder>> messages_;
  std::vector<Run::Reader> runs_;
};

// A row of the table for those without a script.
std::string rowOf(Run::Reader reader) {
  constexpr double kPerMilli = 1e-3;  // of microseconds
  constexpr double kMillis = 1e3;     // a second
  std::string name(textOf(reader.getName()));
  if (reader.getDisturbance().getDisturbed()) {
    name.append(" (disturbed: ").append(textOf(reader.getDisturbance().getReason())).append(")");
  }
  std::string row = "<tr><th scope=\"row\">" + asHtml(name) + "</th>";
  const auto cell = [&row](std::string_view text) { row.append("<td>").append(text).append("</td>"); };
  cell(std::to_string(reader.getRepetition()));
  cell(numberText(reader.getOpenToFirstAnswer()));
  cell(numberText(timeToCompletion(reader)));
  cell(numberText(reader.getWrites().getLongest() * kPerMilli));
  cell(numberText(p99Of(reader.getWrites()) * kMillis));
  cell(numberText(p99Of(reader.getReads()) * kMillis));
  cell(std::to_string(reader.getBytesWritten()));
  cell("<code>" + asHtml(textOf(reader.getCommand())) + "</code>");
  return row + "</tr>\n";
}

std::string tableOf(std::span<const Run::Reader> runs) {
  std::string table = "<div class=\"scroll\"><table>\n<thead><tr>";
  for (const std::string_view heading : kHeadings) {
    table.append("<th scope=\"col\">").append(heading).append("</th>");
  }
  table += "</tr></thead>\n<tbody>\n";
  for (const Run::Reader& run : runs) table += rowOf(run);
  return table + "</tbody></table></div>\n";
}

// What each run is to be compared with is the median of its like without a migration.
void fillFigures(std::span<const Run::Reader> runs, capnp::List<Figures>::Builder figures) {
  std::map<std::string, std::vector<Run::Reader>> without;
  for (unsigned i = 0; i < runs.size(); ++i) {
    const Run::Reader run = runs[i];
    const std::string none = withoutMigration(textOf(run.getName()));
    if (!without.contains(none)) without[none] = countedRuns(runsNamed(runs, none));
    figures[i].setWriteWait(longestStall(run));
    figures[i].setReadWait(longestReadStall(run));
    figures[i].setOpenWriteWait(longestOpenStall(run));
    figures[i].setAmplification(writtenPerMigrated(run));
    figures[i].setMigrationProcessor(processorOfMigration(run));
    figures[i].setThroughput(throughput(run));
    figures[i].setThroughputShare(throughputShare(run, without[none]));
    figures[i].setBytesRead(bytesReadFromDisk(run));
    figures[i].setIsUnfinished(isUnfinished(run));
    figures[i].setSeries(seriesOf(textOf(run.getName())));
    figures[i].setMachine(bench::textOf(run.getMachine()));
  }
}

std::string derivedOf(std::span<const Run::Reader> runs) {
  capnp::MallocMessageBuilder message;
  auto derived = message.initRoot<Derived>();
  fillFigures(runs, derived.initFigures(static_cast<unsigned>(runs.size())));
  const std::vector<Aim> aims = aimsOf(runs);
  auto texts = derived.initAims(static_cast<unsigned>(aims.size()));
  for (unsigned i = 0; i < aims.size(); ++i) {
    texts[i].setTitle(aims[i].title);
    texts[i].setStrategy(aims[i].strategy);
    texts[i].setMeasured(aims[i].measured);
    texts[i].setVerdict(aims[i].verdict);
    texts[i].setCommand(aims[i].command);
    texts[i].setWhere(aims[i].where);
  }
  return capnp::JsonCodec().encode(derived).cStr();
}

// Within a script element nothing may look like a tag. In JSON a "<" stands in texts alone, where it can be
// escaped.
std::string escaped(std::string_view json) {
  std::string safe;
  for (const char c : json) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string dataOf(std::span<const std::string> texts, std::span<const Run::Reader> runs) {
  std::string data = "{\"runs\": [";
  for (std::size_t i = 0; i < texts.size(); ++i) data += (i == 0 ? "\n" : ",\n") + escaped(texts[i]);
  return data + "\n],\n\"derived\": " + escaped(derivedOf(runs)) + "}";
}

}  // namespace

void writePage(std::span<const std::string> runsAsJson, const std::filesystem::path& to) {
  constexpr std::string_view kTable = "{{table}}";
  constexpr std::string_view kRuns = "{{runs}}";
  const std::size_t tableAt = kPageText.find(kTable);
  const std::size_t runsAt = kPageText.find(kRuns);
  const ReadRuns read(runsAsJson);
  const std::string table = tableOf(read.runs());
  const std::string data = dataOf(runsAsJson, read.runs());
  std::ofstream file(to, std::ios::binary | std::ios::trunc);
  file << kPageText.substr(0, tableAt) << table
       << kPageText.substr(tableAt + kTable.size(), runsAt - tableAt - kTable.size()) << data
       << kPageText.substr(runsAt + kRuns.size());
  file.close();
  if (!file)
    throw std::runtime_error("cannot write " + to.string() + "; is its folder there, and the disk not full?");
}

}  // namespace instar::bench
