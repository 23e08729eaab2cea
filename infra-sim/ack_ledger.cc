#include "infra-sim/ack_ledger.h"

#include <algorithm>

namespace keystead::infra {

uint64_t AckLedger::Received() {
  entries_.emplace_back();
  return first_ + entries_.size() - 1;
}

std::vector<uint64_t> AckLedger::RequestsOf(const std::vector<Origin>& origins) {
  std::vector<uint64_t> out;
  for (const Origin& origin : origins) {
    if (origin.request != 0 && std::find(out.begin(), out.end(), origin.request) == out.end()) {
      out.push_back(origin.request);
    }
  }
  return out;
}

void AckLedger::Sent(std::vector<Origin> origins, uint64_t whole) {
  upstream_.push_back({whole, std::move(origins)});
  const uint64_t number = first_upstream_ + upstream_.size() - 1;
  const auto part = [&](uint64_t request) {
    Entry& entry = At(request);
    entry.unsent--;
    entry.last_upstream = std::max(entry.last_upstream, number);
  };
  if (whole != 0) part(whole);
  for (const uint64_t request : RequestsOf(upstream_.back().origins)) part(request);
}

void AckLedger::Translate(const v1::Refusal& refusal, Answer& answer) const {
  if (refusal.request() < first_upstream_ || refusal.request() - first_upstream_ >= upstream_.size()) return;
  const Upstream& sent = upstream_[refusal.request() - first_upstream_];
  v1::Refusal translated = refusal;
  if (sent.whole != 0) {
    translated.set_request(sent.whole);
  } else {
    if (refusal.group() >= sent.origins.size()) return;
    const Origin& origin = sent.origins[refusal.group()];
    if (!origin.injections.empty()) {
      answer.refused.push_back({origin.injections, refusal.code(), refusal.reason()});
    }
    if (origin.altered || origin.request == 0) return;
    translated.set_request(origin.request);
    translated.set_group(origin.group);
  }
  *answer.response.add_refusals() = std::move(translated);
  answer.news = true;
}

AckLedger::Answer AckLedger::Acknowledged(const v1::PublishResponse& response) {
  Answer answer;
  for (const v1::Refusal& refusal : response.refusals()) Translate(refusal, answer);
  // A hop that acknowledges what it was never sent is believed only as far as it was sent.
  const uint64_t sent = first_upstream_ + upstream_.size() - 1;
  durable_upstream_ = std::max(durable_upstream_, std::min(response.durable_requests(), sent));
  while (first_upstream_ <= durable_upstream_) {
    upstream_.pop_front();
    ++first_upstream_;
  }
  Answer more = Advance();
  answer.response.set_durable_requests(more.response.durable_requests());
  answer.news = answer.news || more.news;
  return answer;
}

AckLedger::Answer AckLedger::Advance() {
  Answer answer;
  while (!entries_.empty()) {
    const Entry& entry = entries_.front();
    if (entry.unsent > 0 || entry.withheld || entry.last_upstream > durable_upstream_) break;
    entries_.pop_front();
    ++first_;
    answer.news = true;
  }
  answer.response.set_durable_requests(first_ - 1);
  return answer;
}

}  // namespace keystead::infra
