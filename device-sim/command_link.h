// Follows a device's command topic at its next hop and hands over the commands that were read for the first
// time, in order, each verified to be signed by the member whose stream it came in. Judging them is the
// device's.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/member/job_queue.h"
#include "core/sealing/member.h"
#include "core/sealing/reader.h"
#include "core/transport/hop_channel.h"
#include "core/transport/subscriber.h"

namespace keystead::device_sim {

struct ReceivedCommand {
  MemberId sender;
  uint64_t epoch = 0;
  Bytes payload;        // of the signed object
  Digest command_hash;  // SHA-256 of the signed object
};

class CommandLink : private ReaderListener {
 public:
  struct Options {
    HopChannel channel;
    Executor* executor = nullptr;    // one job at a time per link; outlives it
    absl::Mutex* mutex = nullptr;    // guards the member; held around every use of the reader
    const Member* member = nullptr;  // belongs to an instantiation; outlives the link
    const Clock* clock = nullptr;
    BackoffOptions backoff;
    // Under the mutex, on the executor. May block for a moment (it stores the mark).
    std::function<void(const ReceivedCommand&)> on_command;
    // Likewise, after the commands of a batch were handed over.
    std::function<void(std::string snapshot)> on_progress;
  };
  // Takes up `snapshot` of an earlier run; a damaged one is dropped.
  CommandLink(const Options& options, std::string_view snapshot);
  ~CommandLink() override;  // Stop()

  void Start();
  void Stop();  // not while holding the mutex, not from a callback; idempotent

  // With the mutex held.
  void MembershipChanged() { reader_.MembershipChanged(); }
  void Tick() { reader_.Tick(); }
  std::vector<Reader::SpentKey> SpentKeys() const { return reader_.SpentKeys(); }
  std::vector<std::pair<Topic, MemberId>> KnownSenders() const { return reader_.KnownSenders(); }

 private:
  void OnRecord(const ReadRecord& record) override;
  void OnConfirmed(const StreamPlace&, const SequenceRange&) override {}
  void OnMissing(const StreamPlace&, const SequenceRange&) override {}
  void OnDuplicate(const StreamPlace& place, uint64_t sequence) override;
  void OnAlarm(SecurityEventKind, const StreamPlace&, uint64_t, std::string_view) override {}

  void PostPaused(std::function<void()> job);
  void Process(const std::vector<Payload>& groups);

  const Options options_;
  const Topic topic_;
  Reader reader_;                          // guarded by *options_.mutex
  std::vector<ReceivedCommand> received_;  // likewise
  bool in_pass_ = false;                   // likewise: what was read before comes again
  GroupHeaderCache headers_;               // used by the one job that runs
  LogId log_id_;                           // THREAD: gRPC's, one callback at a time
  JobQueue jobs_;
  std::unique_ptr<Subscriber> subscriber_;
};

}  // namespace keystead::device_sim
