#pragma once

// What programs do with a store, as steps that may fail, each with what it makes of the rows: so that after
// every failure it is known which rows may be there. One thread.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "instar/engine/store.h"
#include "instar/tools/exit_status.h"

namespace instar::testing {

using ModelRows = std::map<std::uint64_t, std::string>;

struct ModelState {
  ModelRows rows = {};
  std::string versions = {};  // with their states, floors and trial, as textOfVersions() has them

  friend bool operator==(const ModelState&, const ModelState&) = default;
};

// The program: what it has open, and where.
struct World {
  std::filesystem::path folder;
  StoreOptions options = {};
  std::optional<Store> store = {};

  std::filesystem::path file() const { return folder / "items.instar"; }
};

enum class StepKind : std::uint8_t {
  steady,    // all stays as it is
  commit,    // one commit and nothing behind it: an error that is not readBack says that nothing is stored
  followed,  // one commit, and more behind it that can fail as well: it is stored then
  gradual,   // many commits: each row is as it was before or as it is to be
};

// May be done again after it has failed, whether or not it had its effect.
struct Step {
  std::string name;
  StepKind kind;
  std::function<void(World&)> run;
  std::function<void(ModelState&)> effect = [](ModelState&) {};
};

struct Scenario {
  std::string name;
  StoreOptions options = {};
  bool runsCommand = false;
  std::function<void(World&)> prepare;  // what is there before, and never fails
  std::vector<Step> steps;
  // By threads: which call is the n-th differs from run to run, and some are made or not.
  bool isConcurrent = false;
  bool hasDiverged = false;  // mirrored fields are not what they are made from
  // What another process looks at afterwards besides the store; nothing where there is nothing else.
  std::function<void(const World&)> examine = {};

  // Before the first step, and behind each.
  std::vector<ModelState> states() const;
};

// Each row as in one of the two, and the versions.
bool isBetween(const ModelState& state, const ModelState& before, const ModelState& behind);

// What another program may see of a step that has failed. Empty: nothing is wrong.
std::string whatIsWrongAfterFailure(const Step& step, bool isReadBack, const ModelState& found,
                                    const ModelState& before, const ModelState& behind);

const std::vector<Scenario>& scenarios();
const Scenario& scenarioNamed(std::string_view name);  // throws std::invalid_argument

// As a program finds them; nothing where there is no collection yet. Throws Wrong where two ways of reading
// do not agree.
ModelRows rowsIn(const Store& store, bool hasDiverged);

// The same with the versions.
ModelState stateIn(const Store& store, bool hasDiverged);

// Puts a row as a program of the newest version does.
void putAsNewest(const Store& store, std::uint64_t id, const std::string& text);

// Something that must never be, whatever has failed.
class Wrong : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The instar command has ended with an exit status that is not 0.
struct CommandFailed {
  tools::ExitStatus status;
  std::string messages;
};

// The thread that compacts has given up.
struct CompactionGaveUp {
  std::string detail;
};

}  // namespace instar::testing
