// A small application that keeps a catalogue of packages, in seven releases: the same source with
// DEMO_RELEASE 1 to 7, each with its own schema. Releases 6 and 7 try their version before they depend on it.
// Rows are named on standard input, a line each: name, version, architecture and, for fill, the details of
// catalogue.awk, separated by tabs.
//
//     package_v3 open FILE                   opens the catalogue; prints how long that took
//     package_v3 fill FILE                   sets the fields that came with this release or the one before
//                                            (2 and 3)
//     package_v3 prioritise FILE PRIORITY    sets a field that every release has
//     package_v3 adopt FILE NAME ADDRESS     changes the maintainer, whatever form it has in this release
//     package_v3 settle FILE                 reads rows, and has those rewritten that had to be upgraded
//     package_v3 writable FILE               prints each row's name, version and architecture, and behind them what
//                                            keeps this release from writing it: nothing, "section" or "address"
//     package_v3 show FILE                   prints rows side by side
//     package_v3 survey FILE PRIORITY        counts rows, and takes a fingerprint of all fields newer than
//                                            release 1 (3)
//     package_v3 facts FILE NAME             counts rows and those that NAME maintains, and takes a fingerprint of
//                                            maintainer, installed size, section and priority, the same in every
//                                            release
//     package_v7 browse FILE COUNT           reads the catalogue again and again, COUNT rows or more, until the
//                                            guard rails have decided; prints how many rows it read, and how many
//                                            were served as its own (6 and 7)

#include <instar/instar.h>

#include <chrono>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "demo/package.capnp.h"

namespace {

using demo::Package;
using Packages = instar::Collection<Package>;
using Fields = std::vector<std::string>;

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

// Columns of the details.
enum Column : std::size_t {
  kName,
  kVersion,
  kArchitecture,
  kSource,
  kHomepage,
  kDepends,
  kMultiArch,
  kSha256,
  kTags
};

struct Catalogue {
  explicit Catalogue(const std::string& path, const instar::StoreOptions& options = {})
      : store(instar::Store::open(path, options)), packages(openPackages(store)) {}

  // The share that is served, and the guard rails, are those of the file: `instar stage` has set them.
  static Packages openPackages(const instar::Store& store) {
#if DEMO_RELEASE >= 6
    return store.stage<Package>("packages");
#else
    return store.collection<Package>("packages");
#endif
  }

  instar::Store store;
  Packages packages;
};

std::string_view view(capnp::Text::Reader text) { return {text.begin(), text.size()}; }

Fields split(const std::string& line, std::string_view separator) {
  Fields parts;
  for (std::size_t start = 0;;) {
    const std::size_t end = line.find(separator, start);
    parts.push_back(line.substr(start, end - start));
    if (end == std::string::npos) return parts;
    start = end + separator.size();
  }
}

std::vector<Fields> readLines() {
  std::vector<Fields> lines;
  for (std::string line; std::getline(std::cin, line);) {
    lines.push_back(split(line, "\t"));
    lines.back().resize(kTags + 1);
  }
  return lines;
}

int open(const std::string& path) {
  const auto start = std::chrono::steady_clock::now();
  const Catalogue catalogue(path);
  const auto taken = std::chrono::steady_clock::now() - start;
  std::cout << std::chrono::duration_cast<std::chrono::microseconds>(taken).count() << '\n';
  return kDone;
}

// --- what has another form from release 4 on

#if DEMO_RELEASE >= 4

void setMaintainer(Package::Builder& package, const std::string& name, const std::string& address) {
  package.setMaintainerName(name.c_str());
  package.setMaintainerEmail(address.c_str());
}

std::string maintainer(Package::Reader package) {
  const std::string name(view(package.getMaintainerName()));
  if (!package.hasMaintainerEmail()) return name;
  return name + " <" + std::string(view(package.getMaintainerEmail())) + ">";
}

std::uint64_t installedBytes(Package::Reader package) { return package.getInstalledBytes(); }

std::string section(Package::Reader package) {
  if (package.getCategory() == demo::Category::OTHER) return std::string(view(package.getSection()));
  const auto number = static_cast<unsigned>(package.getCategory());
  return capnp::Schema::from<demo::Category>().getEnumerants()[number].getProto().getName().cStr();
}

#else

void setMaintainer(Package::Builder& package, const std::string& name, const std::string& address) {
  package.setMaintainer((name + " <" + address + ">").c_str());
}

// Some have a comma behind the address.
std::string maintainer(Package::Reader package) {
  const std::string_view text = view(package.getMaintainer());
  return std::string(text.substr(0, text.find_last_not_of(',') + 1));
}

std::uint64_t installedBytes(Package::Reader package) { return package.getInstalledSize() * 1024; }

std::string section(Package::Reader package) { return std::string(view(package.getSection())); }

#endif

// What older releases could not be told of the row, so that what they know of it would be lost.
std::string_view obstacle([[maybe_unused]] Package::Reader package) {
#if DEMO_RELEASE == 4
  if (package.getCategory() == demo::Category::OTHER) return "section";
  if (!package.hasMaintainerEmail()) return "address";
#endif
  return {};
}

// --- what has another form from release 6 on, where the row is served so

#if DEMO_RELEASE >= 6

capnp::EnumSchema priorities() { return capnp::Schema::from<demo::Priority>(); }

std::string priority(const instar::Row<Package>& package) {
  if (!package.serves(DEMO_RELEASE)) return std::string(view(package->getPriority()));
  const auto number = static_cast<unsigned>(package->getImportance());
  return priorities().getEnumerants()[number].getProto().getName().cStr();
}

void setPriority(instar::Draft<Package>& package, const std::string& priority) {
  if (package.origin()->servedAs >= DEMO_RELEASE) {
    package->setImportance(
        static_cast<demo::Priority>(priorities().getEnumerantByName(priority.c_str()).getOrdinal()));
  } else {
    package->setPriority(priority.c_str());
  }
}

#else

std::string priority(const instar::Row<Package>& package) {
  return std::string(view(package->getPriority()));
}

void setPriority(instar::Draft<Package>& package, const std::string& priority) {
  package->setPriority(priority.c_str());
}

#endif

// --- writing

// Changes the rows that standard input names, in one transaction. Prints how many there were.
template <class Change>
int edit(const std::string& path, Change change) {
  const Catalogue catalogue(path);
  const std::vector<Fields> lines = readLines();
  std::size_t changed = 0;
  auto transaction = catalogue.store.write();
  for (const Fields& line : lines) {
    auto package = catalogue.packages.edit(transaction, line[kName], line[kVersion], line[kArchitecture]);
    if (!package) {
      std::cerr << "there is no package " << line[kName] << ' ' << line[kVersion] << '\n';
      return kFailed;
    }
    if (!obstacle(package->asReader()).empty()) continue;
    change(package, line);
    catalogue.packages.put(transaction, package);
    ++changed;
  }
  transaction.commit();
  std::cout << changed << '\n';
  return kDone;
}

int prioritise(const std::string& path, const std::string& priority) {
  return edit(path, [&](instar::Draft<Package>& package, const Fields&) { setPriority(package, priority); });
}

int adopt(const std::string& path, const std::string& name, const std::string& address) {
  return edit(
      path, [&](instar::Draft<Package>& package, const Fields&) { setMaintainer(*package, name, address); });
}

int settle(const std::string& path) {
  const std::vector<Fields> lines = readLines();
  const Catalogue catalogue(path, {.writeBackRows = lines.size()});
  for (const Fields& line : lines) {
    const auto snapshot = catalogue.store.read();
    if (!catalogue.packages.get(snapshot, line[kName], line[kVersion], line[kArchitecture])) return kFailed;
  }
  std::size_t rewritten = 0;
  while (const std::size_t some = catalogue.store.writeBack()) rewritten += some;
  std::cout << rewritten << '\n';
  return kDone;
}

#if DEMO_RELEASE >= 2

void setTexts(capnp::List<capnp::Text>::Builder list, const Fields& texts) {
  for (unsigned index = 0; index < list.size(); ++index) list.set(index, texts[index].c_str());
}

Fields splitList(const std::string& text) { return text.empty() ? Fields{} : split(text, ", "); }

#if DEMO_RELEASE >= 3

demo::MultiArch parseMultiArch(const std::string& text) {
  if (text == "same") return demo::MultiArch::SAME;
  if (text == "foreign") return demo::MultiArch::FOREIGN;
  if (text == "allowed") return demo::MultiArch::ALLOWED;
  return demo::MultiArch::NO;
}

void setThirdReleaseFields(Package::Builder& package, const Fields& line) {
  constexpr std::int64_t kVerifiedAt = 1'700'000'000;
  const Fields tags = splitList(line[kTags]);
  setTexts(package.initTags(static_cast<unsigned>(tags.size())), tags);
  package.getChecksum().setSha256(line[kSha256].c_str());
  package.getChecksum().setVerifiedAt(kVerifiedAt);
  package.setMultiArch(parseMultiArch(line[kMultiArch]));
  package.setPopularity(static_cast<double>(tags.size()) / 2);
}

#endif

int fill(const std::string& path) {
  return edit(path, [](instar::Draft<Package>& package, const Fields& line) {
    const Fields depends = splitList(line[kDepends]);
    package->setSource(line[kSource].empty() ? line[kName].c_str() : line[kSource].c_str());
    package->setHomepage(line[kHomepage].c_str());
    setTexts(package->initDepends(static_cast<unsigned>(depends.size())), depends);
#if DEMO_RELEASE >= 3
    setThirdReleaseFields(*package, line);
#endif
  });
}

#endif

// --- reading

constexpr std::uint64_t kNoFingerprint = 0xcbf2'9ce4'8422'2325;

// FNV-1a, 64 bits.
void addTo(std::uint64_t& fingerprint, std::string_view text) {
  for (const char c : text) fingerprint = (fingerprint ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3;
}

// Enumerants cannot be called gnu-r; "gnuR" and "gnu-r" count as the same.
std::string spelledPlainly(std::string text) {
  std::erase(text, '-');
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

int facts(const std::string& path, const std::string& name) {
  const Catalogue catalogue(path);
  std::uint64_t rows = 0;
  std::uint64_t maintained = 0;
  std::uint64_t fingerprint = kNoFingerprint;
  const auto snapshot = catalogue.store.read();
  for (const auto& package : catalogue.packages.scan(snapshot)) {
    const std::string who = maintainer(*package);
    addTo(fingerprint, view(package->getName()));
    addTo(fingerprint, who);
    addTo(fingerprint, std::to_string(installedBytes(*package)));
    addTo(fingerprint, spelledPlainly(section(*package)));
    addTo(fingerprint, priority(package));
    ++rows;
    maintained += who.starts_with(name + " <");
  }
  std::cout << rows << ' ' << maintained << ' ' << std::hex << fingerprint << '\n';
  return kDone;
}

int writable(const std::string& path) {
  const Catalogue catalogue(path);
  const auto snapshot = catalogue.store.read();
  for (const auto& package : catalogue.packages.scan(snapshot)) {
    std::cout << view(package->getName()) << '\t' << view(package->getVersion()) << '\t'
              << view(package->getArchitecture()) << '\t' << obstacle(*package) << '\n';
  }
  return kDone;
}

#if DEMO_RELEASE >= 3

std::string newerFields(Package::Reader package) {
  std::ostringstream text;
  text << view(package.getSource()) << '|' << view(package.getHomepage()) << '|';
  for (const auto name : package.getDepends()) text << view(name) << ',';
  text << '|';
  for (const auto tag : package.getTags()) text << view(tag) << ',';
  text << '|' << view(package.getChecksum().getSha256()) << '|' << package.getChecksum().getVerifiedAt()
       << '|' << static_cast<unsigned>(package.getMultiArch()) << '|' << package.getPopularity();
  return std::move(text).str();
}

int survey(const std::string& path, const std::string& wanted) {
  const Catalogue catalogue(path);
  const std::string untouched = newerFields({});
  std::uint64_t rows = 0;
  std::uint64_t extended = 0;
  std::uint64_t prioritised = 0;
  std::uint64_t fingerprint = kNoFingerprint;
  const auto snapshot = catalogue.store.read();
  for (const auto& package : catalogue.packages.scan(snapshot)) {
    const std::string newer = newerFields(*package);
    addTo(fingerprint, view(package->getName()));
    addTo(fingerprint, newer);
    ++rows;
    extended += newer != untouched;
    prioritised += ::priority(package) == wanted;
  }
  std::cout << rows << ' ' << extended << ' ' << prioritised << ' ' << std::hex << fingerprint << '\n';
  return kDone;
}

#endif

#if DEMO_RELEASE >= 6

// What is read faster than it can be tried is passed over, and what was tried is in the file a second later.
constexpr auto kPause = std::chrono::milliseconds(10);
constexpr int kPasses = 10'000;  // two minutes and more

int browse(const std::string& path, std::uint64_t count) {
  const Catalogue catalogue(path);
  std::uint64_t read = 0;
  std::uint64_t served = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto snapshot = catalogue.store.read();
    const auto status = stagingStatus(catalogue.store, snapshot, "packages");
    if (status->state != instar::VersionState::staged) break;
    const bool isSatisfied = status->decision.verdict == instar::GuardVerdict::satisfied;
    if (read >= count && isSatisfied) break;
    if (read >= count) std::this_thread::sleep_for(kPause);
    for (const auto& package : catalogue.packages.scan(snapshot)) {
      served += package.serves(DEMO_RELEASE);
      ++read;
    }
  }
  std::cout << read << ' ' << served << '\n';
  return kDone;
}

#endif

// At most `width` characters, filled up with blanks.
std::string fit(std::string_view text, std::size_t width) {
  std::string fitted;
  std::size_t characters = 0;
  for (const char c : text) {
    const bool begins = (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    if (begins && characters + 1 == width) {
      fitted += "…";
      return fitted;
    }
    characters += begins;
    fitted += c == '\n' ? ' ' : c;
  }
  return fitted + std::string(width - characters, ' ');
}

using NamedValues = std::vector<std::pair<std::string, std::string>>;

#if DEMO_RELEASE >= 2
template <class List>
std::string countOf(List list) {
  return list.size() == 0 ? "" : std::to_string(list.size());
}
#endif

NamedValues namedValues(const instar::Row<Package>& package) {
  NamedValues values = {{"package", std::string(view(package->getName()))},
                        {"stored as version", std::to_string(package.version())},
                        {"priority", priority(package)},
                        {"description", std::string(view(package->getDescription()))}};
#if DEMO_RELEASE >= 2
  values.emplace_back("homepage (2)", view(package->getHomepage()));
  values.emplace_back("dependencies (2)", countOf(package->getDepends()));
#endif
#if DEMO_RELEASE >= 3
  values.emplace_back("tags (3)", countOf(package->getTags()));
  values.emplace_back("sha256 (3)", view(package->getChecksum().getSha256()));
  std::ostringstream popularity;
  popularity << package->getPopularity();
  values.emplace_back("popularity (3)", std::move(popularity).str());
#endif
#if DEMO_RELEASE >= 4
  values.emplace_back("name (4)", view(package->getMaintainerName()));
  values.emplace_back("address (4)", view(package->getMaintainerEmail()));
  values.emplace_back("category (4)", section(*package));
  values.emplace_back("bytes (4)", std::to_string(installedBytes(*package)));
#else
  values.emplace_back("maintainer", maintainer(*package));
  values.emplace_back("section", section(*package));
  values.emplace_back("kibibytes", std::to_string(package->getInstalledSize()));
#endif
  return values;
}

int show(const std::string& path) {
  constexpr std::size_t kLabelWidth = 18;
  constexpr std::size_t kValueWidth = 24;
  const Catalogue catalogue(path);
  const auto snapshot = catalogue.store.read();
  std::vector<NamedValues> columns;
  for (const Fields& line : readLines()) {
    const auto package = catalogue.packages.get(snapshot, line[kName], line[kVersion], line[kArchitecture]);
    if (!package) return kFailed;
    columns.push_back(namedValues(package));
  }
  if (columns.empty()) return kFailed;
  for (std::size_t row = 0; row < columns[0].size(); ++row) {
    std::cout << fit(columns[0][row].first, kLabelWidth);
    for (const NamedValues& column : columns) std::cout << ' ' << fit(column[row].second, kValueWidth);
    std::cout << '\n';
  }
  return kDone;
}

int run(const std::vector<std::string>& arguments) {
  const std::string command = arguments.size() < 2 ? "" : arguments[0];
  const std::string path = arguments.size() < 2 ? "" : arguments[1];
  if (command == "open" && arguments.size() == 2) return open(path);
  if (command == "settle" && arguments.size() == 2) return settle(path);
  if (command == "writable" && arguments.size() == 2) return writable(path);
  if (command == "show" && arguments.size() == 2) return show(path);
  if (command == "facts" && arguments.size() == 3) return facts(path, arguments[2]);
  if (command == "adopt" && arguments.size() == 4) return adopt(path, arguments[2], arguments[3]);
  if (command == "prioritise" && arguments.size() == 3) return prioritise(path, arguments[2]);
#if DEMO_RELEASE >= 2
  if (command == "fill" && arguments.size() == 2) return fill(path);
#endif
#if DEMO_RELEASE >= 3
  if (command == "survey" && arguments.size() == 3) return survey(path, arguments[2]);
#endif
#if DEMO_RELEASE >= 6
  if (command == "browse" && arguments.size() == 3) return browse(path, std::stoull(arguments[2]));
#endif
  std::cerr << "usage: open|fill|prioritise|adopt|settle|writable|show|survey|facts|browse FILE "
               "[PRIORITY|NAME [ADDRESS]|COUNT]\n";
  return kUsage;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run({arguments + 1, arguments + count});
  } catch (const instar::Error& error) {
    std::cerr << error.what() << '\n';
    return kFailed;
  }
}
