#include "instar/tests/faults/failure_rules.h"

#include <kj/exception.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

#include "instar/format/error.h"
#include "instar/tests/faults/scenarios.h"

namespace instar::testing {
namespace {

bool isAboutMemory(const Fault& fault) { return fault.call == FaultCall::allocate; }

bool isCodeOf(const Fault& fault, ErrorCode code) {
  if (code == ErrorCode::readBack) return hasCommitPageFailed();
  if (isAboutMemory(fault)) return code == ErrorCode::freeSpace;
  switch (fault.error) {
    case ENOSPC:
    case ENOMEM:
      return code == ErrorCode::freeSpace;
    case EINTR:
      return code == ErrorCode::retry;
    case kShortWrite:  // LMDB takes some for a full disk
      return code == ErrorCode::fixEnvironment || code == ErrorCode::freeSpace;
    default:
      return code == ErrorCode::fixEnvironment;
  }
}

bool saysWhatToDo(const Error& error) {
  const std::string_view message = error.message();
  return !error.facts().empty() && !message.ends_with("see the code") && !message.ends_with("see the reason");
}

Failure ofError(const Error& error, std::span<const Fault> faults) {
  Failure failure{.text = std::string(errorCodeName(error.code())) + ": " + error.what()};
  failure.isReadBack = error.code() == ErrorCode::readBack;
  failure.isRetry = error.code() == ErrorCode::retry;
  if (std::ranges::none_of(faults, [&](const Fault& fault) { return isCodeOf(fault, error.code()); }))
    failure.wrong = "this error does not belong to the fault: " + failure.text;
  else if (!saysWhatToDo(error))
    failure.wrong = "this error does not say what to do: " + failure.text;
  return failure;
}

bool areWordsOf(const Fault& fault, std::string_view words) {
  const auto has = [&](std::string_view word) { return words.find(word) != std::string_view::npos; };
  if (has("read back")) return hasCommitPageFailed();
  switch (isAboutMemory(fault) ? ENOMEM : fault.error) {
    case ENOSPC:
      return has("full") || has("No space left");
    case ENOMEM:
      return has("memory") || has("bad_alloc");  // in what Cap'n Proto's compiler says of a file
    case EINTR:
      return has("interrupted");
    case EMFILE:
      return has("too many files") || has("Too many open files");
    case kShortWrite:
      return has("reports an error") || has("full");
    default:
      return has("reports an error") || has("Input/output error");
  }
}

Failure ofWords(const std::string& words, const std::string& text, std::span<const Fault> faults) {
  Failure failure{.text = text};
  if (std::ranges::none_of(faults, [&](const Fault& fault) { return areWordsOf(fault, words); }))
    failure.wrong = "these words do not belong to the fault: " + text;
  return failure;
}

}  // namespace

Failure describeCurrent(std::span<const Fault> faults) {
  const bool isMemoryShort = std::ranges::any_of(faults, isAboutMemory);
  try {
    throw;
  } catch (const Wrong&) {
    disarmFaults();
    throw;
  } catch (const Error& error) {
    if (isMemoryShort) disarmFaults();
    return ofError(error, faults);
  } catch (const CommandFailed& failed) {
    if (isMemoryShort) disarmFaults();
    const std::string text =
        "exit status " + std::to_string(static_cast<int>(failed.status)) + ": " + failed.messages;
    // A page that the disk cannot read is damage to check, which looks at all of them.
    const bool isUnreadable = std::ranges::any_of(
        faults, [](const Fault& fault) { return fault.call == FaultCall::pread && fault.error == EIO; });
    if (failed.status == tools::ExitStatus::damage && isUnreadable) return {.text = text};
    if (failed.status == tools::ExitStatus::damage || failed.status == tools::ExitStatus::usage)
      return {.text = text, .wrong = "the command blames file or user: " + text};
    return ofWords(failed.messages, text, faults);
  } catch (const CompactionGaveUp& thread) {
    Failure failure = ofWords(thread.detail, "the thread has given up: " + thread.detail, faults);
    failure.isRetry = true;  // it may have failed once more before the faults were lifted
    return failure;
  } catch (const std::bad_alloc&) {
    disarmFaults();
    if (isMemoryShort) return {.text = "std::bad_alloc"};
    return {.text = "std::bad_alloc", .wrong = "there was enough memory"};
  } catch (const kj::Exception& exception) {
    disarmFaults();
    const std::string text = exception.getDescription().cStr();
    if (isMemoryShort) return {.text = text};
    return {.text = text, .wrong = "an exception of Cap'n Proto's: " + text};
  } catch (const std::exception& exception) {
    disarmFaults();
    if (isMemoryShort && dynamic_cast<const std::system_error*>(&exception) != nullptr)
      return {.text = exception.what()};
    return {.text = exception.what(), .wrong = std::string("another exception: ") + exception.what()};
  }
}

bool mayKeepFromReading(std::span<const Fault> faults) {
  constexpr FaultCall kReading[] = {FaultCall::open,    FaultCall::mmap,  FaultCall::ftruncate,
                                    FaultCall::read,    FaultCall::pread, FaultCall::fallocate,
                                    FaultCall::allocate};
  return std::ranges::any_of(faults, [&](const Fault& fault) {
    return std::ranges::find(kReading, fault.call) != std::end(kReading);
  });
}

}  // namespace instar::testing
