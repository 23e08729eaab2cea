// keystead-hostile-host: what the provider of the machine can do to a store, running or stopped.
#include <google/protobuf/message.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/program/files.h"
#include "core/program/program.h"
#include "keystead/v1/records.pb.h"
#include "tests/hostile_host/folder_copy.h"
#include "tests/hostile_host/manipulate.h"

namespace keystead::hostile_host {
namespace {

using nlohmann::json;

struct Arguments {
  std::string store, keystore, to, from, backup;
  uint64_t seed = 1;
};

void Print(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) std::cout << line << '\n';
}

absl::StatusOr<std::vector<std::string>> List(const std::string& store, const std::string& keystore) {
  KS_ASSIGN_OR_RETURN(const auto opened, ProviderStore::Open(store, keystore, Access::kLook));
  KS_ASSIGN_OR_RETURN(const std::vector<StoredGroup> groups, opened->Groups());
  std::vector<std::string> out;
  for (const StoredGroup& group : groups)
    for (std::string& line : Describe(group)) out.push_back(std::move(line));
  return out;
}

// Everything that a host can read of the content, for a search: groups as they are once the keystore opened
// them, one behind the other.
absl::Status Read(const Arguments& arguments) {
  KS_ASSIGN_OR_RETURN(const auto opened,
                      ProviderStore::Open(arguments.store, arguments.keystore, Access::kLook));
  KS_ASSIGN_OR_RETURN(const std::vector<StoredGroup> groups,
                      arguments.backup.empty() ? opened->Groups() : opened->GroupsOfBackup(arguments.backup));
  std::string content;
  for (const StoredGroup& group : groups) content += group.group.value_or(group.stored);
  return WriteFileAtomically(arguments.to, content);
}

// Every field that is set in `message`, by its path; what the interface does not know is "unknown".
void NoteFields(const google::protobuf::Message& message, const std::string& prefix,
                std::map<std::string, uint64_t>& seen) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> set;
  reflection.ListFields(message, &set);
  if (!reflection.GetUnknownFields(message).empty()) ++seen[prefix + "unknown"];
  for (const google::protobuf::FieldDescriptor* field : set) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      ++seen[prefix + field->name()];
    } else if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(message, field); ++i)
        NoteFields(reflection.GetRepeatedMessage(message, field, i), prefix + field->name() + ".", seen);
    } else {
      NoteFields(reflection.GetMessage(message, field), prefix + field->name() + ".", seen);
    }
  }
}

// What is stored at all: tables by number, and the fields of groups.
absl::Status Fields(const Arguments& arguments) {
  KS_ASSIGN_OR_RETURN(const auto opened,
                      ProviderStore::Open(arguments.store, arguments.keystore, Access::kLook));
  KS_ASSIGN_OR_RETURN(const auto tables, opened->Tables());
  KS_ASSIGN_OR_RETURN(const std::vector<StoredGroup> groups, opened->Groups());
  json out = {{"tables", json::object()}, {"fields", json::object()}, {"closed", 0}};
  for (const auto& [table, rows] : tables) out["tables"][std::to_string(table)] = rows;
  std::map<std::string, uint64_t> seen;
  uint64_t closed = 0;
  for (const StoredGroup& stored : groups) {
    v1::SealedGroup group;
    if (stored.group.has_value() && group.ParseFromString(*stored.group)) {
      NoteFields(group, "", seen);
    } else {
      ++closed;
    }
  }
  out["fields"] = seen;
  out["closed"] = closed;
  std::cout << out.dump() << '\n';
  return absl::OkStatus();
}

RecordPlace PlaceOf(const json& from) {
  return {{{from.at("tenant").get<uint32_t>(), from.at("log").get<uint64_t>()},
           from.at("offset").get<uint64_t>()},
          from.value("sequence", uint64_t{0})};
}

absl::StatusOr<Order> OrderOf(const std::string& line) {
  const json from = json::parse(line, nullptr, /*allow_exceptions=*/false);
  const auto names_place = [](const json& value) {
    return value.is_object() && value.contains("tenant") && value.contains("log") && value.contains("offset");
  };
  if (!from.is_object() || !from.contains("do") || !names_place(from.value("at", json())))
    return absl::InvalidArgumentError(absl::StrCat(
        "'", line, R"(' is no order: {"do": …, "at": {"tenant": …, "log": …, "offset": …, "sequence": …}})"));
  Order order;
  KS_ASSIGN_OR_RETURN(order.deed, DeedOf(from.at("do").get<std::string>()));
  order.region = from.value("region", "");
  order.at = PlaceOf(from.at("at"));
  if (from.contains("with")) order.with = PlaceOf(from.at("with"));
  return order;
}

// Orders from standard input, one a line; what was done goes to standard output.
absl::Status Play(const Arguments& arguments) {
  SeededRandom random(arguments.seed);
  KS_ASSIGN_OR_RETURN(const auto store,
                      ProviderStore::Open(arguments.store, arguments.keystore, Access::kEdit));
  std::string line;
  while (std::getline(std::cin, line)) {
    KS_ASSIGN_OR_RETURN(const Order order, OrderOf(line));
    KS_ASSIGN_OR_RETURN(const std::vector<std::string> done, Do(*store, order, random));
    Print(done);
  }
  return absl::OkStatus();
}

// The store is what the copy was; each record that is gone by it is named.
absl::Status Restore(const Arguments& arguments) {
  KS_ASSIGN_OR_RETURN(const std::vector<std::string> now, List(arguments.store, arguments.keystore));
  KS_ASSIGN_OR_RETURN(const std::vector<std::string> then, List(arguments.from, arguments.keystore));
  const std::set<std::string> kept(then.begin(), then.end());
  KS_RETURN_IF_ERROR(ReplaceFolder(arguments.from, arguments.store));
  for (const std::string& line : now) {
    if (kept.contains(line)) continue;
    json lost = json::parse(line);
    lost["do"] = "rollback";
    lost["sha256_before"] = lost.contains("sha256") ? lost["sha256"] : lost["stored_sha256"];
    lost["sha256_after"] = "";
    std::cout << lost.dump() << '\n';
  }
  return absl::OkStatus();
}

absl::Status Work(const std::string& verb, const Arguments& arguments) {
  if (verb == "list") {
    KS_ASSIGN_OR_RETURN(const std::vector<std::string> lines, List(arguments.store, arguments.keystore));
    Print(lines);
    return absl::OkStatus();
  }
  if (verb == "read") return Read(arguments);
  if (verb == "fields") return Fields(arguments);
  if (verb == "play") return Play(arguments);
  if (verb == "copy") return CopyFolder(arguments.store, arguments.to);
  return Restore(arguments);
}

}  // namespace
}  // namespace keystead::hostile_host

int main(int argc, char** argv) {
  using keystead::hostile_host::Arguments;
  keystead::Program program(
      "keystead-hostile-host",
      "What whoever hosts a backend can do to its store: read and copy it while it runs, edit, "
      "swap, delete and restore it while it is stopped. Holds no key of an instantiation.",
      "KEYSTEAD_HOST");
  Arguments arguments;
  CLI::App& app = program.app();
  app.add_option("--store", arguments.store, "the backend's folder (--data)")->required();
  app.add_option("--keystore", arguments.keystore, "its keys at rest, where the host has them");
  app.require_subcommand(1);
  app.add_subcommand("list",
                     "every record that stands there, a line of JSON each; also of a running backend");
  CLI::App& read =
      *app.add_subcommand("read", "every group as it is when the encryption at rest is taken off; likewise");
  read.add_option("--to", arguments.to, "the file that gets it")->required();
  read.add_option("--backup", arguments.backup, "of this backup instead, with the same keys");
  app.add_subcommand("fields", "which tables have rows and which fields of groups are set; likewise");
  CLI::App& play = *app.add_subcommand("play", "does what standard input orders, and says what it did");
  play.add_option("--seed", arguments.seed, "which bits");
  CLI::App& copy = *app.add_subcommand("copy", "another copy of the folder, for a fork or for later");
  copy.add_option("--to", arguments.to, "a folder that is not there yet")->required();
  CLI::App& restore =
      *app.add_subcommand("restore", "puts a copy in the place of the store, and says what is gone");
  restore.add_option("--from", arguments.from, "what copy made")->required();
  return program.Run(argc, argv, [&] {
    return keystead::hostile_host::Work(app.get_subcommands().front()->get_name(), arguments);
  });
}
