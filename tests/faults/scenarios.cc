#include "instar/tests/faults/scenarios.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <new>
#include <sstream>
#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/migration.h"
#include "instar/engine/reconciliation.h"
#include "instar/engine/staging.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/store_text.h"
#include "instar/tools/commands/command.h"

namespace instar::testing {
namespace {

namespace fs = std::filesystem;
using Rows = Collection<capnp::DynamicStruct>;

constexpr const char* kItem = "struct Item @0xabcdefabcdef1234 $Instar.version(";
constexpr const char* kFields1 = ") { id @0 :UInt64 $Instar.key(0); text @1 :Text; }";
constexpr const char* kFieldsSplit =
    ") { id @0 :UInt64 $Instar.key(0); text @1 :Text;"
    " head @2 :Text $Instar.derived(since = 2, split = (field = \"text\", by = \" \", part = 0));"
    " tail @3 :Text $Instar.derived(since = 2, split = (field = \"text\", by = \" \", part = 1, rest = "
    "true));"
    " }";
std::string mirroredFields(int since) {
  return ") { id @0 :UInt64 $Instar.key(0); text @1 :Text $Instar.mirrored(since = " + std::to_string(since) +
         ", concat = [(field = \"head\"), (text = \" \"), (field = \"tail\")]);" +
         std::string(kFieldsSplit).substr(std::string(kFieldsSplit).find(" head"));
}
std::string declaration(int version, const std::string& fields) {
  return kItem + std::to_string(version) + fields;
}

const RecordSchema& version1() {
  static const RecordSchema schema = parseDeclarations(declaration(1, kFields1), "Item");
  return schema;
}
// Splits the text, and keeps it right for version 1.
const RecordSchema& version2() {
  static const RecordSchema schema = parseDeclarations(declaration(2, mirroredFields(2)), "Item");
  return schema;
}
// Splits it, and forgets about version 1; version 3 does not.
const RecordSchema& forgetful2() {
  static const RecordSchema schema = parseDeclarations(declaration(2, kFieldsSplit), "Item");
  return schema;
}
const RecordSchema& mirrored3() {
  static const RecordSchema schema = parseDeclarations(declaration(3, mirroredFields(3)), "Item");
  return schema;
}

std::string textOf(std::uint64_t id, int generation, std::size_t length = 0) {
  const std::string text = "g" + std::to_string(generation) + " row " + std::to_string(id);
  return text + std::string(length, 'x');
}

void fill(capnp::DynamicStruct::Builder record, std::uint64_t id, const std::string& text, bool isSplit) {
  record.set("id", id);
  record.set("text", text.c_str());
  if (!isSplit) return;
  const std::size_t blank = text.find(' ');
  record.set("head", text.substr(0, blank).c_str());
  record.set("tail", text.substr(blank + 1).c_str());
}

void putRow(const Rows& rows, WriteTransaction& transaction, std::uint64_t id, const std::string& text) {
  auto draft = rows.create();
  fill(*draft, id, text, rows.schema().version() > 1);
  rows.put(transaction, draft);
}

struct Range {
  std::uint64_t from;
  std::uint64_t to;
  std::size_t length = 0;  // of each text, about
};

void putRows(const Store& store, const Rows& rows, Range range, int generation) {
  auto transaction = store.write();
  for (std::uint64_t id = range.from; id < range.to; ++id)
    putRow(rows, transaction, id, textOf(id, generation, range.length));
  transaction.commit();
}

// As textOfVersions() has them: each version's state, from 1 on.
struct Floors {
  int readers = 1;
  int writers = 1;
};
std::string versionsAre(int current, const std::vector<std::string>& states, Floors floors = {}) {
  std::string text = "collection items, version " + std::to_string(current) + ", floors " +
                     std::to_string(floors.readers) + " and " + std::to_string(floors.writers) + "\n";
  for (std::size_t i = 0; i < states.size(); ++i)
    text += "version " + std::to_string(i + 1) + " is " + states[i] + "\n";
  return text;
}
std::string trialIs(int percent, const std::string& end = "") {
  return "trial of version 2 on " + std::to_string(percent) +
         ".000000 %, shadow 100.000000 %, ended: " + end + "\n";
}

// --- steps

Step open() {
  return {"open", StepKind::steady, [](World& world) {
            if (!world.store) world.store.emplace(Store::open(world.file(), world.options));
          }};
}

Step close() {
  return {"close", StepKind::steady, [](World& world) { world.store.reset(); }};
}

// One commit, which decides what the versions are.
Step decide(const std::string& name, const std::string& versions, const std::function<void(World&)>& run,
            StepKind kind = StepKind::commit) {
  return {name, kind, run, [=](ModelState& state) { state.versions = versions; }};
}

// And the collection that the program works with is made.
Step addVersion(const RecordSchema& schema, const std::string& versions) {
  return decide(
      "version " + std::to_string(schema.version()), versions,
      [&schema](World& world) { world.store->collection("items", schema); }, StepKind::followed);
}

Step put(const RecordSchema& schema, Range range, int generation) {
  return {"put", StepKind::commit,
          [=, &schema](World& world) {
            putRows(*world.store, world.store->collection("items", schema), range, generation);
          },
          [=](ModelState& state) {
            for (std::uint64_t id = range.from; id < range.to; ++id)
              state.rows[id] = textOf(id, generation, range.length);
          }};
}

// By a program that tries version 2.
Step putStaged(Range range, int generation) {
  Step step = put(version2(), range, generation);
  step.run = [=](World& world) {
    putRows(*world.store, world.store->stage("items", version2()), range, generation);
  };
  return step;
}

Step erase(Range range) {
  return {"erase", StepKind::commit,
          [=](World& world) {
            const Rows rows = world.store->collection("items");
            auto transaction = world.store->write();
            for (std::uint64_t id = range.from; id < range.to; ++id) rows.erase(transaction, rows.key(id));
            transaction.commit();
          },
          [=](ModelState& state) {
            state.rows.erase(state.rows.lower_bound(range.from), state.rows.lower_bound(range.to));
          }};
}

Step sync() {
  return {"sync", StepKind::steady, [](World& world) { world.store->sync(); }};
}

Step writeBack() {
  return {"write back", StepKind::steady, [](World& world) {
            rowsIn(*world.store, false);
            while (world.store->writeBack(30) > 0) {
            }
          }};
}

Step compactRows(CompactionMode mode, bool keepPreimages) {
  return {"migrate", StepKind::steady, [=](World& world) {
            migrate(*world.store, "items",
                    {.mode = mode,
                     .lockTime = std::chrono::microseconds(200),
                     .threads = 2,
                     .keepPreimages = keepPreimages});
          }};
}

Step verifyRows() {
  return {"verify", StepKind::steady, [](World& world) {
            if (verify(*world.store).problems != 0) throw Wrong("verify finds damage");
          }};
}

// Until the thread has nothing more to do. Where it has given up it goes on with the next try.
Step settle() {
  return {"settle", StepKind::steady, [](World& world) {
            const Compaction compaction = world.store->compaction();
            const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
            for (;;) {
              const CompactionStatus status = compaction.status();
              const bool isOver = std::chrono::steady_clock::now() > end;
              if (status.wait == WaitReason::circuitOpen) {
                compaction.resume();
                while (compaction.status().wait == WaitReason::circuitOpen &&
                       std::chrono::steady_clock::now() < end)
                  std::this_thread::sleep_for(std::chrono::microseconds(100));
                throw CompactionGaveUp{status.detail};
              }
              const auto progress = compactionProgress(*world.store, world.store->read()).collections;
              if (status.wait == WaitReason::idle && progress.at(0).isSettled()) return;
              if (isOver)
                throw Wrong("the thread does not come to an end; it " + std::string(describe(status.wait)) +
                            "; " + status.detail);
              std::this_thread::sleep_for(std::chrono::microseconds(500));
            }
          }};
}

std::optional<StagingStatus> staging(const World& world) {
  return stagingStatus(*world.store, world.store->read(), "items");
}

Step stage() {
  return decide(
      "stage", versionsAre(1, {"active", "staged"}) + trialIs(50),
      [](World& world) { world.store->stage("items", version2(), {.percent = 50, .shadow = 100}); },
      StepKind::followed);
}

Step setPercent(int percent) {
  return decide("percent", versionsAre(1, {"active", "staged"}) + trialIs(percent),
                [=](World& world) { setStagedPercent(*world.store, "items", 2, percent); });
}

Step promote() {
  return decide("promote", versionsAre(2, {"active", "active"}) + trialIs(80, "by hand"), [](World& world) {
    if (staging(world)->state == VersionState::staged)
      promoteVersion(*world.store, "items", 2, {.forced = true, .reason = "by hand"});
  });
}

Step abort() {
  return decide("abort", versionsAre(1, {"active", "aborted"}) + trialIs(50, "a mistake"), [](World& world) {
    if (staging(world)->state == VersionState::staged) abortVersion(*world.store, "items", 2, "a mistake");
  });
}

Step retire() {
  return decide("retire", versionsAre(2, {"retired", "active"}, {2, 2}) + trialIs(80, "by hand"),
                [](World& world) {
                  if (world.store->collections(world.store->read()).at(0).readerFloor < 2)
                    retireVersions(*world.store, "items", 1);
                });
}

// Under its name there is nothing, or all of it.
Step backUp(const std::string& name, bool isCompact) {
  return {"backup", StepKind::steady, [=](World& world) {
            const fs::path target = world.folder / name;
            if (fs::exists(target)) {
              if (!check(Store::open(target, {.mode = OpenMode::readOnly})).sound())
                throw Wrong("half of a backup has its name");
              fs::remove(target);
            }
            world.store->backup(target, {.compact = isCompact});
            const Store copy = Store::open(target, {.mode = OpenMode::readOnly});
            if (rowsIn(copy, false) != rowsIn(*world.store, false))
              throw Wrong("a backup has other rows than the store");
          }};
}

// Behind a failure, too.
void examineCopies(const World& world) {
  for (const char* const name : {"copy", "compact"}) {
    const fs::path copy = world.folder / name;
    if (!fs::exists(copy)) continue;
    const Store store = Store::open(copy, {.mode = OpenMode::readOnly});
    if (!check(store).sound()) throw Wrong("half of a backup has its name");
    rowsIn(store, false);
  }
}

Step compactFile() {
  return {"compact", StepKind::steady, [](World& world) { Store::compact(world.file()); }};
}

Step reconcileRows(Range diverged) {
  return {"reconcile", StepKind::gradual,
          [](World& world) {
            reconcile(*world.store, "items", Follow::newer, {.lockTime = std::chrono::microseconds(50)});
          },
          [=](ModelState& state) {
            for (std::uint64_t id = diverged.from; id < diverged.to; ++id) state.rows[id] = textOf(id, 9);
          }};
}

// --- the instar command

std::string schemaFile(int version) { return "item" + std::to_string(version) + ".capnp"; }

void writeSchemaFiles(const World& world) {
  constexpr const char* kStart = "@0xc0ffee5eedf00d01;\nusing Instar = import \"/instar/schema.capnp\";\n";
  std::ofstream(world.folder / schemaFile(1)) << kStart << declaration(1, kFields1);
  std::ofstream(world.folder / schemaFile(2)) << kStart << declaration(2, mirroredFields(2));
}

// Of the test itself: the calls of stdio are none of those that fail, but its memory may be.
class StdioFile {
 public:
  StdioFile(const fs::path& path, const char* mode) : file_(std::fopen(path.c_str(), mode)) {
    if (file_ == nullptr) throw std::bad_alloc();
  }
  StdioFile(const StdioFile&) = delete;
  StdioFile& operator=(const StdioFile&) = delete;
  ~StdioFile() { std::fclose(file_); }
  std::FILE* get() const { return file_; }

 private:
  std::FILE* file_;
};

struct Outcome {
  tools::ExitStatus status;
  std::string printed;
  std::string messages;
};

// Runs it inside this process.
Outcome runCommand(World& world, const std::vector<std::string>& arguments) {
  const fs::path printed = world.folder / "printed";
  const StdioFile file(printed, "w+");
  tools::Output output(::fileno(file.get()));
  std::ostringstream lines;
  tools::Messages messages(lines, false);
  std::istringstream input;
  tools::Context context{.output = output, .messages = messages, .input = input};
  std::vector<const char*> pointers{"instar"};
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  const int status = tools::runCommandLine(static_cast<int>(pointers.size()), pointers.data(), context);
  std::string text(fs::file_size(printed), '\0');
  std::rewind(file.get());
  if (std::fread(text.data(), 1, text.size(), file.get()) != text.size()) throw std::bad_alloc();
  return {static_cast<tools::ExitStatus>(status), std::move(text), lines.str()};
}

// Returns what it has printed.
std::string runInstar(World& world, const std::vector<std::string>& arguments) {
  Outcome outcome = runCommand(world, arguments);
  if (outcome.status != tools::ExitStatus::done) throw CommandFailed{outcome.status, outcome.messages};
  return outcome.printed;
}

Step command(const std::string& name, const std::function<std::vector<std::string>(const World&)>& words) {
  return {name, StepKind::steady, [=](World& world) { runInstar(world, words(world)); }};
}

Step importRows(Range range, int generation) {
  Step step = put(version1(), range, generation);
  step.name = "import";
  step.effect = [effect = step.effect](ModelState& state) {
    effect(state);
    state.versions = versionsAre(1, {"active"});
  };
  step.run = [=](World& world) {
    const fs::path input = world.folder / "input.ndjson";
    {
      const StdioFile lines(input, "w");
      for (std::uint64_t id = range.from; id < range.to; ++id)
        std::fprintf(lines.get(), "{\"id\":%d,\"text\":\"%s\"}\n", static_cast<int>(id),
                     textOf(id, generation, range.length).c_str());
    }
    runInstar(world, {"import", world.file(), "items", input, "--schema",
                      (world.folder / schemaFile(1)).string() + ":Item"});
  };
  return step;
}

Step evolveFile() {
  return decide(
      "evolve", versionsAre(2, {"active", "active"}),
      [](World& world) {
        runInstar(world, {"evolve", world.file(), "items", "--schema",
                          (world.folder / schemaFile(2)).string() + ":Item"});
      },
      StepKind::followed);
}

// That it ends with 0 means that all of it was printed.
Step dump(std::size_t rows) {
  return {"dump", StepKind::steady, [=](World& world) {
            const std::string text = runInstar(world, {"dump", world.file(), "items"});
            if (static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) != rows)
              throw Wrong("a dump that is not whole ends with 0");
          }};
}

// A file with a row whose bytes have changed, and no store: what is salvaged is one.
constexpr std::uint64_t kDamagedRow = 77;
fs::path damagedFile(const World& world) { return world.folder / "damaged"; }

// Of a damaged file, with what is lost of it: that the command ends with another status is a failure.
Outcome runOnDamage(World& world, const std::vector<std::string>& arguments) {
  ::setenv("TMPDIR", world.folder.c_str(), 1);  // so that a copy which is left behind is seen
  Outcome outcome = runCommand(world, arguments);
  if (outcome.status == tools::ExitStatus::done)
    throw Wrong("that a row is lost is not said: " + outcome.printed + outcome.messages);
  if (outcome.status != tools::ExitStatus::damage) throw CommandFailed{outcome.status, outcome.messages};
  return outcome;
}

Step salvageRows(std::uint64_t stored) {
  const auto effect = [=](ModelState& state) {
    state.versions = versionsAre(1, {"active"});
    for (std::uint64_t id = 0; id < stored; ++id) {
      if (id != kDamagedRow) state.rows[id] = textOf(id, 0);
    }
  };
  // Gradual, as a page that the disk does not read is one that is lost.
  return {"salvage", StepKind::gradual,
          [=](World& world) {
            if (fs::exists(world.file())) {
              if (!check(Store::open(world.file(), {.mode = OpenMode::readOnly})).sound())
                throw Wrong("half of a salvaged file has its name");
              fs::remove(world.file());
            }
            const Outcome outcome = runOnDamage(world, {"salvage", damagedFile(world), world.file()});
            ModelState expected;
            effect(expected);
            if (stateIn(Store::open(world.file(), {.mode = OpenMode::readOnly}), false) != expected)
              throw CommandFailed{outcome.status, "more is lost: " + outcome.printed};
          },
          effect};
}

Step dumpDamaged(std::size_t rows) {
  return {"dump", StepKind::steady, [=](World& world) {
            const Outcome outcome = runOnDamage(world, {"dump", damagedFile(world), "items", "--salvage"});
            if (static_cast<std::size_t>(std::count(outcome.printed.begin(), outcome.printed.end(), '\n')) !=
                rows)
              throw CommandFailed{outcome.status, "more is lost: " + outcome.messages};
          }};
}

// --- scenarios

constexpr std::uint64_t kStored = 120;

void prepareRows(World& world) {
  const Store store = Store::open(world.file());
  putRows(store, store.collection("items", version1()), {0, kStored}, 0);
}

void prepareBlocks(World& world) {
  prepareRows(world);
  const Store store = Store::open(world.file());
  putRows(store, store.collection("items", version2()), {100, 140}, 1);
  migrate(store, "items", {.mode = CompactionMode::compress});
}

void prepareDamage(World& world) {
  prepareRows(world);
  fs::rename(world.file(), damagedFile(world));
  fs::remove(world.file().string() + "-lock");
  std::fstream file(damagedFile(world), std::ios::in | std::ios::out | std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  const std::size_t row = content.rfind(textOf(kDamagedRow, 0));
  file.clear();
  file.seekp(static_cast<std::streamoff>(row));
  file.put('?');
  if (row == std::string::npos || !file.flush()) throw Wrong("the file cannot be damaged");
}

void prepareDiverged(World& world) {
  prepareRows(world);
  const Store store = Store::open(world.file());
  const Rows rows = store.collection("items", forgetful2());
  auto transaction = store.write();
  for (std::uint64_t id = 10; id < 60; ++id) {
    auto draft = rows.edit(transaction, id);
    draft->set("head", "g9");
    rows.put(transaction, draft);
  }
  transaction.commit();
}

StoreOptions withThread() {
  return {.compaction = {.mode = CompactionMode::compress,
                         .rate = 0,
                         .lockTime = std::chrono::microseconds(200),
                         .minFreeDisk = 0,
                         .mostDeference = std::chrono::milliseconds(1),
                         .maxFailuresInARow = 3,
                         .backoffMin = std::chrono::milliseconds(1),
                         .backoffMax = std::chrono::milliseconds(2),
                         .coldBelow = 1e9,
                         .keepPreimages = true,
                         .lowPriority = false}};
}

std::vector<Scenario> makeScenarios() {
  const auto nothing = [](World&) {};
  const std::string only1 = versionsAre(1, {"active"});
  const std::string both = versionsAre(2, {"active", "active"});
  std::vector<Scenario> all;
  all.push_back({.name = "create",
                 .prepare = nothing,
                 .steps = {open(), addVersion(version1(), only1), put(version1(), {0, 40}, 0),
                           put(version1(), {40, 44, 6000}, 0), erase({10, 20}), sync(),
                           put(version1(), {0, 42, 50}, 1), close()}});
  all.push_back({.name = "evolve",
                 .options = {.writeBackRows = 1000},
                 .prepare = prepareRows,
                 .steps = {open(), addVersion(version2(), both), put(version2(), {100, 140}, 1), writeBack(),
                           erase({20, 30}), close(), open(), put(version2(), {0, 5, 3000}, 2), close()}});
  all.push_back(
      {.name = "compaction",
       .prepare = prepareRows,
       .steps = {open(), addVersion(version2(), both), compactRows(CompactionMode::upgrade, false),
                 compactRows(CompactionMode::compress, true), put(version2(), {50, 60}, 1), erase({70, 80}),
                 compactRows(CompactionMode::compress, false), verifyRows(), close()}});
  all.push_back({.name = "thread",
                 .options = withThread(),
                 .prepare = prepareRows,
                 .steps = {open(), addVersion(version2(), both), put(version2(), {100, 140}, 1), settle(),
                           erase({20, 30}), close()},
                 .isConcurrent = true});
  all.push_back({.name = "promotion",
                 .prepare = prepareRows,
                 .steps = {open(), stage(), setPercent(80), putStaged({100, 140}, 1), promote(),
                           compactRows(CompactionMode::upgrade, false), retire(), close()},
                 .isConcurrent = true});
  all.push_back({.name = "abort",
                 .prepare = prepareRows,
                 .steps = {open(), stage(), putStaged({100, 140}, 1), abort(), put(version1(), {0, 10}, 2),
                           addVersion(mirrored3(), versionsAre(3, {"active", "aborted", "active"}) +
                                                       trialIs(50, "a mistake")),
                           close()},
                 .isConcurrent = true});
  all.push_back({.name = "backup",
                 .prepare = prepareBlocks,
                 .steps = {open(), backUp("copy", false), put(version2(), {0, 20}, 2),
                           backUp("compact", true), close(), compactFile(), open(), erase({5, 9}), close()},
                 .isConcurrent = true,
                 .examine = examineCopies});
  all.push_back(
      {.name = "reconcile",
       .prepare = prepareDiverged,
       .steps = {open(), addVersion(mirrored3(), versionsAre(3, {"active", "active", "active"}, {1, 3})),
                 reconcileRows({10, 60}), put(mirrored3(), {60, 70}, 3), close()},
       .hasDiverged = true});
  const auto file = [](const World& world) { return world.file().string(); };
  all.push_back({.name = "command",
                 .runsCommand = true,
                 .prepare = writeSchemaFiles,
                 .steps = {importRows({0, 60}, 0), dump(60), evolveFile(),
                           command("migrate",
                                   [=](const World& world) -> std::vector<std::string> {
                                     return {"migrate", file(world), "items", "--compress"};
                                   }),
                           command("check",
                                   [=](const World& world) -> std::vector<std::string> {
                                     return {"check", file(world)};
                                   }),
                           dump(60)}});
  all.push_back({.name = "salvage",
                 .runsCommand = true,
                 .prepare = prepareDamage,
                 .steps = {salvageRows(kStored), dumpDamaged(kStored - 1), open(),
                           put(version1(), {0, 10}, 1), close()},
                 .isConcurrent = true});
  return all;
}

// What a program finds in the file that prepare() has left.
ModelState initialState(const Scenario& scenario) {
  ModelState state;
  if (scenario.name == "create" || scenario.name == "command" || scenario.name == "salvage") return state;
  for (std::uint64_t id = 0; id < kStored; ++id) state.rows[id] = textOf(id, 0);
  state.versions = versionsAre(1, {"active"});
  if (scenario.name == "backup") {
    for (std::uint64_t id = 100; id < 140; ++id) state.rows[id] = textOf(id, 1);
    state.versions = versionsAre(2, {"active", "active"});
  }
  if (scenario.name == "reconcile") state.versions = versionsAre(2, {"active", "active"}, {1, 2});
  return state;
}

// Each row is as in one of the two.
bool isBetween(const ModelRows& rows, const ModelRows& before, const ModelRows& behind) {
  const auto isIn = [](const auto& row, const ModelRows& some) {
    const auto found = some.find(row.first);
    return found != some.end() && found->second == row.second;
  };
  const bool fits =
      std::ranges::all_of(rows, [&](const auto& row) { return isIn(row, before) || isIn(row, behind); });
  const bool nothingIsLost = std::ranges::all_of(
      before, [&](const auto& row) { return rows.contains(row.first) || !behind.contains(row.first); });
  return fits && nothingIsLost;
}

}  // namespace

bool isBetween(const ModelState& state, const ModelState& before, const ModelState& behind) {
  return isBetween(state.rows, before.rows, behind.rows) &&
         (state.versions == before.versions || state.versions == behind.versions);
}

std::string whatIsWrongAfterFailure(const Step& step, bool isReadBack, const ModelState& found,
                                    const ModelState& before, const ModelState& behind) {
  if (found == before) return {};
  if (step.kind == StepKind::gradual)
    return isBetween(found, before, behind) ? "" : "rows or versions are neither as before nor as behind";
  if (found != behind) return "rows or versions are neither as before nor as behind";
  if (step.kind == StepKind::commit && !isReadBack) return "it is stored, and was reported not to be";
  return {};
}

std::vector<ModelState> Scenario::states() const {
  std::vector<ModelState> all{initialState(*this)};
  for (const Step& step : steps) {
    all.push_back(all.back());
    step.effect(all.back());
  }
  return all;
}

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = makeScenarios();
  return all;
}

const Scenario& scenarioNamed(std::string_view name) {
  for (const Scenario& scenario : scenarios()) {
    if (scenario.name == name) return scenario;
  }
  throw std::invalid_argument("there is no scenario " + std::string(name));
}

ModelRows rowsIn(const Store& store, bool hasDiverged) {
  ModelRows found;
  if (store.collections(store.read()).empty()) return found;
  const Rows rows = store.collection("items");
  const auto snapshot = store.read();
  for (const auto row : rows.scan(snapshot)) {
    const std::uint64_t id = row->get("id").as<std::uint64_t>();
    const std::string text = row->get("text").as<capnp::Text>().cStr();
    if (!found.emplace(id, text).second) throw Wrong("a row is met twice");
    if (rows.schema().version() > 1 && !hasDiverged &&
        text.substr(0, text.find(' ')) != row->get("head").as<capnp::Text>().cStr())
      throw Wrong("a row is upgraded wrongly");
  }
  if (found.size() != rows.count(snapshot)) throw Wrong("a scan has other rows than are counted");
  for (const auto& [id, text] : found) {
    const auto row = rows.get(snapshot, id);
    if (!row || text != row->get("text").as<capnp::Text>().cStr())
      throw Wrong("a row is another one when it is looked up");
  }
  return found;
}

ModelState stateIn(const Store& store, bool hasDiverged) {
  return {rowsIn(store, hasDiverged), textOfVersions(store)};
}

void putAsNewest(const Store& store, std::uint64_t id, const std::string& text) {
  const Rows rows = store.collections(store.read()).empty() ? store.collection("items", version1())
                                                            : store.collection("items");
  auto transaction = store.write();
  putRow(rows, transaction, id, text);
  transaction.commit();
}

}  // namespace instar::testing
