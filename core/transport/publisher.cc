#include "core/transport/publisher.h"

#include <grpcpp/channel.h>
#include <utility>

#include "core/base/limits.h"
#include "core/transport/publisher_impl.h"

namespace keystead {

Publisher::Publisher(HopChannel channel, PublisherCallbacks callbacks, const PublisherOptions& options)
    : impl_(std::make_shared<Impl>(std::move(channel), std::move(callbacks), options)) {}
Publisher::~Publisher() { Stop(); }
void Publisher::Start() { impl_->Start(); }
void Publisher::Stop() { impl_->Stop(); }
absl::StatusOr<uint64_t> Publisher::Enqueue(Payload group) { return impl_->Enqueue(std::move(group)); }
Publisher::Stats Publisher::GetStats() const { return impl_->GetStats(); }

absl::StatusOr<uint64_t> Publisher::Impl::Enqueue(Payload group) {
  if (group == nullptr || group->empty() || group->size() > limits::kMaxGroupBytes)
    return absl::InvalidArgumentError("a group must have 1 to 1048576 bytes");
  uint64_t ticket = 0;
  Action action;
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return absl::FailedPreconditionError("the publisher has been stopped");
    if (buffered_bytes_ + group->size() > options_.max_buffer_bytes && !queue_.empty())
      return absl::ResourceExhaustedError("the publisher's buffer is full");
    buffered_bytes_ += group->size();
    unsent_bytes_ += group->size();
    queue_.push_back(std::move(group));
    ticket = first_ticket_ + queue_.size() - 1;
    action = NextLocked();
  }
  Do(action);
  return ticket;
}

void Publisher::Impl::Start() {
  Action action;
  {
    absl::MutexLock lock(&mutex_);
    started_ = true;
    action = NextLocked();
  }
  Do(action);
}

void Publisher::Impl::Stop() {
  HopChannel channel;  // goes on this thread: never inside a callback of its own
  std::unique_ptr<PublishStream> stream;
  PublishStream* release = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    reconnect_.Cancel();
    linger_.Cancel();
    watchdog_.Cancel();
    if (stream_ != nullptr) {
      stream_->context.TryCancel();
      if (ReleaseLocked()) release = stream_.get();
    }
  }
  if (release != nullptr) release->RemoveHold();
  {
    const auto quiet = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return stream_ == nullptr || stream_->done;
    };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&quiet));
    stream = std::move(stream_);
    finished_.reset();
    channel = std::move(channel_);
    queue_.clear();
    buffered_bytes_ = unsent_bytes_ = sent_ = 0;
    in_flight_.clear();
  }
}

Publisher::Stats Publisher::Impl::GetStats() const {
  absl::MutexLock lock(&mutex_);
  Stats out;
  out.enqueued = first_ticket_ + queue_.size() - 1;
  out.durable = first_ticket_ - 1;
  out.buffered_bytes = buffered_bytes_;
  out.requests = requests_;
  out.connections = connections_;
  out.connected = connected_;
  return out;
}

// What to send next, and whether to send now
// ---------------------------------------------------------------------

bool Publisher::Impl::ShouldSendLocked() {
  const size_t unsent = queue_.size() - sent_;
  if (unsent == 0 || in_flight_.size() >= options_.max_requests_in_flight) return false;
  const bool full = unsent_bytes_ >= options_.max_request_bytes || unsent >= options_.max_groups_per_request;
  if (full || in_flight_.empty()) return true;
  if (in_flight_.size() >= options_.requests_before_gathering)
    return false;  // the next acknowledgement sends
  if (options_.linger <= absl::ZeroDuration() || linger_over_) return true;
  if (!linger_.is_set()) {
    linger_.Set(options_.linger, [self = shared_from_this()](bool ok) { self->LingerOver(ok); });
  }
  return false;
}

Publisher::Impl::Action Publisher::Impl::NextLocked() {
  Action action;
  if (!started_ || stopped_) return action;
  if (stream_ == nullptr) {
    if (queue_.empty() || reconnect_.is_set()) return action;
    stream_ = std::make_unique<PublishStream>(shared_from_this());
    ++connections_;
    connected_ = false;
    sent_ = 0;
    unsent_bytes_ = buffered_bytes_;
    in_flight_.clear();
    next_request_ = 1;
    action.open = true;
    action.stream = stream_.get();
  }
  if (stream_->done || stream_->broken || stream_->writing || !ShouldSendLocked()) return action;
  linger_over_ = false;
  linger_.Cancel();
  size_t bytes = 0;
  size_t groups = 0;
  while (sent_ + groups < queue_.size() && groups < options_.max_groups_per_request) {
    const Payload& group = queue_[sent_ + groups];
    if (groups > 0 && bytes + group->size() > options_.max_request_bytes) break;
    bytes += group->size();
    action.groups.push_back(group);
    ++groups;
  }
  in_flight_.push_back({next_request_++, first_ticket_ + sent_, groups, Stopwatch::Start()});
  sent_ += groups;
  unsent_bytes_ -= bytes;
  ++requests_;
  if (in_flight_.size() == 1) last_progress_ = absl::Now();
  if (!watchdog_.is_set()) WatchLocked(options_.ack_timeout);
  stream_->writing = true;
  action.stream = stream_.get();
  return action;
}

void Publisher::Impl::Do(const Action& action) {
  if (action.stream == nullptr) return;
  PublishStream* const stream = action.stream;
  if (action.open) stream->Open();
  if (action.groups.empty()) return;
  BufferWriter out;
  for (const Payload& group : action.groups) {
    out.text().push_back(static_cast<char>(wire::BytesTag(1)));
    wire::PutVarint(out.text(), group->size());
    out.Refer(group);
  }
  stream->request = out.Take();
  stream->StartWrite(&stream->request);  // it is ours until OnWriteDone: `writing` is set
}

// Events
// ---------------------------------------------------------------------------------------------------------

void Publisher::Impl::Written(bool ok) {
  Action action;
  PublishStream* release = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    stream_->writing = false;
    if (!ok) stream_->broken = true;
    if (ReleaseLocked()) release = stream_.get();
    action = NextLocked();
  }
  if (release != nullptr) release->RemoveHold();
  Do(action);
}

// The hold keeps the stream while other threads may start writes. It goes once nobody will.
bool Publisher::Impl::ReleaseLocked() {
  if (stream_ == nullptr || stream_->released || stream_->writing) return false;
  if (!stream_->broken && !stopped_) return false;
  stream_->broken = stream_->released = true;
  return true;
}

bool Publisher::Impl::Acknowledged(const v1::PublishResponse& response) {
  std::vector<std::pair<uint64_t, GroupRefusal>> refusals;
  uint64_t up_to = 0;
  bool first = false;
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return false;
    for (const v1::Refusal& refusal : response.refusals()) {
      const InFlight* const request = FindLocked(refusal.request());
      if (request == nullptr || refusal.group() >= request->groups) return false;
      absl::Status status =
          FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(refusal.code()), refusal.reason()));
      if (status.ok()) return false;
      refusals.push_back({request->first_ticket + refusal.group(),
                          {std::move(status), refusal.first_sequence(), refusal.last_sequence()}});
    }
    if (response.durable_requests() >= next_request_) return false;  // more than was ever sent
    while (!in_flight_.empty() && in_flight_.front().number <= response.durable_requests()) {
      const size_t groups = in_flight_.front().groups;
      for (size_t i = 0; i < groups; ++i) {
        buffered_bytes_ -= queue_.front()->size();
        queue_.pop_front();
      }
      first_ticket_ += groups;
      sent_ -= groups;
      up_to = first_ticket_ - 1;
      in_flight_.front().since.ObserveIn(published_);
      in_flight_.pop_front();
    }
    last_progress_ = absl::Now();
    backoff_.Reset();
    first = !connected_;
    connected_ = true;
  }
  if (first && callbacks_.on_connected) callbacks_.on_connected();
  if (callbacks_.on_refused) {
    for (const auto& [ticket, refusal] : refusals) callbacks_.on_refused(ticket, refusal);
  }
  if (up_to > 0 && callbacks_.on_durable) callbacks_.on_durable(up_to);
  Action action;
  {
    absl::MutexLock lock(&mutex_);
    action = NextLocked();
  }
  Do(action);
  return true;
}

const Publisher::Impl::InFlight* Publisher::Impl::FindLocked(uint64_t request) const {
  if (in_flight_.empty() || request < in_flight_.front().number) return nullptr;
  const uint64_t index = request - in_flight_.front().number;
  return index < in_flight_.size() ? &in_flight_[index] : nullptr;
}

void Publisher::Impl::Broken(bool protocol_error) {
  PublishStream* release = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    stream_->broken = true;
    if (protocol_error) {
      stream_->protocol_error = true;
      stream_->context.TryCancel();
    }
    if (ReleaseLocked()) release = stream_.get();
  }
  if (release != nullptr) release->RemoveHold();
}

void Publisher::Impl::Closed(const grpc::Status& status) {
  absl::Status why = FromGrpc(status);
  bool tell = false;
  {
    absl::MutexLock lock(&mutex_);
    tell = !stopped_;
    if (stream_->protocol_error) why = absl::FailedPreconditionError("the hop does not keep to the protocol");
    if (why.ok()) why = absl::UnavailableError("the hop ended the call");
    connected_ = false;
  }
  if (tell && callbacks_.on_disconnected) callbacks_.on_disconnected(why);
  absl::MutexLock lock(&mutex_);
  watchdog_.Cancel();
  linger_.Cancel();
  if (stopped_) {
    stream_->done = true;  // Stop waits for it, and takes the stream
    return;
  }
  finished_ = std::move(stream_);  // goes with the next one, outside of its own last callback
  reconnect_.Set(backoff_.NextAfter(why), [self = shared_from_this()](bool) { self->Reconnect(); });
}

// THREAD: gRPC's timers.
// -------------------------------------------------------------------------------------------

void Publisher::Impl::Reconnect() {
  Action action;
  {
    absl::MutexLock lock(&mutex_);
    reconnect_.Fired();
    finished_.reset();  // under the lock: the last reference to the channel must not go on this thread
    action = NextLocked();
  }
  Do(action);
}

void Publisher::Impl::LingerOver(bool ok) {
  Action action;
  {
    absl::MutexLock lock(&mutex_);
    if (!ok || !linger_.is_set()) return;
    linger_.Fired();
    linger_over_ = true;
    action = NextLocked();
  }
  Do(action);
}

void Publisher::Impl::WatchLocked(absl::Duration in) {
  watchdog_.Set(in, [self = shared_from_this()](bool ok) { self->WatchdogFired(ok); });
}

void Publisher::Impl::WatchdogFired(bool ok) {
  absl::MutexLock lock(&mutex_);
  if (!ok || !watchdog_.is_set() || stopped_) return;
  watchdog_.Fired();
  if (stream_ == nullptr || in_flight_.empty()) return;
  const absl::Duration left = last_progress_ + options_.ack_timeout - absl::Now();
  if (left > absl::ZeroDuration()) return WatchLocked(left);
  stream_->context.TryCancel();
}

// The stream
// -----------------------------------------------------------------------------------------------------

void PublishStream::Open() {
  grpc::TemplatedGenericStub<grpc::ByteBuffer, v1::PublishResponse> stub(impl->channel().get());
  stub.PrepareBidiStreamingCall(&context, "/keystead.v1.Transport/Publish", grpc::StubOptions(), this);
  AddHold();
  StartRead(&response);
  StartCall();
}

void PublishStream::OnReadDone(bool ok) {
  if (ok && impl->Acknowledged(response)) return StartRead(&response);
  impl->Broken(ok);
}
void PublishStream::OnWriteDone(bool ok) { impl->Written(ok); }
void PublishStream::OnDone(const grpc::Status& status) {
  // The stream may be destroyed by another thread before Closed returns.
  const std::shared_ptr<Publisher::Impl> keep = impl;
  keep->Closed(status);
}

}  // namespace keystead
