// Who may begin a TLS handshake, and when. Nothing is known of a peer before its handshake but where it comes
// from, and a handshake costs the server most of a millisecond: so new connections are counted by source
// address, and what one address asks for cannot take the processor from the others.
//
// A connection is *silent* until its first byte is here, then *waits* for its turn, then is *under way* until
// its handshake has succeeded or the connection has ended. All three are bounded for each address and for
// all. Turns go round the addresses, one at a time. What is over the bound of an address is refused at once:
// the peer comes again after a pause, which our clients draw at random; what is over the rate of all waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "core/base/token_bucket.h"
#include "core/observe/security_event.h"
#include "core/transport/source_address.h"

namespace keystead {

struct HandshakeLimits {
  // Of one address: many devices may stand behind it.
  double per_second = 100;  // new connections; 0: no bound
  double burst = 300;
  size_t pending = 256;  // silent, waiting or under way
  // Of all.
  double all_per_second = 500;  // handshakes begun: about a third of a processor; 0: no bound
  size_t at_once = 32;          // handshakes under way; one address has at most a quarter, a balancer half
  size_t all_pending = 1024;    // each is an open file
  size_t addresses = 4096;      // remembered; beyond, new ones are counted together as one

  int ipv4_prefix = 32;  // addresses that agree in so many bits are one
  int ipv6_prefix = 64;
  // Many clients' connections come from each of these: it has no rate of its own and half of what all have.
  std::vector<AddressRange> balancers;

  absl::Duration silence = absl::Seconds(5);     // after this, a silent connection is ended
  absl::Duration handshake = absl::Seconds(10);  // after this, a handshake is
  // A handshake that is older is ended where another waits and all places are taken.
  absl::Duration patience = absl::Seconds(2);
  absl::Duration report_interval = absl::Seconds(10);  // between two security events of one address
};

// Bounded memory whatever peers do. Not thread-safe. `now` never goes back. `Id` is the caller's, of a
// connection that it knows.
class HandshakeGovernor {
 public:
  using Id = int;
  explicit HandshakeGovernor(HandshakeLimits limits);

  // Whether a new connection is taken; otherwise the caller ends it, and that is all.
  bool Arrive(Id id, const AddressRange& address, absl::Duration now);
  // The first byte is here: it waits for its turn.
  void Hear(Id id, absl::Duration now);
  // The next whose turn it is, from now on under way. None: nobody waits, or no place or rate is left.
  std::optional<Id> Begin(absl::Duration now);
  // Its handshake came to an end that was none: no certificate, or one that is not accepted, or the caller
  // left. To be followed by End. Counts only of one that is under way.
  void Fail(Id id);
  // It is over, in whatever state: succeeded, or ended. An unknown one is passed over.
  void End(Id id);

  // The next that is to be ended because its time is over, or because others need its place; the caller ends
  // it and calls End.
  std::optional<Id> Overdue(absl::Duration now);
  // The longest silent, to be ended where files run out.
  std::optional<Id> LongestSilent() const;
  // When Begin or Overdue may answer differently though nothing has happened; at most a second.
  absl::Duration NextLook(absl::Duration now);

  // Security events that are due. Of connections that were ended before TLS: of one address at most one in an
  // interval, which tells how many; all that are left, whether due or not, with `all`. Of handshakes that
  // failed: at once, how many of an address since the last call.
  std::vector<SecurityEvent> TakeEvents(absl::Duration now, bool all = false);

  size_t pending() const { return connections_.size(); }
  size_t under_way() const { return oldest_[kUnderWay].size(); }
  size_t addresses() const { return addresses_.size(); }

 private:
  enum State : size_t { kSilent, kWaiting, kUnderWay, kStates };
  struct Address {
    std::string name;  // for events
    TokenBucket bucket;
    size_t pending_bound = 0;
    size_t places = 0;
    size_t pending = 0;
    size_t under_way = 0;
    std::deque<Id> waiting;
    uint64_t refused = 0;  // since the last report
    uint64_t given_up = 0;
    uint64_t failed = 0;  // since the last call of TakeEvents
    std::optional<absl::Duration> reported;
  };
  struct Connection {
    Address* address = nullptr;
    State state = kSilent;
    absl::Duration since;  // in this state
  };

  Address& AddressOf(const AddressRange& range, absl::Duration now);
  void DropIdle(absl::Duration now);
  bool IsIdle(Address& address, absl::Duration now) const;
  bool MayReport(const Address& address, absl::Duration now) const;
  void Enter(Id id, Connection& connection, State state, absl::Duration now);
  void Leave(Id id, const Connection& connection);
  std::optional<Id> MostDispensable() const;
  void Report(Address& address, absl::Duration now, bool all, std::vector<SecurityEvent>& out);
  template <class Visit>
  void EachAddress(const Visit& visit);

  const HandshakeLimits limits_;
  TokenBucket all_;
  std::vector<std::unique_ptr<Address>> balancers_;  // as limits_.balancers
  absl::flat_hash_map<AddressRange, std::unique_ptr<Address>> addresses_;
  Address rest_;               // of all for which there was no room
  std::list<Address*> turns_;  // of whom somebody waits
  absl::flat_hash_map<Id, Connection> connections_;
  std::set<std::pair<absl::Duration, Id>> oldest_[kStates];
  std::optional<absl::Duration> dropped_;  // when idle addresses were last looked for
  bool has_events_ = false;
};

}  // namespace keystead
