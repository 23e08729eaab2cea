// pair, join, add-courier, remove, members.

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_join.h"
#include "core/membership/label.h"
#include "mobile-stub/aside.h"
#include "mobile-stub/guest.h"
#include "mobile-stub/members.h"
#include "mobile-stub/pairing.h"
#include "mobile-stub/recovery_output.h"
#include "mobile-stub/verbs.h"
#include "mobile-stub/views.h"

namespace keystead::mobile {
namespace {

using nlohmann::json;

// Shown once, on the terminal or into a new file that only its owner may read; never kept. Never into
// whatever else standard error may be: a log keeps.
absl::Status CheckSink(const Engine& engine, const std::string& path) {
  if (engine.state().HasOwner()) {
    if (!path.empty()) {
      std::fprintf(stderr,
                   "nothing was written to %s: this app's recovery key was shown when it first paired\n",
                   path.c_str());
    }
    return absl::OkStatus();
  }
  if (!path.empty() || isatty(STDERR_FILENO) == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "the first pairing shows the recovery key, and standard error is no terminal: give --recovery-out "
      "FILE");
}

ProgressFn ProgressTo(bool as_json) {
  return [as_json](const Progress& p) {
    if (as_json) {
      PrintJson({{"event", "progress"}, {"step", p.event}, {"device", p.who}, {"detail", p.detail}});
    } else {
      std::fprintf(stderr, "%s: %s%s%s\n", p.who.c_str(), p.event.c_str(), p.detail.empty() ? "" : ": ",
                   Printable(p.detail).c_str());
    }
  };
}

// Who of `members` has opened no stream in `epoch` when `patience` is over; asks the hop.
absl::StatusOr<std::vector<MemberId>> AwaitStreamsOf(const Engine& engine, std::vector<MemberId> members,
                                                     uint64_t epoch, absl::Duration patience,
                                                     Program& program, bool as_json,
                                                     const std::function<void(size_t left)>& tell) {
  if (members.empty() || patience <= absl::ZeroDuration()) return members;
  Aside aside(as_json);
  WatchOptions watch;
  watch.remember = false;
  watch.limits.stale_age = absl::InfiniteDuration();
  KS_ASSIGN_OR_RETURN(const auto session, WatchSession::Start(engine, &aside, watch));
  const auto opened = [&](const std::vector<StreamStatus>& streams) {
    for (const StreamStatus& s : streams) {
      if (s.opened && s.place.epoch == epoch) std::erase(members, s.place.sender);
    }
    return members.empty();
  };
  const absl::Time deadline = absl::Now() + patience;
  size_t told = 0;
  while (absl::Now() < deadline && !session->AwaitStreams(opened, absl::Milliseconds(200))) {
    if (members.size() != told) tell(members.size());
    told = members.size();
    if (program.termination().WaitFor(absl::ZeroDuration())) break;
  }
  KS_RETURN_IF_ERROR(session->Stop());
  return members;
}

std::vector<std::string> Names(const Engine& engine, const std::vector<MemberId>& members) {
  std::vector<std::string> out;
  out.reserve(members.size());
  const absl::StatusOr<Member> member = engine.state().LoadMember();
  for (const MemberId& id : members)
    out.push_back(member.ok() ? DeviceIdOf(member->chain(), id) : id.Short());
  return out;
}

absl::StatusOr<std::vector<std::string>> WaitFor(const CommonOptions& common, const Engine& engine,
                                                 const std::vector<MemberId>& members, uint64_t epoch,
                                                 double wait_seconds, Program& program) {
  const auto tell = [&](size_t left) {
    if (!common.json)
      std::fprintf(stderr, "waiting for %zu of %zu in epoch %llu\n", left, members.size(),
                   static_cast<unsigned long long>(epoch));
  };
  if (!common.json && !members.empty() && wait_seconds > 0) {
    for (const std::string& name : Names(engine, members))
      std::fprintf(stderr, "waiting for %s\n", name.c_str());
  }
  KS_ASSIGN_OR_RETURN(
      const std::vector<MemberId> left,
      AwaitStreamsOf(engine, members, epoch, absl::Seconds(wait_seconds), program, common.json, tell));
  return Names(engine, left);
}

absl::StatusOr<PairRequest> ReadLabels(const PairOptions& options) {
  PairRequest request;
  request.patience = absl::Seconds(options.wait_seconds);
  if (!options.guest.empty()) {
    GuestTerms& terms = request.guest.emplace();
    KS_ASSIGN_OR_RETURN(terms.who, SpiffeId::Parse(options.guest));
    terms.may_read = options.may_read;
    std::string why;
    if (!options.until.empty() &&
        !absl::ParseTime(absl::RFC3339_full, options.until, &terms.until.emplace(), &why)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--until is a time as in 2026-12-31T18:00:00Z: ", Absl(why)));
    }
  } else if (!options.until.empty() || !options.may_read.empty()) {
    return absl::InvalidArgumentError(
        "--may-read and --until are terms of a guest: say with --guest who it is");
  }
  for (const std::string& path : options.label_files) {
    absl::StatusOr<membership::Label> label = membership::ReadLabelFile(path);
    if (!label.ok()) {
      return absl::Status(label.status().code(),
                          absl::StrCat("label ", path, ": ", label.status().message()));
    }
    for (const membership::Label& other : request.labels) {
      if (other.ckt == label->ckt) {
        return absl::InvalidArgumentError(absl::StrCat("label ", path, ": the device ", label->device_id,
                                                       " is named by an earlier one already"));
      }
    }
    request.labels.push_back(*std::move(label));
  }
  return request;
}

void PrintEnd(int64_t unix_seconds) {
  const absl::Time end = absl::FromUnixSeconds(unix_seconds);
  std::printf("    until %s\n", absl::FormatTime(absl::RFC3339_full, end, absl::UTCTimeZone()).c_str());
}

// A change that is neither made nor given up is told apart from one that failed.
template <class T>
absl::StatusOr<T> Told(const CommonOptions& common, const Engine& engine, absl::StatusOr<T> changed) {
  if (changed.ok() || !common.json) return changed;
  const auto pending = engine.state().LoadPending();
  if (pending.ok() && !pending->empty()) {
    PrintJson({{"event", "not_confirmed"}, {"reason", Std(changed.status().message())}});
  }
  return changed;
}

constexpr char kMayBePending[] =
    "if a change had been made, it is kept and handed over again at the next change or by a running 'watch'";

}  // namespace

absl::Status RunPair(const CommonOptions& common, const PairOptions& options, Program& program,
                     Interrupter& interrupter) {
  KS_ASSIGN_OR_RETURN(const PairRequest request, ReadLabels(options));
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(common.engine));
  KS_RETURN_IF_ERROR(engine->RequireHop());
  KS_RETURN_IF_ERROR(CheckSink(*engine, options.recovery_out));
  interrupter.Say(kMayBePending);
  KS_ASSIGN_OR_RETURN(
      const PairOutcome outcome,
      Told(common, *engine,
           PairDevices(*engine, request, RecoveryOutput(options.recovery_out), ProgressTo(common.json))));
  interrupter.Disarm();
  std::vector<MemberId> writing;
  {
    KS_ASSIGN_OR_RETURN(const Member member, engine->state().LoadMember());
    const std::vector<MemberId> writers = Writers(member.chain().roster());
    for (const PairedDevice& device : outcome.paired) {
      if (std::ranges::find(writers, device.member) != writers.end()) writing.push_back(device.member);
    }
  }
  KS_ASSIGN_OR_RETURN(const std::vector<std::string> waiting,
                      WaitFor(common, *engine, writing, outcome.epoch, options.wait_seconds, program));
  json paired = json::array();
  json failed = json::array();
  for (const PairedDevice& device : outcome.paired) {
    paired.push_back(
        {{"device", device.device_id}, {"kind", device.kind}, {"member", device.member.ToHex()}});
    if (!common.json) {
      std::printf("paired %s (%s), member %s, epoch %llu\n", device.device_id.c_str(),
                  Printable(device.kind).c_str(), device.member.Short().c_str(),
                  static_cast<unsigned long long>(outcome.epoch));
    }
  }
  for (const FailedDevice& device : outcome.failed) {
    failed.push_back({{"device", device.device_id}, {"reason", Std(device.status.message())}});
  }
  if (common.json) {
    PrintJson({{"event", "paired"},
               {"instantiation", outcome.id.ToHex()},
               {"epoch", outcome.epoch},
               {"paired", paired},
               {"failed", failed},
               {"waiting", waiting}});
  }
  if (!outcome.failed.empty()) {
    const FailedDevice& first = outcome.failed.front();
    return absl::Status(first.status.code(), absl::StrCat(first.device_id, ": ", first.status.message(),
                                                          outcome.failed.size() > 1 ? " (and others)" : ""));
  }
  if (!waiting.empty() && options.wait_seconds > 0) {
    return absl::DeadlineExceededError(
        absl::StrCat("added, but still waiting for ", absl::StrJoin(waiting, ", "), " to open a stream"));
  }
  return absl::OkStatus();
}

absl::Status RunJoin(const CommonOptions& common, const JoinOptions& options, Interrupter& interrupter) {
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(common.engine));
  interrupter.Say("nobody has let this app in yet; 'join' goes on with the same label");
  GuestRequest request;
  request.patience = absl::Seconds(options.wait_seconds);
  request.show = [&](const membership::Label& label) -> absl::Status {
    KS_RETURN_IF_ERROR(membership::WriteLabelFileOnce(options.label_out, label));
    if (!common.json) {
      std::fprintf(stderr, "the label is in %s; the owner lets this app in with --guest %s\n",
                   options.label_out.c_str(), engine->transport().str().c_str());
    }
    return absl::OkStatus();
  };
  KS_ASSIGN_OR_RETURN(const Member member, JoinAsGuest(*engine, request, ProgressTo(common.json)));
  interrupter.Disarm();
  const RosterEntry& self = *member.chain().roster().Find(member.identity().self);
  json out = JsonOf(self, member.chain());
  if (common.json) {
    out["event"] = "joined";
    out["instantiation"] = member.chain().id().ToHex();
    out["epoch"] = member.chain().epoch();
    PrintJson(out);
    return absl::OkStatus();
  }
  std::printf("joined instantiation %s of %s as a guest, epoch %llu\n", member.chain().id().ToHex().c_str(),
              member.chain().tenant().str().c_str(), static_cast<unsigned long long>(member.chain().epoch()));
  for (const Right& right : self.rights) {
    std::printf("    reads what %s measures\n", DeviceIdOf(member.chain(), right.topic.member()).c_str());
  }
  if (self.expires_at.has_value()) PrintEnd(*self.expires_at);
  return absl::OkStatus();
}

absl::Status RunAddCourier(const CommonOptions& common, const std::string& spiffe_id,
                           Interrupter& interrupter) {
  KS_ASSIGN_OR_RETURN(const SpiffeId courier, SpiffeId::Parse(spiffe_id));
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(common.engine));
  interrupter.Say(kMayBePending);
  KS_ASSIGN_OR_RETURN(const Member member, Told(common, *engine, AddCourier(*engine, courier)));
  const RosterEntry& entry = *member.chain().roster().FindByTransport(courier.str());
  if (common.json) {
    json out = JsonOf(entry, member.chain());
    out["event"] = "courier_added";
    out["epoch"] = member.chain().epoch();
    PrintJson(out);
  } else {
    std::printf("added %s as a courier, epoch %llu\n", courier.str().c_str(),
                static_cast<unsigned long long>(member.chain().epoch()));
  }
  return absl::OkStatus();
}

absl::Status RunRemove(const CommonOptions& common, const std::string& name, double wait_seconds,
                       Program& program, Interrupter& interrupter) {
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(common.engine));
  interrupter.Say(kMayBePending);
  KS_ASSIGN_OR_RETURN(const Member member, Told(common, *engine, RemoveMember(*engine, name)));
  interrupter.Disarm();
  const std::vector<MemberId> writers = Writers(member.chain().roster());
  KS_ASSIGN_OR_RETURN(const std::vector<std::string> waiting,
                      WaitFor(common, *engine, writers, member.chain().epoch(), wait_seconds, program));
  // A hop can show this app the commit and nobody else. Only who writes under the new keys has seen it.
  const bool followed = writers.empty() || waiting.size() < writers.size();
  if (common.json) {
    PrintJson({{"event", "removed"},
               {"member", name},
               {"epoch", member.chain().epoch()},
               {"waiting", waiting},
               {"followed", followed}});
    return absl::OkStatus();
  }
  std::printf("removed %s, epoch %llu%s\n", name.c_str(),
              static_cast<unsigned long long>(member.chain().epoch()),
              followed ? "" : "; so the next hop shows, but no device writes under the new keys yet");
  for (const std::string& device : waiting) std::printf("waiting for %s\n", device.c_str());
  return absl::OkStatus();
}

absl::Status RunWithdraw(const CommonOptions& common, Interrupter& interrupter) {
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(common.engine));
  interrupter.Say(kMayBePending);
  KS_ASSIGN_OR_RETURN(const Withdrawal done, Told(common, *engine, WithdrawPending(*engine)));
  const char* const what = done == Withdrawal::kNothing     ? "nothing"
                           : done == Withdrawal::kWithdrawn ? "withdrawn"
                                                            : "too_late";
  if (common.json) {
    PrintJson({{"event", "withdrawn"}, {"outcome", what}});
  } else if (done == Withdrawal::kNothing) {
    std::printf("there was no unconfirmed change\n");
  } else {
    std::printf(done == Withdrawal::kWithdrawn ? "withdrawn\n" : "too late: the change has come true\n");
  }
  return done == Withdrawal::kTooLate
             ? absl::FailedPreconditionError("the change has come true, see 'members'")
             : absl::OkStatus();
}

absl::Status RunMembers(const CommonOptions& common) {
  EngineOptions options = common.engine;
  options.next_hop.clear();
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(options));
  KS_ASSIGN_OR_RETURN(const Member member, engine->state().LoadMember());
  KS_ASSIGN_OR_RETURN(const auto kinds, engine->state().LoadKinds());
  const MembershipChain& chain = member.chain();
  if (chain.empty()) return absl::FailedPreconditionError("nothing was paired yet: run 'pair' first");
  json members = json::array();
  if (!common.json) {
    std::printf("instantiation %s of %s, epoch %llu\n", chain.id().ToHex().c_str(),
                chain.tenant().str().c_str(), static_cast<unsigned long long>(chain.epoch()));
  }
  for (const RosterEntry& entry : chain.roster().entries()) {
    json one = JsonOf(entry, chain);
    const auto kind = kinds.find(entry.member);
    one["device_kind"] = kind == kinds.end() ? json() : json(kind->second);
    one["self"] = entry.member == member.identity().self;
    if (!common.json) {
      std::printf("%s  %-20s %-8s %-14s since epoch %llu%s\n", entry.member.ToHex().c_str(),
                  DeviceIdOf(entry).c_str(), std::string(MemberKindName(entry.kind)).c_str(),
                  kind == kinds.end() ? "" : Printable(kind->second).c_str(),
                  static_cast<unsigned long long>(MemberSince(chain, entry.member)),
                  one["self"].get<bool>() ? "  (this app)" : "");
      for (const Right& right : entry.rights) {
        std::printf("    %s%s %s\n", right.read ? "read" : "", right.write ? "write" : "",
                    right.topic.str().c_str());
      }
      if (entry.expires_at.has_value()) PrintEnd(*entry.expires_at);
    }
    members.push_back(std::move(one));
  }
  if (common.json) {
    PrintJson({{"event", "members"},
               {"tenant", chain.tenant().str()},
               {"instantiation", chain.id().ToHex()},
               {"epoch", chain.epoch()},
               {"head", chain.head().hash.ToHex()},
               {"members", members}});
  }
  return absl::OkStatus();
}

}  // namespace keystead::mobile
