#include "core/transport/publish_call.h"

#include <utility>

#include "core/base/limits.h"
#include "core/observe/security_event.h"
#include "core/transport/status_mapping.h"

namespace keystead {
namespace {

bool EndsCall(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
}

v1::Refusal MakeRefusal(uint64_t request, uint32_t group, absl::StatusCode code) {
  v1::Refusal out;
  out.set_request(request);
  out.set_group(group);
  out.set_code(static_cast<int>(code));
  const std::string_view sentence = PublicSentence(code);
  out.set_reason(sentence.data(), sentence.size());
  return out;
}

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
    // Dropped on its way to the store: its records are not durable, so the call cannot go on.
    if (!done_) call_->TaskDone(absl::UnavailableError("task dropped"), {}, bytes_);
  }

  void Add(Item item) {
    bytes_ += item.bytes->size();
    items_.push_back(std::move(item));
  }
  void Refuse(v1::Refusal refusal) { refusals_.push_back(std::move(refusal)); }
  size_t group_bytes() const { return bytes_; }

  absl::Status Prepare(storage::Transaction& transaction) override {
    absl::Status status = DoPrepare(transaction);
    if (!status.ok()) {
      call_->ended_.store(true, std::memory_order_relaxed);  // what is queued behind must not overtake
      call_->core_->log->Finish(changes_, status);
    }
    return status;
  }

  void Done(const absl::Status& status) override {
    done_ = true;
    call_->core_->log->Finish(changes_, status);
    if (told_hop_) call_->core_->hop->Committed(stored_, status);
    items_.clear();
    stored_.clear();
    call_->TaskDone(status, std::move(refusals_), bytes_);
  }

  size_t bytes() const override { return bytes_ + sizeof(*this) + items_.size() * sizeof(Item); }

 private:
  absl::Status DoPrepare(storage::Transaction& transaction) {
    if (call_->ended()) return absl::CancelledError("the call has ended");
    ServiceCore& core = *call_->core_;
    stored_.reserve(items_.size());
    for (const Item& item : items_) {
      const absl::StatusOr<uint32_t> tenant = core.hop->Admit(transaction, *call_->principal_, item.view);
      if (!tenant.ok()) {
        if (EndsCall(tenant.status())) return tenant.status();
        RefuseRecords(item, tenant.status().code(), item.view.first_sequence(), item.view.last_sequence());
        continue;
      }
      absl::StatusOr<AppendOutcome> outcome =
          core.log->Append(transaction, *tenant, item.view, item.bytes, changes_);
      if (!outcome.ok()) return outcome.status();
      for (const RefusedRecords& refused : outcome->refused) {
        RefuseRecords(item, absl::StatusCode::kAlreadyExists, refused.first_sequence, refused.last_sequence);
      }
      stored_.push_back({item.view.shared_header(), *std::move(outcome)});
    }
    const absl::Status status = core.hop->Stored(transaction, *call_->principal_, stored_);
    told_hop_ = status.ok();
    return status;
  }

  void RefuseRecords(const Item& item, absl::StatusCode code, uint64_t first, uint64_t last) {
    v1::Refusal refusal = MakeRefusal(request_, item.index, code);
    refusal.set_first_sequence(first);
    refusal.set_last_sequence(last);
    refusals_.push_back(std::move(refusal));
  }

  const std::shared_ptr<PublishCall> call_;
  const uint64_t request_;
  std::vector<Item> items_;
  std::vector<v1::Refusal> refusals_;
  std::vector<StoredGroup> stored_;
  RecordLogChanges changes_;
  size_t bytes_ = 0;
  bool told_hop_ = false;
  bool done_ = false;
};

PublishCall* PublishCall::Begin(std::shared_ptr<ServiceCore> core,
                                const grpc::CallbackServerContext& context) {
  auto call = std::make_shared<PublishCall>(std::move(core));
  call->self_ = call;
  Count(call->core_->counters.publish_calls);
  absl::StatusOr<std::shared_ptr<const Principal>> principal = call->core_->hop->Authenticate(context);
  if (!principal.ok()) {
    call->End(principal.status());
    return call.get();
  }
  call->principal_ = *std::move(principal);
  if (!call->core_->Register(call.get(), call, call->principal_, nullptr)) {
    call->End(absl::UnavailableError("stopping"));
    return call.get();
  }
  call->StartSendInitialMetadata();  // the publisher learns at once that it was let in
  call->StartRead(&call->request_);
  return call.get();
}

std::unique_ptr<PublishTask> PublishCall::TakeRequest() {
  auto task = std::make_unique<PublishTask>(shared_from_this(), ++requests_read_);
  Count(core_->counters.requests);
  Count(core_->counters.groups_in, static_cast<uint64_t>(request_.groups_size()));
  for (int i = 0; i < request_.groups_size(); ++i) {
    const auto index = static_cast<uint32_t>(i);
    auto bytes = std::make_shared<const std::string>(std::move(*request_.mutable_groups(i)));
    absl::StatusOr<GroupView> view = GroupView::Parse(*bytes, headers_);
    if (view.ok()) {
      task->Add({index, std::move(bytes), *std::move(view)});
      continue;
    }
    Report({.kind = SecurityEventKind::kMalformed,
            .tenant = principal_->tenant().str(),
            .peer = principal_->uri(),
            .detail = std::string(view.status().message())});
    task->Refuse(MakeRefusal(requests_read_, index, absl::StatusCode::kInvalidArgument));
  }
  return task;
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
  if (absl::Status status = core_->hop->CheckStillValid(*principal_); !status.ok()) return End(status);
  if (static_cast<size_t>(request_.groups_size()) > limits::kMaxGroupsPerRequest)
    return End(absl::InvalidArgumentError("too many groups in a request"));
  std::unique_ptr<PublishTask> task = TakeRequest();
  {
    absl::MutexLock lock(&mutex_);
    ++queued_requests_;
    queued_bytes_ += task->group_bytes();
  }
  if (absl::Status status = core_->hop->Submit(*principal_, std::move(task)); !status.ok())
    return End(status);
  bool read = false;
  {
    absl::MutexLock lock(&mutex_);
    read = !ending_ && queued_requests_ < core_->options.max_requests_per_call &&
           queued_bytes_ < core_->options.max_bytes_per_call;
    paused_ = !read && !ending_;
  }
  if (read) StartRead(&request_);
}

void PublishCall::TaskDone(const absl::Status& status, std::vector<v1::Refusal> refusals, size_t bytes) {
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
      for (v1::Refusal& refusal : refusals) refusals_.push_back(std::move(refusal));
      if (paused_ && queued_bytes_ < core_->options.max_bytes_per_call) {
        paused_ = false;
        read = starting_read_ = true;  // holds Finish back: the stream must be there when the read starts
      }
      ScheduleFlush();
    }
    next = NextLocked();
  }
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
  core_->executor->Post([self = shared_from_this()] { self->Flush(); });
}

// THREAD: the executor, and gRPC's after a write.
void PublishCall::Flush() {
  Next next = Next::kNothing;
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    next = NextLocked();
  }
  Do(next);
}

PublishCall::Next PublishCall::NextLocked() {
  if (finished_ || writing_) return Next::kNothing;
  if (!ending_ && (durable_ > acknowledged_ || !refusals_.empty())) {
    response_.Clear();
    response_.set_durable_requests(durable_);
    acknowledged_ = durable_;
    for (v1::Refusal& refusal : refusals_) *response_.add_refusals() = std::move(refusal);
    refusals_.clear();
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
    }
    next = NextLocked();
  }
  Do(next);
}

void PublishCall::OnCancel() { End(absl::CancelledError("cancelled")); }

void PublishCall::OnDone() {
  core_->Unregister(this);
  core_->counters.publish_calls.fetch_sub(1, std::memory_order_relaxed);
  self_.reset();  // tasks under way may keep it a little longer
}

}  // namespace keystead
