// Who belongs: joining by label, carriers, removing, and taking back what nobody confirms.

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/base/status.h"
#include "core/observe/log.h"
#include "mobile-stub/console/console.h"
#include "mobile-stub/console/model_json.h"
#include "mobile-stub/console/routes.h"
#include "mobile-stub/pairing.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr size_t kMaxLabels = 16;  // in one go
constexpr std::string_view kLabelStart = "KS1:";

// Several labels, pasted one after the other: each begins with its profile.
std::vector<ByteView> SplitLabels(ByteView text) {
  const auto is_start = [](uint8_t a, char b) { return (a >= 'a' && a <= 'z' ? a - 32 : a) == b; };
  std::vector<ByteView> out;
  auto from = text.begin();
  while (from != text.end()) {
    const auto next = std::search(from + 1, text.end(), kLabelStart.begin(), kLabelStart.end(), is_start);
    out.emplace_back(from, next);
    from = next;
  }
  return out;
}

absl::StatusOr<std::vector<membership::Label>> ParseLabels(ByteView text) {
  if (text.empty())
    return absl::InvalidArgumentError("there is no label: paste what is printed on the device");
  const std::vector<ByteView> parts = SplitLabels(text);
  if (parts.size() > kMaxLabels) return absl::InvalidArgumentError("16 labels at most in one go");
  std::vector<membership::Label> labels;
  for (const ByteView part : parts) {
    absl::StatusOr<membership::Label> label = membership::ParseLabel(part);
    if (!label.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          parts.size() > 1 ? absl::StrCat("label ", labels.size() + 1, ": ") : "", label.status().message()));
    }
    if (std::ranges::any_of(labels,
                            [&](const membership::Label& other) { return other.ckt == label->ckt; })) {
      return absl::InvalidArgumentError(absl::StrCat("the label of ", label->device_id, " is there twice"));
    }
    labels.push_back(*std::move(label));
  }
  return labels;
}

json OutcomeJson(const mobile::PairOutcome& outcome) {
  json paired = json::array();
  json failed = json::array();
  for (const mobile::PairedDevice& device : outcome.paired) {
    paired.push_back(
        {{"device", device.device_id}, {"kind", device.kind}, {"member", device.member.ToHex()}});
  }
  for (const mobile::FailedDevice& device : outcome.failed) {
    failed.push_back({{"device", device.device_id}, {"reason", Std(device.status.message())}});
  }
  return {{"epoch", outcome.epoch}, {"paired", std::move(paired)}, {"failed", std::move(failed)}};
}

HttpResponse Pair(Console& console, const HttpRequest& request) {
  absl::StatusOr<std::vector<membership::Label>> labels = ParseLabels(request.body.ExposeSecret());
  if (!labels.ok()) return ErrorResponse(400, Std(labels.status().message()));
  if (!console.engine().state().HasOwner() && console.options().recovery == nullptr) {
    return ErrorResponse(
        409,
        "the first pairing makes the recovery key, and this console has nowhere to put it: start it "
        "with --recovery-out FILE, or pair on the command line");
  }
  json devices = json::array();
  for (const membership::Label& label : *labels) devices.push_back(label.device_id);
  const auto pair = std::make_shared<mobile::PairRequest>();  // labels are not copied
  pair->labels = *std::move(labels);
  pair->patience = console.options().join_patience;
  return TaskResponse(console.tasks().Start(
      Tasks::Kind::kMembership, {{"kind", "pair"}, {"devices", std::move(devices)}},
      [&console, pair](const mobile::ProgressFn& progress) -> absl::StatusOr<json> {
        const absl::StatusOr<mobile::PairOutcome> outcome =
            mobile::PairDevices(console.engine(), *pair, console.options().recovery, progress);
        if (const absl::Status s = console.BeginToRead(); !s.ok()) {
          Log(LogLevel::kWarning, "cannot_read_yet", {{"reason", Std(s.message())}});
        }
        KS_RETURN_IF_ERROR(outcome.status());
        return OutcomeJson(*outcome);
      }));
}

HttpResponse Remove(Console& console, const HttpRequest& request, const PathParameters& path) {
  const absl::StatusOr<MemberId> member = MemberInPath(console, path);
  if (!member.ok()) return ErrorResponse(404, Std(member.status().message()));
  const absl::StatusOr<json> body = JsonBody(request);
  const std::string device = console.model().DeviceOf(*member);
  if (!body.ok() || body->value("confirm", json()) != json(device)) {
    return ErrorResponse(400, "to remove a member, name it: {\"confirm\": its device id}");
  }
  return TaskResponse(console.tasks().Start(
      Tasks::Kind::kMembership, {{"kind", "remove"}, {"member", member->ToHex()}, {"device", device}},
      [&console, name = member->ToHex()](const mobile::ProgressFn&) -> absl::StatusOr<json> {
        KS_ASSIGN_OR_RETURN(const Member now, mobile::RemoveMember(console.engine(), name));
        return json{{"epoch", now.chain().epoch()}};
      }));
}

HttpResponse AddCarrier(Console& console, const HttpRequest& request) {
  const absl::StatusOr<json> body = JsonBody(request);
  const json transport = body.ok() ? body->value("transport", json()) : json();
  const absl::StatusOr<SpiffeId> id =
      SpiffeId::Parse(transport.is_string() ? transport.get<std::string>() : "");
  if (!id.ok()) return ErrorResponse(400, "a carrier is {\"transport\": \"spiffe://tenant/gateway/name\"}");
  if (!console.engine().state().HasOwner()) return ErrorResponse(409, "pair a device first");
  return TaskResponse(console.tasks().Start(
      Tasks::Kind::kMembership, {{"kind", "add_carrier"}, {"transport", id->str()}},
      [&console, carrier = *id](const mobile::ProgressFn&) -> absl::StatusOr<json> {
        KS_ASSIGN_OR_RETURN(const Member now, mobile::AddCourier(console.engine(), carrier));
        return json{{"epoch", now.chain().epoch()}};
      }));
}

HttpResponse Withdraw(Console& console) {
  if (!console.engine().state().HasOwner()) return ErrorResponse(409, "nothing was paired yet");
  return TaskResponse(console.tasks().Start(
      Tasks::Kind::kMembership, {{"kind", "withdraw"}},
      [&console](const mobile::ProgressFn&) -> absl::StatusOr<json> {
        KS_ASSIGN_OR_RETURN(const mobile::Withdrawal done, mobile::WithdrawPending(console.engine()));
        const char* const word = done == mobile::Withdrawal::kNothing     ? "nothing"
                                 : done == mobile::Withdrawal::kWithdrawn ? "withdrawn"
                                                                          : "too_late";
        return json{{"withdrawal", word}};
      }));
}

}  // namespace

void AddMemberRoutes(Router& router, Console& console) {
  router.Post("/api/v1/pairings",
              [&console](HttpRequest& request, const PathParameters&) { return Pair(console, request); });
  router.Post("/api/v1/carriers", [&console](HttpRequest& request, const PathParameters&) {
    return AddCarrier(console, request);
  });
  router.Post("/api/v1/members/{member}/removal",
              [&console](HttpRequest& request, const PathParameters& path) {
                return Remove(console, request, path);
              });
  router.Post("/api/v1/changes/withdrawal",
              [&console](HttpRequest&, const PathParameters&) { return Withdraw(console); });
}

}  // namespace keystead::console
