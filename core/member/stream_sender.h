// A member's sending in one topic: seals, journals the ciphertext, publishes, and keeps it until a hop has
// it. Checkpoints itself, opens a new stream at every start, every epoch and every limit, and says in a
// signed report what it had to give up. docs/architecture.md, "A reading".
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "core/sealing/stream_writer.h"
#include "core/storage/log_store.h"
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
    size_t journal_bytes =
        16 << 20;  // of records no hop has acknowledged; beyond it the oldest unsent are lost, and reported
    bool synced = false;  // fsync the journal before sending (commands); otherwise it survives the process,
                          // not the power
    limits::StreamLimits limits;
    PublisherOptions publisher;
    size_t gather_bytes = 64 << 10;                // one group at most, about
    absl::Duration linger = absl::ZeroDuration();  // passed to the publisher
    const Clock* clock = &Clock::System();
    RandomSource* random = &RandomSource::System();
  };
  // Which keys to seal under: asked for at every opening of a stream.
  struct Keys {
    StreamWriter::Config config;  // limits are taken from Options
    SenderKey key;
    const crypto::EcdsaKeyPair* ik = nullptr;  // must outlive the sender
  };
  struct Callbacks {
    std::function<absl::StatusOr<Keys>()> keys;  // called on the caller's thread
    std::function<Freshness()> freshness;        // likewise
  };
  struct Stats {
    uint64_t sealed = 0;  // records
    uint64_t groups = 0;
    uint64_t durable = 0;  // groups a hop has acknowledged
    uint64_t journal_entries = 0;
    size_t journal_bytes = 0;
    uint64_t lost = 0;     // records given up
    uint64_t refused = 0;  // groups a hop refused
    bool connected = false;
    uint64_t connections = 0;
  };

  // Loads what the last run left unsent and sends it again as it was. Opens no stream yet.
  static absl::StatusOr<std::unique_ptr<StreamSender>> Create(const Options& options, Callbacks callbacks,
                                                              std::shared_ptr<grpc::Channel> channel);
  ~StreamSender();  // Stop(false)

  // Seals one record. Opens or renews the stream first where that is due, and checkpoints after it where that
  // is due. UNAVAILABLE: no keys yet. The place and sequence it got.
  struct Sent {
    StreamPlace place;
    uint64_t sequence = 0;
  };
  absl::StatusOr<Sent> Send(std::string_view kind, ByteView body);
  absl::StatusOr<Sent> SendSigned(std::string_view kind, ByteView payload);

  // Call after Send()s: what was sealed goes to the journal and on its way. (Several records sealed in
  // between travel as one group.)
  absl::Status Flush();
  // Call about once a second, and when a probe arrived: a checkpoint where it is due, a retry, a loss report.
  absl::Status Tick(bool checkpoint_now = false);
  // The keys changed: closes the stream under the old ones. The next Send opens one under the new.
  absl::Status EndStream();

  // Ends the stream with a signed end and waits until the hop has everything or `patience` is over.
  void Stop(absl::Duration patience);
  bool AllDurable() const;
  Stats GetStats() const;

 private:
  // A group on its way, and in the journal until a hop has it.
  struct Entry {
    uint64_t number = 0;
    Payload bytes;
    StreamId stream;
    uint64_t first_sequence = 0;
    uint64_t last_sequence = 0;
    uint64_t offset = 0;     // in the journal, once journalled
    bool submitted = false;  // to the journal
    bool journalled = false;
    uint64_t ticket = 0;  // of the publisher; 0: not handed over
    bool done = false;    // acknowledged, or given up
    int refusals = 0;
    absl::Duration retry_at;  // after a refusal
  };
  StreamSender(const Options& options, Callbacks callbacks);
  absl::Status LoadJournal();
  absl::Status OpenStream() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Prepare() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Collect(uint64_t sequence, ByteView record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckpointIfDue(bool force, bool end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FlushLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ReportLosses() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Overflow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SubmitToJournal() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CompactJournal() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Feed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveUp(Entry& entry, std::string_view reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Journalled(uint64_t first, const std::vector<uint64_t>& offsets, const absl::Status& status);
  Entry* Find(uint64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Sent> SendLocked(std::string_view kind, ByteView body, bool is_signed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnDurable(uint64_t ticket);
  void OnRefused(uint64_t ticket, const GroupRefusal& refusal);
  void PopDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TrimDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const Callbacks callbacks_;
  mutable absl::Mutex mutex_;
  std::unique_ptr<StreamWriter> writer_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<GroupBuilder> builder_ ABSL_GUARDED_BY(mutex_);
  uint64_t builder_first_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t builder_last_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<PreviousStream> previous_ ABSL_GUARDED_BY(mutex_);
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // oldest first: not acknowledged
  uint64_t next_entry_ ABSL_GUARDED_BY(mutex_) = 1;
  size_t entries_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Loss> losses_ ABSL_GUARDED_BY(mutex_);  // not reported yet
  Stats stats_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, uint64_t> tickets_ ABSL_GUARDED_BY(mutex_);  // publisher's ticket → entry number
  size_t tasks_ ABSL_GUARDED_BY(mutex_) = 0;                      // in the store's queue
  size_t untrimmed_ ABSL_GUARDED_BY(mutex_) = 0;                  // entries done and still in the journal
  size_t dead_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // given up in the middle, still in the journal
  uint64_t trim_to_ ABSL_GUARDED_BY(mutex_) = 0;
  Bytes scratch_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_for_good_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<Publisher> publisher_;  // destroyed first: its callbacks use the rest
};

}  // namespace keystead
