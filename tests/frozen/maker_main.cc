// Makes files for the repository, once: what is there already stays as it is.

#include <kj/exception.h>

#include <cstdio>
#include <fstream>
#include <set>

#include "instar/tests/frozen/description.h"
#include "instar/tests/frozen/states.h"

namespace {

int makeMissing(const std::filesystem::path& folder, const std::set<std::string>& names) {
  int made = 0;
  for (const auto& state : instar::frozen::fileStates()) {
    const auto file = folder / (state.name + ".instar");
    if (std::filesystem::exists(file) || (!names.empty() && !names.contains(state.name))) continue;
    state.make(file);
    std::filesystem::remove(file.string() + "-lock");
    std::ofstream(folder / (state.name + ".txt"), std::ios::binary) << instar::frozen::describe(state, file);
    std::printf("%s, %ju bytes\n", file.c_str(),
                static_cast<std::uintmax_t>(std::filesystem::file_size(file)));
    ++made;
  }
  return made;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr,
                 "instar_frozen_maker FOLDER [STATE…]: makes the files that are not in the folder yet\n");
    return 2;
  }
  try {
    if (makeMissing(arguments[1], {arguments + 2, arguments + count}) == 0)
      std::puts("every file is there already, or of another name");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "instar_frozen_maker: %s\n", error.what());
    return 1;
  } catch (const kj::Exception& error) {
    std::fprintf(stderr, "instar_frozen_maker: %s\n", error.getDescription().cStr());
    return 1;
  }
  return 0;
}
