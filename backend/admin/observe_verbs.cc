// keystead-admin held.
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "backend/admin/output.h"
#include "backend/admin/verbs.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"
#include "core/transport/group_view.h"

namespace keystead::admin {
namespace {

struct HeldArguments {
  std::string tenant;
  std::string instantiation;
  std::vector<std::string> places;
  uint32_t last = 0;
  std::string topic_prefix;
  std::string listener;
};

// TOPIC,SENDER,EPOCH,STREAM,SEQUENCE
absl::StatusOr<v1::RecordPlace> ParsePlace(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  v1::RecordPlace out;
  uint64_t epoch = 0;
  uint64_t sequence = 0;
  if (parts.size() != 5 || !absl::SimpleAtoi(parts[2], &epoch) || !absl::SimpleAtoi(parts[4], &sequence))
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is no place: give TOPIC,SENDER,EPOCH,STREAM,SEQUENCE, ids in hex"));
  KS_ASSIGN_OR_RETURN(const MemberId sender, MemberId::FromHex(parts[1]));
  KS_ASSIGN_OR_RETURN(const StreamId stream, StreamId::FromHex(parts[3]));
  out.set_topic(parts[0]);
  out.set_sender(sender.ToString());
  out.set_epoch(epoch);
  out.set_stream(stream.ToString());
  out.set_sequence(sequence);
  return out;
}

void Describe(const v1::HeldGroup& held) {
  GroupHeaderCache headers;
  const auto view = GroupView::Parse(held.group(), headers);
  if (!view.ok()) {
    std::cout << "offset " << held.offset() << ": " << held.stored().size() << " bytes that do not open\n";
    return;
  }
  const GroupHeader& header = view->header();
  for (const RecordView& record : view->records()) {
    std::cout << header.topic.str() << " stream " << header.stream.Short() << " sequence " << record.sequence
              << ": " << record.cose.size() << " bytes, SHA-256 " << crypto::Sha256(record.cose).Short();
    if (!held.listener().empty())
      std::cout << ", " << absl::CEscape(held.direction()) << " through " << absl::CEscape(held.listener());
    if (held.listener().empty()) std::cout << ", offset " << held.offset();
    if (held.attack() != 0) std::cout << ", changed by attack " << held.attack();
    std::cout << "\n";
  }
}

absl::Status Held(Context& context, const HeldArguments& arguments) {
  KS_RETURN_IF_ERROR(CheckTenantName(arguments.tenant));
  v1::HeldRequest request;
  request.set_tenant(arguments.tenant);
  KS_ASSIGN_OR_RETURN(const InstantiationId id, InstantiationId::FromHex(arguments.instantiation));
  request.set_instantiation(id.ToString());
  for (const std::string& text : arguments.places) {
    KS_ASSIGN_OR_RETURN(*request.add_places(), ParsePlace(text));
  }
  if (arguments.places.empty() && arguments.last == 0)
    return absl::InvalidArgumentError("say what to look at: --place, or --last N for the newest groups");
  request.set_last(arguments.last);
  request.set_topic_prefix(arguments.topic_prefix);
  request.set_listener(arguments.listener);
  v1::HeldResponse response;
  KS_RETURN_IF_ERROR(
      context.connection->Observe(request, &response, absl::StrCat("tenant ", arguments.tenant)));
  if (context.json) {
    PrintJson(response);
    return absl::OkStatus();
  }
  for (const v1::HeldGroup& held : response.groups()) Describe(held);
  std::cout << response.groups_size() << " groups, " << response.tls_size() << " TLS records"
            << (response.more() ? "; there is more than one answer holds\n" : "\n");
  return absl::OkStatus();
}

}  // namespace

void AddObserveVerbs(CLI::App& app, Context& context, Verbs& verbs) {
  const auto held = std::make_shared<HeldArguments>();
  CLI::App& holding = *app.add_subcommand(
      "held",
      "Show what a process started with --observer holds of records: --backend may be a gateway or hostile "
      "equipment as well, and the certificate then an administrator's");
  holding.add_option("NAME", held->tenant, "The tenant's name")->required();
  holding.add_option("--instantiation", held->instantiation, "In hex")->required();
  holding.add_option("--place", held->places, "TOPIC,SENDER,EPOCH,STREAM,SEQUENCE; repeatable")
      ->allow_extra_args(false);
  holding.add_option("--last", held->last, "The newest groups of each topic")->check(CLI::Range(1, 64));
  holding.add_option("--topic-prefix", held->topic_prefix, "Of topics that begin so");
  holding.add_option("--listener", held->listener, "Of hostile equipment: what passed there");
  verbs.push_back({&holding, [&context, held] { return Held(context, *held); }});
}

}  // namespace keystead::admin
