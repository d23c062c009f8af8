// `instar delete` and `instar count`.

#include <memory>

#include "instar/format/key_text.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

struct DeleteOptions {
  std::string file;
  std::string collection;
  std::vector<std::string> keys;
  bool json = false;
};

void runDelete(Context& context, const DeleteOptions& options) {
  const Store store = openToWrite(options.file);
  const auto rows = store.collection(options.collection);
  std::vector<Key> keys;
  for (const std::string& text : options.keys) keys.push_back(parseKey(rows.keySpec(), text, KeyForm::whole));
  WriteTransaction transaction = store.write();
  const KeyPrinter printer(rows.schema(), collectionMasking(store, transaction, options.collection));
  std::uint64_t deleted = 0;
  for (const Key& key : keys) {
    if (rows.erase(transaction, key)) {
      ++deleted;
      continue;
    }
    context.message("no such row (collection: " + options.collection +
                    ", key: " + printer.print(key.bytes()) + ')');
    context.found(ExitStatus::problem);
  }
  transaction.commit();
  if (options.json) {
    std::string out;
    JsonWriter(out)
        .beginObject()
        .member("deleted", deleted)
        .member("absent", keys.size() - deleted)
        .endObject();
    context.output.line(out);
  } else {
    context.message("deleted " + counted(deleted, "row"));
  }
}

struct CountOptions {
  std::string file;
  std::string collection;
  RangeText range;
  bool json = false;
};

void runCount(Context& context, const CountOptions& options) {
  const Store store = openToRead(options.file);
  const ReadTransaction transaction = store.read();
  requireCollection(store, transaction, options.collection);
  const auto rows = store.collection(options.collection);
  const ScanOptions range = options.range.parse(rows.keySpec());
  const bool all = !range.from && !range.to && !range.prefix;
  const std::uint64_t count = all ? rows.count(transaction) : rows.count(transaction, range);
  if (options.json) {
    std::string out;
    JsonWriter(out).beginObject().member("collection", options.collection).member("rows", count).endObject();
    context.output.line(out);
  } else {
    context.output.line(std::to_string(count));
  }
}

}  // namespace

void addDeleteCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<DeleteOptions>();
  CLI::App* command = app.add_subcommand("delete", "Deletes the rows under some keys");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "the collection")->required();
  command->add_option("KEY", options->keys, "the keys, for example main,7")->required();
  command->add_flag("--json", options->json, "print the result as JSON");
  command->footer(
      "All in one transaction. A key without a row is reported, and the exit status is then 1.\n\nExample:\n"
      "  instar delete contacts.instar contacts 7 8");
  command->callback(
      [&context, options] { context.action = [&context, options] { runDelete(context, *options); }; });
}

void addCountCommand(CLI::App& app, Context& context) {
  const auto options = std::make_shared<CountOptions>();
  CLI::App* command = app.add_subcommand("count", "Prints the number of rows");
  command->add_option("FILE", options->file, "the file")->required();
  command->add_option("COLLECTION", options->collection, "the collection")->required();
  options->range.addTo(*command);
  command->add_flag("--json", options->json, "print JSON");
  command->footer("Example:\n  instar count packages.instar packages --prefix lib");
  command->callback(
      [&context, options] { context.action = [&context, options] { runCount(context, *options); }; });
}

}  // namespace instar::tools
