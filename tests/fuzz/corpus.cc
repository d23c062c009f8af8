#include "instar/tests/fuzz/corpus.h"

#include <kj/exception.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace instar::fuzz {

CorpusReport runCorpus(const Fuzzer& fuzzer, const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  CorpusReport report;
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    const std::string input((std::istreambuf_iterator<char>(file)), {});
    ++report.inputs;
    try {
      fuzzer.run(asBytes(input));
    } catch (const std::exception& exception) {
      report.broken.push_back(path.filename().string() + ": " + exception.what());
    } catch (const kj::Exception& exception) {
      report.broken.push_back(path.filename().string() + ": " + exception.getDescription().cStr());
    }
  }
  return report;
}

}  // namespace instar::fuzz
