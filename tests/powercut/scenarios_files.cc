// Power cuts while whole files are made: copies under their final name are absent or whole, and a store that
// is compacted in place is the old file or the new one.

#include "instar/tests/powercut/play.h"

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

}  // namespace

Group fileScenarios() {
  return {{"backup", backup}, {"backup_compact", backupCompact}, {"compact_file", compactFile}};
}

}  // namespace instar::powercut
