#include "instar/tools/commands/replay.h"

#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>

#include "instar/format/error.h"

namespace instar::tools {

Replay::Replay(std::istream& input) : input_(&input), begin_(input.tellg()) {
  if (begin_ == std::streampos(-1)) keep(*input.rdbuf());
}

std::istream& Replay::fromBeginning() {
  input_->clear();
  if (!input_->seekg(begin_)) throw Error(ErrorCode::fixEnvironment, "the input cannot be read twice");
  return *input_;
}

void Replay::keep(std::streambuf& input) {
  openNameless();
  std::array<char, 65536> buffer;
  while (const std::streamsize size = read(input, buffer)) {
    if (!kept_.write(buffer.data(), size)) break;
  }
  if (!kept_.flush()) {
    throw Error(
        ErrorCode::freeSpace,
        "the input does not fit into a temporary file: free space, or let TMPDIR name another folder");
  }
  input_ = &kept_;
  begin_ = 0;
}

void Replay::openNameless() {
  std::error_code failure;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(failure);
  std::string path = (folder / "instar-XXXXXX").string();
  const int descriptor = failure ? -1 : ::mkstemp(path.data());
  if (descriptor < 0) {
    throw Error(ErrorCode::fixEnvironment,
                "no temporary file can be made for the input: let TMPDIR name a folder for it",
                {{"folder", folder.string()}});
  }
  kept_.open(path, std::ios::in | std::ios::out | std::ios::binary);
  ::close(descriptor);
  ::unlink(path.c_str());
}

std::streamsize Replay::read(std::streambuf& input, std::span<char> buffer) {
  try {
    return input.sgetn(buffer.data(), static_cast<std::streamsize>(buffer.size()));
  } catch (const std::ios_base::failure& failure) {
    throw Error(ErrorCode::fixEnvironment, "the input cannot be read", {{"reason", failure.what()}});
  }
}

}  // namespace instar::tools
