#include "mobile-stub/console/console.h"

#include "core/base/status.h"
#include "core/observe/log.h"
#include "mobile-stub/console/routes.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr absl::Duration kHouseEvery = absl::Seconds(1);
constexpr absl::Duration kKeepPendingEvery = absl::Seconds(5);

// Nothing from elsewhere, nothing inline, no frame around it, and nothing of it elsewhere.
constexpr std::pair<const char*, const char*> kHeaders[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src "
     "'self'; "
     "manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
     "require-trusted-types-for 'script'; trusted-types 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Embedder-Policy", "require-corp"},
    {"Permissions-Policy", "camera=(self), microphone=(), geolocation=(), payment=(), usb=()"},
    {"Cache-Control", "no-store"},
};

mobile::WatchOptions Reading(mobile::WatchOptions options) {
  options.remember = true;
  return options;
}

std::vector<mobile::WatchObserver*> WhoIsTold(ConsoleModel* model, ReaderNotes* notes,
                                              mobile::WatchObserver* also) {
  std::vector<mobile::WatchObserver*> out = {model, notes};
  if (also != nullptr) out.push_back(also);
  return out;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Console>> Console::Start(const mobile::Engine& engine, ConsoleOptions options,
                                                        SessionToken token) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  std::unique_ptr<Console> console(new Console(engine, std::move(options), std::move(token)));
  KS_ASSIGN_OR_RETURN(console->others_, Others::Open(console->options_.observed));
  KS_ASSIGN_OR_RETURN(console->attacks_,
                      AttackDesk::Open(console->options_.infra, &console->notes_, &engine.clock()));
  KS_RETURN_IF_ERROR(console->BeginToRead());
  KS_ASSIGN_OR_RETURN(
      console->server_,
      HttpServer::Listen(console->options_.address, console->options_.port, console->options_.http,
                         [c = console.get()](HttpRequest& request) { return c->Answer(request); }));
  console->keeper_.emplace(&engine, kKeepPendingEvery);
  console->housekeeping_ = std::thread([c = console.get()] { c->KeepHouse(); });
  return console;
}

Console::Console(const mobile::Engine& engine, ConsoleOptions options, SessionToken token)
    : engine_(engine),
      options_(std::move(options)),
      access_(std::move(token), options_.host_names, &engine.clock()),
      model_(
          options_.model,
          [&engine] {
            auto kinds = engine.state().LoadKinds();
            return kinds.ok() ? *std::move(kinds) : std::map<MemberId, std::string>();
          },
          &engine.clock()),
      tasks_(&model_, &engine.clock()),
      notes_(&engine.clock()),
      told_(WhoIsTold(&model_, &notes_, options_.also)),
      used_at_us_(absl::ToInt64Microseconds(engine.clock().Uptime())) {
  AddPageRoutes(router_);
  AddHomeRoutes(router_, *this);
  AddEventRoutes(router_, *this);
  AddMemberRoutes(router_, *this);
  AddOthersRoutes(router_, *this);
  AddAttackRoutes(router_, *this);
}

Console::~Console() {
  if (const absl::StatusOr<bool> s = Stop(absl::InfiniteDuration()); !s.ok()) {
    Log(LogLevel::kError, "reader_memory_not_saved", {{"reason", Std(s.status().message())}});
  }
}

absl::StatusOr<bool> Console::Stop(absl::Duration patience) {
  if (server_ != nullptr) server_->Stop();
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (housekeeping_.joinable()) housekeeping_.join();
  keeper_.reset();
  const bool finished = tasks_.Finish(patience);
  std::shared_ptr<mobile::WatchSession> session;
  {
    absl::MutexLock lock(&mutex_);
    session = std::move(session_);
  }
  if (session != nullptr) KS_RETURN_IF_ERROR(session->Stop());
  return finished;
}

absl::Duration Console::UnusedFor() const {
  return engine_.clock().Uptime() - absl::Microseconds(used_at_us_.load());
}

std::shared_ptr<mobile::WatchSession> Console::session() {
  absl::MutexLock lock(&mutex_);
  return session_;
}

absl::Status Console::BeginToRead() {
  const bool founded = engine_.state().HasHome();
  absl::MutexLock lock(&mutex_);
  if (session_ == nullptr && !stopping_ && founded) {
    KS_ASSIGN_OR_RETURN(const Member member, engine_.state().LoadMember());
    if (!member.chain().empty()) {
      model_.SetSelf(member.identity().self);
      KS_ASSIGN_OR_RETURN(session_, mobile::WatchSession::Start(engine_, &told_, Reading(options_.watch)));
      home_ = {member.chain().tenant(), member.chain().id()};
    }
  }
  model_.SetHome({{"reading", session_ != nullptr},
                  {"founded", founded},
                  {"can_found", options_.recovery != nullptr},
                  {"recovery_place", options_.recovery_place},
                  {"next_hop", options_.next_hop},
                  {"transport", engine_.transport().str()}});
  return absl::OkStatus();
}

absl::StatusOr<HomeName> Console::HomeSeen() const {
  absl::MutexLock lock(&mutex_);
  if (home_.has_value()) return *home_;
  return absl::FailedPreconditionError("nothing was paired yet: there is no record to look at");
}

// What changes without anybody telling: other processes stand on the same folder.
void Console::KeepHouse() {
  const auto stopping = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_; };
  while (true) {
    const auto pending = engine_.state().LoadPending();
    if (pending.ok()) model_.SetChangePending(!pending->empty());
    if (const absl::Status s = BeginToRead(); !s.ok()) {
      Log(LogLevel::kWarning, "cannot_read_yet", {{"reason", Std(s.message())}});
    }
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&stopping), kHouseEvery)) return;
  }
}

HttpResponse Console::Answer(HttpRequest& request) {
  PathParameters path;
  bool other_method = false;
  const Router::Route* const route = router_.Find(request.method, request.path, path, other_method);
  const bool open = route != nullptr && route->audience == Audience::kAnybody;
  // Who may not ask is not told either what there is.
  const Access::Verdict verdict = open ? access_.CheckHost(request) : access_.CheckCaller(request);
  if (verdict.status == 200 && !open && request.method != "GET" && request.method != "HEAD")
    used_at_us_ = absl::ToInt64Microseconds(engine_.clock().Uptime());
  HttpResponse response;
  if (verdict.status != 200) {
    response = ErrorResponse(verdict.status, verdict.why);
    if (verdict.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
    if (verdict.retry_after_seconds > 0) {
      response.headers.emplace_back("Retry-After", std::to_string(verdict.retry_after_seconds));
    }
  } else if (route == nullptr) {
    response = ErrorResponse(other_method ? 405 : 404,
                             other_method ? "not by this method" : "there is nothing here");
  } else {
    response = route->handler(request, path);
  }
  for (const auto& [name, value] : kHeaders) response.headers.emplace_back(name, value);
  return response;
}

}  // namespace keystead::console
