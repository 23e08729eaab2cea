// What others see of a record.

#include <nlohmann/json.hpp>

#include "core/base/status.h"
#include "mobile-stub/console/console.h"
#include "mobile-stub/console/model_json.h"
#include "mobile-stub/console/others_json.h"
#include "mobile-stub/console/routes.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr absl::Duration kPatience = absl::Seconds(3);

absl::StatusOr<v1::RecordPlace> ParsePlace(const json& body) {
  const absl::Status wrong = absl::InvalidArgumentError(
      "a place is {\"topic\": text, \"sender\": hex, \"epoch\": number, \"stream\": hex, \"sequence\": "
      "number}");
  const auto text = [&](const char* name) {
    const auto at = body.find(name);
    return at != body.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  for (const char* name : {"epoch", "sequence"}) {
    const auto at = body.find(name);
    if (at == body.end() || !at->is_number_unsigned()) return wrong;
  }
  const auto topic = Topic::Parse(text("topic"));
  const auto sender = MemberId::FromHex(text("sender"));
  const auto stream = StreamId::FromHex(text("stream"));
  if (body.size() != 5 || !topic.ok() || !sender.ok() || !stream.ok()) return wrong;
  v1::RecordPlace out;
  out.set_topic(topic->str());
  out.set_sender(sender->ToString());
  out.set_epoch(body["epoch"].get<uint64_t>());
  out.set_stream(stream->ToString());
  out.set_sequence(body["sequence"].get<uint64_t>());
  return out;
}

json RemoteJson(const RemoteOptions& remote) {
  return {{"name", remote.name}, {"address", remote.address}, {"control", remote.control}};
}

HttpResponse Look(Console& console, const HttpRequest& request) {
  const absl::StatusOr<json> body = JsonBody(request);
  if (!body.ok()) return ErrorResponse(400, Std(body.status().message()));
  const absl::StatusOr<v1::RecordPlace> place = ParsePlace(*body);
  if (!place.ok()) return ErrorResponse(400, Std(place.status().message()));
  const absl::StatusOr<HomeName> home = console.HomeSeen();
  if (!home.ok()) return ErrorResponse(409, Std(home.status().message()));
  v1::HeldRequest held;
  held.set_tenant(home->tenant.str());
  held.set_instantiation(home->id.ToString());
  *held.add_places() = *place;
  json holders = json::array();
  for (const Others::Answer& answer : console.others().Look(held, kPatience))
    holders.push_back(HoldingJson(answer, *place));
  const auto opened = console.notes().Opened({*StreamId::FromBytes(place->stream()), place->sequence()});
  HttpResponse response;
  response.body =
      Dump({{"opened_sha256", opened.has_value() ? opened->ToHex() : ""}, {"holders", std::move(holders)}});
  return response;
}

}  // namespace

void AddOthersRoutes(Router& router, Console& console) {
  router.Get("/api/v1/others", [&console](HttpRequest&, const PathParameters&) {
    json remotes = json::array();
    for (const RemoteOptions& remote : console.others().remotes()) remotes.push_back(RemoteJson(remote));
    HttpResponse response;
    response.body = Dump({{"remotes", std::move(remotes)}});
    return response;
  });
  router.Post("/api/v1/others/looks",
              [&console](HttpRequest& request, const PathParameters&) { return Look(console, request); });
}

}  // namespace keystead::console
