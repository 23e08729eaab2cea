#include "core/transport/revocation_keeper.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"

namespace keystead {
namespace {

absl::Status Refuse(SecurityEventKind kind, const TenantName& tenant, std::string_view from,
                    const absl::Status& why) {
  Report({.kind = kind,
          .tenant = tenant.str(),
          .peer = std::string(from),
          .detail = absl::StrCat("revocations: ", why.message())});
  return why;
}

}  // namespace

absl::Status RevocationKeeper::Restore(ByteView object) {
  KS_ASSIGN_OR_RETURN(Revocations revocations, ReadRevocations(object));
  if (const absl::Status status = OpenRevocations(object, *options_.directory).status(); !status.ok()) {
    Log(LogLevel::kWarning, "revocations_of_a_former_key",
        {{"tenant", revocations.tenant.str()}, {"number", revocations.number}});
  }
  Count(std::move(revocations), object);
  return absl::OkStatus();
}

absl::Status RevocationKeeper::Judge(const Revocations& offered, std::string_view from) const {
  absl::MutexLock lock(&mutex_);
  const auto found = kept_.find(offered.tenant);
  if (found == kept_.end() || offered.number > found->second.number) return absl::OkStatus();
  if (offered.number < found->second.number) {
    return Refuse(SecurityEventKind::kProviderRolledBack, offered.tenant, from,
                  absl::FailedPreconditionError(
                      absl::StrCat("number ", offered.number, " comes after ", found->second.number)));
  }
  if (offered.text != found->second.text) {
    return Refuse(
        SecurityEventKind::kConflict, offered.tenant, from,
        absl::FailedPreconditionError(absl::StrCat("two different ones have the number ", offered.number)));
  }
  return absl::AlreadyExistsError("they count already");
}

absl::StatusOr<uint64_t> RevocationKeeper::Put(const TenantName& tenant, ByteView object,
                                               std::string_view from,
                                               const std::function<absl::Status()>& make_durable) {
  absl::StatusOr<Revocations> offered = OpenRevocations(object, *options_.directory);
  if (offered.ok() && offered->tenant != tenant)
    offered = absl::UnauthenticatedError("they are another tenant's");
  if (!offered.ok()) {
    const bool unsigned_ = absl::IsUnauthenticated(offered.status());
    return Refuse(unsigned_ ? SecurityEventKind::kSignatureInvalid : SecurityEventKind::kMalformed, tenant,
                  from, offered.status());
  }
  const uint64_t number = offered->number;
  {
    absl::MutexLock lock(&put_mutex_);
    const absl::Status judged = Judge(*offered, from);
    if (absl::IsAlreadyExists(judged)) return number;
    KS_RETURN_IF_ERROR(judged);
    KS_RETURN_IF_ERROR(make_durable());
    Count(*std::move(offered), object);
  }
  Log(LogLevel::kInfo, "revocations", {{"tenant", tenant.str()}, {"number", number}, {"from", from}});
  if (options_.on_change) options_.on_change();
  return number;
}

void RevocationKeeper::Count(Revocations revocations, ByteView object) {
  options_.deny_list->Replace(revocations.tenant, std::move(revocations.entries), DenyList::Source::kTenant);
  const std::string bytes(AsChars(object));
  std::vector<Answer> answers;
  {
    absl::MutexLock lock(&mutex_);
    kept_[revocations.tenant] = {revocations.number, bytes, std::move(revocations.text)};
    for (auto next = waiters_.begin(); next != waiters_.end();) {
      const auto at = next++;
      if (at->second.peer.tenant() != revocations.tenant || at->second.above >= revocations.number) continue;
      answers.push_back(std::move(at->second.answer));
      waiters_.erase(at);
    }
  }
  for (const Answer& answer : answers) answer(bytes);
}

uint64_t RevocationKeeper::NumberOf(const TenantName& tenant) const {
  absl::MutexLock lock(&mutex_);
  const auto found = kept_.find(tenant);
  return found == kept_.end() ? 0 : found->second.number;
}

uint64_t RevocationKeeper::Await(const Principal& peer, uint64_t above, Answer answer) {
  absl::StatusOr<std::string> now = absl::UnavailableError("stopping");
  {
    absl::MutexLock lock(&mutex_);
    const auto found = kept_.find(peer.tenant());
    if (!stopped_ && (found == kept_.end() || found->second.number <= above)) {
      waiters_.emplace(next_ticket_, Waiter{peer, above, std::move(answer)});
      return next_ticket_++;
    }
    if (!stopped_) now = found->second.object;
  }
  answer(std::move(now));
  return 0;
}

void RevocationKeeper::Cancel(uint64_t ticket) {
  Answer answer;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = waiters_.find(ticket);
    if (found == waiters_.end()) return;
    answer = std::move(found->second.answer);
    waiters_.erase(found);
  }
  answer(absl::CancelledError("cancelled"));
}

void RevocationKeeper::EndWaiting(const std::function<bool(const Principal&)>& refused) {
  std::vector<std::pair<uint64_t, Principal>> waiting;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [ticket, waiter] : waiters_) waiting.emplace_back(ticket, waiter.peer);
  }
  std::erase_if(waiting, [&](const auto& one) { return !refused(one.second); });
  std::vector<Answer> answers;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [ticket, peer] : waiting) {
      const auto found = waiters_.find(ticket);
      if (found == waiters_.end()) continue;
      answers.push_back(std::move(found->second.answer));
      waiters_.erase(found);
    }
  }
  for (const Answer& answer : answers) answer(absl::UnauthenticatedError("the certificate counts no longer"));
}

void RevocationKeeper::Forget(const TenantName& tenant) {
  absl::MutexLock putting(&put_mutex_);
  {
    absl::MutexLock lock(&mutex_);
    kept_.erase(tenant);
  }
  options_.deny_list->Replace(tenant, {}, DenyList::Source::kTenant);
}

void RevocationKeeper::Stop() {
  std::map<uint64_t, Waiter> waiters;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    waiters.swap(waiters_);
  }
  for (auto& [ticket, waiter] : waiters) waiter.answer(absl::UnavailableError("stopping"));
}

}  // namespace keystead
