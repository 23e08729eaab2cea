#include "tests/load/neighbour_process.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/status.h"

namespace keystead::load {
namespace {

using nlohmann::json;

// One message is one line.
absl::Status SendLine(int socket, const json& message) {
  const std::string line = message.dump() + "\n";
  for (size_t sent = 0; sent < line.size();) {
    const ssize_t now = send(socket, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (now < 0 && errno == EINTR) continue;
    if (now <= 0) return absl::UnavailableError("the process of the neighbours is gone");
    sent += static_cast<size_t>(now);
  }
  return absl::OkStatus();
}

absl::StatusOr<json> ReceiveLine(int socket) {
  std::string line;
  for (char c = 0; c != '\n'; line.push_back(c)) {
    const ssize_t now = recv(socket, &c, 1, 0);
    if (now < 0 && errno == EINTR) continue;
    if (now <= 0) return absl::UnavailableError("the process of the neighbours is gone");
  }
  json out = json::parse(line, nullptr, false);
  if (!out.is_object()) return absl::InternalError("the process of the neighbours said something unreadable");
  return out;
}

json ErrorOf(const absl::Status& status) {
  return {{"code", static_cast<int>(status.code())}, {"error", Std(status.message())}};
}

// What the child does.
class Servant {
 public:
  json Obey(const json& order) {
    const absl::StatusOr<json> out = order.contains("plan") ? Connect(order) : Misbehave(order);
    return out.ok() ? *out : ErrorOf(out.status());
  }

 private:
  absl::StatusOr<json> Connect(const json& order) {
    KS_ASSIGN_OR_RETURN(const Plan plan, PlanFromJson(order.at("plan")));
    population_.reset();
    KS_ASSIGN_OR_RETURN(population_, Population::Create(plan, plan.victims(), plan.neighbours));
    return json::object();
  }

  absl::StatusOr<json> Misbehave(const json& order) {
    const auto behaviour = BehaviourFromName(order.at("behaviour").get<std::string>());
    if (!behaviour || population_ == nullptr)
      return absl::InternalError("no such behaviour, or not connected");
    Timeline timeline;
    order.at("timeline").get_to(timeline.bounds);
    KS_ASSIGN_OR_RETURN(const BehaviourOutcome outcome, Behave(*population_, *behaviour, timeline));
    return ToJson(outcome);
  }

  std::unique_ptr<Population> population_;
};

[[noreturn]] void Serve(int socket, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
  // Only while the process that measures has nothing to do, which takes the core back at once (sched(7)).
  const sched_param no_priority{};
  sched_setscheduler(0, SCHED_IDLE, &no_priority);
  Servant servant;
  while (true) {
    const absl::StatusOr<json> order = ReceiveLine(socket);
    if (!order.ok() || !SendLine(socket, servant.Obey(*order)).ok()) _exit(0);
  }
}

}  // namespace

absl::StatusOr<NeighbourProcess> NeighbourProcess::Fork() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return absl::UnavailableError(absl::StrCat("socketpair: ", std::strerror(errno)));
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    Serve(ends[1], parent);
  }
  close(ends[1]);
  if (pid > 0) return NeighbourProcess(pid, ends[0]);
  close(ends[0]);
  return absl::UnavailableError(absl::StrCat("fork: ", std::strerror(errno)));
}

NeighbourProcess::NeighbourProcess(NeighbourProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), socket_(std::exchange(other.socket_, -1)) {}

NeighbourProcess::~NeighbourProcess() {
  if (pid_ <= 0) return;
  close(socket_);
  kill(pid_, SIGKILL);  // it holds nothing that must not be lost
  waitpid(pid_, nullptr, 0);
}

absl::Status NeighbourProcess::Tell(const json& what) const { return SendLine(socket_, what); }

absl::Status NeighbourProcess::Connect(const Plan& plan) {
  KS_RETURN_IF_ERROR(Tell({{"plan", ToJson(plan)}}));
  return AwaitOutcome().status();
}

absl::Status NeighbourProcess::Begin(Behaviour behaviour, const Timeline& timeline) {
  return Tell({{"behaviour", BehaviourName(behaviour)}, {"timeline", timeline.bounds}});
}

absl::StatusOr<json> NeighbourProcess::AwaitOutcome() {
  KS_ASSIGN_OR_RETURN(json out, ReceiveLine(socket_));
  if (!out.contains("error")) return out;
  return absl::Status(static_cast<absl::StatusCode>(out.value("code", 13)),
                      absl::StrCat("neighbours: ", out["error"].get<std::string>()));
}

}  // namespace keystead::load
