// Plays one scenario in a folder, under the recorder: instar_powercut_scenarios NAME FOLDER

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "instar/tests/powercut/play.h"

int main(int count, char** arguments) {
  using namespace instar::powercut;
  try {
    if (count == 2 && std::string_view(arguments[1]) == "--list") {
      for (const auto& [name, scenario] : scenarios()) std::puts(std::string(name).c_str());
      return EXIT_SUCCESS;
    }
    const auto scenario = count == 3 ? scenarios().find(arguments[1]) : scenarios().end();
    if (scenario == scenarios().end()) {
      std::fprintf(stderr, "usage: %s --list, or %s SCENARIO FOLDER\n", arguments[0], arguments[0]);
      return 2;
    }
    scenario->second(Play(arguments[2]));
    return EXIT_SUCCESS;
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "%s: %s\n", arguments[1], exception.what());
    return EXIT_FAILURE;
  }
}
