#pragma once

// What docs/evolution.md says of each expression, once more and as plainly as can be, over the values of the
// model: the slow reference for derivations. Shares no code with evolve/. Any thread.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "instar/tests/evolve/model_value.h"

namespace instar::testing {

using ModelRow = std::vector<Value>;  // by the numbers of the fields

// A field, or a member of a struct that a field holds.
struct Source {
  unsigned field = 0;
  int member = -1;
};

struct Underivable {};  // the row does not allow it

struct ModelExpression {
  std::vector<Source> sources;
  // As the annotation has it, without `since`: copy = "name".
  std::function<std::string(const std::function<std::string(Source)>& path)> text;
  // Nothing set means that the target has its default. `enumerants` is how many the reading program knows.
  std::function<Value(const ModelRow& row, unsigned enumerants)> run;
};

// (value - subtract) * multiply / divide + add
struct ModelScale {
  std::int64_t subtract = 0;
  std::int64_t multiply = 1;
  std::int64_t divide = 1;
  std::int64_t add = 0;
};

struct ModelSplit {
  std::string by;
  int part = 0;
  bool rest = false;
  std::string trim{};
};

struct ModelPiece {
  std::string text;
  std::optional<Source> field{};
  ModelType type{};
};

struct ModelTable {
  std::vector<std::pair<Value, Value>> cases;
  std::optional<Value> otherwise{};
};

bool canConvert(ModelType from, ModelType to);

ModelExpression copyOf(Source source);
ModelExpression convertOf(Source source, ModelType from, ModelType to);
ModelExpression scaleOf(Source source, ModelType from, ModelType to, ModelScale scale);
ModelExpression concatOf(std::vector<ModelPiece> pieces);
ModelExpression splitOf(Source source, ModelSplit split);
ModelExpression matchOf(Source source, ModelType from, ModelType to, ModelTable table);
ModelExpression constantOf(Value value, ModelType type);
ModelExpression coalesceOf(std::vector<std::pair<Source, Value>> candidates);  // with their defaults

// A scalar or text as `instar dump` writes it. Enumerants are called e0, e1 and so on.
std::string dumpText(const Value& value, ModelType type, unsigned enumerants);

}  // namespace instar::testing
