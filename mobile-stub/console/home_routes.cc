// The home as it stands, and commands to its devices.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/status.h"
#include "mobile-stub/command_sender.h"
#include "mobile-stub/console/console.h"
#include "mobile-stub/console/model_json.h"
#include "mobile-stub/console/routes.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr size_t kMaxOperation = 32;
constexpr std::string_view kOperationLetters = "abcdefghijklmnopqrstuvwxyz0123456789-";

struct Asked {
  std::string operation;
  std::optional<int64_t> argument;
};

absl::StatusOr<Asked> ParseCommand(const json& body) {
  Asked asked;
  for (const auto& [name, value] : body.items()) {
    if (name == "operation" && value.is_string()) {
      asked.operation = value.get<std::string>();
    } else if (name == "argument" && (value.is_number_integer() || value.is_null())) {
      if (!value.is_null()) asked.argument = value.get<int64_t>();
    } else {
      return absl::InvalidArgumentError(
          "a command is {\"operation\": text, \"argument\": a whole number or nothing}");
    }
  }
  if (asked.operation.empty() || asked.operation.size() > kMaxOperation ||
      asked.operation.find_first_not_of(kOperationLetters) != std::string::npos) {
    return absl::InvalidArgumentError("an operation is 1 to 32 characters of a-z, 0-9 and -");
  }
  return asked;
}

json OutcomeJson(const mobile::SendOutcome& outcome) {
  return {{"result", CommandResultName(outcome.answer.result)},
          {"detail", outcome.answer.detail},
          {"counter", outcome.counter},
          {"answered_counter", outcome.answer.counter},
          {"command", outcome.command_hash.ToHex()},
          {"signed_by", outcome.target.ToHex()},
          {"attempts", outcome.attempts},
          {"word", LivenessName(outcome.word)},
          {"round_trip_ms", absl::ToDoubleMilliseconds(outcome.round_trip)}};
}

HttpResponse Command(Console& console, const HttpRequest& request, const PathParameters& path) {
  const absl::StatusOr<MemberId> member = MemberInPath(console, path);
  if (!member.ok()) return ErrorResponse(404, Std(member.status().message()));
  const absl::StatusOr<json> body = JsonBody(request);
  if (!body.ok()) return ErrorResponse(400, Std(body.status().message()));
  const absl::StatusOr<Asked> asked = ParseCommand(*body);
  if (!asked.ok()) return ErrorResponse(400, Std(asked.status().message()));
  json facts = {{"kind", "command"},
                {"member", member->ToHex()},
                {"device", console.model().DeviceOf(*member)},
                {"operation", asked->operation},
                {"argument", asked->argument.has_value() ? json(*asked->argument) : json()}};
  const std::shared_ptr<mobile::WatchSession> session = console.session();
  if (session == nullptr) return ErrorResponse(409, "nothing is read yet: pair a device first");
  mobile::SendRequest send;
  send.target = member->ToHex();
  send.operation = {asked->operation, asked->argument};
  return TaskResponse(console.tasks().Start(
      Tasks::Kind::kCommand, std::move(facts),
      [&console, session, send](const mobile::ProgressFn& progress) -> absl::StatusOr<json> {
        KS_ASSIGN_OR_RETURN(const mobile::SendOutcome outcome,
                            mobile::SendCommandThrough(console.engine(), *session, console.model().answers(),
                                                       send, progress));
        return OutcomeJson(outcome);
      }));
}

}  // namespace

HttpResponse TaskResponse(const absl::StatusOr<std::string>& task) {
  if (absl::IsAborted(task.status())) return ErrorResponse(409, Std(task.status().message()));
  if (!task.ok()) return ErrorResponse(503, Std(task.status().message()));
  HttpResponse response;
  response.status = 202;
  response.body = Dump({{"task", *task}});
  return response;
}

absl::StatusOr<MemberId> MemberInPath(Console& console, const PathParameters& path) {
  const absl::StatusOr<MemberId> member = MemberId::FromHex(path.at("member"));
  if (member.ok() && console.model().Knows(*member)) return member;
  return absl::NotFoundError("there is no such member here");
}

absl::StatusOr<json> JsonBody(const HttpRequest& request) {
  if (!request.Header("content-type").starts_with("application/json")) {
    return absl::InvalidArgumentError("a body of type application/json is wanted");
  }
  const ByteView bytes = request.body.ExposeSecret();
  json body = json::parse(bytes.begin(), bytes.end(), nullptr, false);
  if (!body.is_object()) return absl::InvalidArgumentError("the body is no JSON object");
  return body;
}

void AddHomeRoutes(Router& router, Console& console) {
  // That somebody is here: the page says so when it is touched. What it is good for: Console::UnusedFor.
  router.Post("/api/v1/use", [](HttpRequest&, const PathParameters&) {
    HttpResponse response;
    response.body = "{}";
    return response;
  });
  router.Get("/api/v1/home", [&console](HttpRequest&, const PathParameters&) {
    HttpResponse response;
    response.body = Dump(console.model().Snapshot().content);
    return response;
  });
  router.Post("/api/v1/members/{member}/commands",
              [&console](HttpRequest& request, const PathParameters& path) {
                return Command(console, request, path);
              });
}

}  // namespace keystead::console
