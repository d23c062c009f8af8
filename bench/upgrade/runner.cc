#include "instar/bench/upgrade/runner.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>

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

}  // namespace

Runner::Runner(std::filesystem::path program, const std::filesystem::path& data, std::optional<OwnFile> own)
    : program_(std::move(program)),
      folder_(std::filesystem::absolute(data) / ("upgrade-" + std::to_string(::getpid()))),
      own_(std::move(own)) {
  std::filesystem::create_directories(folder_);
}

Runner::~Runner() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

bool Runner::call(const char* command, const Scenario& scenario, const std::filesystem::path& folder,
                  const std::filesystem::path& result, double killAfter) const {
  std::vector<std::string> texts{program_, command, nameOf(scenario), "--folder", folder};
  if (!result.empty()) texts.insert(texts.end(), {"--result", result});
  if (killAfter > 0) texts.insert(texts.end(), {"--kill-after", std::to_string(killAfter)});
  if (own_) {
    texts.insert(texts.end(), {"--own-file", own_->file, "--own-collection", own_->collection, "--own-schema",
                               own_->schema, "--own-bytes", std::to_string(own_->bytesOfRow)});
    if (!expectedDigest_.empty()) texts.insert(texts.end(), {"--expect", expectedDigest_});
  }
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  pid_t process = 0;
  const int code = ::posix_spawn(&process, program_.c_str(), nullptr, nullptr, arguments.data(), environ);
  if (code != 0) throw std::system_error(code, std::generic_category(), program_.string());
  int status = 0;
  while (::waitpid(process, &status, 0) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (killAfter > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return false;
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

// How much longer it takes to migrate where the process is killed halfway and another one goes on.
double Runner::secondsLostByKill(const Scenario& scenario) {
  const auto result = folder_ / "migrated.json";
  const auto secondsOf = [&](const std::filesystem::path& folder) {
    call("migrate", scenario, folder, result);
    RunRecord run;
    fromJson(readText(result), run.builder());
    return run.reader().getCompleteAfter();
  };
  const double whole = secondsOf(copyOf(scenario));
  const auto folder = copyOf(scenario);
  if (call("migrate", scenario, folder, result, whole / 2)) return 0;  // it was faster this time
  return std::max(whole / 2 + secondsOf(folder) - whole, 0.0);
}

void Runner::findOwnDigest(const Scenario& scenario) {
  Scenario lazy = scenario;
  lazy.strategy = Strategy::lazy;
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
  call("play", scenario, folder, result);
  RunRecord run;
  fromJson(readText(result), run.builder());
  run.builder().setRepetition(repetition);
  run.builder().setCommand(own_ ? "./dev bench upgrade own " + own_->file.string() + " " + own_->collection +
                                      " --schema " + own_->schema + " --only " + nameOf(scenario)
                                : "./dev bench upgrade run " + nameOf(scenario));
  if (scenario.kill) run.builder().setLostByKill(secondsLostByKill(scenario));
  std::filesystem::remove_all(folder);
  return run;
}

}  // namespace instar::bench
