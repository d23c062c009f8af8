#include "instar/tests/schedules/program.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "instar/engine/check.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/migration.h"
#include "instar/tests/schedules/forgetful_storage.h"
#include "instar/tests/schedules/stager.h"

namespace instar::schedules {
namespace {

using std::chrono::milliseconds;

void sleepFor(milliseconds time) { std::this_thread::sleep_for(time); }

// Threads until the board says that it is over. What one throws is in a log, and ends it alone.
class Threads {
 public:
  explicit Threads(const Setting& setting) : setting_(setting) {}
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() {
    for (std::thread& thread : threads_) thread.join();
  }

  // `turn` is called again and again with the thread's own client.
  void start(const Store& store, const Client::Options& options, std::function<void(Client&)> turn) {
    threads_.emplace_back([this, store, options, turn = std::move(turn)] {
      Client client(store, setting_.logs(), options);
      try {
        while (!setting_.board->isOver) turn(client);
      } catch (const std::exception& exception) {
        client.log().problem(std::string("thrown: ") + exception.what());
      }
    });
  }

 private:
  const Setting& setting_;
  std::vector<std::thread> threads_;
};

StoreOptions optionsOf(ProgramKind kind, unsigned seed, bool isOneProcess = false) {
  constexpr Durability kDurabilities[] = {Durability::off, Durability::normal, Durability::full};
  StoreOptions options{
      .mode = OpenMode::openExisting,
      .durability = kDurabilities[(seed + (isOneProcess ? 0 : static_cast<unsigned>(kind))) % 3]};
  if (kind == ProgramKind::split) {
    options.compaction = {.mode = CompactionMode::compress,
                          .rate = seed % 3 == 0 ? std::uint64_t{4} << 20 : 0,
                          .lockTime = std::chrono::microseconds(500),
                          .minFreeDisk = 0,
                          .mostDeference = milliseconds(5),
                          .backoffMin = milliseconds(1),
                          .backoffMax = milliseconds(20),
                          .coldBelow = 1e9,
                          .preparingThreads = 2,
                          .keepPreimages = seed % 2 == 0,
                          .lowPriority = false};
    if (seed % 4 == 1)
      options.compaction.allowedHours = AllowedHours{.fromMinute = 6 * 60, .toMinute = 22 * 60};
  }
  if (kind == ProgramKind::visitor) options.mode = OpenMode::readOnly;
  return options;
}

Store openStore(ProgramKind kind, const Setting& setting) {
  const StoreOptions options = optionsOf(kind, setting.seed, setting.isOneProcess);
  if (setting.plant != Plant::forgottenPut || kind != ProgramKind::oldest)
    return Store::open(setting.store(), options);
  return Store::open(std::make_shared<ForgetfulStorage>(storage::openLmdb(setting.store(), options)),
                     options);
}

// Another program may be opening or may have the file to itself for a moment.
std::optional<Store> openPatiently(ProgramKind kind, const Setting& setting) {
  while (!setting.board->isOver) {
    try {
      return openStore(kind, setting);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::retry) throw;
      sleepFor(milliseconds(1));
    }
  }
  return std::nullopt;
}

unsigned versionOf(ProgramKind kind) {
  switch (kind) {
    case ProgramKind::oldest:
      return 1;
    case ProgramKind::split:
      return 2;
    case ProgramKind::newest:
      return 3;
    default:
      return 0;
  }
}

// Somebody else compacts, or writes all the time.
void compactInForeground(Client& client) {
  try {
    migrate(client.store(), client.below(3) == 0 ? kTrial : kRows,
            {.mode = client.below(2) == 0 ? CompactionMode::compress : CompactionMode::upgrade,
             .threads = 2,
             .keepPreimages = client.below(2) == 0});
    client.log().count("migrations");
  } catch (const Error& error) {
    if (error.code() != ErrorCode::retry && error.code() != ErrorCode::upgradeProgram) throw;
    client.noteRefused("migrations", error);
  }
  sleepFor(milliseconds(client.below(40)));
}

void directCompaction(Client& client) {
  const Compaction compaction = client.store().compaction();
  switch (client.below(20)) {
    case 0:
      compaction.pause();
      sleepFor(milliseconds(client.below(30)));
      return compaction.resume();
    case 1:
      return compaction.setRate(client.below(2) * (std::uint64_t{8} << 20));
    default:
      return compaction.resume();  // after failures too
  }
}

// What it reads in the copy was there at some time between the call and its return.
void copyAndRead(Client& client, const std::filesystem::path& target) {
  const bool isCompact = client.below(2) == 0;
  const Time calledAt = now();
  try {
    client.store().backup(target, {.compact = isCompact, .replace = true});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::retry) throw;
    return client.noteRefused("copies", error);
  }
  const Time begunAt = now();
  const Store copy = Store::open(target, {.mode = OpenMode::readOnly});
  client.readCopy(copy, calledAt, begunAt, !isCompact);
  client.log().count("copies");
  if (client.below(4) != 0) return;
  const CheckReport report = check(copy);
  if (!report.sound()) client.log().problem("a copy is damaged: " + report.problems.front().message);
}

void visit(const Setting& setting, unsigned incarnation) {
  Client::Options options{.identity = {nameOf(ProgramKind::visitor), incarnation, 0}, .seed = setting.seed};
  while (!setting.board->isOver) {
    const auto store = openPatiently(ProgramKind::visitor, setting);
    if (!store) return;
    ++options.identity.thread;
    Client client(*store, setting.logs(), options);
    for (unsigned turns = 1 + client.below(10); turns != 0 && !setting.board->isOver; --turns)
      client.below(2) == 0 ? client.look() : client.scan();
  }
}

void runThreadsOf(ProgramKind kind, unsigned incarnation, const Setting& setting) {
  if (kind == ProgramKind::visitor) return visit(setting, incarnation);
  const auto store = openPatiently(kind, setting);
  if (!store) return;
  Client::Options options{.identity = {nameOf(kind), incarnation, 0},
                          .seed = setting.seed,
                          .version = versionOf(kind),
                          .plant = Plant::none};
  Threads threads(setting);
  const auto start = [&](std::function<void(Client&)> turn) {
    ++options.identity.thread;
    threads.start(*store, options, std::move(turn));
  };
  switch (kind) {
    case ProgramKind::oldest:
      options.plant = setting.plant;
      start([](Client& client) { client.write(); });
      start([](Client& client) { client.look(); });
      break;
    case ProgramKind::split:
      start([](Client& client) { client.write(); });
      start([](Client& client) {
        client.scan();
        directCompaction(client);
      });
      break;
    case ProgramKind::newest:
      start([](Client& client) { client.write(); });
      start([](Client& client) { client.scan(); });
      start(compactInForeground);
      break;
    case ProgramKind::stager:
      start([stager = std::shared_ptr<Stager>()](Client& client) mutable {
        if (!stager) stager = std::make_shared<Stager>(client);
        stager->act();
        for (unsigned turns = client.below(4); turns != 0; --turns) client.write();
        for (unsigned turns = client.below(3); turns != 0; --turns) client.scan();
      });
      break;
    case ProgramKind::copier:
      start([target = setting.folder / ("copy-" + std::to_string(incarnation))](Client& client) {
        copyAndRead(client, target);
      });
      start([](Client& client) { client.look(); });
      break;
    case ProgramKind::visitor:
      break;
  }
}

void noteThrown(const Setting& setting, unsigned incarnation, const std::exception& exception) {
  EventLog log(setting.logs() / (std::to_string(incarnation) + "-program"));
  log.problem(std::string("thrown by a program: ") + exception.what());
}

// The thread compacts what its program depends on.
void openAsCompactorDoes(const Store& store) {
  const auto snapshot = store.read();
  for (const CollectionInfo& info : store.collections(snapshot))
    store.collection(info.name, *store.version(snapshot, info.name, info.currentVersion));
}

// Until the thread has packed everything, whatever the clock says.
void settle(const Store& store, EventLog& log) {
  openAsCompactorDoes(store);
  const Compaction compaction = store.compaction();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (;;) {
    const auto progress = compactionProgress(store, store.read()).collections;
    const CompactionStatus status = compaction.status();
    const bool isSettled =
        std::ranges::all_of(progress, [](const CollectionProgress& one) { return one.isSettled(); });
    if (isSettled && status.wait == WaitReason::idle) return;
    if (std::chrono::steady_clock::now() > end) {
      log.problem("the thread that compacts does not come to an end; it " +
                  std::string(describe(status.wait)) + "; " + status.detail);
      return;
    }
    sleepFor(milliseconds(2));
  }
}

void inspect(const Store& store, EventLog& log) {
  const CheckReport report = check(store);
  for (const Problem& problem : report.problems)
    log.problem("check: " + problem.collection + " " + problem.key + ": " + problem.message);
  for (const VerifiedPartition& partition : verify(store).partitions)
    if (!partition.problem.empty()) log.problem("verify: " + partition.problem);
  const AuditTrail audit = readAudit(store, store.read());
  if (!audit.damage.empty()) log.problem("audit: " + audit.damage);
  for (const AuditEntry& entry : audit.entries) {
    log.count("audit, " + std::string(auditEventName(entry.event)));
    if (entry.event == AuditEvent::passEnded && entry.cold.rows != 0) log.count("audit, packed");
    if (entry.event == AuditEvent::mismatch || entry.event == AuditEvent::circuitOpened)
      log.problem("compaction: " + std::string(auditEventName(entry.event)) + ": " + entry.reason);
  }
}

}  // namespace

const char* nameOf(ProgramKind kind) noexcept {
  constexpr const char* kNames[] = {"oldest", "split", "newest", "stager", "copier", "visitor"};
  return kNames[static_cast<std::size_t>(kind)];
}

void prepareStore(const Setting& setting) {
  std::filesystem::create_directories(setting.logs());
  const Store store = Store::open(setting.store(), {.durability = Durability::off});
  store.collection(kRows, storedVersion(1, 1));
  store.collection(kTrial, storedVersion(1, 1));
  Client client(store, setting.logs(), {.identity = {"first", 1, 0}, .seed = setting.seed, .version = 1});
  for (unsigned turn = 0; turn < 60; ++turn) client.write();
}

void runProgram(ProgramKind kind, unsigned incarnation, const Setting& setting) {
  try {
    runThreadsOf(kind, incarnation, setting);
  } catch (const std::exception& exception) {
    noteThrown(setting, incarnation, exception);
  }
}

void inspectStore(unsigned incarnation, const Setting& setting) {
  try {
    StoreOptions options = optionsOf(ProgramKind::split, 0);
    options.compaction.rate = 0;
    const Store store = Store::open(setting.store(), options);
    Client client(store, setting.logs(), {.identity = {"last", incarnation, 0}, .seed = setting.seed});
    settle(store, client.log());
    store.compaction().stop();
    client.write();
    inspect(store, client.log());
    client.readEnd();
  } catch (const std::exception& exception) {
    noteThrown(setting, incarnation, exception);
  }
}

void runThreads(const Setting& setting, unsigned milliseconds) {
  prepareStore(setting);
  {
    std::vector<std::thread> programs;
    for (unsigned kind = 0; kind < kProgramKinds; ++kind) {
      if (static_cast<ProgramKind>(kind) == ProgramKind::visitor) continue;  // the file is open for writing
      programs.emplace_back([&, kind] { runProgram(static_cast<ProgramKind>(kind), 10 + kind, setting); });
    }
    sleepFor(std::chrono::milliseconds(milliseconds));
    setting.board->isOver = true;
    for (std::thread& program : programs) program.join();
  }
  setting.board->isOver = false;
  inspectStore(100, setting);
}

}  // namespace instar::schedules
