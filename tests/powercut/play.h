#pragma once

// What a scenario needs: a folder, and the marks by which it says what it has begun and what it was told is
// done. Runs under the recorder. One thread.

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "instar/engine/store.h"
#include "instar/tests/powercut/log_record.h"
#include "instar/tests/support/note_versions.h"

namespace instar::powercut {

using Rows = Collection<capnp::DynamicStruct>;

class Play {
 public:
  // Throws std::runtime_error where there is no recorder.
  explicit Play(std::filesystem::path folder);

  std::filesystem::path operator/(std::string_view name) const { return folder_ / name; }

  // The next state may be there from here on, until it is acknowledged beside what was before.
  void begin(std::string_view store = kStore) const;
  // It is there, and is what the open store holds.
  void acknowledge(const Store& store, std::string_view name = kStore) const;
  // It may be there, and is what the open store holds; nothing says that it is durable.
  void describe(const Store& store, std::string_view name = kStore) const;
  // Nothing is promised about the store from here on, until the next acknowledgement.
  void promiseNothing(std::string_view store = kStore) const;

  // A change that is durable when it returns.
  template <class Change>
  auto change(const Store& store, Change change) const {
    begin();
    if constexpr (std::is_void_v<decltype(change())>) {
      change();
      acknowledge(store);
    } else {
      auto result = change();
      acknowledge(store);
      return result;
    }
  }
  // The same in a transaction.
  void commit(const Store& store, const std::function<void(WriteTransaction&)>& change) const;

  Store create(const StoreOptions& options = {}) const;
  Store open(const StoreOptions& options = {}) const { return Store::open(*this / kStore, options); }

  static constexpr std::string_view kStore = "store.instar";

 private:
  void mark(const std::string& text) const;

  std::filesystem::path folder_;
  MarkFunction* mark_;
};

// The scenarios by name.
using Scenario = void (*)(const Play&);
const std::map<std::string_view, Scenario>& scenarios();

// --- Notes: versions of one record type.

// Version 1 has id, number (as text) and filler; each later one derives one more number from the text, which
// shuts writers of the versions before out.
using testing::noteVersion;
// Version 2 derives a value from the number, version 3 begins to give it back.
RecordSchema mirroredNote(int version);
// Each version but the first derives the value, and gives it back: none shuts others out.
RecordSchema trialNote(int version);

void putNote(const Rows& rows, WriteTransaction& transaction, std::uint64_t id, std::uint64_t number,
             std::size_t fillerBytes = 40);
void putNotes(const Rows& rows, WriteTransaction& transaction, std::uint64_t first, std::uint64_t count,
              std::uint64_t number);

// Of one subject each, for scenarios().
using Group = std::map<std::string_view, Scenario>;
Group writingScenarios();    // scenarios_writing.cc
Group evolutionScenarios();  // scenarios_evolution.cc
Group fileScenarios();       // scenarios_files.cc

}  // namespace instar::powercut
