// The `instar` command.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <iostream>

#include "instar/tools/commands/command.h"

namespace {

// A descriptor that is closed would be given to the next file that is opened, and output would end up in the
// database.
void occupyStandardDescriptors() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDONLY));
  }
}

}  // namespace

int main(int argumentCount, char** arguments) {
  occupyStandardDescriptors();
  std::set_terminate(instar::tools::endForWantOfMemory);
  std::signal(SIGPIPE, SIG_IGN);
  std::ios::sync_with_stdio(false);
  instar::tools::Output output(STDOUT_FILENO);
  instar::tools::Messages messages(std::cerr, ::isatty(STDERR_FILENO) == 1);
  instar::tools::Context context{.output = output,
                                 .messages = messages,
                                 .input = std::cin,
                                 .outputIsSeen = ::isatty(STDOUT_FILENO) == 1};
  return instar::tools::runCommandLine(argumentCount, arguments, context);
}
