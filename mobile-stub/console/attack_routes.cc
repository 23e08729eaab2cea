// Attacks on this home's own path, and what became of them.

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "mobile-stub/console/console.h"
#include "mobile-stub/console/model_json.h"
#include "mobile-stub/console/routes.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr uint32_t kMaxCount = 1000;
constexpr uint32_t kMaxDelayMs = 60'000;
constexpr size_t kMaxText = 256;
constexpr std::string_view kTls = "tls";

struct Asked {
  std::string equipment;
  v1::ArmRequest request;
};

// Topics of a home, each with or without whose; or the records of TLS.
bool IsAttackable(std::string_view prefix) {
  constexpr std::array<std::string_view, 4> kKinds = {"telemetry/", "command/", "state/", "keyring"};
  return prefix.empty() || prefix == kTls ||
         std::ranges::any_of(kKinds, [&](std::string_view kind) { return prefix.starts_with(kind); });
}

absl::StatusOr<std::string> Text(const json& value) {
  if (!value.is_string() || value.get_ref<const std::string&>().size() > kMaxText)
    return absl::InvalidArgumentError("a text of at most 256 characters is wanted");
  return value.get<std::string>();
}

absl::StatusOr<uint32_t> Number(const json& value, uint32_t most) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > most)
    return absl::InvalidArgumentError(absl::StrCat("a whole number up to ", most, " is wanted"));
  return value.get<uint32_t>();
}

absl::Status Take(const std::string& name, const json& value, Asked& asked) {
  v1::ArmRequest& request = asked.request;
  if (name == "count") {
    KS_ASSIGN_OR_RETURN(const uint32_t count, Number(value, kMaxCount));
    request.set_count(count);
    return absl::OkStatus();
  }
  if (name == "delay_ms") {
    KS_ASSIGN_OR_RETURN(const uint32_t delay, Number(value, kMaxDelayMs));
    request.set_delay_ms(delay);
    return absl::OkStatus();
  }
  KS_ASSIGN_OR_RETURN(std::string text, Text(value));
  if (name == "kind") {
    v1::AttackKind kind = v1::ATTACK_UNSPECIFIED;
    if (!v1::AttackKind_Parse(absl::StrCat("ATTACK_", absl::AsciiStrToUpper(text)), &kind))
      return absl::InvalidArgumentError("there is no such attack");
    request.set_kind(kind);
  } else if (name == "target") {
    v1::AttackTarget target = v1::TARGET_UNSPECIFIED;
    if (!text.empty() &&
        !v1::AttackTarget_Parse(absl::StrCat("TARGET_", absl::AsciiStrToUpper(text)), &target))
      return absl::InvalidArgumentError("there is no such target");
    request.set_target(target);
  } else if (name == "equipment") {
    asked.equipment = std::move(text);
  } else if (name == "listener") {
    request.set_listener(text);
  } else if (name == "topic_prefix") {
    if (!IsAttackable(text))
      return absl::InvalidArgumentError("a kind of topic is wanted, such as telemetry/, or tls");
    request.set_topic_prefix(text);
  } else if (name == "direction") {
    request.set_direction(text);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("nothing is called '", name, "' here"));
  }
  return absl::OkStatus();
}

HttpResponse Arm(Console& console, const HttpRequest& request) {
  const absl::StatusOr<json> body = JsonBody(request);
  if (!body.ok()) return ErrorResponse(400, Std(body.status().message()));
  Asked asked;
  asked.request.set_seed(static_cast<uint64_t>(absl::ToUnixNanos(absl::Now())));  // another bit each time
  for (const auto& [name, value] : body->items()) {
    if (const absl::Status status = Take(name, value, asked); !status.ok())
      return ErrorResponse(400, absl::StrCat(name, ": ", status.message()));
  }
  // Only this home's own records: on shared equipment others pass as well. Whose TLS records are nobody can
  // say.
  if (asked.request.topic_prefix() != kTls) {
    const absl::StatusOr<HomeName> home = console.HomeSeen();
    if (!home.ok()) return ErrorResponse(409, Std(home.status().message()));
    asked.request.set_instantiation(home->id.ToString());
  }
  const absl::StatusOr<uint64_t> attack = console.attacks().Arm(asked.equipment, asked.request);
  if (absl::IsNotFound(attack.status())) return ErrorResponse(404, Std(attack.status().message()));
  if (!attack.ok()) return ErrorResponse(409, Std(attack.status().message()));
  HttpResponse response;
  response.status = 201;
  response.body = Dump({{"attack", *attack}});
  return response;
}

}  // namespace

void AddAttackRoutes(Router& router, Console& console) {
  router.Get("/api/v1/attacks", [&console](HttpRequest&, const PathParameters&) {
    HttpResponse response;
    response.body = Dump(console.attacks().Report());
    return response;
  });
  router.Post("/api/v1/attacks",
              [&console](HttpRequest& request, const PathParameters&) { return Arm(console, request); });
  router.Post("/api/v1/attacks/disarming", [&console](HttpRequest&, const PathParameters&) {
    const absl::Status status = console.attacks().DisarmAll();
    if (!status.ok()) return ErrorResponse(409, Std(status.message()));
    HttpResponse response;
    response.body = Dump(console.attacks().Report());
    return response;
  });
}

}  // namespace keystead::console
