// All streams of an instantiation as one reader judges them: opens, verifies, orders, and says of every
// record and stream what may be believed. docs/protocol.md, "What a reader concludes".
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/membership/chain.h"
#include "core/observe/security_event.h"
#include "core/sealing/content.h"
#include "core/sealing/key_ring.h"
#include "core/sealing/record_cipher.h"
#include "core/sealing/stream_track.h"

namespace keystead {

struct ReaderLimits {
  absl::Duration live_age = absl::Seconds(30);   // an own probe echoed within it: live
  absl::Duration stale_age = absl::Seconds(45);  // no fresh word for so long: stale
  absl::Duration gap_grace = absl::Seconds(2);   // how long a hole may close before it is called missing
  absl::Duration probe_memory = absl::Minutes(10);
  size_t max_held_bytes = 4 << 20;     // out of order, per stream
  size_t max_variant_bytes = 1 << 20;  // second records at one sequence, per stream
  size_t max_streams = 16384;          // not retired, of all senders
  size_t max_streams_per_sender = 64;  // likewise, per topic: nobody can take the room of others
  // Of one sender in one topic, of which nothing signed was read: every reader of the topic could forge them.
  size_t max_unsigned_streams = 8;
  uint64_t records_per_stream = limits::StreamLimits{}.records;
};

enum class Liveness { kHistory, kLate, kLive };
std::string_view LivenessName(Liveness liveness);  // "history", "late", "live"

// Views are valid during the call only.
struct ReadRecord {
  const StreamPlace* place = nullptr;
  uint64_t sequence = 0;
  Digest sealed;           // SHA-256 of the record as it came
  std::string_view kind;   // kinds::kReadings, kReport, kCommand, kAnswer, kLoss, kOpening, kCheckpoint
  ByteView body;           // payload; of the signed object for signed kinds
  ByteView signed_object;  // empty for kReadings
  const RosterEntry* sender = nullptr;  // as of the record's epoch
  bool confirmed = false;               // signed itself; otherwise pending until OnConfirmed
  bool filled = false;                  // belongs into a gap that was declared missing
  bool replaces = false;  // the sender confirms this record, not the one delivered before at this sequence
  bool after_removal = false;  // the sender no longer belongs
};

// Called on the thread that calls the Reader, inside the call.
class ReaderListener {
 public:
  virtual ~ReaderListener() = default;
  // Each record once; in stream order except where `filled` or `replaces`.
  virtual void OnRecord(const ReadRecord& record) = 0;
  // What was delivered as pending at these sequences is the sender's own. Where the sender confirms another
  // record than the one delivered, the sequence is left out, and the other one is delivered with `replaces`.
  virtual void OnConfirmed(const StreamPlace& place, const SequenceRange& range) = 0;
  virtual void OnMissing(const StreamPlace& place, const SequenceRange& range) = 0;
  // The same bytes came again: ordinary at-least-once delivery, or a replay. Never delivered twice.
  virtual void OnDuplicate(const StreamPlace& place, uint64_t sequence) = 0;
  // Everything an honest network would not do. Already written as a security event.
  virtual void OnAlarm(SecurityEventKind kind, const StreamPlace& place, uint64_t sequence,
                       std::string_view detail) = 0;
};

struct StreamStatus {
  StreamPlace place;
  Liveness liveness = Liveness::kHistory;
  bool current = false;  // the newest of its sender in this topic
  bool opened = false;   // its opening was read
  bool awaited = false;  // known only from the opening that names it: its epoch is not known yet
  bool ended = false;    // its closing checkpoint was read
  bool stale = false;
  bool tail_unknown = false;  // the stream before it has no known end
  bool cloned = false;        // another stream has the same predecessor
  bool broken = false;        // a checkpoint contradicted the records
  uint64_t received = 0;
  uint64_t confirmed = 0;
  uint64_t pending = 0;
  uint64_t next = 0;  // sequence expected next
  uint64_t duplicates = 0;
  uint64_t conflicts = 0;
  uint64_t refused = 0;  // did not open or verify
  std::vector<SequenceRange> missing;
  std::vector<Loss> losses;            // what the sender itself gave up
  std::optional<Freshness> last_word;  // of the newest opening or checkpoint
  absl::Duration last_word_at;         // reader's uptime when it came
};

// Not thread-safe. `ring`, `chain`, `clock` and `listener` must outlive it; call MembershipChanged after
// every change of ring or chain. Streams that are read to their end are remembered by name only.
class Reader {
 public:
  Reader(MemberId self, const ReaderLimits& limits, const KeyRing* ring, const MembershipChain* chain,
         const Clock* clock, ReaderListener* listener);
  ~Reader();

  // One record of a sealed topic as a hop delivered it, in any order and any number of times. Nothing about
  // it is believed. Never fails: what is wrong is reported to the listener.
  void Accept(const StreamPlace& place, uint64_t sequence, ByteView record);

  // Gaps whose grace is over, streams that went stale. Call about once a second.
  void Tick();
  // A hop is read from its first entry: BeginPass, records, CaughtUp. What was seen before must be there
  // again: of every stream all from the first record that is, and the end of each sender's newest, whatever
  // was added since.
  void BeginPass(const Topic& topic);
  void CaughtUp(const Topic& topic);
  // Also forgets streams whose keys are gone from the ring, and reports what was not read of them as lost.
  void MembershipChanged();
  // Writing keys of older epochs that nothing is waiting for any more: drop them from the ring
  // (KeyRing::DropSender), then call MembershipChanged.
  struct SpentKey {
    uint64_t epoch = 0;
    Topic topic;
    MemberId sender;
    bool operator==(const SpentKey&) const = default;
  };
  std::vector<SpentKey> SpentKeys() const;
  // Who was heard where: whose keys of the epoch are still needed when the next begins.
  std::vector<std::pair<Topic, MemberId>> KnownSenders() const;

  // A fresh nonce for a probe that is about to be published in keyring.
  Probe NewProbe(RandomSource& random);

  std::vector<StreamStatus> Status() const;
  // Since it was made.
  struct Totals {
    uint64_t opened = 0;  // records that opened and verified, also such as came again
    uint64_t failed = 0;  // that did not
  };
  const Totals& totals() const { return totals_; }
  // Whether the stream is the newest of its sender in its topic, as StreamStatus::current says.
  bool IsCurrent(const StreamPlace& place) const;
  // The newest verified word of a sender in its telemetry or state: what a command is made for.
  struct SenderWord {
    Freshness freshness;
    absl::Duration received_at;  // reader's uptime
    Liveness liveness = Liveness::kHistory;
  };
  std::optional<SenderWord> LastWord(const MemberId& sender) const;

  // Positions and what was confirmed, for the next start of the program: not secret, but its integrity is the
  // reader's memory of what it has seen, so keep it where the keys are.
  Bytes Snapshot() const;
  absl::Status Restore(ByteView snapshot);  // DATA_LOSS

 private:
  friend class ReaderSnapshot;
  struct Stream;
  struct Sender;
  using SenderKeyOf = std::pair<Topic, MemberId>;
  // Whoever knows a stream id could use it for a stream of its own: the id alone names nothing.
  using StreamKey = std::tuple<Topic, MemberId, StreamId>;
  static StreamKey KeyOf(const StreamPlace& place) { return {place.topic, place.sender, place.stream}; }

  Stream* Find(const StreamPlace& place);
  Stream* FindOfSame(const Stream& stream, const StreamId& id);
  std::unique_ptr<Stream> MakeStream(const StreamPlace& place) const;
  bool NotOurs(const StreamPlace& place) const;
  Stream* Keep(std::unique_ptr<Stream> stream, uint64_t sequence, bool is_signed);
  Stream* BeginAwaited(Stream& awaited, Stream fresh);
  bool OpenContent(Stream& stream, uint64_t sequence, ByteView record, bool& is_signed);
  void Refuse(Stream& stream, SecurityEventKind kind, uint64_t sequence, std::string_view why);
  void Place(Stream& stream, uint64_t sequence, const Digest& digest);
  void Contradict(Stream& stream, uint64_t sequence, const Digest& digest);
  void DeliverReady(Stream& stream);
  void Deliver(Stream& stream, uint64_t sequence, const Digest& sealed, ByteView content, bool filled,
               bool replaces);
  void HandleSigned(Stream& stream, const ReadRecord& record);
  void HandleOpening(Stream& stream, const Opening& opening);
  void HandleCheckpoint(Stream& stream, uint64_t sequence, const Checkpoint& checkpoint);
  void HandleLoss(Stream& stream, const Loss& loss);
  void CheckPredecessor(Stream& stream, const PreviousStream& previous);
  void MissWhole(Stream& stream, const StreamId& id, const PreviousStream::End& end);
  void ChooseCurrent(Sender& sender, Stream& stream, const Opening& opening);
  void Close(Stream& stream, uint64_t count);
  void HearFreshness(Stream& stream, const Freshness& freshness, uint64_t sequence);
  void DeclareGap(Stream& stream, uint64_t up_to);
  void UpdateHole(Stream& stream);
  void Report(Stream& stream, const StreamTrack::Outcome& outcome, uint64_t sequence);
  void RetireStreams();
  void Forget(Stream& stream);
  std::optional<uint64_t> LackOf(const Stream& stream) const;
  void Alarm(SecurityEventKind kind, const StreamPlace& place, uint64_t sequence, std::string_view detail);
  Liveness LivenessOf(const Stream& stream) const;
  StreamStatus StatusOf(const Stream& stream) const;

  const MemberId self_;
  const ReaderLimits limits_;
  const KeyRing* const ring_;
  const MembershipChain* const chain_;
  const Clock* const clock_;
  ReaderListener* const listener_;
  absl::flat_hash_map<StreamKey, std::unique_ptr<Stream>> streams_;
  std::map<SenderKeyOf, std::unique_ptr<Sender>> senders_;
  std::map<ProbeNonce, absl::Duration> probes_;  // own nonces → uptime when made
  Stream* last_ = nullptr;                       // of the last record: most come in runs
  bool retire_due_ = false;
  Totals totals_;
  Bytes content_;  // of the record at hand
};

}  // namespace keystead
