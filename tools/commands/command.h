#pragma once

// What the commands have in common. Each command is a function that describes itself to CLI11 and, when it is
// chosen, leaves its work in Context::action. One thread.

#include <CLI/CLI.hpp>

#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "instar/engine/store.h"
#include "instar/tools/exit_status.h"
#include "instar/tools/masking.h"
#include "instar/tools/messages.h"
#include "instar/tools/output.h"
#include "instar/tools/progress_line.h"

namespace instar::tools {

struct Context {
  Output& output;      // data
  Messages& messages;  // all else
  std::istream& input;
  bool outputIsSeen = false;  // by somebody at a terminal
  ProgressLine::Clock clock = std::chrono::steady_clock::now;
  ExitStatus status = ExitStatus::done;
  std::function<void()> action = {};
  std::string_view interrupted = "nothing was changed";  // what a signal leaves behind

  // The worse of what was found so far and this.
  void found(ExitStatus worse) { status = std::max(status, worse); }
  void message(std::string_view text) { messages.line("instar: " + std::string(text)); }
};

inline constexpr std::string_view kDoneStays = "what is done stays done";

using CommandAdder = void (*)(CLI::App& app, Context& context);

void addInfoCommand(CLI::App& app, Context& context);
void addImportCommand(CLI::App& app, Context& context);
void addDumpCommand(CLI::App& app, Context& context);
void addGetCommand(CLI::App& app, Context& context);
void addPutCommand(CLI::App& app, Context& context);
void addDeleteCommand(CLI::App& app, Context& context);
void addCountCommand(CLI::App& app, Context& context);
void addSchemaCommand(CLI::App& app, Context& context);
void addEvolveCommand(CLI::App& app, Context& context);
void addMigrateCommand(CLI::App& app, Context& context);
void addReconcileCommand(CLI::App& app, Context& context);
void addVersionsCommand(CLI::App& app, Context& context);
void addCheckCommand(CLI::App& app, Context& context);
void addSalvageCommand(CLI::App& app, Context& context);
void addBackupCommand(CLI::App& app, Context& context);
void addCompactCommand(CLI::App& app, Context& context);
void addReadersCommand(CLI::App& app, Context& context);
void addProgressCommand(CLI::App& app, Context& context);
void addVerifyCommand(CLI::App& app, Context& context);
void addAuditCommand(CLI::App& app, Context& context);
void addStageCommand(CLI::App& app, Context& context);
void addPromoteCommand(CLI::App& app, Context& context);
void addAbortCommand(CLI::App& app, Context& context);
void addRetireCommand(CLI::App& app, Context& context);
void addStatusCommand(CLI::App& app, Context& context);
void addCanaryCommand(CLI::App& app, Context& context);

// Parses the command line, does what it says and returns the exit status. Throws nothing.
int runCommandLine(int argumentCount, const char* const* arguments, Context& context);

// For std::set_terminate(): Cap'n Proto's compiler ends the process where it is refused memory while it
// cleans up. Then the command says so and exits with ExitStatus::problem; anything else aborts.
[[noreturn]] void endForWantOfMemory() noexcept;

// An error as lines for people: the message with its short facts, then longer ones (lists of changes) below.
std::string describeError(const Error& error);

// Opening. Throws as Store::open does.
Store openToRead(const std::string& file);
Store openToWrite(const std::string& file);

// The reader slots of the file that other processes have.
std::vector<ReaderInfo> readersBeside(const Store& store);

// The collection of that name, nullopt where the file has none.
std::optional<CollectionInfo> findCollection(const Store& store, const Transaction& transaction,
                                             std::string_view name);

// The same; throws Error(fixCall) where there is none.
CollectionInfo requireCollection(const Store& store, const Transaction& transaction, std::string_view name);

// That one alone, or all where no name is given. Throws as requireCollection().
std::vector<CollectionInfo> chosenCollections(const Store& store, const Transaction& transaction,
                                              std::string_view name);

// All that is sensitive in any version of the collection, and in a schema that may not be in the file
// yet. Throws as Store::versions does.
Masking collectionMasking(const Store& store, const Transaction& transaction, std::string_view name,
                          const RecordSchema* beside = nullptr);

// Prints keys of the collection as its newest schema has them. Throws as Store::collection does.
KeyPrinter keyPrinter(const Store& store, const Transaction& transaction, const std::string& name,
                      bool unmask = false);

// The same for where partitions begin: "the beginning", or as many bytes of a key as it takes.
std::string printBound(const KeyPrinter& keys, const Key& lower);

// Throws Error(fixCall) where there is none of that number.
RecordSchema schemaVersion(const Store& store, const Transaction& transaction, std::string_view name,
                           std::uint16_t number);

// A check for options: CLI11 takes what does not fit into a number for another number. Empty where nothing is
// wrong.
std::string wholeNumberProblem(const std::string& text);

// "4MiB/s", "500 kB/s", "1000000": bytes a second, not 0. Throws CLI::ValidationError for --rate.
std::uint64_t parseRate(std::string text);

// --import-path, for commands that read schema files.
void addImportPathOption(CLI::App& command, std::vector<std::string>& importPaths);

// --from, --to, --prefix: which rows, as text; and the same as keys of a collection.
struct RangeText {
  std::optional<std::string> from = {};
  std::optional<std::string> to = {};
  std::optional<std::string> prefix = {};

  void addTo(CLI::App& command);
  ScanOptions parse(const KeySpec& spec) const;
  bool isWhole() const noexcept { return !from && !to && !prefix; }
};

}  // namespace instar::tools
