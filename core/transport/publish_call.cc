#include "core/transport/publish_call.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"
#include "core/transport/group_event.h"
#include "core/transport/status_mapping.h"

namespace keystead {
namespace {

bool EndsCall(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
}

// In one response: with their sentences well below the least that a client takes as one message.
constexpr size_t kRefusalsPerResponse = 4096;
constexpr absl::Duration kToldWindow = absl::Seconds(10);
constexpr uint64_t kMaxUnreadAcknowledgements = 4096;  // requests, beyond what gRPC's window takes

}  // namespace

// One request on its way through the writer.
class PublishTask final : public storage::Task {
 public:
  struct Item {
    uint32_t index = 0;  // in the request
    Payload bytes;
    GroupView view;  // into bytes
  };

  PublishTask(std::shared_ptr<PublishCall> call, uint64_t request)
      : call_(std::move(call)), request_(request) {}
  ~PublishTask() override {
    if (!done_) call_->TaskDropped(bytes_);
  }

  void Add(Item item) {
    bytes_ += item.bytes->size();
    records_ += item.view.records().size();
    items_.push_back(std::move(item));
  }
  void RefuseMalformed(uint32_t index) {
    refusals_.push_back({request_, index, absl::StatusCode::kInvalidArgument});
    ++records_;  // junk counts against a rate as what it pretends to be
  }
  size_t group_bytes() const { return bytes_; }
  TaskLoad load() const { return {records_, bytes_}; }

  absl::Status Prepare(storage::Transaction& transaction) override {
    absl::Status status = DoPrepare(transaction);
    if (!status.ok() || !stopped_.ok())
      call_->ended_.store(true, std::memory_order_relaxed);  // what is queued behind must not overtake
    if (!status.ok()) call_->core_->log->Finish(changes_, status);
    return status;
  }

  void Done(const absl::Status& status) override {
    done_ = true;
    call_->core_->log->Finish(changes_, status);
    if (told_hop_) call_->core_->hop->Committed(*call_->principal_, stored_, status);
    if (status.ok()) {
      for (const SecurityEvent& conflict : conflicts_) Report(conflict);
    }
    items_.clear();
    stored_.clear();
    call_->TaskDone(status.ok() ? stopped_ : status, std::move(refusals_), bytes_);
  }

  size_t bytes() const override { return bytes_ + sizeof(*this) + items_.size() * sizeof(Item); }

 private:
  absl::Status DoPrepare(storage::Transaction& transaction) {
    if (call_->ended()) return absl::CancelledError("the call has ended");
    ServiceCore& core = *call_->core_;
    stored_.reserve(items_.size());
    for (const Item& item : items_) {
      KS_RETURN_IF_ERROR(Take(transaction, item));
      if (!stopped_.ok()) break;
    }
    const absl::Status status = core.hop->Stored(transaction, *call_->principal_, stored_);
    told_hop_ = status.ok();
    return status;
  }

  // When the hop is busy, the task stops here instead of being taken back: what it has stored stays, and is a
  // duplicate when the publisher sends the request again, which is not acknowledged. Taking it back would
  // fail every other task that has written to the same logs meanwhile.
  absl::Status Take(storage::Transaction& transaction, const Item& item) {
    ServiceCore& core = *call_->core_;
    const absl::StatusOr<uint32_t> tenant = core.hop->Admit(transaction, *call_->principal_, item.view);
    if (!tenant.ok()) {
      if (EndsCall(tenant.status())) {
        stopped_ = tenant.status();
        return absl::OkStatus();
      }
      RefuseRecords(item, tenant.status().code(), item.view.first_sequence(), item.view.last_sequence());
      return absl::OkStatus();
    }
    absl::StatusOr<AppendOutcome> outcome =
        core.log->Append(transaction, *tenant, item.view, item.bytes, call_->source_, changes_);
    if (absl::IsResourceExhausted(outcome.status())) {
      stopped_ = outcome.status();
      return absl::OkStatus();
    }
    if (!outcome.ok()) return outcome.status();
    for (const RefusedRecords& refused : outcome->refused) {
      RefuseRecords(item, absl::StatusCode::kAlreadyExists, refused.first_sequence, refused.last_sequence);
      conflicts_.push_back(ConflictAt(item.view, refused));
    }
    stored_.push_back({item.view.shared_header(), *std::move(outcome)});
    return absl::OkStatus();
  }

  void RefuseRecords(const Item& item, absl::StatusCode code, uint64_t first, uint64_t last) {
    refusals_.push_back({request_, item.index, code, first, last});
  }

  // An honest sender has one record for a place.
  SecurityEvent ConflictAt(const GroupView& group, const RefusedRecords& refused) const {
    SecurityEvent event = EventAt(SecurityEventKind::kConflict, group, call_->principal_->uri(),
                                  absl::StrCat("too many different records for one place; records ",
                                               refused.first_sequence, "..", refused.last_sequence));
    event.sequence = refused.first_sequence;
    return event;
  }

  const std::shared_ptr<PublishCall> call_;
  const uint64_t request_;
  std::vector<Item> items_;
  std::vector<GroupRefused> refusals_;
  std::vector<SecurityEvent> conflicts_;  // reported when what is refused is
  std::vector<StoredGroup> stored_;
  RecordLogChanges changes_;
  absl::Status stopped_;  // why the call ends behind what this task has stored
  size_t bytes_ = 0;
  uint64_t records_ = 0;
  bool told_hop_ = false;
  bool done_ = false;
};

PublishCall* PublishCall::Begin(std::shared_ptr<ServiceCore> core, grpc::CallbackServerContext& context) {
  auto call = std::make_shared<PublishCall>(std::move(core), context);
  call->self_ = call;
  Count(call->core_->counters.publish_calls);
  absl::StatusOr<std::shared_ptr<const Principal>> principal = call->core_->hop->Authenticate(context);
  if (!principal.ok()) {
    call->End(principal.status());
    return call.get();
  }
  call->principal_ = *std::move(principal);
  absl::StatusOr<Hop::Place> place = call->core_->hop->TakePlace(*call->principal_, nullptr);
  if (!place.ok()) {
    call->End(place.status());
    return call.get();
  }
  call->place_ = *std::move(place);
  call->source_ = call->core_->hop->SourceOf(*call->principal_);
  if (!call->core_->Register(call.get(), call, call->principal_, nullptr)) {
    call->End(absl::UnavailableError("stopping"));
    return call.get();
  }
  call->StartSendInitialMetadata();  // the publisher learns at once that it was let in
  call->StartRead(&call->request_);
  return call.get();
}

absl::StatusOr<std::unique_ptr<PublishTask>> PublishCall::TakeRequest() {
  auto groups = ParsePublishRequest(request_);
  request_.Clear();  // an idle call must not hold on to its last message
  if (!groups.ok()) {
    ReportMalformed(1, groups.status());
    return groups.status();
  }
  auto task = std::make_unique<PublishTask>(shared_from_this(), ++requests_read_);
  Count(core_->counters.requests);
  Count(core_->counters.groups_in, groups->size());
  uint64_t malformed = 0;
  absl::Status why;  // of the first
  for (uint32_t index = 0; index < groups->size(); ++index) {
    storage::Payload& bytes = (*groups)[index];
    absl::StatusOr<GroupView> view = GroupView::Parse(*bytes, headers_);
    if (view.ok()) {
      task->Add({index, std::move(bytes), *std::move(view)});
      continue;
    }
    if (++malformed == 1) why = view.status();
    task->RefuseMalformed(index);
  }
  if (malformed > 0) ReportMalformed(malformed, why);
  return task;
}

// One event for a request, however many groups it spoils.
void PublishCall::ReportMalformed(uint64_t groups, const absl::Status& why) {
  Report({.kind = SecurityEventKind::kMalformed,
          .tenant = principal_->tenant().str(),
          .peer = principal_->uri(),
          .detail = std::string(why.message()),
          .count = groups});
}

// One device that sends far more than devices do takes nobody's place, and whoever runs the hop wants to
// know.
void PublishCall::TellIfMuch(size_t bytes) {
  const size_t limit = core_->options.told_bytes_per_second;
  if (limit == 0 || principal_->role() != Role::kDevice) return;
  const absl::Duration now = Clock::System().Uptime();
  if (now - told_since_ >= kToldWindow) {
    told_since_ = now;
    told_bytes_ = 0;
    told_ = false;
  }
  told_bytes_ += bytes;
  if (told_ || told_bytes_ <= limit * static_cast<size_t>(absl::ToInt64Seconds(kToldWindow))) return;
  told_ = true;
  Log(LogLevel::kWarning, "device_sends_much",
      {{"peer", principal_->uri()},
       {"bytes", told_bytes_},
       {"milliseconds", absl::ToInt64Milliseconds(now - told_since_)}});
}

void PublishCall::OnReadDone(bool ok) {
  Next next = Next::kNothing;
  if (!ok) {
    {
      absl::MutexLock lock(&mutex_);
      reads_done_ = true;
      next = NextLocked();
    }
    Do(next);
    return;
  }
  const Stopwatch since = Stopwatch::Start();
  if (absl::Status status = core_->hop->CheckStillValid(*principal_); !status.ok()) return End(status);
  absl::StatusOr<std::unique_ptr<PublishTask>> task = TakeRequest();
  if (!task.ok()) return End(task.status());
  {
    absl::MutexLock lock(&mutex_);
    ++queued_requests_;
    queued_bytes_ += (*task)->group_bytes();
    if (since.running()) unacknowledged_.push_back(since);
  }
  const TaskLoad load = (*task)->load();
  TellIfMuch(load.bytes);
  {
    absl::MutexLock lock(&mutex_);
    submitting_ = true;
  }
  const absl::Status taken = core_->hop->Submit(*principal_, *std::move(task), load);
  bool dropped = false;
  {
    absl::MutexLock lock(&mutex_);
    submitting_ = false;
    dropped = dropped_;
  }
  if (!taken.ok()) return End(taken);
  if (dropped) return End(absl::UnavailableError("task dropped"));
  bool read = false;
  {
    absl::MutexLock lock(&mutex_);
    read = !ending_ && HasRoomLocked();
    paused_ = !read && !ending_;
  }
  if (read) StartRead(&request_);
}

bool PublishCall::HasRoomLocked() const {
  return queued_requests_ < core_->options.max_requests_per_call &&
         durable_ - acknowledged_ < kMaxUnreadAcknowledgements &&  // of a publisher that does not read them
         queued_bytes_ < core_->options.max_bytes_per_call &&
         refusals_.size() < core_->options.max_refusals_per_call;
}

bool PublishCall::ResumeLocked() {
  if (!paused_ || ending_ || !HasRoomLocked()) return false;
  paused_ = false;
  starting_read_ = true;  // holds Finish back: the stream must be there when the read starts
  return true;
}

// Its records are not durable, so the call cannot go on. Why, the hop says if it is being asked.
void PublishCall::TaskDropped(size_t bytes) {
  ended_.store(true, std::memory_order_relaxed);
  Next next = Next::kNothing;
  bool end = false;
  {
    absl::MutexLock lock(&mutex_);
    --queued_requests_;
    queued_bytes_ -= bytes;
    dropped_ = true;
    end = !submitting_;
    next = NextLocked();
  }
  Do(next);
  if (end) End(absl::UnavailableError("task dropped"));
}

void PublishCall::TaskDone(const absl::Status& status, std::vector<GroupRefused> refusals, size_t bytes) {
  if (!status.ok()) {
    ended_.store(true, std::memory_order_relaxed);
    End(status);
  }
  bool read = false;
  Next next = Next::kNothing;
  {
    absl::MutexLock lock(&mutex_);
    --queued_requests_;
    queued_bytes_ -= bytes;
    if (status.ok() && !ending_) {
      ++durable_;
      Count(core_->counters.refusals, refusals.size());
      for (const GroupRefused& refused : refusals)
        Count(core_->counters.refusals_by_code.at(static_cast<size_t>(refused.code)));
      refusals_.insert(refusals_.end(), refusals.begin(), refusals.end());
      read = ResumeLocked();
      ScheduleFlush();
    }
    next = NextLocked();
  }
  Go(next, read);
}

void PublishCall::Go(Next next, bool read) {
  Do(next);
  if (!read) return;
  StartRead(&request_);
  {
    absl::MutexLock lock(&mutex_);
    starting_read_ = false;
    next = NextLocked();
  }
  Do(next);
}

// Writing costs a system call and encryption: not on the writer's thread. Until the executor gets to it,
// further tasks are done, and one acknowledgement covers them all.
void PublishCall::ScheduleFlush() {
  if (writing_) return;
  writing_ = true;
  core_->executor->Post(principal_->tenant().str(), [self = shared_from_this()] { self->Flush(); });
}

// THREAD: the executor, and gRPC's after a write.
void PublishCall::Flush() {
  bool read = false;
  Next next = Next::kNothing;
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    next = NextLocked();
    read = ResumeLocked();
  }
  Go(next, read);
}

// A request counts as durable for the publisher when it has been told all that was refused of it.
void PublishCall::FillResponseLocked() {
  const auto taken =
      refusals_.begin() + static_cast<ptrdiff_t>(std::min(refusals_.size(), kRefusalsPerResponse));
  const std::vector<GroupRefused> telling(refusals_.begin(), taken);
  refusals_.erase(refusals_.begin(), taken);
  if (refusals_.empty()) refusals_.shrink_to_fit();
  const uint64_t before = acknowledged_;
  acknowledged_ = refusals_.empty() ? durable_ : refusals_.front().request - 1;
  for (uint64_t i = before; i < acknowledged_ && !unacknowledged_.empty(); ++i) {
    unacknowledged_.front().ObserveIn(core_->acknowledged);
    unacknowledged_.pop_front();
  }
  response_ = EncodePublishResponse(acknowledged_, telling);
}

PublishCall::Next PublishCall::NextLocked() {
  if (finished_ || writing_ || cancelling_) return Next::kNothing;
  if (!ending_ && (durable_ > acknowledged_ || !refusals_.empty())) {
    FillResponseLocked();
    writing_ = true;
    return Next::kWrite;
  }
  if (starting_read_) return Next::kNothing;
  if (ending_ || (reads_done_ && queued_requests_ == 0)) {
    finished_ = true;
    ended_.store(true, std::memory_order_relaxed);
    return Next::kFinish;
  }
  return Next::kNothing;
}

void PublishCall::Do(Next next) {
  if (next == Next::kWrite) {
    Count(core_->counters.acks);
    StartWrite(&response_);
  } else if (next == Next::kFinish) {
    absl::Status status;
    {
      absl::MutexLock lock(&mutex_);
      status = end_status_;
    }
    Finish(ToPeer(status, "publish_ended"));
  }
}

void PublishCall::OnWriteDone(bool ok) {
  if (!ok) {
    ended_.store(true, std::memory_order_relaxed);
    absl::MutexLock lock(&mutex_);
    if (!ending_) {
      ending_ = true;
      end_status_ = absl::CancelledError("the peer has gone");
    }
  }
  Flush();
}

void PublishCall::End(const absl::Status& status) {
  ended_.store(true, std::memory_order_relaxed);
  Next next = Next::kNothing;
  {
    absl::MutexLock lock(&mutex_);
    if (!ending_) {
      ending_ = true;
      end_status_ = status;
      if (writing_ && !finished_) {
        unread_.Set(core_->options.end_grace, [self = shared_from_this()](bool ok) {
          if (ok) self->CancelUnread();
        });
      }
    }
    next = NextLocked();
  }
  Do(next);
}

// THREAD: gRPC's timers. A peer that does not read its acknowledgement must not keep a call that has ended.
// It sees CANCELLED instead of the status.
void PublishCall::CancelUnread() {
  Next next = Next::kNothing;
  {
    absl::MutexLock lock(&mutex_);
    if (finished_ || !writing_) return;
    cancelling_ = true;  // holds Finish back, and with it the context alive
  }
  context_.TryCancel();
  {
    absl::MutexLock lock(&mutex_);
    cancelling_ = false;
    next = NextLocked();
  }
  Do(next);
}

void PublishCall::OnCancel() { End(absl::CancelledError("cancelled")); }

void PublishCall::OnDone() {
  core_->Unregister(this);
  place_.reset();
  core_->counters.publish_calls.fetch_sub(1, std::memory_order_relaxed);
  {
    absl::MutexLock lock(&mutex_);
    unread_.Cancel();
  }
  self_.reset();  // tasks under way may keep it a little longer
}

}  // namespace keystead
