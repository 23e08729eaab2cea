#include "tests/isolation/matrix.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "keystead/v1/rendezvous.pb.h"
#include "keystead/v1/transport.pb.h"
#include "tests/isolation/attack.h"

namespace keystead::testing {
namespace {

class Runner {
 public:
  explicit Runner(Provider& provider) : provider_(provider) {
    for (size_t t = 0; t < kTenants; ++t) states_.push_back(provider.StateOf(t));
  }

  Finding Run(const Cell& cell) {
    SCOPED_TRACE(cell.Name());
    Finding finding{.cell = cell};
    const Attack attack(provider_, cell);
    Prepare(cell, attack);
    if (!provider_.TakeEvents().empty()) finding.wrong.push_back("events before the attack");

    const Answer answer = Call(attack, attack.request());
    finding.code = CodeOf(cell, answer);
    CheckAnswer(attack, cell, answer, finding);
    CheckEvents(attack, provider_.TakeEvents(), finding);
    for (const std::string& decoy : attack.decoys()) {
      if (Call(attack, decoy).Bytes() != answer.Bytes())
        finding.wrong.push_back("another answer for what does not exist");
      if (provider_.TakeEvents().size() != Wanted(attack))
        finding.wrong.push_back("other events for what does not exist");
    }
    const Digest state = provider_.StateOf(cell.victim);
    if (state != states_[cell.victim]) finding.wrong.push_back("the victim's state changed");
    states_[cell.victim] = state;
    return finding;
  }

 private:
  Answer Call(const Attack& attack, const std::string& request) const {
    const bool live = method_.ends_with("/Subscribe") || method_.ends_with("/Watch");
    return Provider::Insist(
        attack.channel(), method_, request,
        live ? [](const std::string&) { return true; } : std::function<bool(const std::string&)>());
  }

  // By whoever may, under the tenant that the attacker acts as.
  void Prepare(const Cell& cell, const Attack& attack) {
    method_ = cell.method;
    const bool forger = cell.standing == Standing::kForger;
    const size_t tenant = forger ? cell.victim : cell.attacker;
    for (const MailboxName& box : attack.boxes()) {
      if (!prepared_.insert({tenant, box}).second) continue;
      v1::PutRequest put;
      put.set_box(box.ToString());
      put.set_message(std::string(kAttackersMessage));
      const Answer answer = Exchange(provider_.MemberOf(provider_.household(tenant, 0), Role::kApp),
                                     "/keystead.v1.Rendezvous/Put", put.SerializeAsString());
      EXPECT_EQ(answer.code, grpc::StatusCode::OK) << answer.message;
    }
  }

  // A group that is refused is refused inside the call, which itself ends well.
  static grpc::StatusCode CodeOf(const Cell& cell, const Answer& answer) {
    if (!cell.method.ends_with("/Publish") || answer.responses.size() != 1) return answer.code;
    v1::PublishResponse response;
    response.ParseFromString(answer.responses[0]);
    if (response.refusals_size() != 1) return answer.code;
    return static_cast<grpc::StatusCode>(response.refusals(0).code());
  }

  void CheckAnswer(const Attack& attack, const Cell& cell, const Answer& answer, Finding& finding) const {
    if (attack.expected().verdict == Verdict::kGranted) {
      if (finding.code == grpc::StatusCode::PERMISSION_DENIED ||
          finding.code == grpc::StatusCode::UNAUTHENTICATED)
        finding.wrong.push_back("refused, and it is the caller's by right");
      return;
    }
    if (finding.code != attack.expected().code)
      finding.wrong.push_back(absl::StrCat("code ", finding.code, " instead of ", attack.expected().code));
    const bool in_stream = cell.method.ends_with("/Publish") && answer.code == grpc::StatusCode::OK;
    if (attack.expected().verdict == Verdict::kRefused && !in_stream && !answer.responses.empty())
      finding.wrong.push_back("a response beside the refusal");
    for (const std::string& name : cell.standing == Standing::kForeign ? NamesOf(cell) : NoNames()) {
      if (answer.Bytes().find(name) != std::string::npos)
        finding.wrong.push_back("an answer that names the victim");
    }
    if (!cell.method.ends_with("/Await") || attack.expected().verdict != Verdict::kKeptApart) return;
    v1::AwaitResponse response;
    if (answer.responses.size() != 1 || !response.ParseFromString(answer.responses[0]) ||
        response.messages_size() == 0)
      finding.wrong.push_back("the attacker's own box is empty");
    for (const std::string& message : response.messages()) {
      if (message != kAttackersMessage) finding.wrong.push_back("a message that is not the attacker's");
    }
  }

  static std::vector<std::string> NoNames() { return {}; }
  // What only the victim's own may see.
  std::vector<std::string> NamesOf(const Cell& cell) const {
    const Household& victim = provider_.household(cell.victim, 1 + cell.object);
    const std::string id = victim.id().ToString();
    const std::string member = victim.device().ToString();
    return {victim.tenant().str(), id, absl::BytesToHexString(id), member, absl::BytesToHexString(member)};
  }

  // One where something is refused, and none where nothing is.
  static size_t Wanted(const Attack& attack) {
    return attack.expected().verdict == Verdict::kRefused ? 1 : 0;
  }
  static void CheckEvents(const Attack& attack, const std::vector<LoggedEvent>& events, Finding& finding) {
    const Expectation& expected = attack.expected();
    if (events.size() != Wanted(attack)) {
      finding.wrong.push_back(absl::StrCat(events.size(), " security events"));
    } else if (!events.empty() && (events[0].kind != expected.event || events[0].peer != expected.peer)) {
      finding.wrong.push_back(absl::StrCat("the event is ", events[0].kind, " of ", events[0].peer));
    }
    for (const LoggedEvent& event : events) {
      if (event.tenant.empty()) finding.wrong.push_back("an event of nobody's");
    }
  }

  Provider& provider_;
  std::vector<Digest> states_;
  std::string method_;
  std::set<std::pair<size_t, MailboxName>> prepared_;
};

}  // namespace

void RunCells(Provider& provider, const std::vector<Cell>& cells,
              const std::function<void(const Finding&)>& each) {
  Runner runner(provider);
  for (const Cell& cell : cells) {
    each(runner.Run(cell));
    if (!provider.backend().Running()) {
      ADD_FAILURE() << cell.Name() << ": the backend has ended";
      return;
    }
  }
}

}  // namespace keystead::testing
