#include "core/transport/subscriber.h"

#include <grpcpp/channel.h>
#include <algorithm>
#include <utility>

#include "core/base/limits.h"
#include "core/transport/status_mapping.h"
#include "core/transport/subscriber_impl.h"

namespace keystead {

Subscriber::Subscriber(HopChannel channel, SubscriberCallbacks callbacks, const SubscriberOptions& options)
    : impl_(std::make_shared<Impl>(std::move(channel), std::move(callbacks), options)) {}
Subscriber::~Subscriber() { Stop(); }
void Subscriber::Start() { impl_->Start(); }
void Subscriber::Stop() { impl_->Stop(); }
absl::Status Subscriber::Add(std::vector<SubscriberTopic> topics) { return impl_->Add(std::move(topics)); }
void Subscriber::Remove(std::span<const Topic> topics) { impl_->Remove(topics); }
void Subscriber::Rewind(const Topic& topic) { impl_->Rewind(topic); }
void Subscriber::Pause() { impl_->Pause(); }
void Subscriber::Resume() { impl_->Resume(); }
std::vector<SubscriberTopic> Subscriber::Positions() const { return impl_->Positions(); }
Subscriber::Stats Subscriber::GetStats() const { return impl_->GetStats(); }

// Topics
// -----------------------------------------------------------------------------------------------------------

absl::Status Subscriber::Impl::Add(std::vector<SubscriberTopic>&& topics) {
  bool changed = false;
  {
    absl::MutexLock lock(&mutex_);
    size_t more = 0;
    for (const SubscriberTopic& topic : topics) more += topics_.contains(topic.topic) ? 0 : 1;
    if (topics_.size() + more > limits::kMaxTopicsPerSubscription)
      return absl::ResourceExhaustedError("too many topics for one subscription");
    for (SubscriberTopic& topic : topics) {
      Topic name = topic.topic;
      changed = topics_.try_emplace(std::move(name), std::move(topic)).second || changed;
    }
  }
  if (changed) CancelAndRelease(true);
  return absl::OkStatus();
}

void Subscriber::Impl::Remove(std::span<const Topic> topics) {
  size_t removed = 0;
  {
    absl::MutexLock lock(&mutex_);
    for (const Topic& topic : topics) removed += topics_.erase(topic);
  }
  if (removed > 0) CancelAndRelease(true);
}

void Subscriber::Impl::Rewind(const Topic& topic) {
  {
    absl::MutexLock lock(&mutex_);
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return;
    found->second = {.topic = topic};
    if (stream_ != nullptr) restart_ = true;  // together with the position: what still comes would move it on
  }
  CancelAndRelease(true);
}

std::vector<SubscriberTopic> Subscriber::Impl::Positions() const {
  std::vector<SubscriberTopic> out;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [name, topic] : topics_) out.push_back(topic);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.topic < b.topic; });
  return out;
}

Subscriber::Stats Subscriber::Impl::GetStats() const {
  absl::MutexLock lock(&mutex_);
  return stats_;
}

// Life of the calls
// --------------------------------------------------------------------------------------------------

void Subscriber::Impl::Start() {
  {
    absl::MutexLock lock(&mutex_);
    started_ = true;
  }
  CancelAndRelease(true);
}

void Subscriber::Impl::Stop() {
  HopChannel channel;  // goes on this thread: never inside a callback of its own
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    reconnect_.Cancel();
  }
  CancelAndRelease(false);
  std::unique_ptr<SubscribeStream> stream;
  const auto quiet = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stream_ == nullptr || stream_->done;
  };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&quiet));
  stream = std::move(stream_);
  finished_.reset();
  channel = std::move(channel_);
}

// Ends the present call, or opens one if there is none and it is wanted.
void Subscriber::Impl::CancelAndRelease(bool restart) {
  SubscribeStream* release = nullptr;
  SubscribeStream* open = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (stream_ != nullptr) {
      restart_ = restart;
      stream_->context.TryCancel();
      if (ReleaseLocked(*stream_)) release = stream_.get();
    } else {
      open = OpenLocked();
    }
  }
  if (release != nullptr) release->RemoveHold();
  Open(open);
}

// The hold keeps the stream while nothing is being read. It goes once no read will start.
bool Subscriber::Impl::ReleaseLocked(SubscribeStream& stream) {
  if (stream.released || stream.reading) return false;
  stream.released = true;
  return true;
}

SubscribeStream* Subscriber::Impl::OpenLocked() {
  if (!started_ || stopped_ || stream_ != nullptr || topics_.empty() || reconnect_.is_set()) return nullptr;
  stream_ = std::make_unique<SubscribeStream>(shared_from_this());
  ++stats_.connections;
  stats_.connected = false;
  restart_ = false;
  v1::SubscribeRequest& request = stream_->request;
  request.set_tenant(options_.tenant.str());
  request.set_instantiation(options_.instantiation.ToString());
  for (const auto& [name, topic] : topics_) {
    stream_->topics.push_back(name);
    v1::TopicPosition& position = *request.add_topics();
    position.set_topic(name.str());
    if (topic.log_id != LogId()) position.set_log_id(topic.log_id.ToString());
    position.set_next_offset(topic.next_offset);
    position.set_only_new(topic.only_new);
  }
  stream_->announced.resize(stream_->topics.size());
  return stream_.get();
}

void Subscriber::Impl::Open(SubscribeStream* stream) {
  if (stream == nullptr) return;
  HopChannel channel;
  {
    absl::MutexLock lock(&mutex_);
    channel = channel_;
  }
  v1::Transport::Stub stub(channel.get());
  stream->Open(stub);
}

void Subscriber::Impl::Reconnect() {
  SubscribeStream* open = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    reconnect_.Fired();
    finished_.reset();  // under the lock: the last reference to the channel must not go on this thread
    open = OpenLocked();
  }
  Open(open);
}

void Subscriber::Impl::Closed(SubscribeStream& stream, const grpc::Status& status) {
  absl::Status why = FromGrpc(status);
  bool tell = false;
  {
    absl::MutexLock lock(&mutex_);
    tell = !stopped_ && !restart_;
    if (stream.protocol_error) why = absl::FailedPreconditionError("the hop does not keep to the protocol");
    if (why.ok()) why = absl::UnavailableError("the hop ended the call");
    stats_.connected = false;
  }
  if (tell && callbacks_.on_disconnected) callbacks_.on_disconnected(why);
  absl::MutexLock lock(&mutex_);
  if (stopped_) {
    stream.done = true;  // Stop waits for it, and takes the stream
    return;
  }
  finished_ = std::move(stream_);  // goes with the next one, outside of its own last callback
  // Also for a restart: not on this thread, which is still inside the old call.
  reconnect_.Set(restart_ ? absl::ZeroDuration() : backoff_.NextAfter(why),
                 [self = shared_from_this()](bool) { self->Reconnect(); });
}

// Reading
// ------------------------------------------------------------------------------------------------------------

void Subscriber::Impl::Pause() {
  absl::MutexLock lock(&mutex_);
  ++paused_;
}

void Subscriber::Impl::Resume() {
  SubscribeStream* read = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (--paused_ > 0 || stream_ == nullptr || stream_->reading || stream_->released) return;
    stream_->reading = true;
    read = stream_.get();
  }
  read->StartRead(&read->response);
}

Subscriber::Impl::After Subscriber::Impl::Received(SubscribeStream& stream) {
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_ || restart_) return After::kGiveUp;
    ++stats_.messages;
    stats_.connected = true;
    backoff_.Reset();
  }
  for (v1::TopicEntries& entries : *stream.response.mutable_topics()) {
    if (!Deliver(stream, entries)) {
      absl::MutexLock lock(&mutex_);
      stream.protocol_error = true;
      return After::kGiveUp;
    }
  }
  absl::MutexLock lock(&mutex_);
  if (stopped_ || restart_) return After::kGiveUp;
  if (paused_ == 0) return After::kRead;
  stream.reading = false;  // Resume reads on; the hold keeps the stream
  return After::kWait;
}

// False: what came breaks the protocol.
bool Subscriber::Impl::Deliver(SubscribeStream& stream, v1::TopicEntries& entries) {
  if (entries.topic() >= stream.topics.size()) return false;
  const Topic& name = stream.topics[entries.topic()];
  std::vector<Payload> groups;
  groups.reserve(static_cast<size_t>(entries.groups_size()));
  size_t bytes = 0;
  for (std::string& group : *entries.mutable_groups()) {
    bytes += group.size();
    groups.push_back(std::make_shared<const std::string>(std::move(group)));
  }
  const bool first = !stream.announced[entries.topic()];
  LogId log_id;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = topics_.find(name);
    if (restart_ || found == topics_.end()) return true;  // removed meanwhile, or comes again
    SubscriberTopic& topic = found->second;
    if (first) {
      const absl::StatusOr<LogId> id = LogId::FromBytes(entries.log_id());
      if (!id.ok() || *id == LogId()) return false;
      if (topic.log_id != *id) topic.next_offset = 0;
      topic.log_id = log_id = *id;
      topic.only_new = false;
    } else if (!entries.log_id().empty() || (!groups.empty() && entries.first_offset() < topic.next_offset)) {
      return false;
    }
    log_id = topic.log_id;
    if (entries.first_offset() > UINT64_MAX - groups.size()) return false;
    if (first || !groups.empty()) topic.next_offset = entries.first_offset() + groups.size();
    stats_.groups += groups.size();
    stats_.bytes += bytes;
  }
  if (first) {
    stream.announced[entries.topic()] = true;
    if (callbacks_.on_log) callbacks_.on_log(name, log_id, entries.first_kept());
  }
  if (!groups.empty() && callbacks_.on_entries)
    callbacks_.on_entries({name, log_id, entries.first_offset(), groups});
  if (entries.caught_up() && callbacks_.on_caught_up) callbacks_.on_caught_up(name);
  return true;
}

void Subscriber::Impl::ReadEnded(SubscribeStream& stream, bool protocol_error) {
  bool release = false;
  {
    absl::MutexLock lock(&mutex_);
    if (protocol_error) stream.context.TryCancel();
    stream.reading = false;
    release = ReleaseLocked(stream);
  }
  if (release) stream.RemoveHold();
}

// The stream
// -----------------------------------------------------------------------------------------------------

void SubscribeStream::Open(v1::Transport::Stub& stub) {
  stub.async()->Subscribe(&context, &request, this);
  AddHold();
  StartRead(&response);
  StartCall();
}

void SubscribeStream::OnReadDone(bool ok) {
  if (!ok) return impl->ReadEnded(*this, false);
  switch (impl->Received(*this)) {
    case Subscriber::Impl::After::kRead:
      return StartRead(&response);
    case Subscriber::Impl::After::kWait:
      return;
    case Subscriber::Impl::After::kGiveUp:
      return impl->ReadEnded(*this, true);
  }
}

void SubscribeStream::OnDone(const grpc::Status& status) {
  // The stream may be destroyed by another thread before Closed returns.
  const std::shared_ptr<Subscriber::Impl> keep = impl;
  keep->Closed(*this, status);
}

}  // namespace keystead
