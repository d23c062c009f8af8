#include "instar/bench/upgrade/page/page.h"

#include <capnp/compat/json.h>
#include <capnp/message.h>
#include <kj/exception.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string_view>

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
  std::array<char, 32> text;
  const int size = std::snprintf(text.data(), text.size(), "%.4g", value);
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string_view textOf(capnp::Text::Reader text) { return {text.begin(), text.size()}; }

// A row of the table for those without a script. Throws std::invalid_argument where the text is no run.
std::string rowOf(const std::string& json, std::size_t place) {
  constexpr double kPerMilli = 1e-3;
  capnp::MallocMessageBuilder message;
  auto run = message.initRoot<Run>();
  try {
    capnp::JsonCodec().decode(kj::arrayPtr(json.data(), json.size()), run);
  } catch (const kj::Exception& e) {
    throw std::invalid_argument("text " + std::to_string(place + 1) + " of " +
                                "the page is not a run as JSON: " + e.getDescription().cStr());
  }
  const auto reader = run.asReader();
  std::string name(textOf(reader.getName()));
  if (reader.getDisturbance().getDisturbed()) {
    name.append(" (disturbed: ").append(textOf(reader.getDisturbance().getReason())).append(")");
  }
  std::string row = "<tr><th scope=\"row\">" + asHtml(name) + "</th>";
  const auto cell = [&row](std::string_view text) { row.append("<td>").append(text).append("</td>"); };
  const double complete = reader.getCompleteAfter();
  cell(std::to_string(reader.getRepetition()));
  cell(numberText(reader.getOpenToFirstAnswer()));
  cell(complete > 0 ? numberText(complete) : "–");
  cell(numberText(reader.getWrites().getLongest() * kPerMilli));
  cell(numberText(reader.getWrites().getP99() * kPerMilli));
  cell(numberText(reader.getReads().getP99() * kPerMilli));
  cell(std::to_string(reader.getBytesWritten()));
  cell("<code>" + asHtml(textOf(reader.getCommand())) + "</code>");
  return row + "</tr>\n";
}

std::string tableOf(std::span<const std::string> runs) {
  std::string table = "<div class=\"scroll\"><table>\n<thead><tr>";
  for (const std::string_view heading : kHeadings) {
    table.append("<th scope=\"col\">").append(heading).append("</th>");
  }
  table += "</tr></thead>\n<tbody>\n";
  for (std::size_t i = 0; i < runs.size(); ++i) table += rowOf(runs[i], i);
  return table + "</tbody></table></div>\n";
}

// Within a script element nothing may look like a tag. In JSON a "<" stands in texts alone, where it can be
// escaped.
std::string dataOf(std::span<const std::string> runs) {
  std::string data = "[";
  for (const std::string& run : runs) {
    data += data.size() > 1 ? ",\n" : "\n";
    for (const char c : run) {
      if (c == '<') {
        data += "\\u003c";
      } else {
        data += c;
      }
    }
  }
  return data + "\n]";
}

}  // namespace

void writePage(std::span<const std::string> runsAsJson, const std::filesystem::path& to) {
  constexpr std::string_view kTable = "{{table}}";
  constexpr std::string_view kRuns = "{{runs}}";
  const std::size_t tableAt = kPageText.find(kTable);
  const std::size_t runsAt = kPageText.find(kRuns);
  const std::string table = tableOf(runsAsJson);
  std::ofstream file(to, std::ios::binary | std::ios::trunc);
  file << kPageText.substr(0, tableAt) << table
       << kPageText.substr(tableAt + kTable.size(), runsAt - tableAt - kTable.size()) << dataOf(runsAsJson)
       << kPageText.substr(runsAt + kRuns.size());
  file.close();
  if (!file)
    throw std::runtime_error("cannot write " + to.string() + "; is its folder there, and the disk not full?");
}

}  // namespace instar::bench
