#pragma once

// The schema files beside the tests, parsed at run time. One thread.

#include <array>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "instar/tests/support/parse_schema.h"

namespace instar::testing {

struct Fixture {
  const char* file;
  const char* record;
};

inline constexpr std::array kFixtures = {
    Fixture{"everything.capnp", "Everything"},
    Fixture{"generics.capnp", "Generics"},
    Fixture{"recursive.capnp", "Tree.Node"},
    Fixture{"recursive.capnp", "Tree.Node.Link"},
    Fixture{"shop.capnp", "Shop.Order"},
    Fixture{"shop.capnp", "Shop.Order.Part.Item"},
    Fixture{"shop.capnp", "Item"},
    Fixture{"legacy.capnp", "Legacy"},
};

inline std::string fixtureText(const std::string& file) {
  std::ifstream stream(std::string(INSTAR_EVOLVE_SCHEMAS) + "/" + file);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

// Under another folder than the compiled form of the same file has, so that a test sees whether names of
// files matter.
inline RecordSchema parseFixture(const Fixture& fixture) {
  SchemaFiles files;
  for (const char* file : {"everything.capnp", "generics.capnp", "recursive.capnp", "shop.capnp",
                           "shop_names.capnp", "legacy.capnp"}) {
    files.add(std::string("elsewhere/") + file, fixtureText(file));
  }
  return RecordSchema::fromStruct(
      files.structNamed(std::string("elsewhere/") + fixture.file, fixture.record));
}

}  // namespace instar::testing
