#include "instar/bench/upgrade/runner.h"

#include <capnp/message.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "instar/bench/upgrade/attempt.h"
#include "instar/bench/upgrade/disturbance.h"
#include "instar/bench/upgrade/interruption.h"
#include "instar/bench/workspace.h"

extern char** environ;

namespace instar::bench {
namespace {

void copyFolder(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::create_directories(to);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(from)) {
    const auto target = to / entry.path().lexically_relative(from);
    if (entry.is_directory())
      std::filesystem::create_directories(target);
    else
      copyDurably(entry.path(), target);
  }
}

const std::string kFolderPrefix = "upgrade-";

// Folders of runners whose process is dead.
void removeLeftovers(const std::filesystem::path& data) {
  std::error_code none;
  std::vector<std::filesystem::path> dead;
  for (const auto& entry : std::filesystem::directory_iterator(data, none)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kFolderPrefix)) continue;
    pid_t process = 0;
    const char* const end = name.data() + name.size();
    const auto [read, error] = std::from_chars(name.data() + kFolderPrefix.size(), end, process);
    if (error != std::errc() || read != end || process <= 0) continue;
    if (::kill(process, 0) != 0 && errno == ESRCH) dead.push_back(entry.path());
  }
  for (const auto& folder : dead) std::filesystem::remove_all(folder);
}

// With the time of processes that have ended.
MachineLook lookFromOutside(KernelThreads& kernel, const std::filesystem::path& folder) {
  MachineLook look = lookAtMachine(kernel);
  look.own += endedProcessorSeconds();
  look.sync = measureSync(folder);
  return look;
}

// To that of the run: of the process that was killed.
void addDisturbance(std::span<const MachineLook> looks, Disturbance::Builder all) {
  capnp::MallocMessageBuilder message;
  auto more = message.initRoot<Disturbance>();
  describeDisturbance(looks, more);
  if (!more.getDisturbed()) return;
  const std::string reason = all.getReason().cStr();
  all.setDisturbed(true);
  all.setReason((reason.empty() ? "" : reason + "; ") + "until the kill " + more.getReason().cStr());
}

// The options of own that give the scenario its load.
std::string ownLoadOf(const Scenario& scenario) {
  std::ostringstream options;
  options << " --mix " << textOf(scenario.mix) << " --access " << textOf(scenario.access) << " --rps "
          << scenario.perSecond << " --seconds " << scenario.seconds << " --durability "
          << textOf(scenario.durability);
  return options.str();
}

}  // namespace

std::string shellWord(const std::string& text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-";
  if (!text.empty() && text.find_first_not_of(kPlain) == text.npos) return text;
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

Runner::Runner(std::filesystem::path program, const std::filesystem::path& data, std::optional<OwnFile> own)
    : program_(std::move(program)),
      folder_(std::filesystem::absolute(data) / (kFolderPrefix + std::to_string(::getpid()))),
      own_(std::move(own)) {
  removeLeftovers(data);
  std::filesystem::create_directories(folder_);
}

Runner::~Runner() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

bool Runner::call(const char* command, const Scenario& scenario, const std::filesystem::path& folder,
                  const std::filesystem::path& result, const std::optional<Kill>& kill, unsigned seed) const {
  std::vector<std::string> texts{program_, command,  nameOf(scenario),    "--folder",
                                 folder,   "--seed", std::to_string(seed)};
  if (!result.empty()) texts.insert(texts.end(), {"--result", result});
  if (kill)
    texts.insert(texts.end(), {"--kill-after", std::to_string(kill->after), "--attempt", kill->attempt});
  if (own_) {
    texts.insert(texts.end(), {"--own-file", own_->file, "--own-collection", own_->collection, "--own-schema",
                               own_->schema, "--own-bytes", std::to_string(own_->bytesOfRow)});
    if (!expectedDigest_.empty()) texts.insert(texts.end(), {"--expect", expectedDigest_});
  }
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  if (interruptedBy() != 0) throw Interrupted(interruptedBy());
  pid_t process = 0;
  const int code = ::posix_spawn(&process, program_.c_str(), nullptr, nullptr, arguments.data(), environ);
  if (code != 0) throw std::system_error(code, std::generic_category(), program_.string());
  int status = 0;
  while (::waitpid(process, &status, 0) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
    if (interruptedBy() != 0) ::kill(process, SIGKILL);
  }
  if (interruptedBy() != 0) throw Interrupted(interruptedBy());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (kill && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return false;
  throw std::runtime_error(std::string(command) + " " + nameOf(scenario) + " has failed");
}

const std::filesystem::path& Runner::filled(const Scenario& scenario) {
  const Filling filling{scenario.system, scenario.change, scenario.rows, scenario.strategy == Strategy::none};
  const auto found = filled_.find(filling);
  if (found != filled_.end()) return found->second;
  const auto folder =
      folder_ / ("filled-" + std::to_string(filled_.size()) + "-" + std::string(textOf(scenario.system)));
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  call("fill", scenario, folder);
  return filled_.emplace(filling, folder).first->second;
}

void Runner::keepOnly(Change change, std::uint64_t rows) {
  std::erase_if(filled_, [&](const auto& one) {
    const bool goes = one.first.change != change || one.first.rows != rows;
    if (goes) std::filesystem::remove_all(one.second);
    return goes;
  });
}

std::filesystem::path Runner::copyOf(const Scenario& scenario) {
  const auto folder = folder_ / "run" / "data";
  std::filesystem::remove_all(folder);
  copyFolder(filled(scenario), folder);
  return folder;
}

// A migration is killed after half of the time that a whole one has taken, and another process goes on. What
// the kill has left is counted in a copy, by a strategy that migrates nothing.
void Runner::findLossByKill(const Scenario& scenario, Run::Builder run) {
  const auto result = folder_ / "migrated.json";
  const auto resultOf = [&](const char* command, const Scenario& one, const std::filesystem::path& folder) {
    call(command, one, folder, result);
    RunRecord record;
    fromJson(readText(result), record.builder());
    return record;
  };
  const double whole = resultOf("migrate", scenario, copyOf(scenario)).reader().getCompleteAfter();
  const auto folder = copyOf(scenario);
  const Kill kill{.after = whole / 2, .attempt = folder_ / "attempt"};
  std::filesystem::remove(kill.attempt);
  const SharedAttempt attempt(kill.attempt);
  KernelThreads kernel;
  std::vector<MachineLook> looks{lookFromOutside(kernel, folder_)};
  if (call("migrate", scenario, folder, result, kill)) return;  // it was faster this time
  looks.push_back(lookFromOutside(kernel, folder_));
  addDisturbance(looks, run.getDisturbance());
  const auto killed = folder_ / "run" / "killed";
  std::filesystem::remove_all(killed);
  copyFolder(folder, killed);
  const Scenario looking = counterpart(scenario, scenario.system, Strategy::lazy);
  run.setRowsKeptByKill(scenario.rows - resultOf("count", looking, killed).reader().getRowsLeft());
  std::filesystem::remove_all(killed);
  if (run.getRowsKeptByKill() < attempt->progress.rows)
    throw std::runtime_error(nameOf(scenario) + ": " + std::to_string(attempt->progress.rows) +
                             " rows had been brought over by durable commits, and " +
                             std::to_string(run.getRowsKeptByKill()) + " are left after the kill");
  run.setRowsAfterKill(resultOf("migrate", scenario, folder).reader().getRowsMigrated());
  run.setLostByKill(lostByKill(*attempt));
}

void Runner::findOwnDigest(const Scenario& scenario) {
  const Scenario lazy = counterpart(scenario, scenario.system, Strategy::lazy);
  const auto result = folder_ / "lazy.json";
  call("migrate", lazy, copyOf(lazy), result);
  RunRecord run;
  fromJson(readText(result), run.builder());
  expectedDigest_ = run.reader().getDigest().cStr();
}

RunRecord Runner::run(const Scenario& scenario, unsigned repetition) {
  if (own_ && expectedDigest_.empty()) findOwnDigest(scenario);
  const auto folder = copyOf(scenario);
  const auto result = folder_ / "run.json";
  // The same operations for all systems and strategies of one repetition, and others in the next.
  call("play", scenario, folder, result, {}, repetition);
  RunRecord run;
  fromJson(readText(result), run.builder());
  run.builder().setRepetition(repetition);
  run.builder().setCommand(own_ ? "./dev bench upgrade own " + shellWord(own_->file.string()) + " " +
                                      shellWord(own_->collection) + " --schema " + shellWord(own_->schema) +
                                      ownLoadOf(scenario) + " --only " + shellWord(nameOf(scenario))
                                : "./dev bench upgrade run " + shellWord(nameOf(scenario)));
  if (scenario.kill) findLossByKill(scenario, run.builder());
  std::filesystem::remove_all(folder);
  return run;
}

}  // namespace instar::bench
