#include "core/transport/subscribe_call.h"

#include <algorithm>
#include <utility>

#include "core/base/status.h"
#include "core/transport/status_mapping.h"

namespace keystead {

// The question whether the peer may read, asked in the single writer's order, so that a change of the roster
// comes either before it or ends the call.
class SubscribeTask final : public storage::Task {
 public:
  explicit SubscribeTask(std::shared_ptr<SubscribeCall> call) : call_(std::move(call)) {}
  ~SubscribeTask() override {
    if (!done_) call_->End(absl::UnavailableError("task dropped"));
  }

  absl::Status Prepare(storage::Transaction& transaction) override {
    absl::Status status = DoPrepare(transaction);
    if (!status.ok()) call_->core_->log->Finish(changes_, status);
    return status;
  }
  void Done(const absl::Status& status) override {
    done_ = true;
    call_->core_->log->Finish(changes_, status);
    call_->Admitted(status, std::move(logs_));
  }
  size_t bytes() const override { return sizeof(*this) + call_->demand_.topics.size() * sizeof(Topic); }
  // Without power a topic that was only looked at is made again under another log id, and nothing is lost.
  storage::Durability durability() const override { return storage::Durability::kBuffered; }

 private:
  absl::Status DoPrepare(storage::Transaction& transaction) {
    ServiceCore& core = *call_->core_;
    const SubscribeDemand& demand = call_->demand_;
    KS_ASSIGN_OR_RETURN(const uint32_t tenant,
                        core.hop->AdmitSubscribe(transaction, *call_->principal_, demand));
    logs_.reserve(demand.topics.size());
    for (const Topic& topic : demand.topics) {
      KS_ASSIGN_OR_RETURN(const TopicLog log,
                          core.log->OpenTopic(transaction, {tenant, demand.instantiation, topic}, changes_));
      logs_.push_back(log);
    }
    return absl::OkStatus();
  }

  const std::shared_ptr<SubscribeCall> call_;
  std::vector<TopicLog> logs_;
  RecordLogChanges changes_;
  bool done_ = false;
};

SubscribeCall* SubscribeCall::Begin(std::shared_ptr<ServiceCore> core, grpc::CallbackServerContext& context,
                                    const grpc::ByteBuffer& request) {
  auto call = std::make_shared<SubscribeCall>(std::move(core), context);
  call->self_ = call;
  Count(call->core_->counters.subscribe_calls);
  absl::StatusOr<std::shared_ptr<const Principal>> principal = call->core_->hop->Authenticate(context);
  if (!principal.ok()) {
    call->End(principal.status());
    return call.get();
  }
  call->principal_ = *std::move(principal);
  grpc::Slice bytes;
  absl::StatusOr<SubscribeWish> wish = absl::InvalidArgumentError("subscribe: not a request");
  if (request.DumpToSingleSlice(&bytes).ok())
    wish = ParseSubscribeRequest({reinterpret_cast<const char*>(bytes.begin()), bytes.size()});
  if (!wish.ok()) {
    call->End(wish.status());
    return call.get();
  }
  call->demand_ = std::move(wish->demand);
  call->asked_ = std::move(wish->positions);
  absl::StatusOr<Hop::Place> place = call->core_->hop->TakePlace(*call->principal_, &call->demand_);
  if (!place.ok()) {
    call->End(place.status());
    return call.get();
  }
  call->place_ = *std::move(place);
  if (!call->core_->Register(call.get(), call, call->principal_, &call->demand_)) {
    call->End(absl::UnavailableError("stopping"));
    return call.get();
  }
  absl::Status status =
      call->core_->hop->Submit(*call->principal_, std::make_unique<SubscribeTask>(call), {});
  if (!status.ok()) call->End(status);
  return call.get();
}

void SubscribeCall::Admitted(const absl::Status& status, std::vector<TopicLog> logs) {
  if (!status.ok()) return End(status);
  absl::MutexLock lock(&mutex_);
  if (ending_) return;
  topics_.resize(logs.size());
  for (size_t i = 0; i < logs.size(); ++i) topics_[i].log = logs[i];
  is_ready_.resize(logs.size());
  ends_.resize(logs.size());
  busy_ = true;
  core_->executor->Post(principal_->tenant().str(), [self = shared_from_this()] { self->StartTopics(); });
}

void SubscribeCall::StartTopics() {
  absl::Status status;
  for (uint32_t i = 0; i < topics_.size() && status.ok(); ++i) status = PlaceTopic(i);
  asked_ = {};
  if (status.ok()) return Pump();
  {
    absl::MutexLock lock(&mutex_);
    busy_ = false;
  }
  End(status);
  FinishIfIdle();
}

absl::Status SubscribeCall::PlaceTopic(uint32_t index) {
  TopicState& topic = topics_[index];
  const AskedPosition& asked = asked_[index];
  storage::LogStore& store = core_->log->store();
  topic.watcher = store.Watch(
      topic.log.ref, [self = shared_from_this(), index](uint64_t end) { self->Committed(index, end); });
  KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, store.GetBounds(topic.log.ref));
  topic.first_kept = bounds.first;
  topic.caught_up_at = bounds.end;
  // A position beyond the end is of a log that was put back to an earlier state: it is not this one's.
  const bool same_log = asked.log_id == topic.log.id && asked.next_offset <= bounds.end;
  if (same_log) {
    topic.next = std::max(asked.next_offset, bounds.first);
  } else if (asked.only_new && !asked.log_id.has_value()) {
    topic.next = bounds.end;
  } else {
    topic.next = bounds.first;
  }
  absl::MutexLock lock(&mutex_);
  ends_[index] = std::max(ends_[index], bounds.end);
  if (!is_ready_[index]) {
    is_ready_[index] = true;
    ready_.push_back(index);
  }
  return absl::OkStatus();
}

void SubscribeCall::Committed(uint32_t topic, uint64_t end) {
  absl::MutexLock lock(&mutex_);
  ends_[topic] = std::max(ends_[topic], end);
  if (!committed_since_.running()) committed_since_ = Stopwatch::Start();
  if (is_ready_[topic] || ending_) return;
  is_ready_[topic] = true;
  ready_.push_back(topic);
  PostPump();
}

void SubscribeCall::PostPump() {
  if (busy_ || ending_ || ready_.empty()) return;
  busy_ = true;
  core_->executor->Post(principal_->tenant().str(), [self = shared_from_this()] { self->Pump(); });
}

void SubscribeCall::Pump() {
  ResponseWriter message;
  {
    absl::MutexLock lock(&mutex_);
    message_since_ = std::exchange(committed_since_, Stopwatch());
  }
  absl::Status status = core_->hop->CheckStillValid(*principal_);
  if (status.ok()) status = FillMessage(message);
  bool write = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!status.ok() && !ending_) {
      ending_ = true;
      end_status_ = status;
    }
    write = !ending_ && !message.empty();
    if (!write) {
      busy_ = false;
      PostPump();
    }
  }
  if (!write) return FinishIfIdle();
  Count(core_->counters.messages_out);
  Count(core_->counters.groups_out, message.groups());
  Count(core_->counters.bytes_out, message.bytes());
  core_->hop->Sent(*principal_, message.groups(), message.bytes());
  message_ = message.Take();
  StartWrite(&message_);
}

absl::Status SubscribeCall::FillMessage(ResponseWriter& message) {
  const size_t limit = core_->options.response_bytes;
  while (message.bytes() < limit) {
    uint32_t index = 0;
    {
      absl::MutexLock lock(&mutex_);
      if (ready_.empty() || ending_) break;
      index = ready_.front();
      ready_.pop_front();
      is_ready_[index] = false;
    }
    bool more = false;
    KS_RETURN_IF_ERROR(FillTopic(index, message, more));
    if (!more) continue;
    absl::MutexLock lock(&mutex_);
    if (is_ready_[index]) continue;
    is_ready_[index] = true;
    ready_.push_back(index);
  }
  return absl::OkStatus();
}

absl::Status SubscribeCall::FillTopic(uint32_t index, ResponseWriter& message, bool& more) {
  TopicState& topic = topics_[index];
  uint64_t end = 0;
  {
    absl::MutexLock lock(&mutex_);
    end = ends_[index];
  }
  std::vector<storage::Entry> entries;
  if (topic.next < end) {
    const size_t room =
        core_->options.response_bytes - std::min(message.bytes(), core_->options.response_bytes);
    const storage::LogStore& store = core_->log->store();
    auto read = store.Read(topic.log.ref, topic.next, room);
    if (absl::IsNotFound(read.status())) {  // retention was faster than this reader
      KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, store.GetBounds(topic.log.ref));
      topic.next = std::max(topic.next, bounds.first);
      read = store.Read(topic.log.ref, topic.next, room);
    }
    if (!read.ok()) return read.status();
    entries = *std::move(read);
  }
  TopicEntriesFields fields;
  fields.topic = index;
  fields.first_offset = topic.next;
  fields.entries = entries;
  topic.next += entries.size();
  more = topic.next < end && !entries.empty();
  if (!topic.announced) {
    topic.announced = true;
    fields.log_id = AsChars(topic.log.id.view());
    fields.first_kept = topic.first_kept;
  }
  if (!topic.told_caught_up && topic.next >= topic.caught_up_at) {
    topic.told_caught_up = true;
    fields.caught_up = true;
  }
  if (!entries.empty() || fields.caught_up || !fields.log_id.empty()) message.Add(fields);
  return absl::OkStatus();
}

void SubscribeCall::OnWriteDone(bool ok) {
  if (ok) message_since_.ObserveIn(core_->delivered);
  {
    absl::MutexLock lock(&mutex_);
    busy_ = false;
    if (!ok && !ending_) {
      ending_ = true;
      end_status_ = absl::CancelledError("the peer has gone");
    }
    PostPump();
  }
  FinishIfIdle();
}

void SubscribeCall::FinishIfIdle() {
  absl::Status status;
  {
    absl::MutexLock lock(&mutex_);
    if (!ending_ || finished_ || busy_ || cancelling_) return;
    finished_ = true;
    status = end_status_;
  }
  Finish(ToPeer(status, "subscribe_ended"));
}

void SubscribeCall::End(const absl::Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    if (!ending_) {
      ending_ = true;
      end_status_ = status;
      if (busy_ && !finished_) {
        unread_.Set(core_->options.end_grace, [self = shared_from_this()](bool ok) {
          if (ok) self->CancelUnread();
        });
      }
    }
  }
  FinishIfIdle();
}

// THREAD: gRPC's timers. A peer that does not read must not keep a call that has ended. It sees CANCELLED
// instead of the status.
void SubscribeCall::CancelUnread() {
  {
    absl::MutexLock lock(&mutex_);
    if (finished_ || !busy_) return;
    cancelling_ = true;  // holds Finish back, and with it the context alive
  }
  context_.TryCancel();
  {
    absl::MutexLock lock(&mutex_);
    cancelling_ = false;
  }
  FinishIfIdle();
}

void SubscribeCall::OnCancel() { End(absl::CancelledError("cancelled")); }

void SubscribeCall::OnDone() {
  core_->Unregister(this);
  place_.reset();
  core_->counters.subscribe_calls.fetch_sub(1, std::memory_order_relaxed);
  // Watchers keep the call; going, they wait for a callback that runs, which takes our lock for a moment
  // only.
  {
    absl::MutexLock lock(&mutex_);
    unread_.Cancel();
  }
  std::vector<TopicState> topics = std::move(topics_);
  topics.clear();
  self_.reset();
}

}  // namespace keystead
