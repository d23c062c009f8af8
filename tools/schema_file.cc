#include "instar/tools/schema_file.h"

#include <capnp/schema-parser.h>
#include <fcntl.h>
#include <kj/io.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <optional>
#include <system_error>

#include "instar/evolve/want_of_memory.h"
#include "instar/format/error.h"
#include "instar/tools/embedded_schemas.h"
#include "instar/tools/memory_bound.h"
#include "instar/tools/scalar_text.h"
#include "instar/tools/schema_limits.h"

namespace instar::tools {
namespace {

namespace fs = std::filesystem;

// fs::canonical(), but want of memory is not taken for a file that is not there.
fs::path canonicalPath(const fs::path& path, std::error_code& failure) {
  fs::path found = fs::canonical(path, failure);
  if (failure == std::errc::not_enough_memory) throw std::bad_alloc();
  return found;
}

// What all files of one compilation share.
struct Compilation {
  std::vector<fs::path> roots;  // canonical: the schema's own folder, then the import folders
  std::vector<std::string> mistakes = {};
  SchemaLimits limits = {};

  bool isAllowed(const fs::path& canonical) const {
    return std::any_of(roots.begin(), roots.end(), [&](const fs::path& root) {
      return std::mismatch(root.begin(), root.end(), canonical.begin(), canonical.end()).first == root.end();
    });
  }
};

// One file of a compilation: on disk, or embedded.
class SourceFile final : public capnp::SchemaFile {
 public:
  enum class Use : bool { compiled, embedded };  // as what the file that names it has it

  SourceFile(Compilation& compilation, fs::path path, std::string displayName, Use use)
      : compilation_(compilation), path_(std::move(path)), displayName_(std::move(displayName)), use_(use) {}
  SourceFile(Compilation& compilation, const EmbeddedSchema& embedded)
      : compilation_(compilation), embedded_(&embedded), displayName_(embedded.path) {}

  kj::StringPtr getDisplayName() const override { return {displayName_.c_str(), displayName_.size()}; }

  kj::Array<const char> readContent() const override {
    const std::string text = embedded_ != nullptr ? std::string(embedded_->text) : readFile();
    return kj::heapArray(text.data(), text.size());
  }

  kj::Maybe<kj::Own<SchemaFile>> import(kj::StringPtr target) const override {
    const std::string_view name = view(target);
    const Use use = strings_.isOnlyEmbedded(name) ? Use::embedded : Use::compiled;
    if (!name.starts_with('/'))
      return importFrom(path_.parent_path(), fs::path(displayName_).parent_path(), name, use);
    const std::string_view absolute = name.substr(1);
    for (const EmbeddedSchema& embedded : kEmbeddedSchemas) {
      if (embedded.path == absolute) return kj::Own<SchemaFile>(kj::heap<SourceFile>(compilation_, embedded));
    }
    for (std::size_t i = 1; i < compilation_.roots.size(); ++i) {
      if (auto file = importFrom(compilation_.roots[i], {}, absolute, use); file != nullptr) return file;
    }
    return nullptr;
  }

  bool operator==(const SchemaFile& other) const override {
    const auto& file = static_cast<const SourceFile&>(other);
    return path_ == file.path_ && embedded_ == file.embedded_;
  }
  bool operator!=(const SchemaFile& other) const override { return !(*this == other); }
  std::size_t hashCode() const override {
    return embedded_ != nullptr ? std::hash<const void*>()(embedded_) : fs::hash_value(path_);
  }

  void reportError(SourcePos start, SourcePos, kj::StringPtr message) const override {
    compilation_.mistakes.push_back(displayName_ + ':' + std::to_string(start.line + 1) + ':' +
                                    std::to_string(start.column + 1) + ": " + std::string(view(message)));
  }

 private:
  kj::Maybe<kj::Own<SchemaFile>> importFrom(const fs::path& folder, const fs::path& displayFolder,
                                            std::string_view name, Use use) const {
    if (embedded_ != nullptr && folder.empty()) return nullptr;
    std::error_code failure;
    const fs::path path = canonicalPath(folder / name, failure);
    if (failure || !fs::is_regular_file(path, failure)) return nullptr;
    const std::string displayName = (displayFolder / name).lexically_normal().string();
    if (!compilation_.isAllowed(path)) {
      compilation_.mistakes.push_back(
          displayName_ + ":1:1: the import of " + displayName +
          " leads out of the schema's folder; allow its folder with --import-path");
      return nullptr;
    }
    return kj::Own<SchemaFile>(kj::heap<SourceFile>(compilation_, path, displayName, use));
  }

  // The result of a call, made again where a signal has interrupted it; throws where it has failed.
  template <class Call>
  auto retried(Call&& call) const {
    auto result = call();
    while (result < 0 && errno == EINTR) result = call();
    if (result < 0) {
      throw Error(ErrorCode::fixEnvironment, "the schema file cannot be read",
                  {{"file", displayName_}, {"reason", std::generic_category().message(errno)}});
    }
    return result;
  }

  // No more than the limit, however large the file says that it is.
  std::string readFile() const {
    std::string text(kMaxSchemaFileSize + 1, '\0');
    const kj::AutoCloseFd file(retried([&] { return ::open(path_.c_str(), O_RDONLY | O_CLOEXEC); }));
    std::size_t length = 0;
    for (ssize_t count = 1; count > 0; length += static_cast<std::size_t>(count))
      count = retried([&] { return ::read(file, text.data() + length, text.size() - length); });
    text.resize(length);
    if (text.size() > kMaxSchemaFileSize) {
      throw Error(ErrorCode::fixSchema, "the schema file is too large",
                  {{"file", displayName_}, {"limit", std::to_string(kMaxSchemaFileSize)}});
    }
    compilation_.limits.count(text.size(), displayName_);
    if (use_ == Use::compiled) strings_ = compilation_.limits.check(text, displayName_);
    return text;
  }

  Compilation& compilation_;
  fs::path path_;
  const EmbeddedSchema* embedded_ = nullptr;
  std::string displayName_;
  Use use_ = Use::compiled;
  mutable SchemaStrings strings_ = {};  // known once it has been read
};

fs::path canonicalFolder(const fs::path& folder) {
  std::error_code failure;
  const fs::path path = canonicalPath(folder, failure);
  if (failure || !fs::is_directory(path, failure)) {
    throw Error(ErrorCode::fixEnvironment, "the import folder cannot be read", {{"folder", folder.string()}});
  }
  return path;
}

[[noreturn]] void refuseMistakes(const std::vector<std::string>& mistakes) {
  std::string lines;
  for (const std::string& mistake : mistakes) {
    // The compiler's words for an exception of its own.
    if (mistake.find("std::bad_alloc") != std::string::npos) throw std::bad_alloc();
    lines.append(lines.empty() ? "" : "\n").append(mistake);
  }
  throw Error(ErrorCode::fixSchema, "the schema file does not compile", {{"mistakes", std::move(lines)}});
}

capnp::StructSchema findStruct(capnp::ParsedSchema schema, const std::string& file, std::string_view name) {
  for (std::string_view rest = name; !rest.empty();) {
    const std::string part(rest.substr(0, rest.find('.')));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    KJ_IF_MAYBE (nested, schema.findNested(part.c_str())) {
      schema = *nested;
    } else {
      throw Error(ErrorCode::fixCall, "the schema file has no such struct",
                  {{"file", file}, {"struct", std::string(name)}});
    }
  }
  if (!schema.getProto().isStruct()) {
    throw Error(ErrorCode::fixCall, "the name is not that of a struct",
                {{"file", file}, {"struct", std::string(name)}});
  }
  return schema.asStruct();
}

// Where memory was refused for the bound, and not because there is none.
void refuseGrowth(const MemoryBound& memory, const std::string& file) {
  if (!memory.wasReached()) return;
  throw Error(
      ErrorCode::fixSchema,
      "the schema takes too much memory to compile: name types and constants less often inside of others",
      {{"file", file}, {"limit", std::to_string(kMaxSchemaMemory)}});
}

}  // namespace

RecordSchema loadSchemaFile(std::string_view name, const std::vector<fs::path>& importFolders) {
  const std::size_t colon = name.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == name.size()) {
    throw Error(ErrorCode::fixCall, "a schema is named as FILE.capnp:Struct", {{"given", std::string(name)}});
  }
  const std::string file(name.substr(0, colon));
  std::error_code failure;
  const fs::path path = canonicalPath(file, failure);
  if (failure || !fs::is_regular_file(path, failure)) {
    throw Error(ErrorCode::fixEnvironment, "the schema file cannot be read", {{"file", file}});
  }
  Compilation compilation{.roots = {path.parent_path()}};
  for (const fs::path& folder : importFolders) compilation.roots.push_back(canonicalFolder(folder));
  const MemoryBound memory(kMaxSchemaMemory);
  try {
    const capnp::SchemaParser parser;
    const capnp::ParsedSchema parsed =
        parser.parseFile(kj::heap<SourceFile>(compilation, path, file, SourceFile::Use::compiled));
    if (!compilation.mistakes.empty()) refuseMistakes(compilation.mistakes);
    const capnp::StructSchema type = findStruct(parsed, file, name.substr(colon + 1));
    RecordSchema schema = RecordSchema::fromStruct(type);
    if (!compilation.mistakes.empty())
      refuseMistakes(compilation.mistakes);  // types are compiled when they are used
    return schema;
  } catch (const std::bad_alloc&) {
    refuseGrowth(memory, file);
    throw;
  } catch (const kj::Exception& exception) {
    refuseGrowth(memory, file);
    internal::passOnWantOfMemory(exception);
    if (!compilation.mistakes.empty()) refuseMistakes(compilation.mistakes);
    throw Error(ErrorCode::fixSchema, "the schema file does not compile",
                {{"mistakes", file + ": " + std::string(view(exception.getDescription()))}});
  }
}

}  // namespace instar::tools
