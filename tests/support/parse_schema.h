#pragma once

// Schemas from .capnp text at run time, as a test writes them. `import "/instar/schema.capnp"` resolves to
// the one in the tree: the including target defines INSTAR_INCLUDE_ROOT as the folder that holds it. One
// thread.

#include <capnp/schema-parser.h>
#include <fcntl.h>
#include <kj/filesystem.h>

#include <string>
#include <string_view>

#include "instar/evolve/record_schema.h"

namespace instar::testing {

// A few .capnp files in memory.
class SchemaFiles {
 public:
  SchemaFiles()
      : importFolder_(
            kj::newDiskReadableDirectory(kj::AutoCloseFd(::open(INSTAR_INCLUDE_ROOT, O_DIRECTORY)))),
        files_(kj::newInMemoryDirectory(kj::nullClock())) {}

  void add(const std::string& path, std::string_view text) {
    auto file = files_->openFile(kj::Path::parse(path), kj::WriteMode::CREATE | kj::WriteMode::CREATE_PARENT);
    file->writeAll(kj::arrayPtr(reinterpret_cast<const kj::byte*>(text.data()), text.size()));
  }

  capnp::ParsedSchema parse(const std::string& path) {
    const kj::ReadableDirectory* folders[] = {importFolder_.get(), files_.get()};
    return parser_.parseFromDirectory(*files_, kj::Path::parse(path), folders);
  }

  // The struct of that name, "Outer.Inner" for a nested one. Valid as long as this object.
  capnp::StructSchema structNamed(const std::string& path, std::string_view name) {
    auto schema = parse(path);
    while (!name.empty()) {
      auto end = std::min(name.find('.'), name.size());
      schema = schema.getNested(std::string(name.substr(0, end)));
      name.remove_prefix(std::min(end + 1, name.size()));
    }
    return schema.asStruct();
  }

 private:
  kj::Own<const kj::ReadableDirectory> importFolder_;
  kj::Own<const kj::Directory> files_;
  capnp::SchemaParser parser_;
};

inline RecordSchema parseRecord(std::string_view text, std::string_view name) {
  SchemaFiles files;
  files.add("record.capnp", text);
  return RecordSchema::fromStruct(files.structNamed("record.capnp", name));
}

// The same with a file id and `using Instar` in front, for texts that consist of declarations only.
inline RecordSchema parseDeclarations(std::string_view declarations, std::string_view name) {
  constexpr std::string_view kStart =
      "@0xc0ffee5eedf00d01;\nusing Instar = import \"/instar/schema.capnp\";\n";
  return parseRecord(std::string(kStart) + std::string(declarations), name);
}

// Some layouts are refused by Cap'n Proto's compiler, because an early release of it got them wrong.
inline bool isRefusedLayout(const kj::Exception& exception) {
  return std::string_view(exception.getDescription().cStr()).find("Cap'n Proto 0.5.x") !=
         std::string_view::npos;
}

}  // namespace instar::testing
