// What the sweep has found, each with its story.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <kj/exception.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <new>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "instar/engine/check.h"
#include "instar/engine/internal/compaction/io_account.h"
#include "instar/engine/internal/pages/page_map.h"
#include "instar/engine/internal/storage/file_system.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/reconciliation.h"
#include "instar/engine/salvage.h"
#include "instar/format/file_format.h"
#include "instar/tests/faults/failure_rules.h"
#include "instar/tests/faults/fault_case.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/schema_file.h"

namespace instar::testing {
namespace {

template <class Exception>
void throwAny(const Exception& exception) {
  throw exception;
}

TEST(FaultRegressions, AFileThatCouldNotBeOpenedForWantOfMemoryIsOpenedWhenThereIsSome) {
  // The process kept the entry of its registry that nobody owned: each further try waited for half a minute
  // and said that another thread was opening or closing the store; or that the lock file was in use.
  const TemporaryFolder folder;
  ChildProcess child([&](const Steps&) {
    Store::open(folder / "store");
    bool wasHit = true;
    for (std::uint64_t number = 1; wasHit; ++number) {
      const Fault fault{.call = FaultCall::allocate, .error = ENOMEM, .number = number};
      armFaults({&fault, 1});
      try {
        Store::open(folder / "store", {.writeTimeout = std::chrono::milliseconds(100)});
      } catch (const std::bad_alloc&) {
      } catch (const Error& error) {
        disarmFaults();
        EXPECT_EQ(error.code(), ErrorCode::freeSpace) << error.what();
      }
      disarmFaults();
      wasHit = testing::wasHit(0);
      EXPECT_NO_THROW(Store::open(folder / "store", {.writeTimeout = std::chrono::milliseconds(100)}))
          << "after allocation " << number;
    }
  });
  child.expectSuccess();
}

TEST(FaultRegressions, AThreadThatCannotKeepPreimagesYetDoesSoLater) {
  // Its list of workers had one that was never made, and the thread went on with that: a signal. Nor was the
  // collection taken up again when the disk was sound.
  FaultCases cases(scenarioNamed("thread"));
  for (std::uint64_t number = 1; number <= 8; ++number) {
    for (const bool isLasting : {false, true}) {
      const Fault fault{FaultCall::fdatasync, EIO, number, isLasting};
      EXPECT_EQ(cases.run({&fault, 1}, AfterFailure::goOn).wrong, "");
    }
  }
}

TEST(FaultRegressions, ASignalDuringASyncSaysToTryAgain) {
  // "The system refuses: see the reason" with a code that sent people to look at permissions.
  const TemporaryFolder folder;
  ChildProcess child([&](const Steps&) {
    const Store store = Store::open(folder / "store");
    putAsNewest(store, 1, "row 1");
    const Fault fault{.call = FaultCall::fdatasync, .error = EINTR};
    armFaults({&fault, 1});
    EXPECT_ERROR(putAsNewest(store, 1, "row 2"), retry, "a signal has interrupted it");
    disarmFaults();
    EXPECT_EQ(rowsIn(store, false), (ModelRows{{1, "row 1"}}));
    putAsNewest(store, 1, "row 2");
  });
  child.expectSuccess();
}

TEST(FaultRegressions, BytesThatTheKernelDoesNotTellOfAreNoHugeAmount) {
  // One look at the account failed: less than nothing seemed to be written since, which is a number with
  // twenty digits, and who keeps to a rate waited for years.
  const TemporaryFolder folder;
  ChildProcess child([&](const Steps&) {
    IoAccount account;
    const auto write = [&] {
      std::FILE* const file = std::fopen((folder / "file").c_str(), "w");
      std::fputs("some bytes", file);
      std::fclose(file);
    };
    write();
    const std::uint64_t written = account.take().written;
    const Fault fault{.call = FaultCall::pread, .error = EIO};
    armFaults({&fault, 1});
    write();
    EXPECT_EQ(account.take().written, 0U);
    disarmFaults();
    EXPECT_TRUE(testing::wasHit(0));
    EXPECT_EQ(account.take().written, written) << "it is made up for";
    armFaults({&fault, 1});
    const IoAccount silent;
    disarmFaults();
    EXPECT_EQ(silent.total().written, 0U) << "what was written before";
  });
  child.expectSuccess();
}

TEST(FaultRegressions, WantOfMemoryIsNotBlamedOnRows) {
  // A row for whose upgrade there was no memory counted as damaged: reconciliation left it alone and went on,
  // and check sent its owner to the backups.
  const TemporaryFolder folder;
  ChildProcess child([&](const Steps&) {
    const Scenario& scenario = scenarioNamed("reconcile");
    World world{.folder = folder.path()};
    scenario.prepare(world);
    for (const Step& step : scenario.steps) {
      if (step.kind != StepKind::steady) break;
      step.run(world);
    }
    const std::function<void()> looks[] = {[&] {
                                             const auto found = reconcile(*world.store, "items",
                                                                          Follow::newer, {.dryRun = true});
                                             EXPECT_EQ(found.failed, 0U);
                                           },
                                           [&] { EXPECT_TRUE(check(*world.store).sound()); },
                                           [&] { EXPECT_EQ(verify(*world.store).problems, 0U); }};
    for (const auto& look : looks) {
      bool wasHit = true;
      for (std::uint64_t number = 1; wasHit; number += 1 + number / 200) {
        const Fault fault{.call = FaultCall::allocate, .error = ENOMEM, .number = number};
        armFaults({&fault, 1});
        try {
          look();
        } catch (const std::exception&) {  // of whatever kind, the sweep looks at that
        }
        disarmFaults();
        wasHit = testing::wasHit(0);
      }
    }
  });
  child.expectSuccess();
}

TEST(FaultRegressions, ADraftThatWasRefusedMemoryAsItGrewCanStillBePutAndEnds) {
  // Cap'n Proto's message went over a list of its segments that was not whole yet when it ended, or when its
  // bytes were asked for: a signal, far away from the allocation that had failed.
  const TemporaryFolder folder;
  ChildProcess child([&](const Steps&) {
    const Store store = Store::open(folder / "store");
    putAsNewest(store, 1, "row 1");
    const auto rows = store.collection("items");
    const std::string longText(1500, 'l');
    bool wasHit = true;
    for (std::uint64_t number = 1; wasHit; ++number) {
      for (const bool triesAgain : {false, true}) {
        auto draft = rows.create();
        draft->set("id", 1);
        const Fault fault{.call = FaultCall::allocate, .error = ENOMEM, .number = number};
        armFaults({&fault, 1});
        try {
          for (int times = 0; times < 4; ++times) draft->set("text", longText.c_str());
        } catch (const std::bad_alloc&) {
        }
        disarmFaults();
        wasHit = testing::wasHit(0);
        const std::string text = triesAgain ? longText + "?" : "a short text";
        draft->set("text", text.c_str());
        auto transaction = store.write();
        rows.put(transaction, draft);
        transaction.commit();
        EXPECT_EQ(rowsIn(store, false), (ModelRows{{1, text}}));
      }
    }
  });
  child.expectSuccess();
}

// Calls `act` with the n-th allocation refused, for every n, each time behind `prepare` and before `look`.
template <class Prepare, class Act, class Look>
void refuseEachAllocation(Prepare&& prepare, Act&& act, Look&& look) {
  bool wasHit = true;
  for (std::uint64_t number = 1; wasHit; ++number) {
    SCOPED_TRACE("allocation " + std::to_string(number));
    auto prepared = prepare();
    const Fault fault{.call = FaultCall::allocate, .error = ENOMEM, .number = number};
    armFaults({&fault, 1});
    try {
      act(prepared);
    } catch (const std::bad_alloc&) {
    } catch (const Error& error) {
      disarmFaults();
      EXPECT_EQ(error.code(), ErrorCode::freeSpace) << error.what();
    } catch (const kj::Exception&) {  // of Cap'n Proto's own tables
    }
    disarmFaults();
    wasHit = testing::wasHit(0);
    look(prepared);
  }
}

TEST(FaultRegressions, ATreeThatThereWasNoMemoryToListIsNotTakenForAnother) {
  // LMDB had opened it and given it a number, which the next tree was taken to have: rows went into the wrong
  // collection.
  const TemporaryFolder folder;
  ChildProcess child([&](const Steps&) {
    int stores = 0;
    const auto prepare = [&] { return storage::openLmdb(folder / std::to_string(++stores), {}); };
    const auto act = [](const auto& environment) { environment->openTree("first", true); };
    const auto look = [](const auto& environment) {
      const auto second = environment->openTree("second", true);
      const auto first = environment->openTree("first", true);
      const auto transaction = environment->begin(storage::Access::write, std::chrono::milliseconds(100));
      transaction->reserve(*second, asBytes("key"), 1);
      EXPECT_EQ(transaction->statistics(*first).entries, 0U);
      EXPECT_EQ(transaction->statistics(*second).entries, 1U);
    };
    refuseEachAllocation(prepare, act, look);
  });
  child.expectSuccess();
}

TEST(FaultRegressions, AWriterThatHasNoMemoryToListTreesLetsOthersWrite) {
  // Another process had made a tree. The writer had begun LMDB's transaction, found no memory for the names
  // of trees, and left the transaction open: nobody could write any more, in any process.
  const TemporaryFolder folder;
  ChildProcess child([&](const Steps&) {
    int stores = 0;
    const auto prepare = [&] {
      const auto path = folder / std::to_string(++stores);
      auto environment = storage::openLmdb(path, {});
      environment->begin(storage::Access::read, {});
      ChildProcess other([&](const Steps&) {
        storage::openLmdb(path, {})->openTree("a name that takes memory of its own", true);
      });
      other.expectSuccess();
      return environment;
    };
    const auto act = [](const auto& environment) {
      environment->begin(storage::Access::write, std::chrono::milliseconds(100));
    };
    const auto look = [](const auto& environment) {
      ::alarm(5);  // LMDB would wait for ever
      environment->begin(storage::Access::write, std::chrono::milliseconds(100));
      ::alarm(0);
    };
    refuseEachAllocation(prepare, act, look);
  });
  child.expectSuccess();
}

TEST(FaultRegressions, ATrialIsKeptAlsoWhenThereWasNoMemoryForALook) {
  // The thread that keeps it had no memory for its list of trials, or for those who are to be told of the
  // end: the process ended.
  FaultCases cases(scenarioNamed("promotion"));
  for (std::uint64_t number = 400; number <= 1600; number += 30) {
    for (const bool isLasting : {false, true}) {
      const Fault fault{FaultCall::allocate, ENOMEM, number, isLasting};
      EXPECT_EQ(cases.run({&fault, 1}, AfterFailure::goOn).wrong, "");
    }
  }
}

TEST(FaultRegressions, TheThreadThatCompactsOutlastsWantOfMemory) {
  // Where there was not even enough of it to say so, the thread was over for good.
  FaultCases cases(scenarioNamed("thread"));
  for (std::uint64_t number = 400; number <= 4000; number += 400) {
    const Fault fault{FaultCall::allocate, ENOMEM, number, true};
    EXPECT_EQ(cases.run({&fault, 1}, AfterFailure::goOn).wrong, "");
  }
}

TEST(FaultRegressions, ACacheOfBlocksThatWasRefusedMemoryGoesOn) {
  // A section was in it without its name, or a name without its section: one was never given up again, the
  // other ended the process when its turn to go came.
  const TemporaryFolder folder;
  ChildProcess child([&](const Steps&) {
    const Scenario& scenario = scenarioNamed("backup");
    World world{.folder = folder.path()};
    scenario.prepare(world);
    const Store store = Store::open(world.file(), {.coldCacheBytes = 8192});
    const ModelRows rows = rowsIn(store, false);
    const auto prepare = [&] { return &store; };
    const auto read = [](const Store* packed) { rowsIn(*packed, false); };
    refuseEachAllocation(prepare, read, [](const Store*) {});
    EXPECT_EQ(rowsIn(store, false), rows);
  });
  child.expectSuccess();
}

TEST(FaultRegressions, ACommandThatIsRefusedMemoryInItsCleaningUpSaysSo) {
  // Cap'n Proto's compiler was refused memory while it cleaned up: "terminate called", and a core file.
  const auto endsWith = [](const auto& thrown) {
    std::set_terminate(tools::endForWantOfMemory);
    const auto cleanUp = [&](const auto& what) noexcept { throwAny(what); };
    cleanUp(thrown);
  };
  EXPECT_EXIT(endsWith(std::bad_alloc()),
              ::testing::ExitedWithCode(static_cast<int>(tools::ExitStatus::problem)),
              "instar: there is not enough memory");
  EXPECT_EXIT(endsWith(std::runtime_error("a mistake")), ::testing::KilledBySignal(SIGABRT), "");
}

TEST(FaultRegressions, WantOfMemoryIsNotBlamedOnASchemaFile) {
  // Cap'n Proto's compiler was refused memory, and the schema file was said not to compile.
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "item.capnp";
  std::ofstream(file) << "@0xc0ffee5eedf00d01;\nusing Instar = import \"/instar/schema.capnp\";\n"
                         "struct Item $Instar.version(1) { id @0 :UInt64 $Instar.key(0); text @1 :Text; }\n";
  ChildProcess child([&](const Steps&) {
    const auto load = [&] { return tools::loadSchemaFile(file.string() + ":Item", {}); };
    EXPECT_EQ(load().version(), 1U);
    bool wasHit = true;
    std::uint64_t refused = 0;
    for (std::uint64_t number = 1; wasHit; number += 1 + number / 50) {
      const Fault fault{.call = FaultCall::allocate, .error = ENOMEM, .number = number};
      armFaults({&fault, 1});
      try {
        load();
      } catch (const Error& error) {
        ++refused;
        EXPECT_EQ(errorCodeName(error.code()), errorCodeName(ErrorCode::freeSpace)) << error.what();
      } catch (const std::bad_alloc&) {
        ++refused;
      }
      disarmFaults();
      wasHit = testing::wasHit(0);
    }
    EXPECT_GT(refused, 0U);
  });
  child.expectSuccess();
}

// Of a sound file, with the n-th call failing, n = 1, 2, … until it is not met.
void salvageUnder(FaultCall call, int error, const std::function<std::uint64_t(std::uint64_t)>& next,
                  const std::function<void(const SalvageReport&, const ModelRows& found)>& judge) {
  const TemporaryFolder folder;
  for (std::uint64_t id = 0; id < 50; ++id) putAsNewest(Store::open(folder / "store"), id, "a row");
  bool wasHit = true;
  for (std::uint64_t number = 1; wasHit; number = next(number)) {
    const std::filesystem::path target = folder / ("new" + std::to_string(number));
    const Fault fault{.call = call, .error = error, .number = number};
    armFaults({&fault, 1});
    std::optional<SalvageReport> report;
    try {
      report = salvage(folder / "store", target);
    } catch (const Error& failure) {
      disarmFaults();
      EXPECT_NE(failure.code(), ErrorCode::retry) << failure.what();
    } catch (const std::bad_alloc&) {
    } catch (const kj::Exception& exception) {
      disarmFaults();
      EXPECT_EQ(exception.getType(), kj::Exception::Type::OVERLOADED);
    }
    disarmFaults();
    wasHit = testing::wasHit(0);
    if (report) judge(*report, rowsIn(Store::open(target, {.mode = OpenMode::readOnly}), false));
  }
}

TEST(FaultRegressions, APageThatIsReadOnceAndNotAgainIsNotTakenForAnEmptyOne) {
  // Salvage looked at the pages of the catalog twice. Where the disk read one at first, and not when its
  // records were wanted, there were no collections, and "nothing is lost". At its last look at the meta pages
  // it said that a program was writing to the file.
  ChildProcess child([&](const Steps&) {
    bool isMissed = false;
    salvageUnder(
        FaultCall::pread, EIO, [](std::uint64_t number) { return number + 1; },
        [&](const SalvageReport& report, const ModelRows& found) {
          if (found.size() < 50) {
            isMissed = true;
            EXPECT_FALSE(report.isComplete());
          }
        });
    EXPECT_TRUE(isMissed) << "nothing was proved";
  });
  child.expectSuccess();
}

TEST(FaultRegressions, WantOfMemoryIsNotTakenForALoss) {
  // "Its schemas are lost", where there was no memory to read them; and its folder stayed, or removing it
  // ended the process, as that took memory, too.
  ChildProcess child([&](const Steps&) {
    salvageUnder(
        FaultCall::allocate, ENOMEM, [](std::uint64_t number) { return number + 1 + number / 40; },
        [&](const SalvageReport& report, const ModelRows& found) {
          EXPECT_TRUE(report.isComplete());
          EXPECT_EQ(found.size(), 50U);
        });
  });
  child.expectSuccess();
}

TEST(FaultRegressions, AFileWhoseOtherNameStaysIsCreated) {
  // Where a file system cannot rename without replacing, a file gets its name as a link, and loses the one
  // that it had. That it did not lose it was reported as if it had no name, while it had both.
  const TemporaryFolder folder;
  ChildProcess child([&](const Steps&) {
    const std::vector<Fault> faults = parseFaults("rename:EINVAL:1,unlink:EIO:1");
    armFaults(faults);
    EXPECT_NO_THROW(Store::open(folder / "store"));
    disarmFaults();
    EXPECT_TRUE(wasHit(0));
    EXPECT_TRUE(wasHit(1));
    EXPECT_TRUE(check(Store::open(folder / "store", {.mode = OpenMode::readOnly})).sound());
  });
  child.expectSuccess();
}

TEST(FaultRegressions, SignalsDuringOpeningAndCreationGoUnnoticed) {
  // A call that a signal had interrupted was reported as one that the system refuses, a matter of
  // permissions, and the store was not opened or not created; the call only had to be made again.
  for (const char* const faults : {"fsync:EINTR:1+", "open:EINTR:1"}) {
    const TemporaryFolder folder;
    ChildProcess child([&](const Steps&) {
      armFaults(parseFaults(faults));
      const Store store = Store::open(folder / "store");
      disarmFaults();
      putAsNewest(store, 1, "row 1");
    });
    child.expectSuccess();
  }
}

// Sets a flag of the first row, at which LMDB follows a null pointer.
void damageFirstRow(const std::filesystem::path& path) {
  const storage::FileDescriptor descriptor = storage::openRegularFile(path, O_RDWR);
  const pages::PageFile file(descriptor.get(), path);
  const pages::PageMap map(file, pages::PageMap::Sweep::never, [](std::uint64_t) {});
  const auto tree = std::ranges::find_if(
      map.trees(), [](const pages::NamedTree& one) { return one.name.starts_with(kRowTreePrefix); });
  ASSERT_NE(tree, map.trees().end());
  const pages::PageNumber leaf = tree->walk.leaves.at(0);
  std::vector<std::byte> bytes;
  pages::Page page;
  pages::Node node;
  ASSERT_TRUE(file.read(leaf, bytes) && page.decode(bytes, leaf) == nullptr && page.node(0, node));
  const char flags = 0x04;
  const auto place = node.key.data() - bytes.data() - 4;
  ASSERT_EQ(::pwrite(descriptor.get(), &flags, 1, static_cast<off_t>(leaf * file.pageSize()) + place), 1);
}

TEST(FaultRegressions, PagesThatCouldNotBeLookedAtAreNotShownToLmdb) {
  // `check` went on to LMDB after any error of the look at the pages, as if it had found them sound: in a
  // damaged file that ended in a signal.
  const TemporaryFolder folder;
  const std::string path = (folder / "store").string();
  putAsNewest(Store::open(path), 1, "row 1");
  damageFirstRow(path);
  if (HasFatalFailure()) return;
  for (const int error : {0, EMFILE, EIO}) {
    ChildProcess child([&](const Steps&) {
      std::ostringstream said;
      tools::Output output(::open("/dev/null", O_WRONLY));
      tools::Messages messages(said, false);
      std::istringstream input;
      tools::Context context{.output = output, .messages = messages, .input = input};
      const char* const arguments[] = {"instar", "check", path.c_str()};
      const Fault fault{.call = FaultCall::open, .error = error};
      armFaults({&fault, error == 0 ? std::size_t{0} : std::size_t{1}});
      const int status = tools::runCommandLine(3, arguments, context);
      disarmFaults();
      EXPECT_EQ(status,
                static_cast<int>(error == 0 ? tools::ExitStatus::damage : tools::ExitStatus::cannotOpen))
          << said.str();
    });
    child.expectSuccess();
  }
}

}  // namespace
}  // namespace instar::testing
