#include "instar/tests/model/actions.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "instar/engine/compaction.h"
#include "instar/engine/migration.h"
#include "instar/engine/reconciliation.h"
#include "instar/engine/staging.h"
#include "instar/tests/support/fault_io.h"

namespace instar::model {
namespace {

[[noreturn]] void fail(const std::string& what) {
  RC_FAIL(what);
  throw std::logic_error("unreachable");
}

// `act` has to be refused with that code.
template <class Act>
void expectRefused(ErrorCode code, const std::string& what, Act&& act) {
  try {
    act();
  } catch (const Error& error) {
    if (error.code() == code) return;
    fail(what + " is refused in another way: " + error.what());
  }
  fail(what + " is not refused");
}

std::uint16_t number16(unsigned number) { return static_cast<std::uint16_t>(number); }

// --- when

bool always(const Model&) { return true; }
bool isWriting(const Model& model) { return model.pending.has_value(); }
bool isIdle(const Model& model) { return !model.pending; }
// The thread that compacts, or the one that is to, has it to itself.
bool isAlone(const Model& model) { return isIdle(model) && !model.hasThread; }

// --- rows

void nothing(Model&, const Choice&) {}

void applyPut(Model& model, const Choice& choice) { model.put(model.writer(choice), choice); }
void runPut(const Model& model, System& system, const Choice& choice) {
  system.put(model, model.writer(choice), choice);
}

void applyEdit(Model& model, const Choice& choice) { model.edit(model.writer(choice), choice); }
void runEdit(const Model& model, System& system, const Choice& choice) {
  system.edit(model, model.writer(choice), choice);
}

void applyErase(Model& model, const Choice& choice) { model.erase(choice); }
void runErase(const Model& model, System& system, const Choice& choice) {
  const Rows& rows = system.program(model, model.writer(choice));
  const std::string key = Model::key(choice);
  if (rows.erase(system.transaction(), key) != model.rows().contains(key))
    fail("erase() is wrong about " + key);
}

// Several rows by one program.
template <class Each>
void forBatch(const Choice& choice, Each&& each) {
  Choice next = choice;
  for (unsigned i = 0; i < 2U + choice.how % 16; ++i) {
    each(next);
    next.key = static_cast<std::uint8_t>(next.key + 5);
    next.size = static_cast<std::uint16_t>(next.size + 77);
  }
}
void applyBatch(Model& model, const Choice& choice) {
  forBatch(choice, [&](const Choice& one) { model.put(model.writer(choice), one); });
}
void runBatch(const Model& model, System& system, const Choice& choice) {
  forBatch(choice, [&](const Choice& one) { system.put(model, model.writer(choice), one); });
}

void runGet(const Model& model, System& system, const Choice& choice) {
  system.look([&](const Transaction& seen) {
    system.compareKey(model, model.reader(choice), seen, Model::key(choice), model.rows());
  });
}
void runScan(const Model& model, System& system, const Choice& choice) {
  system.look(
      [&](const Transaction& seen) { system.compareScan(model, model.reader(choice), seen, choice); });
}
void runReadAll(const Model& model, System& system, const Choice& choice) {
  system.look(
      [&](const Transaction& seen) { system.compare(model, model.reader(choice), seen, model.rows()); });
}

// --- transactions

void applyCommit(Model& model, const Choice&) { model.commit(); }
void runCommit(const Model& model, System& system, const Choice& choice) {
  runReadAll(model, system, choice);
  system.commit();
}
void applyAbort(Model& model, const Choice&) { model.abort(); }
void runAbort(const Model&, System& system, const Choice& choice) {
  if (choice.how % 2 == 0) system.transaction().abort();
  system.abort();
}

bool hasRoomForASnapshot(const Model& model) { return model.snapshots.size() < kMostSnapshots; }
bool hasSnapshot(const Model& model) { return !model.snapshots.empty(); }
void applyTake(Model& model, const Choice&) {
  model.snapshots.push_back({std::make_shared<Records>(model.committed), model.versions});
}
void runTake(const Model&, System& system, const Choice&) {
  system.snapshots().push_back(system.store().read());
}
// By a program that depended on its version already: how one that was tried was served then is forgotten.
void runReadSnapshot(const Model& model, System& system, const Choice& choice) {
  const std::size_t index = choice.how % model.snapshots.size();
  const Model::Snapshot& snapshot = model.snapshots[index];
  const auto readers = model.readersOf(snapshot);
  if (readers.empty()) return;
  system.compare(model, Model::pick(readers, choice.program), system.snapshots()[index], *snapshot.rows);
}
void applyDrop(Model& model, const Choice& choice) {
  model.snapshots.erase(model.snapshots.begin() + choice.how % static_cast<int>(model.snapshots.size()));
}
void runDrop(const Model& model, System& system, const Choice& choice) {
  auto& snapshots = system.snapshots();
  snapshots.erase(snapshots.begin() + choice.how % static_cast<int>(model.snapshots.size()));
}

// --- versions

bool canAdd(const Model& model) {
  return isIdle(model) && model.versions.staged() == 0 && model.versions.newest() < kMostVersions;
}
bool canAddMirrored(const Model& model) { return canAdd(model) && model.versions.canMirror(); }
template <Change change>
void applyNewVersion(Model& model, const Choice&) {
  model.addVersion(change, VersionState::active);
}
template <Change change>
void runNewVersion(const Model& model, System& system, const Choice&) {
  Model after = model;
  after.addVersion(change, VersionState::active);
  system.program(after, after.versions.newest());
}

double percentOf(const Choice& choice) { return choice.how % 5 * 25.0; }
void applyStage(Model& model, const Choice& choice) {
  const bool mirrors = model.versions.canMirror() && choice.size % 4 != 0;
  model.addVersion(mirrors ? Change::mirrored : Change::additive, VersionState::staged);
  model.percent = percentOf(choice);
}
void runStage(const Model& model, System& system, const Choice& choice) {
  Model after = model;
  applyStage(after, choice);
  system.program(after, after.versions.newest());
}

bool canChangeStaged(const Model& model) { return isIdle(model) && model.versions.staged() != 0; }
void applyPercent(Model& model, const Choice& choice) { model.percent = percentOf(choice); }
void runPercent(const Model& model, System& system, const Choice& choice) {
  setStagedPercent(system.store(), kCollection, number16(model.versions.staged()), percentOf(choice));
}
void runShadow(const Model& model, System& system, const Choice& choice) {
  const auto staged = number16(model.versions.staged());
  setStagedShadow(system.store(), kCollection, staged, percentOf(choice));
  const auto status = stagingStatus(system.store(), system.store().read(), kCollection);
  if (!status || status->version != staged || status->shadow != percentOf(choice))
    fail("the share of the reads that are tried is another one");
}
void applyPromote(Model& model, const Choice&) {
  model.versions.state(model.versions.staged()) = VersionState::active;
}
void runPromote(const Model& model, System& system, const Choice&) {
  promoteVersion(system.store(), kCollection, number16(model.versions.staged()), {.forced = true});
}
void applyAbortStaged(Model& model, const Choice&) { model.giveUp(model.versions.staged()); }
void runAbortStaged(const Model& model, System& system, const Choice&) {
  const unsigned staged = model.versions.staged();
  abortVersion(system.store(), kCollection, number16(staged), "");
  system.end(staged);
}

bool canTryToGiveUp(const Model& model) { return isIdle(model) && model.versions.staged() == 0; }
void applyGiveUp(Model& model, const Choice&) {
  if (model.canGiveUp()) model.giveUp(model.versions.current());
}
void runGiveUp(const Model& model, System& system, const Choice&) {
  const unsigned current = model.versions.current();
  system.program(model, current);
  const auto giveUp = [&] { abortVersion(system.store(), kCollection, number16(current), ""); };
  if (!model.canGiveUp()) return expectRefused(ErrorCode::fixCall, "giving up the version", giveUp);
  giveUp();
  system.end(current);
}

bool canRetire(const Model& model) {
  return isAlone(model) && model.snapshots.empty() && model.versions.staged() == 0 && model.retirable() > 0;
}
void applyRetire(Model& model, const Choice&) { model.retire(model.retirable()); }
void runRetire(const Model& model, System& system, const Choice& choice) {
  migrate(system.store(), kCollection,
          {.mode = choice.how % 2 == 0 ? CompactionMode::upgrade : CompactionMode::compress});
  retireVersions(system.store(), kCollection, number16(model.retirable()));
}

// A program that the floors shut out.
bool hasShutOut(const Model& model) { return isIdle(model) && !model.shutOut().empty(); }
void runShutOut(const Model& model, System& system, const Choice& choice) {
  const unsigned version = Model::pick(model.shutOut(), choice.program);
  expectRefused(ErrorCode::upgradeProgram, "version " + std::to_string(version) + ", which is below a floor,",
                [&] {
                  const Rows& rows = system.program(model, version);
                  if (version < model.readerFloor) {
                    rows.get(system.store().read(), Model::key(choice));
                    return;
                  }
                  auto transaction = system.store().write();
                  auto draft = rows.create();
                  draft->set("key", Model::key(choice).c_str());
                  rows.put(transaction, draft);
                });
}

// --- what rewrites rows

struct Ended {};

void runMigrate(const Model& model, System& system, const Choice& choice) {
  system.program(model, model.versions.current());
  const bool ends = choice.size % 3 == 0;  // behind some batches
  unsigned left = choice.size % 5;
  MigrationOptions options;
  options.mode = choice.how % 2 == 0 ? CompactionMode::upgrade : CompactionMode::compress;
  options.keepPreimages = choice.how % 4 >= 2;
  options.lockTime = std::chrono::microseconds(choice.how % 8 >= 4 ? 0 : 2000);
  options.progress = [&](const Progress&) {
    if (ends && left-- == 0) throw Ended();
  };
  try {
    const Migration done = migrate(system.store(), kCollection, options);
    if (done.failed != 0) fail("rows cannot be upgraded");
    // Where nothing has to be upgraded, what a pass in progress has kept stays.
    const bool isWhole = options.mode == CompactionMode::compress;
    if (isWhole && !verify(system.store()).kept.empty()) fail("pre-images are left");
  } catch (const Ended&) {
  }
}

void runWriteBack(const Model& model, System& system, const Choice& choice) {
  system.look(
      [&](const Transaction& seen) { system.compare(model, model.reader(choice), seen, model.committed); });
  system.store().writeBack(1U + choice.how % 24);
}

// Of a record all texts say the same, whoever has put it: no mirror is ever wrong.
void runReconcile(const Model& model, System& system, const Choice& choice) {
  system.program(model, model.versions.current());
  const Follow follow = choice.how % 2 == 0 ? Follow::newer : Follow::older;
  const auto run = [&] {
    return reconcile(system.store(), kCollection, follow, {.dryRun = choice.how % 4 >= 2});
  };
  const auto& fields = model.versions[model.versions.current()].fields;
  if (std::ranges::none_of(fields, [](const Field& field) { return field.change == Change::mirrored; }))
    return expectRefused(ErrorCode::fixCall, "reconciling what is not mirrored", run);
  const Reconciliation done = run();
  if (done.diverged != 0 || done.failed != 0) fail("mirrors are not what they are made from");
}

bool isRunning(const Model& model) { return model.hasThread && !model.isPaused; }
void applyPause(Model& model, const Choice&) { model.isPaused = true; }
void runPause(const Model&, System& system, const Choice&) { system.store().compaction().pause(); }
bool isPaused(const Model& model) { return model.hasThread && model.isPaused; }
void applyResume(Model& model, const Choice&) { model.isPaused = false; }
void runResume(const Model&, System& system, const Choice&) { system.store().compaction().resume(); }
bool canWork(const Model& model) { return isRunning(model) && isIdle(model); }
void runLetWork(const Model&, System& system, const Choice&) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
  while (system.store().compaction().status().wait != WaitReason::idle &&
         std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// --- what happens to the file

// Also in the midst of a transaction.
void runSync(const Model&, System& system, const Choice&) { system.store().sync(); }

// Each snapshot that is held has a slot, and none of a program that has died is left.
void runReaders(const Model& model, System& system, const Choice&) {
  if (system.store().clearStaleReaders() != 0) fail("a reader of this program counts as dead");
  std::map<std::uint64_t, std::size_t> held;
  for (const ReaderInfo& reader : system.store().readers()) {
    if (!reader.alive || reader.process != ::getpid()) fail("a reader is not of this program");
    if (reader.transaction != 0) ++held[reader.transaction];
  }
  if (model.snapshots.size() != system.snapshots().size()) fail("the model holds other snapshots");
  for (const ReadTransaction& snapshot : system.snapshots()) {
    auto& left = held[snapshot.id()];
    if (left == 0) fail("a snapshot is held and not among the readers");
    --left;
  }
}

void forget(Model& model) {
  model.forgetTransactions();
  model.snapshots.clear();
  model.hasThread = model.isPaused = false;
}

bool hasThreadNow(const Choice& choice) { return choice.how % 3 == 0; }
void applyReopen(Model& model, const Choice& choice) {
  forget(model);
  model.hasThread = hasThreadNow(choice);
}
void runReopen(const Model& model, System& system, const Choice& choice) {
  system.close();
  system.open(hasThreadNow(choice), choice.how % 5 == 0 ? Durability::full : Durability::off);
  system.program(model, model.versions.current());
}

void applyCompactFile(Model& model, const Choice&) { forget(model); }
void runCompactFile(const Model&, System& system, const Choice&) {
  system.close();
  Store::compact(system.path());
  system.open(false);
}

void runBackup(const Model& model, System& system, const Choice& choice) {
  const auto copy = system.beside("copy.instar");
  system.program(model, model.versions.current());
  system.store().backup(copy, {.compact = choice.how % 2 == 0, .replace = true});
  StoreOptions options = storeOptions(false, Durability::off);
  options.mode = OpenMode::readOnly;
  System::checkFile(Store::open(copy, options));
  System opened(
      [&](const std::filesystem::path&, const StoreOptions&) { return Store::open(copy, options); });
  Model copied = model;
  copied.pending.reset();
  opened.compareVersions(copied);
  opened.compare(copied, copied.reader(choice), opened.store().read(), copied.committed);
}

// Another process commits a batch, is in the midst of another one, or of compaction, and is killed.
void applyKill(Model& model, const Choice& choice) {
  forget(model);
  applyBatch(model, choice);
  model.commit();
}
[[noreturn]] void dieInTheMidst(const Model& model, System& system, const Choice& choice) {
  const auto die = [] { ::kill(::getpid(), SIGKILL); };
  system.open(false);
  Model own = model;
  forget(own);
  runBatch(own, system, choice);
  system.commit();
  if (choice.size % 2 == 0) {
    runBatch(own, system, {.key = choice.how, .size = choice.size, .program = choice.program, .how = 7});
  } else {
    unsigned left = choice.size % 4;
    migrate(system.store(), kCollection,
            {.mode = CompactionMode::compress,
             .lockTime = std::chrono::microseconds(0),
             .keepPreimages = choice.size % 8 >= 4,
             .progress = [&](const Progress&) {
               if (left-- == 0) die();
             }});
  }
  die();
  ::_exit(1);
}
void runKill(const Model& model, System& system, const Choice& choice) {
  system.close();
  const pid_t process = ::fork();
  if (process < 0) fail("there is no second process");
  if (process == 0) {
    try {
      dieInTheMidst(model, system, choice);
    } catch (const std::exception& error) {
      static_cast<void>(std::fprintf(stderr, "in the process that is killed: %s\n", error.what()));
    } catch (...) {
      static_cast<void>(std::fputs("the process that is killed has failed\n", stderr));
    }
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(process, &status, 0);
  system.open(false);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) fail("it has ended otherwise");
}

// Files can no longer be written to.
testing::IoOutcome failAsFull(const testing::IoEvent& event) {
  struct stat status {};
  const bool isWritten =
      event.bytes > 0 && ::fstat(event.descriptor, &status) == 0 && S_ISREG(status.st_mode);
  return isWritten ? testing::IoOutcome{ENOSPC} : testing::IoOutcome{};
}

// While no other thread of the store writes.
bool isQuiet(const Model& model) { return !model.hasThread && model.versions.staged() == 0; }
bool canFailToCommit(const Model& model) { return model.hasWritten && isQuiet(model); }
bool canFailToCopy(const Model& model) { return isIdle(model) && isQuiet(model); }
void runFullCommit(const Model&, System& system, const Choice&) {
  expectRefused(ErrorCode::freeSpace, "a commit on a full disk", [&] {
    const testing::ScopedIoRule rule(failAsFull);
    system.transaction().commit();
  });
  system.abort();
}
void runFullMigrate(const Model& model, System& system, const Choice& choice) {
  system.program(model, model.versions.current());
  const testing::ScopedIoRule rule(failAsFull);
  try {
    migrate(system.store(), kCollection,
            {.mode = CompactionMode::compress, .keepPreimages = choice.how % 2 == 0});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::freeSpace) fail(std::string("on a full disk: ") + error.what());
  }
}
void runFullBackup(const Model&, System& system, const Choice&) {
  expectRefused(ErrorCode::freeSpace, "a backup to a full disk", [&] {
    const testing::ScopedIoRule rule(failAsFull);
    system.store().backup(system.beside("full.instar"), {.replace = true});
  });
  if (std::filesystem::exists(system.beside("full.instar"))) fail("half of a backup is left");
}

void runCheck(const Model& model, System& system, const Choice&) {
  system.checkFile(system.store());
  system.compareVersions(model);
}

}  // namespace

const std::vector<ActionKind>& actionKinds() {
  static const std::vector<ActionKind> kinds = {
      {"put", 40, always, applyPut, runPut},
      {"edit", 25, always, applyEdit, runEdit},
      {"erase", 20, always, applyErase, runErase},
      {"batch", 8, always, applyBatch, runBatch},
      {"get", 10, always, nothing, runGet},
      {"scan", 12, always, nothing, runScan},
      {"readAll", 10, always, nothing, runReadAll},
      {"commit", 40, isWriting, applyCommit, runCommit},
      {"abort", 6, isWriting, applyAbort, runAbort},
      {"takeSnapshot", 6, hasRoomForASnapshot, applyTake, runTake},
      {"readSnapshot", 8, hasSnapshot, nothing, runReadSnapshot},
      {"dropSnapshot", 6, hasSnapshot, applyDrop, runDrop},
      {"additiveVersion", 3, canAdd, applyNewVersion<Change::additive>, runNewVersion<Change::additive>},
      {"mirroredVersion", 5, canAddMirrored, applyNewVersion<Change::mirrored>,
       runNewVersion<Change::mirrored>},
      {"lossyVersion", 2, canAdd, applyNewVersion<Change::lossy>, runNewVersion<Change::lossy>},
      {"replacedVersion", 2, canAdd, applyNewVersion<Change::replaced>, runNewVersion<Change::replaced>},
      {"stage", 6, canAdd, applyStage, runStage},
      {"changePercent", 6, canChangeStaged, applyPercent, runPercent},
      {"changeShadow", 4, canChangeStaged, nothing, runShadow},
      {"promote", 5, canChangeStaged, applyPromote, runPromote},
      {"abortStaged", 4, canChangeStaged, applyAbortStaged, runAbortStaged},
      {"giveUp", 2, canTryToGiveUp, applyGiveUp, runGiveUp},
      {"retire", 8, canRetire, applyRetire, runRetire},
      {"beShutOut", 3, hasShutOut, nothing, runShutOut},
      {"migrate", 15, isAlone, nothing, runMigrate},
      {"writeBack", 10, isIdle, nothing, runWriteBack},
      {"reconcile", 5, isIdle, nothing, runReconcile},
      {"pause", 6, isRunning, applyPause, runPause},
      {"resume", 15, isPaused, applyResume, runResume},
      {"letThreadWork", 8, canWork, nothing, runLetWork},
      {"sync", 3, always, nothing, runSync},
      {"lookAtReaders", 4, always, nothing, runReaders},
      {"reopen", 5, always, applyReopen, runReopen},
      {"compactFile", 3, always, applyCompactFile, runCompactFile},
      {"backup", 4, isIdle, nothing, runBackup},
      {"kill", 3, always, applyKill, runKill},
      {"commitOnFullDisk", 5, canFailToCommit, applyAbort, runFullCommit},
      {"migrateOnFullDisk", 3, canFailToCopy, nothing, runFullMigrate},
      {"backupOnFullDisk", 2, canFailToCopy, nothing, runFullBackup},
      {"check", 6, isIdle, nothing, runCheck},
  };
  return kinds;
}

namespace {

class Action : public Command {
 public:
  Action(const ActionKind& kind, const Choice& choice, Tally& tally)
      : kind_(kind), choice_(choice), tally_(tally) {}

  void checkPreconditions(const Model& model) const override { RC_PRE(kind_.mayRun(model)); }
  void apply(Model& model) const override { kind_.apply(model, choice_); }
  void run(const Model& model, System& system) const override {
    ++tally_[kind_.name];
    kind_.run(model, system, choice_);
    const Model after = nextState(model);
    const auto snapshot = system.store().read();
    system.compare(after, after.reader(choice_), snapshot, after.committed);
  }
  void show(std::ostream& out) const override {
    out << kind_.name << "(key " << int{choice_.key} << ", size " << choice_.size << ", program "
        << int{choice_.program} << ", how " << int{choice_.how} << ")";
  }

 private:
  const ActionKind& kind_;
  const Choice choice_;
  Tally& tally_;
};

rc::Gen<std::shared_ptr<const Command>> anyAction(const Model& model, Tally& tally) {
  std::vector<std::pair<std::size_t, const ActionKind*>> possible;
  for (const ActionKind& kind : actionKinds()) {
    if (kind.mayRun(model)) possible.emplace_back(kind.weight, &kind);
  }
  std::size_t sum = 0;
  for (const auto& [weight, kind] : possible) sum += weight;
  const auto kind =
      rc::gen::map(rc::gen::noShrink(rc::gen::inRange<std::size_t>(0, sum)), [possible](std::size_t place) {
        auto next = possible.begin();
        for (; place >= next->first; ++next) place -= next->first;
        return next->second;
      });
  const auto whole = [](auto number) {  // whatever the size is
    return rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<decltype(number)>());
  };
  const auto choice = rc::gen::construct<Choice>(whole(std::uint8_t{}), whole(std::uint16_t{}),
                                                 whole(std::uint8_t{}), whole(std::uint8_t{}));
  return rc::gen::map(
      rc::gen::pair(kind, choice),
      [&tally](const std::pair<const ActionKind*, Choice>& made) -> std::shared_ptr<const Command> {
        return std::make_shared<Action>(*made.first, made.second, tally);
      });
}

}  // namespace

rc::Gen<rc::state::Commands<Command>> anyCommands(double scale, Tally& tally) {
  return rc::gen::scale(scale, rc::state::gen::commands(Model(), [&tally](const Model& model) {
                          return anyAction(model, tally);
                        }));
}

}  // namespace instar::model
