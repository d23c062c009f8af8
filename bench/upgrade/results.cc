#include "instar/bench/upgrade/results.h"

#include <capnp/compat/json.h>
#include <capnp/dynamic.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "instar/bench/upgrade/disturbance.h"
#include "instar/bench/upgrade/figures.h"

namespace instar::bench {
namespace {

constexpr const char* kRunsFolder = "runs";

std::string fileNameOf(std::string_view name, unsigned repetition) {
  std::string file(name);
  std::ranges::replace(file, '/', '_');
  return file + "." + std::to_string(repetition) + ".json";
}

// A text as a field of CSV.
std::string quoted(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return std::string(text);
  std::string result = "\"";
  for (const char c : text) result.append(c == '"' ? 2 : 1, c);
  return result + '"';
}

// Nothing of what is not known.
std::string textOfNumber(double number) {
  if (!std::isfinite(number)) return {};
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

std::string textOfValue(const capnp::DynamicValue::Reader& value) {
  switch (value.getType()) {
    case capnp::DynamicValue::TEXT:
      return quoted(value.as<capnp::Text>().cStr());
    case capnp::DynamicValue::FLOAT:
      return textOfNumber(value.as<double>());
    case capnp::DynamicValue::BOOL:
      return value.as<bool>() ? "1" : "0";
    case capnp::DynamicValue::INT:
      return std::to_string(value.as<std::int64_t>());
    default:
      return std::to_string(value.as<std::uint64_t>());
  }
}

// All fields that are not lists, those of structs inside with the struct's name before theirs.
template <class Use>
void forEachField(capnp::StructSchema schema, const std::string& prefix, const Use& use) {
  for (const auto field : schema.getFields()) {
    const std::string name = prefix + field.getProto().getName().cStr();
    if (field.getType().isStruct())
      forEachField(field.getType().asStruct(), name + ".", use);
    else if (!field.getType().isList())
      use(name);
  }
}

void addNames(capnp::StructSchema schema, std::string& line) {
  forEachField(schema, "",
               [&](const std::string& name) { line.append(line.empty() ? "" : ",").append(name); });
}

void addValues(capnp::DynamicStruct::Reader record, std::string& line) {
  for (const auto field : record.getSchema().getFields()) {
    if (field.getType().isStruct()) {
      addValues(record.get(field).as<capnp::DynamicStruct>(), line);
    } else if (!field.getType().isList()) {
      line.append(line.empty() ? "" : ",").append(textOfValue(record.get(field)));
    }
  }
}

std::uint64_t operationsOf(Run::Reader run) { return run.getReads().getCount() + run.getWrites().getCount(); }

}  // namespace

std::string toJson(Run::Reader run) { return capnp::JsonCodec().encode(run).cStr(); }

void fromJson(const std::string& text, Run::Builder run) {
  try {
    const capnp::JsonCodec codec;
    codec.decode(kj::ArrayPtr<const char>(text.data(), text.size()), run);
  } catch (const kj::Exception& exception) {
    throw std::runtime_error(std::string("not a run: ") + exception.getDescription().cStr());
  }
  if (run.getName().size() == 0) throw std::runtime_error("not a run: it has no name");
}

std::string readText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return text.str();
}

void writeText(const std::filesystem::path& path, const std::string& text) {
  if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path))
    throw std::runtime_error(path.string() + " is not a file: name another one");
  const std::filesystem::path beside = path.string() + ".new";
  std::ofstream file(beside, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + beside.string());
  std::filesystem::rename(beside, path);
}

Results::Results(std::filesystem::path folder) : folder_(std::move(folder)) {
  std::filesystem::create_directories(folder_ / kRunsFolder);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / kRunsFolder)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const auto& file : files) {
    try {
      fromJson(readText(file), runs_.emplace_back().builder());
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(file.string() + ": " + error.what() +
                               "; remove it, and the run is done again");
    }
  }
}

const RunRecord* Results::find(std::string_view name, unsigned repetition) const {
  const auto found = std::ranges::find_if(runs_, [&](const RunRecord& run) {
    return run.reader().getName().cStr() == name && run.reader().getRepetition() == repetition;
  });
  return found == runs_.end() ? nullptr : &*found;
}

void Results::forgetBeyond(std::string_view name, unsigned repetition) {
  std::erase_if(runs_, [&](const RunRecord& run) {
    if (run.reader().getName().cStr() != name || run.reader().getRepetition() <= repetition) return false;
    std::filesystem::remove(folder_ / kRunsFolder / fileNameOf(name, run.reader().getRepetition()));
    return true;
  });
}

void Results::add(RunRecord run) {
  const std::string file = fileNameOf(run.reader().getName().cStr(), run.reader().getRepetition());
  writeText(folder_ / kRunsFolder / file, toJson(run.reader()));
  const auto isEarlier = [&](const RunRecord& other) {
    return std::string_view(other.reader().getName().cStr()) == run.reader().getName().cStr() &&
           other.reader().getRepetition() == run.reader().getRepetition();
  };
  std::erase_if(runs_, isEarlier);
  runs_.push_back(std::move(run));
}

// In proportion to the operations: an open loop has as many of them as it lasts, a closed one pays for those
// that it has. What is known to be nothing is the least there is, since 0 says that it is not known.
void Results::findLoads() {
  struct Load {
    std::vector<double> bytes{};    // an operation
    std::vector<double> seconds{};  // of the processor, an operation
  };
  // By name, machine and build: in those of undisturbed runs, in those of disturbed ones.
  using Conditions = std::pair<std::string, std::string>;
  std::map<Conditions, Load> loads[2];
  const auto conditionsOf = [](Run::Reader run) {
    return Conditions(withoutMigration(run.getName().cStr()), textOf(run.getMachine()));
  };
  for (const RunRecord& run : runs_) {
    const Run::Reader reader = run.reader();
    const auto operations = static_cast<double>(operationsOf(reader));
    if (reader.getStrategy() != kj::StringPtr("none") || operations == 0) continue;
    Load& load = loads[reader.getDisturbance().getDisturbed() ? 1 : 0][conditionsOf(reader)];
    load.bytes.push_back(static_cast<double>(reader.getBytesWritten()) / operations);
    load.seconds.push_back(reader.getProcessorSeconds() / operations);
  }
  for (RunRecord& run : runs_) {
    const auto operations = static_cast<double>(operationsOf(run.reader()));
    const Load* found = nullptr;
    for (const auto& some : loads) {
      const auto load = some.find(conditionsOf(run.reader()));
      if (found == nullptr && load != some.end() && operations != 0) found = &load->second;
    }
    const auto bytes = [&] {
      return static_cast<std::uint64_t>(spreadOf(found->bytes).median * operations + 0.5);
    };
    run.builder().setBytesWrittenByLoad(found != nullptr ? std::max<std::uint64_t>(bytes(), 1) : 0);
    run.builder().setProcessorSecondsOfLoad(found != nullptr ? spreadOf(found->seconds).median * operations
                                                             : 0);
  }
}

std::vector<std::string> Results::asJson() const {
  std::vector<std::string> texts;
  for (const RunRecord& run : runs_) texts.push_back(toJson(run.reader()));
  return texts;
}

void Results::writeCsv() const {
  writeText(folder_ / "totals.csv", totalsAsCsv(runs_));
  writeText(folder_ / "series.csv", seriesAsCsv(runs_));
}

std::string totalsAsCsv(const std::vector<RunRecord>& runs) {
  std::string names;
  addNames(capnp::Schema::from<Run>(), names);
  std::string text = names + "\n";
  for (const RunRecord& run : runs) {
    std::string line;
    addValues(capnp::DynamicStruct::Reader(run.reader()), line);
    text += line + "\n";
  }
  return text;
}

std::string seriesAsCsv(const std::vector<RunRecord>& runs) {
  std::string names = "name,repetition";
  addNames(capnp::Schema::from<Second>(), names);
  std::string text = names + "\n";
  for (const RunRecord& run : runs) {
    const std::string which =
        quoted(run.reader().getName().cStr()) + "," + std::to_string(run.reader().getRepetition());
    for (const auto second : run.reader().getSeconds()) {
      std::string line = which;
      addValues(capnp::DynamicStruct::Reader(second), line);
      text += line + "\n";
    }
  }
  return text;
}

}  // namespace instar::bench
