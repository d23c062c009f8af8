#include "instar/tests/powercut/play.h"

#include <dlfcn.h>

#include <stdexcept>

#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/store_text.h"

namespace instar::powercut {

Play::Play(std::filesystem::path folder)
    : folder_(std::move(folder)),
      mark_(reinterpret_cast<MarkFunction*>(::dlsym(RTLD_DEFAULT, kMarkFunction))) {
  if (mark_ == nullptr)
    throw std::runtime_error("there is no recorder: instar_powercut runs this program under one");
}

void Play::mark(const std::string& text) const { mark_(text.data(), text.size()); }

void Play::begin(std::string_view store) const { mark("begin " + std::string(store)); }

void Play::acknowledge(const Store& store, std::string_view name) const {
  mark("acknowledged " + std::string(name));
  describe(store, name);
}

void Play::describe(const Store& store, std::string_view name) const {
  mark("state " + std::string(name) + "\n" + testing::textOfStore(store));
}

void Play::promiseNothing(std::string_view store) const { mark("unpromised " + std::string(store)); }

void Play::commit(const Store& store, const std::function<void(WriteTransaction&)>& change) const {
  auto transaction = store.write();
  change(transaction);
  begin();
  transaction.commit();
  acknowledge(store);
}

Store Play::create(const StoreOptions& options) const {
  begin();
  Store store = open(options);
  acknowledge(store);
  return store;
}

const std::map<std::string_view, Scenario>& scenarios() {
  static const Group all = [] {
    Group group = writingScenarios();
    group.merge(evolutionScenarios());
    group.merge(fileScenarios());
    return group;
  }();
  return all;
}

RecordSchema mirroredNote(int version) {
  std::string text = "struct Note @0x9a1b2c3d4e5f6072 $Instar.version(" + std::to_string(version) +
                     ") { id @0 :UInt64 $Instar.key(0); filler @2 :Text; number @1 :Text";
  if (version >= 3) text += " $Instar.mirrored(since = 3, convert = \"value\")";
  text += ";";
  if (version >= 2) text += " value @3 :UInt64 $Instar.derived(since = 2, convert = \"number\");";
  return testing::parseDeclarations(text + "}", "Note");
}

RecordSchema trialNote(int version) {
  const std::string number = std::to_string(version);
  std::string text = "struct Note @0x9a1b2c3d4e5f6073 $Instar.version(" + number +
                     ") { id @0 :UInt64 $Instar.key(0); filler @2 :Text; number @1 :Text";
  if (version > 1) {
    text += " $Instar.mirrored(since = " + number + ", convert = \"value\"); value @3 :UInt64 " +
            "$Instar.derived(since = " + number + ", convert = \"number\")";
  }
  return testing::parseDeclarations(text + ";}", "Note");
}

void putNote(const Rows& rows, WriteTransaction& transaction, std::uint64_t id, std::uint64_t number,
             std::size_t fillerBytes) {
  auto draft = rows.create();
  draft->set("id", id);
  draft->set("number", std::to_string(number).c_str());
  draft->set("filler", std::string(fillerBytes, static_cast<char>('a' + number % 26)).c_str());
  for (const auto field : draft->getSchema().getNonUnionFields()) {
    const kj::StringPtr name = field.getProto().getName();
    if (name == "value" || name.startsWith("derived")) draft->set(field, number);
  }
  rows.put(transaction, draft);
}

void putNotes(const Rows& rows, WriteTransaction& transaction, std::uint64_t first, std::uint64_t count,
              std::uint64_t number) {
  for (std::uint64_t id = first; id < first + count; ++id) putNote(rows, transaction, id, number + id);
}

}  // namespace instar::powercut
