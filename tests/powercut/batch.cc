#include "instar/tests/powercut/batch.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace instar::powercut {
namespace {

constexpr int kCannotWrite = 4;  // exit status of a child

std::string endOf(int status) {
  if (WIFSIGNALED(status)) return "the program ended with signal " + std::to_string(WTERMSIG(status));
  return "the program ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

Batch::Batch(std::size_t count, Look look, std::filesystem::path findings)
    : count_(count), look_(std::move(look)), findings_(std::move(findings)) {
  void* const shared =
      ::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  tally_ = static_cast<Tally*>(shared);
  start(0);
}

Batch::~Batch() { ::munmap(tally_, sizeof *tally_); }

void Batch::start(std::size_t first) {
  std::fflush(nullptr);
  process_ = ::fork();
  if (process_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (process_ != 0) return;
  for (std::size_t index = first; index < count_; ++index) {
    tally_->current = index;
    const std::string text = look_(index);
    if (!text.empty()) {
      ++tally_->found;
      if (!note(index, text)) ::_exit(kCannotWrite);
    }
    ++tally_->lookedAt;
  }
  ::_exit(0);
}

bool Batch::note(std::size_t index, const std::string& text) const {
  std::ofstream file(findings_, std::ios::app | std::ios::binary);
  file << index << ' ' << text << '\0';
  file.close();
  return !file.fail();
}

std::vector<Finding> Batch::await() {
  for (;;) {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    if (tally_->lookedAt == count_) break;  // each of them, those included with which a child has ended
    const std::size_t index = tally_->current;
    const bool isWritten = WIFEXITED(status) && WEXITSTATUS(status) == kCannotWrite
                               ? false
                               : (++tally_->found, note(index, endOf(status)));
    if (!isWritten) throw std::runtime_error("what is wrong cannot be written to " + findings_.string());
    if (++tally_->lookedAt == count_) break;
    start(index + 1);
  }
  std::vector<Finding> findings = readFindings();
  if (findings.size() != tally_->found) {
    throw std::runtime_error(std::to_string(tally_->found) + " were found wrong, and " +
                             std::to_string(findings.size()) + " are in " + findings_.string());
  }
  std::filesystem::remove(findings_);
  return findings;
}

std::vector<Finding> Batch::readFindings() const {
  std::vector<Finding> findings;
  std::ifstream file(findings_, std::ios::binary);
  for (std::string line; std::getline(file, line, '\0');) {
    const std::size_t space = line.find(' ');
    findings.push_back({std::stoul(line.substr(0, space)), line.substr(space + 1)});
  }
  return findings;
}

}  // namespace instar::powercut
