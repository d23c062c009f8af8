#include "instar/tests/powercut/image_check.h"

#include <fcntl.h>
#include <kj/string.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <stdexcept>

#include "instar/engine/check.h"
#include "instar/engine/compaction.h"
#include "instar/engine/migration.h"
#include "instar/engine/preimages.h"
#include "instar/format/error.h"
#include "instar/tests/support/store_text.h"

namespace instar::powercut {
namespace {

constexpr std::uint64_t kNewRow = 999'999'999;

void writeFile(const std::filesystem::path& path, const std::string& content) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) throw std::runtime_error("cannot create " + path.string());
  const bool isWritten =
      ::write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  ::close(file);
  if (!isWritten) throw std::runtime_error("cannot write " + path.string());
}

// Each row that compaction has kept as it was can be read.
std::string damageOfPreimages(const Store& store, const KeptPreimages& kept) {
  const auto snapshot = store.read();
  std::uint64_t rows = 0;
  const auto rowsOf = store.collection(kept.collection);
  if (auto scan = scanPreimages(snapshot, rowsOf)) {
    for (const auto row : *scan) {
      if (kj::str(*row).size() > 0) ++rows;
    }
  }
  return kept.blocks > 0 && rows == 0 ? describe(kept) + ", and there is none" : "";
}

// What the program itself can find out.
std::string damageOf(const Store& store) {
  const CheckReport report = check(store);
  if (!report.sound()) return "check: " + report.problems.front().message;
  const Verification verification = verify(store);
  for (const VerifiedPartition& partition : verification.partitions) {
    if (!partition.problem.empty()) return "verify: " + partition.problem;
  }
  for (const KeptPreimages& kept : verification.kept) {
    if (std::string damage = damageOfPreimages(store, kept); !damage.empty()) return damage;
  }
  const AuditTrail trail = readAudit(store, store.read());
  return trail.damage.empty() ? "" : "audit: " + trail.damage;
}

// The first lines in which the two differ.
std::string difference(const std::string& expected, const std::string& found) {
  constexpr int kMostLines = 6;
  std::istringstream left(expected);
  std::istringstream right(found);
  std::string text;
  for (int lines = 0; lines < kMostLines;) {
    std::string a;
    std::string b;
    const bool hasLeft = static_cast<bool>(std::getline(left, a));
    const bool hasRight = static_cast<bool>(std::getline(right, b));
    if (!hasLeft && !hasRight) break;
    if (hasLeft == hasRight && a == b) continue;
    text += "\n  expected " + (hasLeft ? a : "the end") + "\n  found    " + (hasRight ? b : "the end");
    ++lines;
  }
  return text;
}

std::string mismatch(const States& states, const Allowed& allowed, const std::string& found) {
  const auto known = std::find(states.begin(), states.end(), found);
  std::string text = "states " + std::to_string(allowed.first) + " to " + std::to_string(allowed.last) +
                     " are allowed, and what is there is ";
  if (known != states.end()) {
    const auto number = static_cast<std::size_t>(known - states.begin());
    return text + (number < allowed.first ? "the older state " : "the later state ") + std::to_string(number);
  }
  return text + "none at all; against the last of them:" + difference(states[allowed.last], found);
}

bool isAllowed(const States& states, const Allowed& allowed, const std::string& found) {
  const auto first = states.begin() + static_cast<std::ptrdiff_t>(allowed.first);
  const auto end = states.begin() + static_cast<std::ptrdiff_t>(allowed.last) + 1;
  return std::find(first, end, found) != end;
}

bool putRow(const Store& store) {
  const auto collections = store.collections(store.read());
  if (collections.empty()) return false;
  const auto rows = store.collection(collections.front().name);
  auto draft = rows.create();
  draft->set("id", kNewRow);
  draft->set("number", "42");
  auto transaction = store.write();
  rows.put(transaction, draft);
  transaction.commit();
  return true;
}

void eraseRow(const Store& store) {
  const auto rows = store.collection(store.collections(store.read()).front().name);
  auto transaction = store.write();
  if (!rows.erase(transaction, kNewRow)) throw std::runtime_error("the row that was put is lost");
  transaction.commit();
}

// One more commit, and another program start.
std::string faultOfGoingOn(const std::filesystem::path& path, const std::string& before,
                           const ImageCheck& options) {
  bool isPut = false;
  {
    const Store store = Store::open(path);
    isPut = putRow(store);
  }
  const Store store = Store::open(path);
  if (isPut) eraseRow(store);
  if (options.compacts) {
    for (const CollectionInfo& info : store.collections(store.read()))
      migrate(store, info.name, {.mode = CompactionMode::compress});
    if (const auto kept = verify(store).kept; !kept.empty())
      return "pre-images are left when all is compacted: " + describe(kept.front());
  }
  if (const std::string damage = damageOf(store); !damage.empty()) return "after another commit, " + damage;
  const std::string after = testing::textOfStore(store);
  return after == before ? "" : "another commit has changed more than it should:" + difference(before, after);
}

// A store whose creation was not acknowledged may have to be opened by a writer first.
std::string readOnlyText(const std::filesystem::path& path, const States& states, const Allowed& allowed) {
  try {
    return testing::textOfStore(Store::open(path, {.mode = OpenMode::readOnly}));
  } catch (const Error& error) {
    const bool isUnfinished = std::string_view(error.what()).starts_with("the file was not finished");
    if (!isUnfinished || allowed.first != 0) throw;
    return states[0];
  }
}

std::string faultOfStore(const std::filesystem::path& path, const States& states, const Allowed& allowed,
                         const ImageCheck& options) {
  std::string found = states[0];  // absent
  if (std::filesystem::exists(path)) {
    if (options.readsFirst) {
      const std::string read = readOnlyText(path, states, allowed);
      if (!isAllowed(states, allowed, read)) return "for a reader " + mismatch(states, allowed, read);
    }
    const Store store = Store::open(path, {.mode = OpenMode::openExisting});
    found = testing::textOfStore(store);
    if (const std::string damage = damageOf(store); !damage.empty()) return damage;
  }
  if (!isAllowed(states, allowed, found)) return mismatch(states, allowed, found);
  if (found == states[0]) found.clear();  // a new store is empty
  return faultOfGoingOn(path, found, options);
}

bool isNameOf(const std::string& store, std::string_view name) {
  if (name == store || name == store + "-lock") return true;
  const std::string underConstruction = "." + store + "-";
  constexpr std::size_t kDigits = 15;
  if (!name.starts_with(underConstruction) || name.size() != underConstruction.size() + kDigits) return false;
  return name.find_first_not_of("0123456789abcdef", underConstruction.size()) == name.npos;
}

// A file that no document tells of, by its name.
std::string unexpectedIn(const std::filesystem::path& folder, const Recording& recording) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    const bool isExpected = std::ranges::any_of(
        recording.stores(), [&](const auto& store) { return isNameOf(store.first, name); });
    if (!isExpected) return name;
  }
  return {};
}

}  // namespace

std::string faultOf(const Image& image, const std::filesystem::path& folder, const Recording& recording,
                    const std::map<std::string, Allowed>& allowed, const ImageCheck& options) {
  for (const auto& [name, content] : image) writeFile(folder / name, content);
  for (const auto& [name, states] : recording.stores()) {
    const Allowed& promised = allowed.at(name);
    if (promised.anything) continue;
    try {
      if (std::string fault = faultOfStore(folder / name, states, promised, options); !fault.empty())
        return name + ": " + fault;
    } catch (const std::exception& exception) {
      return name + ": " + exception.what();
    } catch (const kj::Exception& exception) {
      return name + ": " + exception.getDescription().cStr();
    }
  }
  if (const std::string name = unexpectedIn(folder, recording); !name.empty())
    return "a file of a name that is not to be expected: " + name;
  return {};
}

}  // namespace instar::powercut
