#include "backend/mailboxes.h"

#include <algorithm>

#include "core/base/status.h"
#include "core/identity/peer_event.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"

namespace keystead::backend {
namespace {

constexpr absl::Duration kComeBackForSpace = absl::Minutes(1);  // boxes go after minutes

absl::Status CountsNoLonger() { return absl::UnauthenticatedError("the certificate counts no longer"); }

}  // namespace

absl::Status Mailboxes::Closed(uint32_t tenant) const {
  if (stopped_) return absl::UnavailableError("stopping");
  return erased_.contains(tenant) ? CountsNoLonger() : absl::OkStatus();
}

void Mailboxes::Drop(const Key& key) {
  const auto found = boxes_.find(key);
  if (found == boxes_.end()) return;
  Share& share = shares_[key.first];
  share.bytes -= found->second.bytes;
  --share.boxes;
  const Box& box = found->second;
  for (size_t i = 0; i < box.messages.size(); ++i)
    GiveBack(box.senders[i], i == 0 ? 1 : 0, box.messages[i].size());
  boxes_.erase(found);
}

void Mailboxes::GiveBack(const std::string& peer, size_t boxes, size_t bytes) {
  const auto found = filled_.find(peer);
  found->second.boxes -= boxes;
  found->second.bytes -= bytes;
  if (found->second.boxes == 0 && found->second.bytes == 0) filled_.erase(found);
}

void Mailboxes::DropExpiredLocked() {
  std::vector<Key> expired;
  for (const auto& [key, box] : boxes_) {
    if (Expired(box)) expired.push_back(key);
  }
  for (const Key& key : expired) Drop(key);
}

void Mailboxes::DropExpired() {
  absl::MutexLock lock(&mutex_);
  DropExpiredLocked();
}

bool Mailboxes::HasFilledShare(const std::string& peer, bool new_box, size_t bytes) const {
  const auto found = filled_.find(peer);
  const Filled filled = found == filled_.end() ? Filled() : found->second;
  return filled.bytes + bytes > options_.bytes_per_peer ||
         (new_box && filled.boxes >= options_.boxes_per_peer);
}

std::string_view Mailboxes::Store(const Key& key, const std::string& peer, std::string message) {
  if (const auto found = boxes_.find(key); found != boxes_.end() && Expired(found->second)) Drop(key);
  Share& share = shares_[key.first];
  const bool is_new = !boxes_.contains(key);
  const auto full = [&] {
    return share.bytes + message.size() > options_.bytes_per_tenant ||
           (is_new && share.boxes >= options_.boxes_per_tenant);
  };
  if (full() || HasFilledShare(peer, is_new, message.size())) DropExpiredLocked();
  if (HasFilledShare(peer, is_new, message.size())) return "the peer has filled its share of the mailboxes";
  if (full()) return "the tenant's mailboxes are full";
  if (!is_new && boxes_[key].messages.size() >= options_.messages_per_box) return "the mailbox is full";
  Box& box = boxes_[key];
  Filled& filled = filled_[peer];
  if (is_new) ++share.boxes, ++filled.boxes;
  filled.bytes += message.size();
  box.senders.push_back(peer);
  box.last = options_.clock->Uptime();
  box.bytes += message.size();
  share.bytes += message.size();
  box.messages.push_back(std::move(message));
  return "";
}

absl::Status Mailboxes::TakeCall(const Principal& peer) {
  return ReportLimit(peer, "rendezvous: more calls than the rate allows",
                     TakeRate(rate_, peer.uri(), peer_limits::kRendezvousCalls));
}

absl::Status Mailboxes::Put(const TenantView& tenant, const Principal& peer, const MailboxName& box,
                            std::string message) {
  if (message.empty() || message.size() > limits::kMailboxBytes)
    return absl::InvalidArgumentError("a mailbox message has 1 to 4096 bytes");
  KS_RETURN_IF_ERROR(TakeCall(peer));
  const Key key{tenant.number(), box};
  std::vector<std::pair<Answer, std::vector<std::string>>> answers;
  {
    absl::MutexLock lock(&mutex_);
    KS_RETURN_IF_ERROR(Closed(key.first));
    if (const std::string_view why = Store(key, peer.uri(), std::move(message)); !why.empty())
      return ReportLimit(peer, why, LimitReached(peer_limits::kMailboxes, kComeBackForSpace));
    const std::vector<std::string>& messages = boxes_[key].messages;
    std::vector<uint64_t> tickets;
    if (const auto found = waiting_for_.find(key); found != waiting_for_.end()) tickets = found->second;
    for (const uint64_t ticket : tickets) {
      const size_t after = waiters_.find(ticket)->second.after;
      if (after >= messages.size()) continue;
      answers.emplace_back(TakeWaiter(ticket).answer,
                           std::vector(messages.begin() + static_cast<ptrdiff_t>(after), messages.end()));
    }
  }
  for (auto& [answer, messages] : answers) answer(std::move(messages));
  return absl::OkStatus();
}

uint64_t Mailboxes::Await(const TenantView& tenant, const Principal& peer, const MailboxName& box,
                          size_t after, Answer answer) {
  const Key key{tenant.number(), box};
  absl::Status refused;
  std::vector<std::string> messages;
  if (after >= options_.messages_per_box) {
    refused = absl::InvalidArgumentError("a mailbox never has that many messages");
  } else if (refused = TakeCall(peer); refused.ok()) {
    absl::MutexLock lock(&mutex_);
    const auto found = boxes_.find(key);
    if (absl::Status closed = Closed(key.first); !closed.ok()) {
      refused = std::move(closed);
    } else if (found != boxes_.end() && !Expired(found->second) && after < found->second.messages.size()) {
      messages.assign(found->second.messages.begin() + static_cast<ptrdiff_t>(after),
                      found->second.messages.end());
    } else if (shares_[key.first].waiting >= options_.waiting_per_tenant ||
               waiting_peers_[peer.uri()] >= options_.waiting_per_peer) {
      refused = ReportLimit(peer, "rendezvous: too many calls wait",
                            LimitReached(peer_limits::kRendezvousCalls, peer_limits::kComeBackForPlace));
    } else {
      const uint64_t ticket = next_ticket_++;
      ++shares_[key.first].waiting;
      ++waiting_peers_[peer.uri()];
      waiting_for_[key].push_back(ticket);
      waiters_.emplace(ticket, Waiter{key, peer, after, std::move(answer)});
      return ticket;
    }
  }
  if (refused.ok()) {
    answer(std::move(messages));
  } else {
    answer(refused);
  }
  return 0;
}

Mailboxes::Waiter Mailboxes::TakeWaiter(uint64_t ticket) {
  const auto found = waiters_.find(ticket);
  Waiter waiter = std::move(found->second);
  waiters_.erase(found);
  --shares_[waiter.key.first].waiting;
  if (--waiting_peers_[waiter.peer.uri()] == 0) waiting_peers_.erase(waiter.peer.uri());
  std::vector<uint64_t>& others = waiting_for_[waiter.key];
  std::erase(others, ticket);
  if (others.empty()) waiting_for_.erase(waiter.key);
  return waiter;
}

void Mailboxes::Cancel(uint64_t ticket) {
  Answer answer;
  {
    absl::MutexLock lock(&mutex_);
    if (!waiters_.contains(ticket)) return;
    answer = TakeWaiter(ticket).answer;
  }
  answer(absl::CancelledError("the peer has gone"));
}

void Mailboxes::EndWaiting(const std::function<bool(const Principal&)>& refused) {
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
      if (waiters_.contains(ticket)) answers.push_back(TakeWaiter(ticket).answer);
    }
  }
  for (const Answer& answer : answers) answer(CountsNoLonger());
}

void Mailboxes::Forget(uint32_t tenant) {
  std::vector<Answer> answers;
  {
    absl::MutexLock lock(&mutex_);
    erased_.insert(tenant);
    std::vector<uint64_t> tickets;
    for (const auto& [ticket, waiter] : waiters_) {
      if (waiter.key.first == tenant) tickets.push_back(ticket);
    }
    for (const uint64_t ticket : tickets) answers.push_back(TakeWaiter(ticket).answer);
    std::vector<Key> boxes;
    for (const auto& [key, box] : boxes_) {
      if (key.first == tenant) boxes.push_back(key);
    }
    for (const Key& key : boxes) Drop(key);
    shares_.erase(tenant);
  }
  for (const Answer& answer : answers) answer(CountsNoLonger());
}

void Mailboxes::Stop() {
  std::vector<Answer> answers;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    for (auto& [ticket, waiter] : waiters_) answers.push_back(std::move(waiter.answer));
    waiters_.clear();
    waiting_for_.clear();
    waiting_peers_.clear();
    for (auto& [tenant, share] : shares_) share.waiting = 0;
  }
  for (const Answer& answer : answers) answer(absl::UnavailableError("stopping"));
}

}  // namespace keystead::backend
