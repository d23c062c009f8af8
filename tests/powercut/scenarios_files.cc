// Power cuts while whole files are made: copies under their final name are absent or whole, and a store that
// is compacted in place is the old file or the new one.

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "instar/tests/powercut/play.h"
#include "instar/tests/support/store_text.h"

namespace instar::powercut {
namespace {

constexpr std::string_view kCopy = "copy.instar";

void write(const Play& play, const Store& store, const Rows& rows, std::uint64_t number) {
  play.commit(store, [&](WriteTransaction& transaction) {
    putNotes(rows, transaction, 0, 150, number);
    putNote(rows, transaction, 1000 + number, number, 5000);
    if (number > 2) rows.erase(transaction, 1000 + number - 2);
  });
}

void copy(const Play& play, const CopyOptions& options) {
  const Store store = play.create();
  const Rows rows = play.change(store, [&] { return store.collection("notes", noteVersion(1)); });
  for (std::uint64_t number = 1; number <= 5; ++number) write(play, store, rows, number);
  for (std::uint64_t number = 6; number <= 7; ++number) {
    CopyOptions each = options;
    each.replace = number > 6;
    play.begin(kCopy);
    store.backup(play / kCopy, each);
    play.acknowledge(store, kCopy);  // it holds what the store holds
    write(play, store, rows, number);
  }
}

void backup(const Play& play) { copy(play, {}); }
void backupCompact(const Play& play) { copy(play, {.compact = true}); }

// Somebody commits while the copy is made: it holds one of the states as a whole.
void backupBesideWriter(const Play& play) {
  const Store store = play.create();
  const Rows rows = play.change(store, [&] { return store.collection("notes", noteVersion(1)); });
  std::uint64_t number = 1;
  while (number <= 4) write(play, store, rows, number++);
  for (const bool isCompact : {false, true}) {
    std::vector<std::string> states{testing::textOfStore(store)};
    CopyOptions options{.compact = isCompact, .replace = isCompact};
    options.progress = [&](const Progress& progress) {
      if (progress.done == 0 || states.size() > 3) return;
      write(play, store, rows, number++);
      states.push_back(testing::textOfStore(store));
    };
    play.begin(kCopy);
    store.backup(play / kCopy, options);
    const Store copy = Store::open(play / kCopy, {.mode = OpenMode::readOnly});
    if (states.size() == 1) throw std::runtime_error("nobody has committed while the copy was made");
    if (std::find(states.begin(), states.end(), testing::textOfStore(copy)) == states.end())
      throw std::runtime_error("the copy holds none of the states");
    play.acknowledge(copy, kCopy);
    write(play, store, rows, number++);
  }
}

void compactFile(const Play& play) {
  for (std::uint64_t number = 1; number <= 6; number += 2) {
    if (number == 1) {
      const Store store = play.create();
      play.change(store, [&] { return store.collection("notes", noteVersion(1)); });
    }
    {
      const Store store = play.open();
      const Rows rows = store.collection("notes", noteVersion(1));
      write(play, store, rows, number);
      write(play, store, rows, number + 1);
    }
    play.begin();
    Store::compact(play / Play::kStore);
    play.acknowledge(play.open());
  }
}

// Two programs whose recording is worth nothing, which has to be noticed: one writes past the recorder, the
// other makes a call that the disk model does not know.
void writePastRecorder(const Play& play) {
  play.create();
  const int file = ::open((play / kCopy).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (::syscall(SYS_pwrite64, file, "x", 1, 0) != 1) throw std::runtime_error("pwrite failed");
  ::close(file);
}

void allocate(const Play& play) {
  play.create();
  const int file = ::open((play / kCopy).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (::posix_fallocate(file, 0, 4096) != 0) throw std::runtime_error("posix_fallocate failed");
  ::close(file);
}

// A program with a fault: it leaves a file behind.
void leaveFileWithFault(const Play& play) {
  play.create();
  const int file = ::open((play / "scratch").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (::write(file, "x", 1) != 1) throw std::runtime_error("write failed");
  ::close(file);
}

}  // namespace

Group fileScenarios() {
  return {{"stray_file_with_fault", leaveFileWithFault},
          {"past_recorder_with_fault", writePastRecorder},
          {"unknown_call_with_fault", allocate},
          {"backup", backup},
          {"backup_compact", backupCompact},
          {"backup_beside_writer", backupBesideWriter},
          {"compact_file", compactFile}};
}

}  // namespace instar::powercut
