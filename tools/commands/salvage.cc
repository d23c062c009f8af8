// `instar salvage`: what can still be had of a damaged file.

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "instar/tools/commands/salvage_report.h"
#include "instar/tools/commands/salvaged_copy.h"

namespace instar::tools {
namespace {

struct SalvageCommandOptions {
  std::string file;
  std::string target;
  bool swept = false;
  bool unmask = false;
  bool json = false;
};

SalvageReport salvageInterruptibly(Context& context, const Interruption& interruption,
                                   const std::filesystem::path& from, const std::filesystem::path& to,
                                   bool swept) {
  ProgressLine progress(context.messages, "pages", context.clock);
  return salvage(from, to, {.swept = swept, .progress = [&](const Progress& state) {
                              interruption.check();
                              progress.update(state.done, state.total);
                            }});
}

void runSalvage(Context& context, const SalvageCommandOptions& options) {
  std::optional<Interruption> interruption(std::in_place);
  const SalvageReport report =
      salvageInterruptibly(context, *interruption, options.file, options.target, options.swept);
  interruption.reset();
  const Store salvaged = openToRead(options.target);
  const auto print = options.json ? printSalvageJson : printSalvageText;
  print(context, report, salvaged, options.unmask);
  if (report.problemCount != 0) context.found(ExitStatus::problem);
  if (!report.isComplete()) context.found(ExitStatus::damage);
}

}  // namespace

SalvagedCopy::SalvagedCopy(Context& context, const Interruption& interruption, const std::string& file)
    : folder_((std::filesystem::temp_directory_path() / "instar-salvage-XXXXXX").string()),
      file_(folder_ + "/salvaged.instar"),
      lockFile_(file_ + "-lock") {
  if (::mkdtemp(folder_.data()) == nullptr) {
    throw Error(ErrorCode::fixEnvironment,
                "no folder for the salvaged copy can be made: set TMPDIR to another one",
                {{"path", folder_}});
  }
  for (std::string* name : {&file_, &lockFile_}) std::copy(folder_.begin(), folder_.end(), name->begin());
  try {
    report_ = salvageInterruptibly(context, interruption, file, file_, false);
  } catch (...) {
    remove();
    throw;
  }
}

SalvagedCopy::~SalvagedCopy() { remove(); }

void SalvagedCopy::remove() const noexcept {
  for (const std::string* name : {&file_, &lockFile_}) ::unlink(name->c_str());
  ::rmdir(folder_.c_str());
}

void SalvagedCopy::tell(Context& context, const std::string& collection) const {
  if (report_.problemCount != 0) context.found(ExitStatus::problem);
  if (report_.isComplete()) {
    if (report_.problemCount != 0)
      context.message("pages are damaged, and nothing is lost: instar salvage lists them");
    return;
  }
  context.found(ExitStatus::damage);
  bool isSaid = false;
  const auto say = [&](const std::string& text) {
    context.message(text);
    isSaid = true;
  };
  for (const SalvagedCollection& one : report_.collections) {
    if (!collection.empty() && one.name != collection) continue;
    if (one.lostRangeCount != 0 || one.leftOut != 0) {
      say("damaged collection (collection: " + one.name + ", rows: " + std::to_string(one.rows) +
          ", lost ranges of keys: " + std::to_string(one.lostRangeCount) +
          ", left out because they may be out of date: " + std::to_string(one.leftOut) + ')');
    }
    if (!one.isUsable) say("the schemas are lost (collection: " + one.name + ')');
  }
  if (report_.mayBeOlder) say("what was stored last may be missing");
  if (report_.unsteadyPages != 0) say("the disk did not read every page every time: rows may be missing");
  if (report_.unassignedRows != 0) {
    say("rows left out of which nobody can say where they belong: " + std::to_string(report_.unassignedRows));
  }
  if (!isSaid) say("what is lost is not among these rows: instar salvage lists it");
}

void addSalvageCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<SalvageCommandOptions>();
  CLI::App* command = app.add_subcommand("salvage", "Brings out of a damaged file what can be had");
  command->add_option("FILE", options->file, "the damaged file, which is only read")->required();
  command->add_option("TO", options->target, "the new file")->required();
  command->add_flag("--swept", options->swept, "also rows that may be out of date or erased");
  command->add_flag("--unmask", options->unmask, "show the values of sensitive keys");
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "Pages are read one by one and nothing in them is believed: no damage ends this command. Brought out "
      "is\n"
      "every row whose checksum holds and that belongs to the newest commit, of every version; the new file "
      "is\n"
      "opened by the application as the old one was. Printed are the damaged pages, and which keys of each\n"
      "collection are lost. Rows that may be out of date or erased since are counted, and taken with "
      "--swept\n"
      "where no other row has their key. No program may write to FILE meanwhile.\n\n"
      "The exit status is 0 where the file was sound, 1 where pages are damaged and nothing is lost, 4 "
      "where\n"
      "something is. TO appears when it is whole; it takes twice its size on the disk until then. Ctrl-C "
      "leaves\n"
      "nothing behind.\n\n"
      "Example:\n  instar salvage contacts.instar rescued.instar");
  command->callback(
      [&context, options] { context.action = [&context, options] { runSalvage(context, *options); }; });
}

}  // namespace instar::tools
