#include "instar/tests/tools/command_runner.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/format/file_format.h"

namespace instar::tools {
namespace {

std::string readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void redirect(int descriptor, const std::string& path, int flags) {
  const int opened = ::open(path.c_str(), flags, 0644);
  if (opened < 0 || ::dup2(opened, descriptor) < 0) ::_exit(126);
  ::close(opened);
}

void breakOutput() {
  int ends[2];
  if (::pipe(ends) != 0 || ::dup2(ends[1], STDOUT_FILENO) < 0) ::_exit(126);
  ::close(ends[0]);
  ::close(ends[1]);
}

void pipeInput(const std::string& input) {
  int ends[2];
  if (::pipe(ends) != 0 || ::dup2(ends[0], STDIN_FILENO) < 0) ::_exit(126);
  if (::write(ends[1], input.data(), input.size()) != static_cast<ssize_t>(input.size())) ::_exit(126);
  ::close(ends[0]);
  ::close(ends[1]);
}

void breakInput() {
  int ends[2];
  if (::pipe(ends) != 0 || ::dup2(ends[1], STDIN_FILENO) < 0) ::_exit(126);
}

void dropPrivileges() {
  constexpr unsigned kNobody = 65534;
  if (::geteuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) ::_exit(126);
}

[[noreturn]] void become(const std::vector<std::string>& arguments, const std::string& streams,
                         const RunOptions& options) {
  const int program = ::open(INSTAR_COMMAND, O_RDONLY | O_CLOEXEC);
  redirect(STDIN_FILENO, options.inputFrom.empty() ? streams + ".in" : options.inputFrom, O_RDONLY);
  redirect(STDOUT_FILENO, options.outputTo.empty() ? streams + ".out" : options.outputTo,
           O_WRONLY | O_CREAT | O_TRUNC);
  redirect(STDERR_FILENO, streams + ".err", O_WRONLY | O_CREAT | O_TRUNC);
  if (options.inputIsPipe) pipeInput(options.input);
  if (options.unreadableInput) breakInput();
  if (options.brokenPipe) breakOutput();
  if (options.closeOutput) ::close(STDOUT_FILENO);
  if (options.withoutPrivileges) dropPrivileges();
  if (!options.temporaryFolder.empty()) ::setenv("TMPDIR", options.temporaryFolder.c_str(), 1);
  ::signal(SIGPIPE, SIG_DFL);
  ::alarm(options.longestSeconds);  // goes along with the process into the other program
  std::string name = "instar";
  std::vector<char*> pointers = {name.data()};
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  ::fexecve(program, pointers.data(), environ);
  ::_exit(127);
}

}  // namespace

Result CommandTest::run(const std::vector<std::string>& arguments, const RunOptions& options) const {
  const testing::TemporaryFolder streams;
  const std::string base = (streams / "stream").string();
  std::ofstream(base + ".in", std::ios::binary) << options.input;
  const pid_t process = ::fork();
  if (process == 0) become(arguments, base, options);
  int status = 0;
  ::waitpid(process, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, readFile(base + ".out"), readFile(base + ".err")};
}

std::string CommandTest::expect(int status, const std::vector<std::string>& arguments,
                                const RunOptions& options) const {
  const Result result = run(arguments, options);
  std::string line;
  for (const std::string& argument : arguments) line += argument + ' ';
  EXPECT_EQ(result.status, status) << line << '\n' << result.messages << result.output;
  return result.output;
}

std::string CommandTest::write(const std::string& name, const std::string& text) const {
  std::ofstream(path(name), std::ios::binary) << text;
  return path(name);
}

std::string CommandTest::makeContacts() const {
  const std::string rows = write("contacts.ndjson",
                                 "{\"group\":\"main\",\"id\":1,\"name\":\"Ada\",\"tags\":[\"x\",\"y\"]}\n"
                                 "{\"group\":\"main\",\"id\":2,\"name\":\"Bob\"}\n"
                                 "{\"group\":\"side\",\"id\":1}\n");
  expect(0, {"import", path("contacts.instar"), "contacts", rows, "--schema",
             schema("contact_v1.capnp:Contact")});
  return path("contacts.instar");
}

std::string CommandTest::makeEvolvedContacts() const {
  const std::string file = makeContacts();
  expect(0, {"evolve", file, "contacts", "--schema", schema("contact_v2.capnp:Contact")});
  expect(0, {"put", file, "contacts", R"({"group":"main","id":3,"tier":9})"});
  return file;
}

void CommandTest::writePayments() const {
  const auto text = [](const char* version, const char* fields) {
    return std::string(
               "@0xa3f1c5d7e9b20486;\nusing Instar = import \"/instar/schema.capnp\";\n"
               "struct Payment @0xd2b4c6e8fa103957 $Instar.version(") +
           version + ") {\n  id @0 :UInt32 $Instar.key(0);\n" + fields + "}\n";
  };
  write("payments_v1.capnp", text("1", "  euros @1 :UInt32;\n"));
  write("payments_v2.capnp", text("2", "  union { euros @1 :UInt32; phone @2 :UInt32; }\n"));
}

void CommandTest::tamper(const std::string& file, const std::string& collection, Bytes key,
                         const std::function<void(std::span<std::byte>)>& change) {
  const auto environment = storage::openLmdb(file, {});
  const auto tree = environment->openTree(std::string(kRowTreePrefix) + collection, false);
  const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
  const Bytes stored = transaction->get(*tree, key).value();
  std::vector<std::byte> value(stored.begin(), stored.end());
  change(value);
  std::ranges::copy(value, transaction->reserve(*tree, key, value.size()).begin());
  transaction->commit();
}

std::map<std::string, std::string> CommandTest::listing() const {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
    const auto time = entry.last_write_time().time_since_epoch().count();
    files[entry.path().string()] =
        std::to_string(time) + ' ' + (entry.is_regular_file() ? std::to_string(entry.file_size()) : "");
  }
  files["."] = std::to_string(std::filesystem::last_write_time(folder_.path()).time_since_epoch().count());
  return files;
}

}  // namespace instar::tools
