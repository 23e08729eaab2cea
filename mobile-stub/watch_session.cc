#include "mobile-stub/watch_session.h"

#include <algorithm>

#include "core/observe/log.h"
#include "mobile-stub/members.h"

namespace keystead::mobile {
namespace {

constexpr size_t kPauseAbove = 16 << 20;  // queued, of each subscription
constexpr size_t kResumeBelow = 8 << 20;
// What a job and a group cost beside their bytes: also many empty ones fill a queue.
constexpr size_t kJobCost = 512;
constexpr size_t kGroupCost = 128;
constexpr size_t kMaxForeignAlarms = 1024;
constexpr absl::Duration kBeat = absl::Milliseconds(200);
constexpr absl::Duration kHeadEvery = absl::Hours(1);

StreamPlace PlaceOf(const GroupHeader& header) {
  return {header.tenant, header.instantiation, header.topic, header.sender, header.epoch, header.stream};
}

}  // namespace

thread_local WatchSession* WatchSession::Section::current = nullptr;

absl::StatusOr<std::unique_ptr<WatchSession>> WatchSession::Start(const Engine& engine,
                                                                  WatchObserver* observer,
                                                                  const WatchOptions& options) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  KS_ASSIGN_OR_RETURN(Member member, engine.state().LoadMember());
  if (member.chain().empty())
    return absl::FailedPreconditionError("nothing was paired yet: run 'pair' first");
  std::optional<AppState::Lock> reading;
  if (options.remember && !options.from_the_beginning) {
    absl::StatusOr<AppState::Lock> lock = engine.state().LockReading();
    if (lock.ok()) reading = *std::move(lock);
  }
  ReaderMemory memory;
  if (!options.from_the_beginning) {
    KS_ASSIGN_OR_RETURN(memory, engine.state().LoadReaderMemory());
  }
  std::unique_ptr<WatchSession> session(
      new WatchSession(engine, observer, options, std::move(member), std::move(memory)));
  session->reading_ = std::move(reading);
  KS_RETURN_IF_ERROR(session->Begin());
  return session;
}

WatchSession::WatchSession(const Engine& engine, WatchObserver* observer, const WatchOptions& options,
                           Member member, ReaderMemory memory)
    : engine_(engine),
      observer_(observer),
      options_(options),
      heads_(options.heads && engine.state().HasOwner()),
      member_(std::move(member)),
      alarms_before_(std::move(memory.alarms)),
      generation_(memory.generation),
      executor_(std::make_unique<Executor>(1)) {
  reader_ = std::make_unique<Reader>(member_.identity().self, options.limits, &member_.ring(),
                                     &member_.chain(), &engine.clock(), static_cast<ReaderListener*>(this));
  if (!memory.snapshot.empty()) {
    if (const absl::Status s = reader_->Restore(memory.snapshot); !s.ok()) {
      Log(LogLevel::kWarning, "reader_memory_lost", {{"reason", Std(s.message())}});
    }
  }
  for (const auto& [topic, at] : memory.positions) {
    TopicState& state = topics_[topic];
    state.safe = at;
    state.log = at.log;
    state.next = at.next;
  }
  inbox_ = std::make_unique<KeyringInbox>(
      engine, &member_,
      KeyringInbox::Events{.after_change = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { MembershipChanged(); },
                           .on_duplicate = [this](const StreamPlace& place,
                                                  uint64_t sequence) { OnDuplicate(place, sequence); }});
}

absl::Status WatchSession::Begin() {
  SubscriberOptions options;
  options.backoff = options_.backoff;
  {
    absl::MutexLock lock(&mutex_);
    options.tenant = member_.identity().tenant;
    options.instantiation = member_.identity().id;
    words_ = std::make_unique<KeyringPublisher>(engine_.channel(), &engine_.random(), options_.backoff);
  }
  // Two calls: while the roster changes, the hop may refuse the topics of one, but never keyring.
  keyring_.subscriber = std::make_unique<Subscriber>(engine_.channel(), CallbacksFor(keyring_), options);
  data_.subscriber = std::make_unique<Subscriber>(engine_.channel(), CallbacksFor(data_), options);
  tap_.emplace([this](const SecurityEvent& event) { OnSecurityEvent(event); });
  {
    absl::MutexLock lock(&mutex_);
    const Section section(this);
    const TopicState& keyring = topics_[Topic::Keyring()];
    KS_RETURN_IF_ERROR(keyring_.subscriber->Add({{Topic::Keyring(), keyring.log, keyring.next}}));
    MembershipChanged();
    Beat(engine_.clock().Uptime());
  }
  keyring_.subscriber->Start();
  data_.subscriber->Start();
  timer_ = std::thread([this] { RunTimer(); });
  metrics_.emplace([this](MetricWriter& out) { CollectMetrics(out); });
  return absl::OkStatus();
}

WatchSession::~WatchSession() {
  if (const absl::Status s = Stop(); !s.ok()) {
    Log(LogLevel::kError, "reader_memory_not_saved", {{"reason", Std(s.message())}});
  }
}

absl::Status WatchSession::Stop() {
  if (stopped_) return absl::OkStatus();
  stopped_ = true;
  metrics_.reset();
  for (Lane* lane : {&data_, &keyring_}) {
    if (lane->subscriber != nullptr) lane->subscriber->Stop();
  }
  executor_->Drain();
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (timer_.joinable()) timer_.join();
  const absl::Status saved = Save();
  reading_.reset();
  tap_.reset();
  absl::MutexLock lock(&mutex_);
  words_->Stop();
  return saved;
}

// From the hop
// ------------------------------------------------------------------------------------------------------------

SubscriberCallbacks WatchSession::CallbacksFor(Lane& lane) {
  SubscriberCallbacks on;
  on.on_entries = [this, &lane](const TopicBatch& batch) { Enqueue(lane, batch); };
  on.on_log = [this, &lane](const Topic& topic, const LogId& log, uint64_t) {
    Post(
        lane, [this, topic, log]() ABSL_NO_THREAD_SAFETY_ANALYSIS { NewLog(topic, log); }, 0);
  };
  on.on_caught_up = [this, &lane](const Topic& topic) {
    Post(
        lane, [this, topic]() ABSL_NO_THREAD_SAFETY_ANALYSIS { CaughtUp(topic); }, 0);
  };
  on.on_disconnected = [this, &lane](const absl::Status& why) {
    Post(
        lane,
        [this, text = std::string(why.message())]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
          connected_ = false;
          observer_->OnConnection(false, text);
        },
        why.message().size());
  };
  return on;
}

void WatchSession::Enqueue(Lane& lane, const TopicBatch& batch) {
  size_t bytes = 0;
  for (const Payload& group : batch.groups) bytes += group->size() + kGroupCost;
  std::vector<Payload> groups(batch.groups.begin(), batch.groups.end());
  Post(
      lane,
      [this, topic = batch.topic, log = batch.log_id, first = batch.first_offset,
       groups = std::move(groups)]() ABSL_NO_THREAD_SAFETY_ANALYSIS { Take(topic, log, first, groups); },
      bytes);
}

// Held up from the first message that is too much: what was delivered is bounded by one message more.
void WatchSession::Post(Lane& lane, std::function<void()> job, size_t bytes) {
  const size_t cost = bytes + kJobCost;
  {
    absl::MutexLock lock(&queue_mutex_);
    lane.queued += cost;
    if (!lane.paused && lane.queued > kPauseAbove) {
      lane.paused = true;
      lane.subscriber->Pause();  // under the lock: never after the Resume that belongs to it
    }
  }
  executor_->Post([this, &lane, job = std::move(job), cost] {
    {
      absl::MutexLock lock(&mutex_);
      const Section section(this);
      job();
      changed_.SignalAll();
    }
    bool resume = false;
    {
      absl::MutexLock lock(&queue_mutex_);
      lane.queued -= cost;
      resume = lane.paused && lane.queued < kResumeBelow;
      if (resume) lane.paused = false;
    }
    if (resume) lane.subscriber->Resume();
  });
}

size_t WatchSession::queued_bytes() const {
  absl::MutexLock lock(&queue_mutex_);
  return keyring_.queued + data_.queued;
}

void WatchSession::NewLog(const Topic& topic, const LogId& log) {
  TopicState& state = topics_[topic];
  state.fresh = true;
  state.changed_log = state.log != log;
  if (state.changed_log) state.next = 0;
  state.log = log;
  if (!connected_) observer_->OnConnection(true, "");
  connected_ = true;
}

void WatchSession::Take(const Topic& topic, const LogId& log, uint64_t first_offset,
                        const std::vector<Payload>& groups) {
  TopicState& state = topics_[topic];
  // From the first entry: another log, or the same one put back to an earlier state.
  if (state.fresh && (state.changed_log || first_offset < state.next)) reader_->BeginPass(topic);
  state.fresh = false;
  state.changed_log = false;
  state.log = log;
  for (const Payload& payload : groups) TakeGroup(topic, payload);
  state.next = first_offset + groups.size();
  dirty_ = true;
}

void WatchSession::TakeGroup(const Topic& topic, const Payload& payload) {
  const absl::StatusOr<GroupView> group = GroupView::Parse(*payload, headers_);
  if (!group.ok()) {
    Report({.kind = SecurityEventKind::kMalformed,
            .tenant = member_.identity().tenant.str(),
            .instantiation = member_.identity().id.ToHex(),
            .topic = topic.str(),
            .detail = "the hop delivered a group that does not parse"});
    return;
  }
  const uint64_t epoch = group->header().epoch;
  const bool early = group->header().topic.is_sealed() && epoch > member_.chain().epoch();
  if (early && early_.Hold(topic, epoch, payload, engine_.clock().Uptime())) return;
  TakeRecords(*group);
}

void WatchSession::TakeRecords(const GroupView& group) {
  const StreamPlace place = PlaceOf(group.header());
  for (const RecordView& record : group.records()) {
    if (place.topic == Topic::Keyring()) {
      inbox_->Take(place, record.sequence, record.cose);
    } else {
      reader_->Accept(place, record.sequence, record.cose);
    }
  }
}

void WatchSession::TakeEarly() {
  for (const EarlyGroups::Group& group : early_.Release(member_.chain().epoch(), engine_.clock().Uptime())) {
    const absl::StatusOr<GroupView> view = GroupView::Parse(*group.bytes, headers_);
    if (view.ok()) TakeRecords(*view);  // it parsed before
    dirty_ = true;
  }
}

void WatchSession::CaughtUp(const Topic& topic) {
  TopicState& state = topics_[topic];
  if (state.fresh && state.changed_log) reader_->BeginPass(topic);  // the new log is empty
  state.fresh = false;
  state.changed_log = false;
  state.caught_up = true;
  if (topic.is_sealed()) reader_->CaughtUp(topic);
}

void WatchSession::MembershipChanged() {
  judged_.reset();
  reader_->MembershipChanged();
  TakeEarly();
  std::vector<SubscriberTopic> wanted;
  for (const Topic& topic :
       ReadableTopics(member_.chain(), member_.identity().self, limits::kMaxTopicsPerSubscription)) {
    if (!options_.only.empty() && std::ranges::find(options_.only, topic.member()) == options_.only.end()) {
      continue;
    }
    const TopicState& state = topics_[topic];
    wanted.push_back({topic, state.log, state.next});
  }
  if (const absl::Status s = data_.subscriber->Add(std::move(wanted)); !s.ok()) {
    Log(LogLevel::kWarning, "too_many_topics", {{"reason", Std(s.message())}});
  }
  head_at_ = absl::ZeroDuration();  // tell everybody which commit is the newest
  observer_->OnMembership(member_.chain());
}

// In time
// ------------------------------------------------------------------------------------------------------------

void WatchSession::RunTimer() {
  while (true) {
    bool save = false;
    {
      absl::MutexLock lock(&mutex_);
      if (!stopping_ && !probe_now_) changed_.WaitWithTimeout(&mutex_, kBeat);
      if (stopping_) return;
      const Section section(this);
      const absl::Duration now = engine_.clock().Uptime();
      Beat(now);
      save = dirty_ && now >= save_at_ && options_.remember;
      if (save) save_at_ = now + options_.save_interval;
    }
    if (!save) continue;
    if (const absl::Status s = Save(); !s.ok()) {
      Log(LogLevel::kError, "reader_memory_not_saved", {{"reason", Std(s.message())}});
    }
  }
}

void WatchSession::Beat(absl::Duration now) {
  DeliverForeignAlarms();
  TakeEarly();
  const bool probing = options_.probe_interval > absl::ZeroDuration();
  if (probe_now_ || (probing && now >= probe_at_)) Probe();
  if (heads_ && now >= head_at_) SendHead();
  if (now < state_at_) return;
  state_at_ = now + absl::Seconds(1);
  reader_->Tick();
  judged_.reset();
  const std::vector<StreamStatus> streams = reader_->Status();
  observer_->OnState(streams);
  TellWaiting(streams);
  changed_.SignalAll();
}

void WatchSession::Probe() {
  probe_now_ = false;
  probe_at_ = engine_.clock().Uptime() + options_.probe_interval;
  if (!member_.belongs()) return;
  const absl::Status sent = words_->SendProbe(member_, reader_->NewProbe(engine_.random()));
  if (!sent.ok()) Log(LogLevel::kInfo, "probe_not_sent", {{"reason", Std(sent.message())}});
}

void WatchSession::SendHead() {
  head_at_ = engine_.clock().Uptime() + kHeadEvery;
  if (!member_.belongs()) return;
  absl::StatusOr<uint64_t> hseq = engine_.state().NextHeadSequence();
  absl::Status sent = hseq.status();
  if (hseq.ok()) sent = words_->SendHead(member_, *hseq, absl::ToUnixSeconds(engine_.clock().Now()));
  if (!sent.ok()) Log(LogLevel::kWarning, "head_not_sent", {{"reason", Std(sent.message())}});
}

void WatchSession::ProbeNow() {
  absl::MutexLock lock(&mutex_);
  probe_now_ = true;
  changed_.SignalAll();
}

// To the observer
// ------------------------------------------------------------------------------------------------------------

void WatchSession::OnRecord(const ReadRecord& record) {
  if (record.kind != kinds::kReadings && record.kind != kinds::kReport) {
    judged_.reset();  // an opening, or an echo, may have made another stream the newest
    return observer_->OnRecord(record);
  }
  const bool parsed = batch_.ParseFromArray(record.body.data(), static_cast<int>(record.body.size()));
  if (parsed && static_cast<size_t>(batch_.readings_size()) <= limits::kMaxReadingsPerBatch) {
    counts_.readings += static_cast<uint64_t>(batch_.readings_size());
    return observer_->OnReadings(record, batch_, IsCurrent(*record.place));
  }
  Report({.kind = parsed ? SecurityEventKind::kLimitExceeded : SecurityEventKind::kMalformed,
          .tenant = record.place->tenant.str(),
          .instantiation = record.place->id.ToHex(),
          .topic = record.place->topic.str(),
          .sender = record.place->sender.ToHex(),
          .stream = record.place->stream.ToHex(),
          .epoch = record.place->epoch,
          .sequence = record.sequence,
          .detail = "readings that do not parse, or too many in one record"});
}

void WatchSession::OnConfirmed(const StreamPlace& place, const SequenceRange& range) {
  counts_.confirmed += range.last - range.first + 1;
  observer_->OnConfirmed(place, range);
}
void WatchSession::OnMissing(const StreamPlace& place, const SequenceRange& range) {
  counts_.missing += range.last - range.first + 1;
  observer_->OnMissing(place, range);
}
void WatchSession::OnDuplicate(const StreamPlace& place, uint64_t sequence) {
  ++counts_.duplicates;
  observer_->OnDuplicate(place, sequence);
}

void WatchSession::OnSecurityEvent(const SecurityEvent& event) {
  if (Section::current == this) return Ring(event);
  if (Section::current != nullptr) return;  // another session's: its observer is told
  absl::MutexLock lock(&queue_mutex_);
  if (foreign_alarms_.size() < kMaxForeignAlarms) foreign_alarms_.push_back(event);
}

void WatchSession::DeliverForeignAlarms() {
  std::vector<SecurityEvent> events;
  {
    absl::MutexLock lock(&queue_mutex_);
    events.swap(foreign_alarms_);
  }
  for (const SecurityEvent& event : events) Ring(event);
}

void WatchSession::Ring(const SecurityEvent& event) {
  ++alarms_[std::string(SecurityEventName(event.kind))];
  dirty_ = true;
  observer_->OnAlarm(event);
}

// THREAD: the one that scrapes.
void WatchSession::CollectMetrics(MetricWriter& out) const {
  absl::MutexLock lock(&mutex_);
  WriteWatchMetrics(reader_->totals(), counts_, reader_->Status(), engine_.clock().Uptime(), connected_, out);
}

// Asked from outside
// ------------------------------------------------------------------------------------------------------------

bool WatchSession::AwaitCaughtUp(absl::Duration patience) {
  return AwaitStreams([this](const std::vector<StreamStatus>&)
                          ABSL_NO_THREAD_SAFETY_ANALYSIS { return AllCaughtUp(); },
                      patience);
}

bool WatchSession::AllCaughtUp() {
  if (!topics_[Topic::Keyring()].caught_up || !early_.empty()) return false;
  for (const SubscriberTopic& topic : data_.subscriber->Positions()) {
    if (!topics_[topic.topic].caught_up) return false;
  }
  return true;
}

bool WatchSession::IsCurrent(const StreamPlace& place) {
  if (!judged_.has_value() || judged_->stream != place.stream || judged_->sender != place.sender ||
      judged_->topic != place.topic) {
    judged_ = place;
    judged_current_ = reader_->IsCurrent(place);
  }
  return judged_current_;
}

void WatchSession::TellWaiting(const std::vector<StreamStatus>& streams) {
  if (!AllCaughtUp()) return;
  std::pair waiting(member_.chain().epoch(),
                    NotYetUnderNewKeys(member_.chain(), member_.identity().self, streams));
  if (told_waiting_ == waiting) return;
  observer_->OnWaiting(waiting.first, waiting.second);
  told_waiting_ = std::move(waiting);
}

bool WatchSession::AwaitStreams(const StreamsDone& done, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  absl::MutexLock lock(&mutex_);
  while (!done(reader_->Status())) {
    if (changed_.WaitWithDeadline(&mutex_, deadline)) return done(reader_->Status());
  }
  return true;
}

bool WatchSession::AwaitsCommit() const {
  absl::MutexLock lock(&mutex_);
  return !early_.empty();
}

std::vector<StreamStatus> WatchSession::Streams() const {
  absl::MutexLock lock(&mutex_);
  return reader_->Status();
}

std::optional<Reader::SenderWord> WatchSession::LastWord(const MemberId& sender) const {
  absl::MutexLock lock(&mutex_);
  return reader_->LastWord(sender);
}

uint64_t WatchSession::epoch() const {
  absl::MutexLock lock(&mutex_);
  return member_.chain().epoch();
}

std::map<std::string, uint64_t> WatchSession::AlarmCounts() const {
  absl::MutexLock lock(&mutex_);
  return alarms_;
}

}  // namespace keystead::mobile
