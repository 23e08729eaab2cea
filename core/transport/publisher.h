// The client side of Publish: groups in, durable tickets out, across any number of broken connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/random.h"
#include "core/transport/backoff.h"
#include "core/transport/group_view.h"
#include "core/transport/hop_channel.h"

namespace keystead {

// What the hop said about (part of) a group that it did not store. It will not be sent again.
struct GroupRefusal {
  absl::Status status;          // the hop's code and fixed sentence
  uint64_t first_sequence = 0;  // of the refused records; both 0 when the whole group was refused unread
  uint64_t last_sequence = 0;
};

// Called one at a time, on gRPC's threads; must not block. They may call every function of the publisher but
// Stop and the destructor. Unset ones are not called.
struct PublisherCallbacks {
  // All tickets up to this one are durable at the next hop, but for what was refused before.
  std::function<void(uint64_t up_to_ticket)> on_durable;
  // Before the on_durable that covers the ticket. Several times for one ticket when several runs of its
  // records were refused.
  std::function<void(uint64_t ticket, const GroupRefusal& refusal)> on_refused;
  std::function<void()> on_connected;  // the hop answered: the first acknowledgement of a connection
  // Everything that is not durable is sent again, byte for byte, after a wait.
  std::function<void(const absl::Status& why)> on_disconnected;
};

struct PublisherOptions {
  size_t max_buffer_bytes = 8 << 20;  // groups that are not durable yet; beyond it Enqueue refuses
  size_t max_request_bytes = 256 << 10;
  size_t max_groups_per_request = 512;
  // Groups go out at once while fewer than this many requests await their acknowledgement; above it they
  // gather until an acknowledgement comes back or a request of max_request_bytes is full. So a lone group
  // never waits.
  size_t requests_before_gathering = 2;
  size_t max_requests_in_flight = 32;
  // In addition, when requests are already in flight: waits this long for more. For many small groups.
  absl::Duration linger = absl::ZeroDuration();
  BackoffOptions backoff;
  // A connection that owes an acknowledgement and gives none for this long is given up and opened anew.
  absl::Duration ack_timeout = absl::Seconds(60);
  RandomSource* random = &RandomSource::System();  // for jitter
};

// Thread-safe. No thread of its own: thousands in one process are cheap.
class Publisher {
 public:
  Publisher(HopChannel channel, PublisherCallbacks callbacks,
            const PublisherOptions& options = PublisherOptions());
  ~Publisher();  // Stop()
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Connects when there is something to send. Call once.
  void Start();
  // Ends the call and waits until no callback runs or will run again. Not from a callback. What was not
  // durable is forgotten here: the caller's journal has it. Idempotent.
  void Stop();

  // The group's ticket: 1, 2, 3, … in the order of the calls, which is the order of sending.
  // RESOURCE_EXHAUSTED: the buffer is full, try again after some on_durable. FAILED_PRECONDITION: stopped.
  // INVALID_ARGUMENT: empty or larger than limits::kMaxGroupBytes. Allowed before Start.
  absl::StatusOr<uint64_t> Enqueue(Payload group);

  struct Stats {
    uint64_t enqueued = 0;  // the last ticket given out
    uint64_t durable = 0;   // the last ticket durable
    size_t buffered_bytes = 0;
    uint64_t requests = 0;
    uint64_t connections = 0;  // calls begun
    bool connected = false;
  };
  Stats GetStats() const;

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace keystead
