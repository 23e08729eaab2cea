// Reading an instantiation: subscribes, opens, verifies, judges, probes, and tells an observer. One session
// is one reader; several may run side by side on one state folder.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/sealing/reader.h"
#include "core/transport/executor.h"
#include "core/transport/subscriber.h"
#include "keystead/v1/readings.pb.h"
#include "mobile-stub/early_groups.h"
#include "mobile-stub/engine.h"
#include "mobile-stub/keyring_inbox.h"
#include "mobile-stub/keyring_publisher.h"
#include "mobile-stub/watch_metrics.h"

namespace keystead::mobile {

// Called one at a time, on the session's threads and under its lock: must not call back into the session.
class WatchObserver {
 public:
  virtual ~WatchObserver() = default;
  // A batch of readings that opened; record.confirmed tells whether its sender has signed for it yet,
  // `current` whether its stream is the newest of its sender in the topic.
  virtual void OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) {
    static_cast<void>(record), static_cast<void>(batch), static_cast<void>(current);
  }
  virtual void OnRecord(const ReadRecord& record) { static_cast<void>(record); }  // every other kind
  virtual void OnConfirmed(const StreamPlace& place, const SequenceRange& range) {
    static_cast<void>(place), static_cast<void>(range);
  }
  virtual void OnMissing(const StreamPlace& place, const SequenceRange& range) {
    static_cast<void>(place), static_cast<void>(range);
  }
  virtual void OnDuplicate(const StreamPlace& place, uint64_t sequence) {
    static_cast<void>(place), static_cast<void>(sequence);
  }
  virtual void OnAlarm(const SecurityEvent& event) { static_cast<void>(event); }
  virtual void OnMembership(const MembershipChain& chain) { static_cast<void>(chain); }  // also at the start
  // About once a second: every stream as it stands.
  virtual void OnState(const std::vector<StreamStatus>& streams) { static_cast<void>(streams); }
  // Who has opened no stream yet under the keys of the newest epoch: once everything was read, and when it
  // changes.
  virtual void OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) {
    static_cast<void>(epoch), static_cast<void>(members);
  }
  virtual void OnConnection(bool connected, std::string_view why) {
    static_cast<void>(connected), static_cast<void>(why);
  }
};

struct WatchOptions {
  std::vector<MemberId> only;                        // what these members write; empty: everybody
  absl::Duration probe_interval = absl::Seconds(5);  // zero: no probes
  bool heads = true;                                 // an owner's head at the start and every hour
  // Remembers what is read for the next start, and keeps other sessions from doing so. A session that shows
  // only a part of what it reads must not: what it passed over would be shown to nobody.
  bool remember = true;
  // Reads all that the hop holds, as if for the first time, and remembers nothing.
  bool from_the_beginning = false;
  absl::Duration save_interval = absl::Seconds(5);
  ReaderLimits limits;
  BackoffOptions backoff{.initial = absl::Milliseconds(100), .max = absl::Seconds(2)};
};

// Thread-safe. While it runs its observer is told of the security events of the whole process, but for those
// that another session meets in what it reads.
class WatchSession final : private ReaderListener {
 public:
  // `engine` and `observer` must outlive it. FAILED_PRECONDITION: nothing was paired yet.
  static absl::StatusOr<std::unique_ptr<WatchSession>> Start(const Engine& engine, WatchObserver* observer,
                                                             const WatchOptions& options);
  ~WatchSession() override;  // Stop(), and what could not be saved is lost
  absl::Status Stop();       // and saves what was seen; idempotent

  // What was delivered and waits to be read: bounded, whatever a hop sends.
  size_t queued_bytes() const;
  static constexpr size_t kMaxQueuedBytes = 40 << 20;

  // False: not within `patience`. All topics as they stood when the connection was made.
  bool AwaitCaughtUp(absl::Duration patience);
  // Whether something waits for a commit that was not delivered yet.
  bool AwaitsCommit() const;
  // Until `done` says so, asked after everything that happened. Under the session's lock: `done` must not
  // call it.
  using StreamsDone = std::function<bool(const std::vector<StreamStatus>&)>;
  bool AwaitStreams(const StreamsDone& done, absl::Duration patience);

  std::vector<StreamStatus> Streams() const;
  std::optional<Reader::SenderWord> LastWord(const MemberId& sender) const;
  uint64_t epoch() const;
  void ProbeNow();
  bool connected() const {
    return data_.subscriber->GetStats().connected || keyring_.subscriber->GetStats().connected;
  }
  std::map<std::string, uint64_t> AlarmCounts() const;  // of this session

 private:
  // Names the session whose lock this thread holds: security events reported meanwhile are its own.
  class Section {
   public:
    explicit Section(WatchSession* session) : before_(current) { current = session; }
    ~Section() { current = before_; }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;
    static thread_local WatchSession* current;

   private:
    WatchSession* const before_;
  };
  struct TopicState {
    ReaderMemory::Position safe;  // nothing before it is held back
    LogId log;
    uint64_t next = 0;
    bool fresh = true;  // nothing has come on this connection
    bool changed_log = false;
    bool caught_up = false;
  };
  WatchSession(const Engine& engine, WatchObserver* observer, const WatchOptions& options, Member member,
               ReaderMemory memory);
  absl::Status Begin();

  // One subscription, held up while what it delivered is not worked off.
  struct Lane {
    std::unique_ptr<Subscriber> subscriber;
    size_t queued = 0;  // under queue_mutex_, as the next
    bool paused = false;
  };
  // THREAD: gRPC's.
  SubscriberCallbacks CallbacksFor(Lane& lane);
  void Enqueue(Lane& lane, const TopicBatch& batch);
  void Post(Lane& lane, std::function<void()> job, size_t bytes);

  // THREAD: the session's executor.
  void Take(const Topic& topic, const LogId& log, uint64_t first_offset, const std::vector<Payload>& groups)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeGroup(const Topic& topic, const Payload& payload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeRecords(const GroupView& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeEarly() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NewLog(const Topic& topic, const LogId& log) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CaughtUp(const Topic& topic) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MembershipChanged() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // THREAD: the session's timer.
  void RunTimer();
  void Beat(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Probe() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendHead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DeliverForeignAlarms() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  bool AllCaughtUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellWaiting(const std::vector<StreamStatus>& streams) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsCurrent(const StreamPlace& place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Status Save() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status DropExpiredKeys() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Remember() ABSL_LOCKS_EXCLUDED(mutex_);
  ReaderMemory Seen() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<Reader::SpentKey> DropSpentKeys() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Ring(const SecurityEvent& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnSecurityEvent(const SecurityEvent& event) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void CollectMetrics(MetricWriter& out) const;
  // ReaderListener: inside Reader's calls, under mutex_.
  void OnRecord(const ReadRecord& record) override ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void OnConfirmed(const StreamPlace& place,
                   const SequenceRange& range) override ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void OnMissing(const StreamPlace& place,
                 const SequenceRange& range) override ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void OnDuplicate(const StreamPlace& place, uint64_t sequence) override ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void OnAlarm(SecurityEventKind, const StreamPlace&, uint64_t, std::string_view) override {
  }  // OnSecurityEvent

  const Engine& engine_;
  WatchObserver* const observer_;
  const WatchOptions options_;
  const bool heads_;  // a guest has none to sign

  mutable absl::Mutex mutex_;
  mutable absl::CondVar changed_;
  Member member_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Reader> reader_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<KeyringInbox> inbox_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<KeyringPublisher> words_ ABSL_GUARDED_BY(mutex_);
  std::map<Topic, TopicState> topics_ ABSL_GUARDED_BY(mutex_);
  EarlyGroups early_ ABSL_GUARDED_BY(mutex_);
  WatchCounts counts_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> alarms_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> alarms_before_ ABSL_GUARDED_BY(mutex_);  // of earlier sessions
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  GroupHeaderCache headers_ ABSL_GUARDED_BY(mutex_);
  v1::ReadingBatch batch_ ABSL_GUARDED_BY(mutex_);  // reused: parsing then allocates nothing
  absl::Duration probe_at_ ABSL_GUARDED_BY(mutex_);
  absl::Duration head_at_ ABSL_GUARDED_BY(mutex_);
  absl::Duration save_at_ ABSL_GUARDED_BY(mutex_);
  absl::Duration state_at_ ABSL_GUARDED_BY(mutex_);
  bool probe_now_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool dirty_ ABSL_GUARDED_BY(mutex_) = false;
  bool connected_ ABSL_GUARDED_BY(mutex_) = false;

  // The last stream that was asked for, and what was said; forgotten whenever it may have changed.
  std::optional<StreamPlace> judged_ ABSL_GUARDED_BY(mutex_);
  bool judged_current_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<std::pair<uint64_t, std::vector<MemberId>>> told_waiting_ ABSL_GUARDED_BY(mutex_);

  mutable absl::Mutex queue_mutex_;
  std::vector<SecurityEvent> foreign_alarms_ ABSL_GUARDED_BY(queue_mutex_);

  std::unique_ptr<Executor> executor_;  // one thread: jobs in order
  Lane keyring_;
  Lane data_;
  std::thread timer_;
  std::optional<SecurityEventTap> tap_;
  std::optional<AppState::Lock> reading_;  // timer's and stopping thread, one after the other
  bool stopped_ = false;
  std::optional<MetricSource> metrics_;  // from the end of Begin to Stop
};

}  // namespace keystead::mobile
