// Thousands of damaged files: none ends the program, no wrong row comes out without a message, and what is
// missing is listed. `./dev damage` makes it long: INSTAR_DAMAGED_FILES says how many, INSTAR_DAMAGED_SEED
// where to begin, to see one of them again.

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "instar/engine/check.h"
#include "instar/engine/internal/salvage/salvage_into.h"
#include "instar/format/key_text.h"
#include "instar/tests/engine/salvage/judge.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/from_environment.h"
#include "instar/tests/support/shared_memory.h"

namespace instar::testing {
namespace {

constexpr std::uint64_t kFiles = 10'800;  // of all kinds together
constexpr std::uint64_t kFilesPerChild = 300;
// Odd, so that half of them are swept; under sanitizers each kind has some 250 files.
constexpr std::uint64_t kFilesPerRealFile = 121;
constexpr unsigned kLongestSeconds =
    120;  // a file takes some milliseconds; one that hangs is known by its seed

// How far it is, where somebody looks.
void show(const std::string& kind, std::uint64_t done, std::uint64_t all) {
  if (::isatty(STDERR_FILENO) == 0) return;
  std::fputs("\r\033[K", stderr);
  if (done < all) std::fprintf(stderr, "%s: %lu of %lu files\r", kind.c_str(), done, all);
}

struct Shared {
  std::uint64_t seed;
  std::uint64_t refused;
  std::uint64_t sound;  // damage that no page shows
  std::uint64_t complete;
  std::uint64_t rows;
  std::uint64_t realFiles;       // that were opened as the application does
  std::uint64_t foundInStore;    // damage that check finds behind the pages
  std::uint64_t oldPages;        // files with pages of earlier commits
  std::uint64_t silentOldPages;  // in which that made a difference, and nothing shows it
};

std::string text(const std::vector<std::string>& complaints) {
  std::string all;
  for (const std::string& complaint : complaints) all += "\n  " + complaint;
  return all;
}

std::string describe(const DamagedFile& file, const SalvageReport& report) {
  std::string all = "\ntouched pages:";
  for (const std::uint64_t page : file.touched) all += ' ' + std::to_string(page);
  all += "\ncommit " + std::to_string(report.transaction) + (report.mayBeOlder ? ", may be older" : "") +
         ", unassigned rows " + std::to_string(report.unassignedRows);
  for (const PageProblem& problem : report.problems) {
    all += "\nin " + problem.tree + (problem.page ? ", page " + std::to_string(*problem.page) : "") + ": " +
           problem.message;
  }
  for (const SalvagedCollection& collection : report.collections) {
    all += "\n" + collection.name + ": rows " + std::to_string(collection.rows) + ", left out " +
           std::to_string(collection.leftOut) + ", swept " + std::to_string(collection.sweptRows);
    for (const LostRange& range : collection.lost) {
      all += "\n  lost 0x" + toHex(range.from.bytes()) + " to " +
             (range.to ? toHex(range.to->bytes()) : "the end") + ": " + range.reason;
    }
  }
  return all;
}

// Something is missing, and no page shows it: then `check` finds it in what LMDB reads. Not so in pages of an
// earlier commit, which are sound.
void expectDamage(const BaseFile& base, const DamagedFile& file, std::uint64_t seed, Shared& shared) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file", std::ios::binary) << file.bytes;
  ++shared.foundInStore;
  try {
    const Store store = Store::open(folder / "file", {.mode = OpenMode::readOnly});
    EXPECT_TRUE(check(store).damaged())
        << base.kind << ", seed " << seed << ", " << nameOf(file.kind) << ": check finds no damage";
  } catch (const Error& error) {
    EXPECT_EQ(errorCodeName(error.code()), errorCodeName(ErrorCode::restoreFromBackup)) << error.what();
  }
}

void examine(const BaseFile& base, std::uint64_t seed, Shared& shared) {
  const DamagedFile file = damage(base, seed);
  const auto where = [&] { return base.kind + ", seed " + std::to_string(seed) + ", " + nameOf(file.kind); };
  try {
    const MemoryFile memory(file.bytes);
    const PageReport pages = checkPagesOf(memory.descriptor(), "damaged", {});
    EXPECT_FALSE(pages.changes) << where();
    const Salvaged salvaged = salvageBytes(file.bytes, seed % 2 == 1);
    const auto complaints = judge(base, file, salvaged);
    EXPECT_TRUE(complaints.empty()) << where() << text(complaints) << describe(file, salvaged.report);
    shared.sound += pages.sound() ? 1 : 0;
    shared.complete += salvaged.report.isComplete() ? 1 : 0;
    for (const auto& rows : salvaged.state) shared.rows += rows.second.size();
    if (file.kind != DamageKind::oldPages) {
      // What may have been brought out besides says nothing about the file.
      if (pages.sound() && !salvaged.swept && !salvaged.report.isComplete())
        expectDamage(base, file, seed, shared);
      return;
    }
    ++shared.oldPages;
    shared.silentOldPages +=
        salvaged.report.isComplete() && pages.sound() && salvaged.state != base.state ? 1 : 0;
  } catch (const Error& error) {
    ++shared.refused;
    const auto complaints = judgeRefusal(file);
    EXPECT_TRUE(complaints.empty()) << where() << text(complaints) << error.what();
  }
}

// The same through real files, and opened as the application does.
void examineRealFile(const BaseFile& base, std::uint64_t seed, Shared& shared) {
  ++shared.realFiles;
  const TemporaryFolder folder;
  const DamagedFile file = damage(base, seed);
  std::ofstream(folder / "from", std::ios::binary) << file.bytes;
  SalvageReport report;
  try {
    report = salvage(folder / "from", folder / "to", {.swept = seed % 2 == 1});
  } catch (const Error& error) {
    EXPECT_EQ(errorCodeName(error.code()), errorCodeName(ErrorCode::fixEnvironment)) << error.what();
    return;
  }
  std::ifstream after(folder / "from", std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(after), {}), file.bytes)
      << "the original is not touched";
  const Store store = Store::open(folder / "to", {.mode = OpenMode::openExisting});
  const CheckReport checked = check(store);
  const bool hasLostSchemas = std::any_of(
      report.collections.begin(), report.collections.end(),
      [](const auto& one) { return !one.isUsable || one.isRebuilt || !one.lostVersions.empty(); });
  if (hasLostSchemas) return;
  EXPECT_FALSE(checked.damaged()) << base.kind << ", seed " << seed << ": "
                                  << (checked.problems.empty() ? "" : checked.problems.front().message);
  const auto isCollection = [](const auto& entry) { return !entry.first.starts_with(kKept); };
  const auto collections = std::count_if(base.state.begin(), base.state.end(), isCollection);
  if (report.collections.size() == static_cast<std::size_t>(collections)) base.openAsApplication(store);
}

class DamagedFiles : public ::testing::TestWithParam<std::string> {};

TEST_P(DamagedFiles, EndNoProgramAndGiveNoWrongRow) {
  const std::size_t kinds = baseKinds().size();
  const std::uint64_t files = (fromEnvironment("INSTAR_DAMAGED_FILES", kFiles) + kinds - 1) / kinds;
  const std::uint64_t first = fromEnvironment("INSTAR_DAMAGED_SEED", 1);
  const BaseFile base = makeBase(GetParam());
  const SharedMemory<Shared> shared;
  for (std::uint64_t begin = first; begin < first + files; begin += kFilesPerChild) {
    ChildProcess child([&](const Steps&) {
      for (std::uint64_t seed = begin; seed < std::min(begin + kFilesPerChild, first + files); ++seed) {
        shared->seed = seed;
        ::alarm(kLongestSeconds);
        examine(base, seed, *shared);
        if (seed % kFilesPerRealFile == 0) examineRealFile(base, seed, *shared);
        if (HasFailure()) return;
      }
    });
    child.expectSuccess();
    ASSERT_FALSE(HasFailure()) << GetParam() << ": at seed " << shared->seed
                               << "; once more: ./dev damage 11 --seed " << shared->seed;
    show(GetParam(), std::min(begin - first + kFilesPerChild, files), files);
  }
  std::printf(
      "%s: %lu files; no sign of damage in the pages of %lu, nothing lost of %lu, %lu refused; %lu rows; "
      "of %lu with old pages %lu do not show it; damage of %lu shows behind the pages alone; %lu opened\n",
      GetParam().c_str(), files, shared->sound, shared->complete, shared->refused, shared->rows,
      shared->oldPages, shared->silentOldPages, shared->foundInStore, shared->realFiles);
  if (files >= 2 * kFilesPerRealFile) {
    EXPECT_GE(shared->realFiles, 2U);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, DamagedFiles, ::testing::ValuesIn(baseKinds()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

class SoundFiles : public ::testing::TestWithParam<std::string> {};

// INSTAR_KEEP_FILES=FOLDER keeps them, to be looked at with the command.
TEST_P(SoundFiles, ComeOutWhole) {
  const BaseFile base = makeBase(GetParam());
  if (const char* const folder = std::getenv("INSTAR_KEEP_FILES"))
    std::ofstream(std::filesystem::path(folder) / (base.kind + ".instar"), std::ios::binary) << base.bytes;
  const Salvaged salvaged = salvageBytes(base.bytes, false);
  EXPECT_TRUE(salvaged.report.isComplete());
  EXPECT_EQ(salvaged.report.problemCount, 0U);
  for (const auto& [name, rows] : base.state) {
    const auto found = salvaged.state.find(name);
    EXPECT_EQ(found == salvaged.state.end() ? RowsByKey() : found->second, rows) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, SoundFiles, ::testing::ValuesIn(baseKinds()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

// The harness itself: what it is there to find, it finds.
class Harness : public ::testing::Test {
 protected:
  Harness() : salvaged(salvageBytes(base.bytes, false)) { file.bytes = base.bytes; }
  bool complains() const { return !judge(base, file, salvaged).empty(); }

  const BaseFile base = makeBase("plain");
  DamagedFile file;
  Salvaged salvaged;
};

TEST_F(Harness, FindsARowThatIsWrong) {
  ASSERT_FALSE(complains());
  std::string& row = salvaged.state.at("notes").begin()->second;
  row.back() = static_cast<char>(row.back() ^ 1);
  EXPECT_TRUE(complains());
}

TEST_F(Harness, FindsAnOlderRowThatNobodyWasToldOf) {
  std::string& row = salvaged.state.at("notes").at(std::string(7, '\0') + '\x64');
  for (const State& state : base.history) {
    const auto rows = state.find("notes");
    const auto older =
        rows == state.end() ? RowsByKey::const_iterator() : rows->second.find(std::string(7, '\0') + '\x64');
    if (rows == state.end() || older == rows->second.end() || older->second == row) continue;
    row = older->second;
    break;
  }
  EXPECT_TRUE(complains());
}

TEST_F(Harness, FindsARowThatIsMissing) {
  salvaged.state.at("notes").erase(salvaged.state.at("notes").begin());
  EXPECT_TRUE(complains());
  salvaged.report.collections.front().lost.push_back({.reason = "so it was said"});
  EXPECT_TRUE(complains()) << "its page is sound";
  salvaged.swept = true;
  EXPECT_TRUE(complains()) << "its page is sound";
  for (std::uint64_t page = 0; page * 4096 < base.bytes.size(); ++page) file.touched.insert(page);
  EXPECT_FALSE(complains());
}

TEST_F(Harness, FindsAnErasedRowThatIsBack) {
  salvaged.state.at("notes")[std::string(6, '\0') + "\x01\x08"] = "1 was erased";
  EXPECT_TRUE(complains());
}

// The seed of a file that the walker never came to an end of did not show: the suite hung.
TEST_F(Harness, FindsAFileThatTakesForEver) {
  EXPECT_NONFATAL_FAILURE(
      {
        ChildProcess child([](const Steps&) {
          ::alarm(1);
          for (;;) ::pause();
        });
        child.expectSuccess();
      },
      "status 14");
}

TEST_F(Harness, FindsASignal) {
  EXPECT_NONFATAL_FAILURE(
      {
        ChildProcess child([](const Steps&) { ::raise(SIGSEGV); });
        child.expectSuccess();
      },
      "status");
}

}  // namespace
}  // namespace instar::testing
