// Whose request is which: the numbers of requests and acknowledgements on a Publish call whose requests were
// dropped, split, joined or added to on the way. Pure bookkeeping, no I/O; not thread-safe.
//
// The sender's acknowledgements are cumulative. Request n is acknowledged to it when every request up to n
// has either been made durable by the next hop in all its parts, or has lost the rest to ACK_AND_DROP. A
// request that lost a record to DROP is withheld: it, and with it every later request of the call, is never
// acknowledged on this call. The sender finds them unacknowledged and sends them again on its next call.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "keystead/v1/transport.pb.h"

namespace keystead::infra {

class AckLedger {
 public:
  // Where a group of a request to the next hop came from.
  struct Origin {
    uint64_t request = 0;              // the sender's; 0: nobody's
    uint32_t group = 0;                // index in it
    bool altered = false;              // changed or added by an attack: its refusal is not for the sender
    std::vector<uint64_t> injections;  // AttackEngine's serials
  };
  // A refusal of something the attacks made.
  struct InjectionRefused {
    std::vector<uint64_t> injections;
    int32_t code = 0;
    std::string reason;
  };
  struct Answer {
    v1::PublishResponse response;  // for the sender
    bool news = false;             // whether it says anything
    std::vector<InjectionRefused> refused;
  };

  // A request arrived; its number, from 1. It counts as unfinished until Release(number).
  uint64_t Received();
  // One more (one less) part of the request that has not been sent. Received() begins with one.
  void Retain(uint64_t request) { At(request).unsent++; }
  void Release(uint64_t request) { At(request).unsent--; }
  void Withhold(uint64_t request) { At(request).withheld = true; }

  // A request went to the next hop with these groups; releases one part of each request among them. An empty
  // list with `whole` set: that request, unchanged.
  void Sent(std::vector<Origin> origins, uint64_t whole = 0);

  // The next hop answered.
  Answer Acknowledged(const v1::PublishResponse& response);
  // What may be acknowledged by now without an answer: what ACK_AND_DROP swallowed.
  Answer Advance();

  static std::vector<uint64_t> RequestsOf(const std::vector<Origin>& origins);  // distinct

 private:
  struct Entry {
    uint32_t unsent = 1;
    uint64_t last_upstream = 0;
    bool withheld = false;
  };
  struct Upstream {
    uint64_t whole = 0;
    std::vector<Origin> origins;
  };
  Entry& At(uint64_t request) { return entries_.at(request - first_); }
  void Translate(const v1::Refusal& refusal, Answer& answer) const;

  std::deque<Entry> entries_;  // of requests first_, first_ + 1, …
  uint64_t first_ = 1;
  std::deque<Upstream> upstream_;  // of requests to the next hop from first_upstream_ on
  uint64_t first_upstream_ = 1;
  uint64_t durable_upstream_ = 0;
};

}  // namespace keystead::infra
