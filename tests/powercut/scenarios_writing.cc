// Power cuts while programs put and erase: at each level of durability, while a file is created, while it
// grows, and while its map does.

#include <utility>

#include "instar/format/error.h"
#include "instar/tests/powercut/play.h"

namespace instar::powercut {
namespace {

void create(const Play& play) {
  const Store store = play.create();
  const Rows notes = play.change(store, [&] { return store.collection("notes", noteVersion(1)); });
  play.commit(store, [&](WriteTransaction& transaction) { putNote(notes, transaction, 1, 1); });
  const Rows others = play.change(store, [&] { return store.collection("others", mirroredNote(1)); });
  play.commit(store, [&](WriteTransaction& transaction) { putNote(others, transaction, 1, 1); });
}

// Pages are freed and used again, values move to pages of their own and back, two collections change at once,
// and the program is started three times.
void write(const Play& play) {
  {
    const Store store = play.create();
    play.change(store, [&] { return store.collection("notes", noteVersion(1)); });
    play.change(store, [&] { return store.collection("others", noteVersion(1)); });
  }
  for (std::uint64_t number = 1; number <= 24;) {
    const Store store = play.open();
    const Rows notes = store.collection("notes", noteVersion(1));
    const Rows others = store.collection("others", noteVersion(1));
    for (int times = 0; times < 8; ++times, ++number) {
      play.commit(store, [&](WriteTransaction& transaction) {
        for (std::uint64_t id = 0; id < 8; ++id) putNote(notes, transaction, id, number, number * 131 % 400);
        putNote(notes, transaction, 100 + number, number, number % 5 == 0 ? 6000 : 90);
        if (number > 6) notes.erase(transaction, 100 + number - 6);
        putNote(others, transaction, number % 4, number, 30);
      });
    }
  }
}

// What a commit leaves is seen whole or not at all; sync() makes all of it durable.
void writeNormal(const Play& play) {
  const StoreOptions options{.durability = Durability::normal};
  const Store store = play.create(options);
  play.begin();
  const Rows notes = store.collection("notes", noteVersion(1));
  store.sync();
  play.acknowledge(store);
  for (std::uint64_t number = 1; number <= 20; ++number) {
    auto transaction = store.write();
    putNotes(notes, transaction, 0, 12, number);
    putNote(notes, transaction, 100 + number, number, number % 4 == 0 ? 5000 : 200);
    if (number > 3) notes.erase(transaction, 100 + number - 3);
    play.begin();
    transaction.commit();
    play.describe(store);
    if (number % 6 == 0) {
      store.sync();
      play.acknowledge(store);
    }
  }
}

// Between sync() and the next commit all is there; for the rest nothing is promised.
void writeOff(const Play& play) {
  const StoreOptions options{.durability = Durability::off};
  play.promiseNothing();
  const Store store = play.create(options);
  play.promiseNothing();
  play.begin();
  const Rows notes = store.collection("notes", noteVersion(1));
  store.sync();
  play.acknowledge(store);
  for (std::uint64_t number = 1; number <= 12; ++number) {
    play.promiseNothing();
    play.begin();
    for (std::uint64_t commit = 0; commit < 2; ++commit) {
      auto transaction = store.write();
      putNotes(notes, transaction, number, 10, number + commit);
      transaction.commit();
    }
    store.sync();
    play.acknowledge(store);
  }
}

// A program with a fault: it takes for durable what it has not asked to be so. It has to be found out.
void writeWithFault(const Play& play) {
  const Store store = play.create({.durability = Durability::off});
  play.begin();
  const Rows notes = store.collection("notes", noteVersion(1));
  play.acknowledge(store);
  for (std::uint64_t number = 1; number <= 10; ++number)
    play.commit(store, [&](WriteTransaction& transaction) { putNotes(notes, transaction, 0, 10, number); });
}

// The map begins with less than the rows need, and is enlarged again and again.
void growMap(const Play& play) {
  const Store store = play.create({.mapSize = std::uint64_t{1} << 16});
  const Rows notes = play.change(store, [&] { return store.collection("notes", noteVersion(1)); });
  for (std::uint64_t number = 0; number < 14; ++number) {
    bool isBegun = false;
    for (bool isStored = false; !isStored;) {
      try {
        auto transaction = store.write();
        for (std::uint64_t id = 0; id < 4; ++id)
          putNote(notes, transaction, number * 4 + id, number, 1500 * (number % 5));
        // Also where the commit is refused and made again: there is one state behind it.
        if (!std::exchange(isBegun, true)) play.begin();
        transaction.commit();
        isStored = true;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::retry) throw;  // "the next write transaction enlarges it"
      }
    }
    play.acknowledge(store);
  }
}

}  // namespace

Group writingScenarios() {
  return {{"create", create},
          {"write", write},
          {"write_normal", writeNormal},
          {"write_off", writeOff},
          {"write_with_fault", writeWithFault},
          {"grow_map", growMap}};
}

}  // namespace instar::powercut
