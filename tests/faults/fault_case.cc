#include "instar/tests/faults/fault_case.h"

#include <kj/exception.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

#include "instar/engine/check.h"
#include "instar/tests/faults/failure_rules.h"
#include "instar/tools/commands/command.h"

namespace instar::testing {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kSecondsUntilHung = 60;

// What a child tells its parent, also where a signal ends it.
struct Report {
  std::array<bool, 4> hits;
  std::array<std::uint64_t, kFaultCalls> calls;
  unsigned failedSteps;
  unsigned readBacks;   // that failed so that it is not known whether they are stored
  std::size_t lowest;   // the first state that the rows may be in
  std::size_t highest;  // and the last one
  bool isOver;          // the process has come to where it was to end
  char step[64];        // that is being done
  char wrong[4000];
};

void say(Report& report, std::string_view text) {
  if (report.wrong[0] != '\0') return;
  const std::size_t length = std::min(text.size(), sizeof report.wrong - 1);
  std::memcpy(report.wrong, text.data(), length);
  report.wrong[length] = '\0';
}

[[noreturn]] void leave(Report& report) {
  report.isOver = true;
  ::_exit(0);
}

class SharedReport {
 public:
  SharedReport()
      : report_(static_cast<Report*>(
            ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    if (report_ == MAP_FAILED) throw std::bad_alloc();
  }
  SharedReport(const SharedReport&) = delete;
  SharedReport& operator=(const SharedReport&) = delete;
  ~SharedReport() { ::munmap(report_, sizeof(Report)); }
  Report& operator*() const { return *report_; }
  Report* operator->() const { return report_; }

 private:
  Report* report_;
};

// Runs it to its end or to leave(): whatever else ends the process is wrong, be it without a signal and with
// status 0. Only this status is not, where there is one.
template <class Body>
void runInChild(Report& report, std::optional<int> allowedStatus, Body&& body) {
  report.isOver = false;
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    ::alarm(kSecondsUntilHung);
    try {
      body();
    } catch (const std::exception& exception) {
      disarmFaults();
      say(report, std::string(report.step) + ": " + exception.what());
    } catch (...) {
      disarmFaults();
      say(report, std::string(report.step) + ": something else than an exception was thrown");
    }
    leave(report);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    const char* const signal = WTERMSIG(status) == SIGALRM ? "it hangs" : ::strsignal(WTERMSIG(status));
    say(report, std::string(report.step) + ": " + signal);
  } else if (WEXITSTATUS(status) == 0 ? !report.isOver : WEXITSTATUS(status) != allowedStatus) {
    say(report, std::string(report.step) + ": it ends the process with status " +
                    std::to_string(WEXITSTATUS(status)));
  }
}

// Refused memory ends Cap'n Proto's compiler where it is cleaning up, and the parser of command lines where
// it compares names of options. Then the command says so and is over, and what it was at is cut off as where
// it is killed. No other program has these.
bool mayEndForWantOfMemory(const Scenario& scenario, std::span<const Fault> faults) {
  return scenario.runsCommand &&
         std::ranges::any_of(faults, [](const Fault& fault) { return fault.call == FaultCall::allocate; });
}

class Run {
 public:
  Run(const Scenario& scenario, const std::vector<ModelState>& states, World& world,
      std::span<const Fault> faults, AfterFailure after, Report& report)
      : scenario_(scenario),
        states_(states),
        world_(world),
        faults_(faults),
        after_(after),
        report_(report) {}

  void run() {
    running_ = this;
    if (mayEndForWantOfMemory(scenario_, faults_)) std::set_terminate(endAsTheCommandDoes);
    try {
      play();
    } catch (...) {
      noteCalls();
      throw;
    }
  }

 private:
  void play() {
    armFaults(faults_);
    for (step_ = 0; step_ < scenario_.steps.size(); ++step_) {
      report_.lowest = step_;
      report_.highest = step_ + 1;
      std::snprintf(report_.step, sizeof report_.step, "step %zu, %s", step_, step().name.c_str());
      if (!succeeds()) goOnAfterFailure();
      report_.lowest = report_.highest;
    }
    disarmFaults();
    noteCalls();
    world_.store.reset();
  }

  const Step& step() const { return scenario_.steps[step_]; }

  [[noreturn]] static void endAsTheCommandDoes() noexcept {
    disarmFaults();
    running_->noteCalls();
    ++running_->report_.failedSteps;
    tools::endForWantOfMemory();
  }

  void noteCalls() {
    for (std::size_t i = 0; i < faults_.size(); ++i) report_.hits[i] = report_.hits[i] || wasHit(i);
    for (std::size_t i = 0; i < kFaultCalls; ++i) report_.calls[i] = callsOf(static_cast<FaultCall>(i));
  }

  bool isArmed() const {
    return std::ranges::any_of(faults_, [](const Fault& fault) { return fault.isLasting; }) ||
           faults_.size() > 1;
  }

  // Whether it does, under the faults; otherwise failure_ is an error that may be.
  bool succeeds() {
    // A thread may fail in one step and be asked in another.
    if (!scenario_.isConcurrent) forgetCommitPage();
    try {
      step().run(world_);
      return true;
    } catch (...) {
      failure_ = describeCurrent(faults_);
    }
    noteCalls();
    if (!failure_.wrong.empty()) throw Wrong(failure_.wrong);
    if (failure_.isReadBack) ++report_.readBacks;
    return false;
  }

  void goOnAfterFailure() {
    ++report_.failedSteps;
    settleWhatIsThere();
    if (after_ == AfterFailure::leave) {
      disarmFaults();
      leave(report_);
    }
    if (isArmed() && succeeds()) return;
    settleWhatIsThere();
    disarmFaults();
    // What is still there of the failure may take one more try; nothing takes two.
    if (!succeeds() && !(failure_.isRetry && succeeds())) throw Wrong("it does not go on: " + failure_.text);
  }

  // Reads, and takes the range of states down to what is there.
  void settleWhatIsThere() {
    if (!world_.store) return;
    ModelState found;
    try {
      found = stateIn(*world_.store, scenario_.hasDiverged);
    } catch (...) {
      const Failure failure = describeCurrent(faults_);
      if (!failure.wrong.empty()) throw Wrong("in reading: " + failure.wrong);
      if (!mayKeepFromReading(faults_)) throw Wrong("reading does not go on: " + failure.text);
      return;
    }
    const std::string wrong =
        whatIsWrongAfterFailure(step(), failure_.isReadBack, found, states_[step_], states_[step_ + 1]);
    if (!wrong.empty()) throw Wrong(wrong + ": " + failure_.text + "\n" + found.versions);
    if (step().kind == StepKind::gradual) return;
    const bool isBefore = found == states_[step_];
    const bool isBehind = found == states_[step_ + 1];
    if (!isBehind) report_.highest = step_;
    if (!isBefore) report_.lowest = step_ + 1;
    if (!isBehind) report_.highest = step_ + (after_ == AfterFailure::leave ? 0 : 1);
  }

  const Scenario& scenario_;
  const std::vector<ModelState>& states_;
  World& world_;
  std::span<const Fault> faults_;
  const AfterFailure after_;
  Report& report_;
  std::size_t step_ = 0;
  Failure failure_;
  inline static Run* running_ = nullptr;  // in this process
};

bool isExpectedFile(const std::string& name) {
  constexpr std::string_view kNames[] = {"items.instar", "items.instar-lock", "copy",
                                         "compact",      "input.ndjson",      "printed",
                                         "item1.capnp",  "item2.capnp",       "damaged"};
  return std::ranges::find(kNames, name) != std::end(kNames);
}

// Files under construction, and folders with them; what cannot be removed stays.
bool mayBeLeftBehind(const std::string& name, std::span<const Fault> faults) {
  const bool isForWork =
      name.starts_with('.') || name.starts_with("instar-salvage-") || name.find(".salvage-") != name.npos;
  return isForWork &&
         std::ranges::any_of(faults, [](const Fault& fault) { return fault.call == FaultCall::unlink; });
}

// What another process finds.
void examine(const Scenario& scenario, const std::vector<ModelState>& states, const World& world,
             std::span<const Fault> faults, Report& report) {
  std::snprintf(report.step, sizeof report.step, "afterwards");
  for (const auto& entry : fs::directory_iterator(world.folder)) {
    const std::string name = entry.path().filename();
    if (!isExpectedFile(name) && !mayBeLeftBehind(name, faults))
      throw Wrong("left behind: " + entry.path().string());
  }
  ModelState found;
  if (fs::exists(world.file())) {
    const Store store = Store::open(world.file(), {.mode = OpenMode::openExisting});
    const CheckReport checked = check(store);
    if (!checked.sound()) throw Wrong("check finds damage: " + checked.problems.at(0).message);
    if (verify(store).problems != 0) throw Wrong("verify finds damage");
    if (!readAudit(store, store.read()).damage.empty()) throw Wrong("the audit is damaged");
    found = stateIn(store, scenario.hasDiverged);
  }
  if (scenario.examine) scenario.examine(world);
  bool areRowsKnown = false;
  bool areVersionsKnown = false;  // each for itself: a command makes the collection first, and puts then
  for (std::size_t state = report.lowest; state <= report.highest; ++state) {
    areRowsKnown = areRowsKnown || found.rows == states[state].rows;
    areVersionsKnown = areVersionsKnown || found.versions == states[state].versions;
  }
  const bool isGradual =
      report.highest > report.lowest && scenario.steps[report.lowest].kind == StepKind::gradual;
  if (isGradual) areRowsKnown = isBetween(found, states[report.lowest], states[report.highest]);
  if (!areRowsKnown)
    throw Wrong("rows are lost, or there that should not be: " + std::to_string(found.rows.size()));
  if (!areVersionsKnown)
    throw Wrong("versions are not as they should be:\n" + found.versions + "but\n" +
                states[report.highest].versions);
  constexpr std::uint64_t kNewRow = 1'000'000;
  putAsNewest(Store::open(world.file()), kNewRow, "after wards");
  found.rows[kNewRow] = "after wards";
  if (rowsIn(Store::open(world.file()), scenario.hasDiverged) != found.rows)
    throw Wrong("it cannot be written to");
}

}  // namespace

FaultCases::FaultCases(const Scenario& scenario) : scenario_(scenario), states_(scenario.states()) {
  SharedReport report;
  runInChild(*report, std::nullopt, [&] {
    World world{.folder = folder_.path()};
    scenario_.prepare(world);
  });
  if (report->wrong[0] != '\0') throw Wrong("preparing: " + std::string(report->wrong));
}

CaseResult FaultCases::run(std::span<const Fault> faults, AfterFailure after) {
  const TemporaryFolder folder;
  World world{.folder = folder.path(), .options = scenario_.options};
  for (const auto& entry : fs::directory_iterator(folder_.path()))
    fs::copy_file(entry.path(), folder.path() / entry.path().filename());
  SharedReport report;
  std::optional<int> ofTheCommand;
  if (mayEndForWantOfMemory(scenario_, faults)) ofTheCommand = static_cast<int>(tools::ExitStatus::problem);
  runInChild(*report, ofTheCommand, [&] { Run(scenario_, states_, world, faults, after, *report).run(); });
  if (report->wrong[0] == '\0') {
    runInChild(*report, std::nullopt, [&] { examine(scenario_, states_, world, faults, *report); });
  }
  CaseResult result{report->hits, report->calls, report->failedSteps, report->readBacks, report->wrong};
  if (!result.wrong.empty()) result.wrong += "\n  " + command(faults, after);
  return result;
}

std::string FaultCases::command(std::span<const Fault> faults, AfterFailure after) const {
  return "instar_fault_tests --case " + scenario_.name + " " + describe(faults) +
         (after == AfterFailure::leave ? " leave" : "");
}

}  // namespace instar::testing
