#pragma once

// What can be done with a store: all that its public interface can do, and what can happen to it. Each action
// with when it may come, what it does to the model, and what it does to the store. One thread.

#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "instar/tests/model/model.h"
#include "instar/tests/model/system.h"

namespace instar::model {

struct ActionKind {
  const char* name;
  unsigned weight;  // how often it comes, beside the others
  bool (*mayRun)(const Model& model);
  void (*apply)(Model& model, const Choice& choice);
  // `model` is as it was before.
  void (*run)(const Model& model, System& system, const Choice& choice);
};

const std::vector<ActionKind>& actionKinds();

using Command = rc::state::Command<Model, System>;

// How often each was run, by its name.
using Tally = std::map<std::string, std::uint64_t>;

// A sequence of commands that may come one after another, up to `scale` times as long as RapidCheck's size.
rc::Gen<rc::state::Commands<Command>> anyCommands(double scale, Tally& tally);

}  // namespace instar::model
