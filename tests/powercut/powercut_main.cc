// Records scenarios, cuts the power at many points of each, and looks at what is left:
//
//     instar_powercut --scenario pack --images 1000 --seed 1
//     instar_powercut --scenario pack --scenario write --images 1000        of both together
//     instar_powercut --replay FILE --cut 412:without:3:0 --keep FOLDER     one image again
//
// Images are looked at in child processes, some at a time, so that a signal is a failure like others. What
// fails is printed with the command that makes it again from the recording, which is kept.

#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "instar/tests/powercut/batch.h"
#include "instar/tests/powercut/cuts.h"
#include "instar/tests/powercut/image_check.h"
#include "instar/tests/powercut/recording.h"

namespace instar::powercut {
namespace {

constexpr std::size_t kImagesPerChild = 40;
constexpr std::uint64_t kBytesPerChild = std::uint64_t{256} << 20;
constexpr std::size_t kMostPrinted = 10;

struct Arguments {
  std::vector<std::string> scenarios;
  std::string replay;
  std::string cut;
  std::string keep;
  std::filesystem::path recordings = "powercut-failures";
  std::filesystem::path scratch = "/dev/shm";
  std::size_t images = 1000;
  std::uint64_t seed = 1;
  unsigned jobs = 1;
  bool ignoresSyncs = false;
  bool tearsMetaPages = false;
  std::size_t atLeast = 1;
  std::string expectedFault;
};

class ScratchFolder {
 public:
  explicit ScratchFolder(const std::filesystem::path& parent) {
    std::error_code ignored;
    const bool isThere = std::filesystem::is_directory(parent, ignored);
    std::string name =
        ((isThere ? parent : std::filesystem::temp_directory_path()) / "instar-powercut-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder like " + name);
    path_ = std::filesystem::canonical(name);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

std::filesystem::path programFolder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

int runAndWait(const std::function<void()>& child) {
  std::fflush(nullptr);
  const pid_t process = ::fork();
  if (process < 0) throw std::runtime_error("fork failed");
  if (process == 0) {
    child();
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(process, &status, 0);
  return status;
}

// Plays the scenario in `folder` and leaves the recording in `log`.
void record(const std::string& scenario, const std::filesystem::path& folder,
            const std::filesystem::path& log) {
  const std::string program = programFolder() / "instar_powercut_scenarios";
  const int status = runAndWait([&] {
    ::setenv(kFolderVariable, folder.c_str(), 1);
    ::setenv(kLogVariable, log.c_str(), 1);
    ::setenv("LD_PRELOAD", (programFolder() / "libinstar_powercut_recorder.so").c_str(), 1);
    ::execl(program.c_str(), program.c_str(), scenario.c_str(), folder.c_str(), nullptr);
  });
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error("the scenario \"" + scenario + "\" failed, status " + std::to_string(status));
}

// Whether the recording explains the files: nothing went past the recorder.
void checkExplains(const Recording& recording, const std::filesystem::path& folder) {
  DiskModel model(recording);
  model.advanceTo(recording.events().size());
  const Image expected = model.buildWithEverything();
  Image found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    found[entry.path().filename()] = std::string((std::istreambuf_iterator<char>(file)), {});
  }
  if (found.size() != expected.size())
    throw std::runtime_error("the recording does not explain which files there are");
  for (const auto& [name, content] : found) {
    const auto known = expected.find(name);
    if (known == expected.end()) throw std::runtime_error("the recording does not know the file " + name);
    if (!name.ends_with("-lock") && known->second != content)
      throw std::runtime_error("the recording does not explain what is in " + name);
  }
}

struct Sample {
  Cut cut;
  Image image;
  std::map<std::string, Allowed> allowed;
};

ImageCheck checkFor(const Cut& cut, std::size_t number) {
  return {.readsFirst = (number + cut.point) % 2 == 0, .compacts = (number + cut.point) % 5 == 0};
}

class Inspector {
 public:
  Inspector(const Recording& recording, std::filesystem::path folder) noexcept
      : recording_(recording), folder_(std::move(folder)) {}

  // Throws nothing: the child must not get out of here.
  std::string fault(const Sample& sample, std::size_t number) const noexcept try {
    const std::filesystem::path folder = folder_ / ("image-" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder);
    std::filesystem::create_directory(folder);
    std::string fault =
        faultOf(sample.image, folder, recording_, sample.allowed, checkFor(sample.cut, number));
    std::filesystem::remove_all(folder);
    return fault;
  } catch (const std::exception& exception) {
    return exception.what();
  }

 private:
  const Recording& recording_;
  std::filesystem::path folder_;
};

struct Failure {
  Cut cut;
  std::string fault;
};

DiskModel modelOf(const Recording& recording, const Arguments& arguments) {
  return DiskModel(recording, arguments.ignoresSyncs ? DiskModel::Syncs::ignored : DiskModel::Syncs::kept,
                   arguments.tearsMetaPages ? DiskModel::MetaPages::torn : DiskModel::MetaPages::whole);
}

const char* optionsOf(const Arguments& arguments) {
  if (arguments.ignoresSyncs)
    return arguments.tearsMetaPages ? " --ignore-syncs --tear-meta-pages" : " --ignore-syncs";
  return arguments.tearsMetaPages ? " --tear-meta-pages" : "";
}

// Images that one child process looks at.
class ImageBatch {
 public:
  ImageBatch(std::vector<Sample> samples, std::size_t firstNumber, const Inspector& inspector,
             std::filesystem::path findings)
      : samples_(std::move(samples)),
        batch_(
            samples_.size(),
            [this, firstNumber, &inspector](std::size_t index) {
              return inspector.fault(samples_[index], firstNumber + index);
            },
            std::move(findings)) {}
  ImageBatch(const ImageBatch&) = delete;  // batch_ knows where samples_ is
  ImageBatch& operator=(const ImageBatch&) = delete;

  std::vector<Failure> await() {
    std::vector<Failure> failures;
    for (Finding& finding : batch_.await())
      failures.push_back({samples_[finding.index].cut, std::move(finding.text)});
    return failures;
  }

 private:
  std::vector<Sample> samples_;
  Batch batch_;
};

// The images of one recording.
class Run {
 public:
  Run(const Arguments& arguments, std::string scenario, std::filesystem::path folder,
      std::filesystem::path log, Recording recording)
      : arguments_(arguments),
        scenario_(std::move(scenario)),
        folder_(std::move(folder)),
        log_(std::move(log)),
        recording_(std::move(recording)),
        inspector_(recording_, folder_) {}

  void lookAtPrefixes() {
    lookAt(prefixCuts(recording_));
    prefixes_ = images_;
    awaitAll();
  }

  // So many other ones that are different from all before, or as many as are found.
  void lookAtOthers(std::size_t count) {
    for (const std::size_t end = images_ + count; images_ < end && !isExhausted_; ++round_) {
      const std::size_t before = images_;
      const std::size_t missing = end - images_;
      lookAt(chooseCuts(recording_, syncs(), missing, arguments_.seed + round_));
      isExhausted_ = images_ - before < missing / 50 + 1;
    }
    awaitAll();
  }

  const std::string& scenario() const noexcept { return scenario_; }
  const std::filesystem::path& log() const noexcept { return log_; }
  // Nearly all that were chosen last were there before.
  bool isExhausted() const noexcept { return isExhausted_; }
  std::size_t images() const noexcept { return images_; }
  std::size_t prefixes() const noexcept { return prefixes_; }
  const std::vector<Failure>& failures() const noexcept { return failures_; }
  const Recording& recording() const noexcept { return recording_; }

 private:
  DiskModel::Syncs syncs() const noexcept {
    return arguments_.ignoresSyncs ? DiskModel::Syncs::ignored : DiskModel::Syncs::kept;
  }

  // In order of their points.
  void lookAt(const std::vector<Cut>& cuts) {
    DiskModel model = modelOf(recording_, arguments_);
    for (const Cut& cut : cuts) {
      model.advanceTo(cut.point);
      add({cut, imageOf(model, cut), recording_.allowedAt(cut.point)});
    }
    flush();
  }

  void add(Sample sample) {
    std::size_t hash = 0;
    const auto mix = [&](std::size_t value) { hash = hash * 0x9e3779b97f4a7c15 + (value ^ hash >> 29); };
    for (const auto& [name, content] : sample.image) {
      mix(std::hash<std::string>()(name));
      mix(std::hash<std::string>()(content));
      waitingBytes_ += content.size();
    }
    for (const auto& [name, allowed] : sample.allowed) {
      if (allowed.anything) mix(1);
      mix(allowed.first * 65'537 + allowed.last);
    }
    const bool isPromised = std::any_of(sample.allowed.begin(), sample.allowed.end(),
                                        [](const auto& allowed) { return !allowed.second.anything; });
    if (!isPromised || !seen_.insert(hash).second) return;
    ++images_;
    waiting_.push_back(std::move(sample));
    if (waiting_.size() == kImagesPerChild || waitingBytes_ > kBytesPerChild) flush();
  }

  void flush() {
    waitingBytes_ = 0;
    if (waiting_.empty()) return;
    if (batches_.size() == arguments_.jobs) awaitFirst();
    const std::size_t first = images_ - waiting_.size();
    batches_.push_back(std::make_unique<ImageBatch>(std::move(waiting_), first, inspector_,
                                                    folder_ / ("findings-" + std::to_string(first))));
    waiting_.clear();
  }

  void awaitAll() {
    while (!batches_.empty()) awaitFirst();
  }

  void awaitFirst() {
    for (Failure& failure : batches_.front()->await()) failures_.push_back(std::move(failure));
    batches_.erase(batches_.begin());
  }

  const Arguments& arguments_;
  const std::string scenario_;
  std::filesystem::path folder_;
  std::filesystem::path log_;
  Recording recording_;
  Inspector inspector_;
  std::uint64_t round_ = 0;
  bool isExhausted_ = false;
  std::set<std::size_t> seen_;
  std::size_t images_ = 0;
  std::size_t prefixes_ = 0;  // of these
  std::vector<Sample> waiting_;
  std::uint64_t waitingBytes_ = 0;
  std::vector<std::unique_ptr<ImageBatch>> batches_;
  std::vector<Failure> failures_;
};

int replay(const Arguments& arguments) {
  const Recording recording = Recording::read(arguments.replay);
  const Cut cut = parseCut(arguments.cut);
  DiskModel model = modelOf(recording, arguments);
  if (cut.point > recording.events().size()) throw std::invalid_argument("the recording ends before the cut");
  model.advanceTo(cut.point);
  const Image image = imageOf(model, cut);
  if (!arguments.keep.empty()) {
    std::filesystem::create_directories(arguments.keep);
    for (const auto& [name, content] : image)
      std::ofstream(std::filesystem::path(arguments.keep) / name, std::ios::binary) << content;
  }
  std::printf("%zu files, %zu writes and %zu names pending\n", image.size(), model.writes().size(),
              model.names().size());
  for (const bool readsFirst : {false, true}) {
    const ScratchFolder folder(arguments.scratch);
    const std::string fault = faultOf(image, folder.path(), recording, recording.allowedAt(cut.point),
                                      {.readsFirst = readsFirst, .compacts = true});
    std::printf("%s: %s\n", readsFirst ? "opened by a reader first" : "opened by a writer",
                fault.empty() ? "as promised" : fault.c_str());
    if (!fault.empty()) return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

int reportExpected(const std::string& expected, const std::vector<Failure>& failures) {
  const auto found = std::find_if(failures.begin(), failures.end(), [&](const Failure& failure) {
    return failure.fault.find(expected) != std::string::npos;
  });
  if (found == failures.end()) {
    std::printf("this had to be found out, and was not: %s\n", expected.c_str());
    if (!failures.empty()) std::printf("but %s\n", failures.front().fault.c_str());
    return EXIT_FAILURE;
  }
  std::printf("for example %s\n", found->fault.c_str());
  return EXIT_SUCCESS;
}

std::unique_ptr<Run> recordRun(const Arguments& arguments, const std::string& scenario,
                               const std::filesystem::path& folder) {
  const std::filesystem::path files = folder / "files";
  const std::filesystem::path log = folder / "recording";
  std::filesystem::create_directories(files);
  record(scenario, files, log);
  Recording recording = Recording::read(log);
  checkExplains(recording, files);
  std::filesystem::remove_all(files);
  return std::make_unique<Run>(arguments, scenario, folder, log, std::move(recording));
}

// Those asked for are shared out; what one scenario does not have is shared out among those that have more.
void shareOut(std::size_t images, std::uint64_t seed, const std::vector<std::unique_ptr<Run>>& runs) {
  for (const auto& run : runs) run->lookAtPrefixes();
  for (std::size_t missing = images; missing > 0;) {
    auto left = static_cast<std::size_t>(
        std::ranges::count_if(runs, [](const auto& run) { return !run->isExhausted(); }));
    if (left == 0) return;
    for (const auto& run : runs) {
      if (run->isExhausted() || missing == 0) continue;
      const std::size_t before = run->images();
      run->lookAtOthers((missing + left - 1) / left);
      missing -= run->images() - before;
      --left;
      std::printf("%s, seed %llu: %zu images of %zu events, %zu of them prefixes, %zu failures%s\n",
                  run->scenario().c_str(), static_cast<unsigned long long>(seed), run->images(),
                  run->recording().events().size(), run->prefixes(), run->failures().size(),
                  run->isExhausted() ? "; there are hardly any more" : "");
      std::fflush(stdout);
    }
  }
}

// Keeps the recording, and prints how to make them again.
void reportFailures(const Arguments& arguments, const Run& run) {
  std::filesystem::create_directories(arguments.recordings);
  const auto kept = std::filesystem::absolute(arguments.recordings /
                                              (run.scenario() + "-" + std::to_string(arguments.seed)));
  std::filesystem::copy_file(run.log(), kept, std::filesystem::copy_options::overwrite_existing);
  for (std::size_t index = 0; index < std::min(run.failures().size(), kMostPrinted); ++index) {
    const Failure& failure = run.failures()[index];
    std::printf("%s\n  %s/instar_powercut --replay %s --cut %s%s\n", failure.fault.c_str(),
                programFolder().c_str(), kept.c_str(), textOf(failure.cut).c_str(), optionsOf(arguments));
  }
}

int run(const Arguments& arguments) {
  const auto begin = std::chrono::steady_clock::now();
  const ScratchFolder folder(arguments.scratch);
  std::vector<std::unique_ptr<Run>> runs;
  for (const std::string& scenario : arguments.scenarios)
    runs.push_back(recordRun(arguments, scenario, folder.path() / scenario));
  shareOut(arguments.images, arguments.seed, runs);
  std::size_t images = 0;
  std::size_t prefixes = 0;
  std::vector<Failure> failures;
  for (const auto& run : runs) {
    images += run->images();
    prefixes += run->prefixes();
    failures.insert(failures.end(), run->failures().begin(), run->failures().end());
  }
  const auto taken =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  std::printf("%zu images of power cuts, %zu of them prefixes, %zu failures, %.1f s\n", images, prefixes,
              failures.size(), static_cast<double>(taken.count()) / 1000);
  if (images - prefixes < arguments.images)
    std::printf("there are hardly any more than these: %zu of %zu\n", images - prefixes, arguments.images);
  if (images < arguments.atLeast) {
    throw std::runtime_error("there are fewer different images than there have to be: " +
                             std::to_string(images) + " of " + std::to_string(arguments.atLeast));
  }
  if (!arguments.expectedFault.empty()) return reportExpected(arguments.expectedFault, failures);
  for (const auto& run : runs) {
    if (!run->failures().empty()) reportFailures(arguments, *run);
  }
  return failures.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace instar::powercut

int main(int count, char** argumentTexts) {
  using namespace instar::powercut;
  CLI::App app("Cuts the power at many points of a scenario, and looks at what is left.");
  Arguments arguments;
  auto* const scenario = app.add_option("--scenario", arguments.scenarios,
                                        "one of instar_powercut_scenarios --list; may be repeated")
                             ->allow_extra_args(false);
  app.add_option("--images", arguments.images,
                 "how many different images to look at besides all prefixes, of all scenarios together")
      ->capture_default_str();
  app.add_option("--seed", arguments.seed, "which ones")->capture_default_str();
  app.add_option("--jobs", arguments.jobs, "child processes at the same time")->check(CLI::Range(1, 1024));
  app.add_option("--recordings", arguments.recordings, "where the recordings of failures are kept");
  app.add_option("--scratch", arguments.scratch, "where images are made; best in memory")
      ->capture_default_str();
  app.add_flag("--ignore-syncs", arguments.ignoresSyncs, "as if the disk lied about every sync");
  app.add_flag("--tear-meta-pages", arguments.tearsMetaPages,
               "as if a sector with which LMDB's meta pages begin could be torn");
  app.add_option("--at-least", arguments.atLeast, "fails where there are fewer different images")
      ->capture_default_str();
  app.add_option("--expect-fault", arguments.expectedFault,
                 "a text: fails where no image is wrong in this way, and only there");
  auto* const log = app.add_option("--replay", arguments.replay, "a recording that was kept");
  app.add_option("--cut", arguments.cut, "the image of it to look at again")->needs(log);
  app.add_option("--keep", arguments.keep, "a folder to leave the image in, as the power cut left it")
      ->needs(log);
  scenario->excludes(log);
  CLI11_PARSE(app, count, argumentTexts);
  try {
    if (!arguments.replay.empty()) return replay(arguments);
    return run(arguments);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "instar_powercut: %s\n", exception.what());
    return EXIT_FAILURE;
  }
}
