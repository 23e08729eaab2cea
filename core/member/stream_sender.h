// A member's sending in one topic: seals, journals the ciphertext, publishes, and keeps it until a hop has
// it. Checkpoints itself, opens a new stream at every start, every epoch and every limit, and says in a
// signed report what it had to give up. docs/architecture.md, "A reading".
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "core/member/last_stream.h"
#include "core/sealing/stream_writer.h"
#include "core/storage/log_store.h"
#include "core/transport/hop_channel.h"
#include "core/transport/publisher.h"

namespace keystead {

// Table of the journal's store where a sender remembers its last stream, keyed by log number.
inline constexpr storage::Table kSenderTable{32};

// Thread-safe.
class StreamSender {
 public:
  struct Options {
    storage::LogStore* store = nullptr;  // journal; must outlive the sender
    storage::LogRef journal;             // a log of its own
    // Of records no hop has acknowledged. Beyond it the oldest that were not handed over are lost, and
    // reported. Half of it at most waits inside the publisher.
    size_t journal_bytes = 16 << 20;
    bool synced = false;  // fsync the journal before sending (commands); otherwise it survives the process,
                          // not the power. The opening of a stream is always synced.
    limits::StreamLimits limits;
    PublisherOptions publisher;
    size_t gather_bytes = 64 << 10;                     // one group at most, about
    absl::Duration linger = absl::ZeroDuration();       // passed to the publisher
    int max_refusals = 6;                               // then a record counts as lost
    absl::Duration refusal_retry = absl::Seconds(0.5);  // before the second try; doubles each time
    const Clock* clock = &Clock::System();
    RandomSource* random = &RandomSource::System();
  };
  // Which keys to seal under: asked for at every opening of a stream.
  struct Keys {
    StreamWriter::Config config;  // limits are taken from Options
    SenderKey key;
    const crypto::EcdsaKeyPair* ik = nullptr;  // must outlive the sender
  };
  // The first two are called inside Send, Tick, EndStream and Stop, on their thread, and must not call back.
  // At an opening they are asked one after the other: the caller sees to it that no epoch begins in between.
  struct Callbacks {
    std::function<absl::StatusOr<Keys>()> keys;
    std::function<Freshness()> freshness;  // commit_hash counts at the opening; it stays for the stream
    // THREAD: gRPC's. May be empty; must neither block nor call the sender. OK: the hop answered.
    std::function<void(const absl::Status&)> on_connection;
  };
  struct Stats {
    uint64_t sealed = 0;  // records
    uint64_t groups = 0;
    uint64_t durable = 0;  // groups a hop has acknowledged
    uint64_t journal_entries = 0;
    size_t journal_bytes = 0;
    uint64_t lost = 0;     // records given up
    uint64_t refused = 0;  // refusals by a hop
    uint64_t streams = 0;  // opened
    bool connected = false;
    uint64_t connections = 0;
  };

  // Loads what the last run left unsent and sends it again as it was. Opens no stream yet. INVALID_ARGUMENT
  // or DATA_LOSS: the journal is damaged.
  static absl::StatusOr<std::unique_ptr<StreamSender>> Create(const Options& options, Callbacks callbacks,
                                                              HopChannel channel);
  ~StreamSender();  // Stop(0)

  // Seals one record. Opens or renews the stream first where that is due, and checkpoints after it where that
  // is due. What `keys` answers when there are none (by convention UNAVAILABLE); INVALID_ARGUMENT: too long;
  // FAILED_PRECONDITION: stopped. The place and sequence it got.
  struct Sent {
    StreamPlace place;
    uint64_t sequence = 0;
  };
  absl::StatusOr<Sent> Send(std::string_view kind, ByteView body);
  absl::StatusOr<Sent> SendSigned(std::string_view kind, ByteView payload);

  // Call after Send()s: what was sealed goes to the journal and on its way. Several records sealed in between
  // travel as one group; so does what is sealed while the journal still writes the group before, up to
  // gather_bytes: under load one write, one header and one look at every hop serve several readings, and a
  // lone one is never held back. What was not flushed when the process dies counts as never said.
  absl::Status Flush();
  // Call about once a second, and when a probe arrived: a checkpoint where it is due, a retry, a loss report.
  absl::Status Tick(bool checkpoint_now = false);
  // The keys changed: closes the stream under the old ones. The next Send opens one under the new. Nothing is
  // sealed under the old keys afterwards, whatever it returns.
  absl::Status EndStream();

  // Ends the stream with a signed end and waits until the hop has everything or `patience` is over. With
  // patience zero there is no end and no waiting: the next run takes up the journal. Not from a callback.
  void Stop(absl::Duration patience);
  bool AllDurable() const;
  // Bytes no hop has acknowledged. Cheap: for senders that wait while it is large rather than lose.
  size_t Backlog() const { return backlog_.load(std::memory_order_relaxed); }
  Stats GetStats() const;

 private:
  using Run = std::pair<uint64_t, uint64_t>;  // first and last sequence
  // A group on its way, and in the journal until a hop has it.
  struct Entry {
    Payload bytes;
    StreamId stream;
    Run run;
    bool opening = false;    // holds a stream's first record
    bool submitted = false;  // to the journal
    bool journalled = false;
    uint64_t offset = 0;  // in the journal, once journalled
    int refusals = 0;
    std::vector<Run> refused;   // on this try
    std::vector<Loss> reports;  // what loss reports in it say
  };
  using Entries = std::map<uint64_t, Entry>;

  StreamSender(const Options& options, Callbacks callbacks);

  // Sealing (stream_sender.cc).
  absl::Status OpenStream() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Prepare() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Collect(uint64_t sequence, ByteView record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckpointIfDue(bool force, bool end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Sent> SendLocked(std::string_view kind, ByteView body, bool is_signed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CloseStream() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ReportLosses() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The journal (stream_journal.cc).
  absl::Status LoadJournal();
  void FlushLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Overflow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SubmitToJournal() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Journalled(const std::vector<uint64_t>& numbers, const std::vector<uint64_t>& offsets,
                  const absl::Status& status);
  void CompactJournal() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Compacted(const std::vector<uint64_t>& numbers, const std::vector<uint64_t>& offsets,
                 const absl::Status& status);
  void SetOffset(Entry& entry, uint64_t offset) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TrimDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Entries::iterator Remove(Entries::iterator at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Entries::iterator GiveUp(Entries::iterator at, const std::vector<Run>& runs, std::string_view reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteLoss(Loss loss) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string EncodeMemory() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Feed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HandOver(uint64_t number, Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnDurable(uint64_t ticket);
  void OnRefused(uint64_t ticket, const GroupRefusal& refusal);
  void SetBacklog() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    backlog_.store(entries_bytes_ + (builder_ == nullptr ? 0 : builder_->bytes()), std::memory_order_relaxed);
  }

  const Options options_;
  const Callbacks callbacks_;
  std::atomic<size_t> backlog_ = 0;
  mutable absl::Mutex mutex_;
  std::unique_ptr<StreamWriter> writer_ ABSL_GUARDED_BY(mutex_);
  Digest commit_hash_ ABSL_GUARDED_BY(mutex_);  // of the open stream
  std::unique_ptr<GroupBuilder> builder_ ABSL_GUARDED_BY(mutex_);
  Run builder_run_ ABSL_GUARDED_BY(mutex_);
  std::optional<PreviousStream> collected_ ABSL_GUARDED_BY(mutex_);  // up to what the builder holds
  std::optional<PreviousStream> flushed_ ABSL_GUARDED_BY(mutex_);    // up to the last entry
  std::vector<Loss> losses_ ABSL_GUARDED_BY(mutex_);                 // not reported yet
  std::vector<Loss> reporting_ ABSL_GUARDED_BY(mutex_);              // in the builder

  Entries entries_ ABSL_GUARDED_BY(mutex_);  // by number, which is the order of sealing
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t next_submitted_ ABSL_GUARDED_BY(mutex_) = 1;  // all before it were submitted to the journal
  uint64_t next_fed_ ABSL_GUARDED_BY(mutex_) = 1;        // all before it were handed to the publisher once
  size_t entries_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, absl::Duration> retries_ ABSL_GUARDED_BY(mutex_);  // number → when, after a refusal
  std::deque<std::pair<uint64_t, uint64_t>> tickets_ ABSL_GUARDED_BY(mutex_);  // publisher's → number

  std::set<uint64_t> offsets_ ABSL_GUARDED_BY(mutex_);  // in the journal and still wanted
  uint64_t log_end_ ABSL_GUARDED_BY(mutex_) = 0;        // of the journal, as far as known
  uint64_t trimmed_to_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t removed_ ABSL_GUARDED_BY(mutex_) = 0;     // entries since the last trim
  size_t dead_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // given up and still in the journal
  bool compacting_ ABSL_GUARDED_BY(mutex_) = false;
  size_t tasks_ ABSL_GUARDED_BY(mutex_) = 0;        // in the store's queue
  size_t writes_ ABSL_GUARDED_BY(mutex_) = 0;       // of them, those that write new entries
  bool flush_due_ ABSL_GUARDED_BY(mutex_) = false;  // once there is no such write

  Stats stats_ ABSL_GUARDED_BY(mutex_);
  Bytes scratch_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool publishing_ ABSL_GUARDED_BY(mutex_) = true;  // until Stop
  std::unique_ptr<Publisher> publisher_;            // set once by Create
};

}  // namespace keystead
