#include "infra-sim/subscribe_pass.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"

namespace keystead::infra {
namespace {

// As PublishCall: kept alive by its two reactors, operations started under its own mutex.
class SubscribeCall : public std::enable_shared_from_this<SubscribeCall> {
 public:
  SubscribeCall(const Hop& hop, const Upstream* upstream, std::string reader, v1::SubscribeRequest request)
      : token_(hop.calls),
        hop_(hop),
        upstream_(upstream),
        reader_(std::move(reader)),
        request_(std::move(request)) {
    for (v1::TopicPosition& position : *request_.mutable_topics()) {
      const uint64_t shift = hop_.offsets->Get(KeyOf(position.topic(), position.log_id()));
      position.set_next_offset(position.next_offset() - std::min(position.next_offset(), shift));
    }
    offsets_.resize(static_cast<size_t>(request_.topics_size()));
  }
  grpc::ServerWriteReactor<v1::SubscribeResponse>* Start(grpc::CallbackServerContext& context);

 private:
  class Down;
  class Up;
  struct Message {
    v1::SubscribeResponse response;
    absl::Time not_before = absl::InfinitePast();
  };
  struct HeldBack {
    uint32_t topic = 0;
    uint64_t offset = 0;
    std::string group;
  };

  void UpRead(bool ok);
  void UpDone(const grpc::Status& status);
  void DownWritten(bool ok);
  std::string KeyOf(const std::string& topic, const std::string& log_id) const {
    return absl::StrCat(reader_, "\n", topic, "\n", log_id);
  }
  void Take(v1::SubscribeResponse response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Shifted(const v1::SubscribeResponse& response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Attack(const v1::SubscribeResponse& response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AttackGroup(uint32_t topic, uint64_t offset, const std::string& group, EntriesBuilder& building)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Flush(EntriesBuilder& building) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReleaseHeld(EntriesBuilder& building) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeAfter(absl::Duration delay, bool release_held);
  void EndAfter(absl::Duration delay);

  const CallGauge::Token token_;
  const Hop& hop_;
  const Upstream* const upstream_;
  const std::string reader_;
  v1::SubscribeRequest request_;  // not changed once the call has begun
  grpc::ClientContext up_context_;
  Down* down_ = nullptr;
  Up* up_ = nullptr;

  absl::Mutex mutex_;
  v1::SubscribeResponse up_reading_;
  std::deque<Message> queue_ ABSL_GUARDED_BY(mutex_);
  std::optional<Message> writing_ ABSL_GUARDED_BY(mutex_);
  std::vector<HeldBack> held_ ABSL_GUARDED_BY(mutex_);
  std::vector<TopicOffsets> offsets_ ABSL_GUARDED_BY(mutex_);             // by topic of the request
  absl::Time not_before_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();  // of what is queued next
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool up_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool down_broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> up_status_ ABSL_GUARDED_BY(mutex_);
  std::optional<grpc::Status> forced_status_ ABSL_GUARDED_BY(mutex_);

 public:
  void DownCancelled() { up_context_.TryCancel(); }
};

class SubscribeCall::Down final : public grpc::ServerWriteReactor<v1::SubscribeResponse> {
 public:
  explicit Down(std::shared_ptr<SubscribeCall> call) : call_(std::move(call)) {}
  void OnWriteDone(bool ok) override { call_->DownWritten(ok); }
  void OnCancel() override { call_->DownCancelled(); }
  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<SubscribeCall> call_;
};

class SubscribeCall::Up final : public grpc::ClientReadReactor<v1::SubscribeResponse> {
 public:
  explicit Up(std::shared_ptr<SubscribeCall> call) : call_(std::move(call)) {}
  void OnReadDone(bool ok) override { call_->UpRead(ok); }
  void OnDone(const grpc::Status& status) override {
    call_->UpDone(status);
    delete this;
  }

 private:
  const std::shared_ptr<SubscribeCall> call_;
};

grpc::ServerWriteReactor<v1::SubscribeResponse>* SubscribeCall::Start(grpc::CallbackServerContext& context) {
  down_ = new Down(shared_from_this());
  up_ = new Up(shared_from_this());
  Down* const reactor = down_;
  up_context_.set_deadline(context.deadline());
  upstream_->transport->async()->Subscribe(&up_context_, &request_, up_);
  absl::MutexLock lock(&mutex_);
  up_->AddHold();  // for reads that the subscriber's reactions start
  reading_ = true;
  up_->StartRead(&up_reading_);
  up_->StartCall();
  return reactor;
}

void SubscribeCall::UpRead(bool ok) {
  absl::MutexLock lock(&mutex_);
  reading_ = false;
  if (!ok) {
    up_closed_ = true;
    EntriesBuilder building;
    ReleaseHeld(building);
    Flush(building);
    up_->RemoveHold();
  } else {
    Take(std::exchange(up_reading_, {}));
  }
  Pump();
}

void SubscribeCall::Take(v1::SubscribeResponse response) {
  for (const v1::TopicEntries& entries : response.topics()) {
    for (const std::string& group : entries.groups())
      hop_.engine->Observe(hop_.listener, Direction::kDown, group);
  }
  // A topic that was not asked for would have no offsets: such an answer goes on as it is.
  const size_t topics = offsets_.size();
  const auto unknown = [&](const v1::TopicEntries& entries) { return entries.topic() >= topics; };
  if (std::any_of(response.topics().begin(), response.topics().end(), unknown)) {
    queue_.push_back({std::move(response), not_before_});
    return;
  }
  if (hop_.engine->armed() || !held_.empty() || Shifted(response)) {
    Attack(response);
  } else {
    queue_.push_back({std::move(response), not_before_});
  }
}

// Opens the offsets of topics that begin, too.
bool SubscribeCall::Shifted(const v1::SubscribeResponse& response) {
  bool shifted = false;
  for (const v1::TopicEntries& entries : response.topics()) {
    TopicOffsets& offsets = offsets_[entries.topic()];
    if (!entries.log_id().empty()) {
      offsets.Open(hop_.offsets,
                   KeyOf(request_.topics(static_cast<int>(entries.topic())).topic(), entries.log_id()));
    }
    shifted = shifted || offsets.Shift() > 0;
  }
  return shifted;
}

void SubscribeCall::Attack(const v1::SubscribeResponse& response) {
  Shifted(response);
  EntriesBuilder building;
  for (const v1::TopicEntries& entries : response.topics()) {
    TopicOffsets& offsets = offsets_[entries.topic()];
    v1::TopicEntries frame;  // without groups, in this reader's numbers
    frame.set_topic(entries.topic());
    frame.set_log_id(entries.log_id());
    frame.set_first_kept(entries.first_kept());
    frame.set_first_offset(offsets.Peek(entries.first_offset()));
    building.BeginTopic(frame);
    for (int i = 0; i < entries.groups_size(); ++i) {
      AttackGroup(entries.topic(), entries.first_offset() + static_cast<uint64_t>(i), entries.groups(i),
                  building);
    }
    frame.set_first_offset(
        offsets.Peek(entries.first_offset() + static_cast<uint64_t>(entries.groups_size())));
    frame.set_caught_up(entries.caught_up());
    building.EndTopic(frame);
  }
  Flush(building);
}

void SubscribeCall::AttackGroup(uint32_t topic, uint64_t offset, const std::string& group,
                                EntriesBuilder& building) {
  TopicOffsets& offsets = offsets_[topic];
  auto decision = hop_.engine->Decide(hop_.listener, Direction::kDown, group);
  if (!decision.has_value()) {
    building.Add(topic, offsets.Next(offset), group);
    offsets.Close(offset + 1);
    ReleaseHeld(building);
    return;
  }
  if (decision->hold_back) {
    for (auto& piece : decision->pieces) held_.push_back({topic, offset, std::move(piece.group)});
    offsets.Close(offset + 1);
    WakeAfter(decision->patience, true);
    return;
  }
  if (decision->end_call_after > absl::ZeroDuration()) EndAfter(decision->end_call_after);
  if (decision->delay > absl::ZeroDuration()) {
    Flush(building);
    not_before_ = absl::Now() + decision->delay;
  }
  for (auto& piece : decision->pieces) building.Add(topic, offsets.Next(offset), std::move(piece.group));
  offsets.Close(offset + 1);
  ReleaseHeld(building);
}

void SubscribeCall::Flush(EntriesBuilder& building) {
  if (!building.empty()) queue_.push_back({building.Take(), not_before_});
}

void SubscribeCall::ReleaseHeld(EntriesBuilder& building) {
  for (HeldBack& held : std::exchange(held_, {})) {
    TopicOffsets& offsets = offsets_[held.topic];
    building.Add(held.topic, offsets.Next(held.offset), std::move(held.group));
    offsets.Close(held.offset + 1);
  }
}

void SubscribeCall::Pump() {
  if (finished_ || writing_.has_value()) return;
  if (!queue_.empty() && !down_broken_) {
    const absl::Duration wait = queue_.front().not_before - absl::Now();
    if (wait > absl::ZeroDuration()) {
      WakeAfter(wait, false);
    } else {
      writing_.emplace(std::move(queue_.front()));
      queue_.pop_front();
      down_->StartWrite(&writing_->response);
    }
  } else if (up_status_.has_value()) {
    finished_ = true;
    down_->Finish(forced_status_.value_or(*up_status_));
    return;
  }
  if (!reading_ && !up_closed_ && queue_.size() < kQueuedResponses) {
    reading_ = true;
    up_->StartRead(&up_reading_);
  }
}

void SubscribeCall::WakeAfter(absl::Duration delay, bool release_held) {
  hop_.timer->After(delay, [weak = weak_from_this(), release_held] {
    const auto call = weak.lock();
    if (call == nullptr) return;
    absl::MutexLock lock(&call->mutex_);
    EntriesBuilder building;
    if (release_held) call->ReleaseHeld(building);
    call->Flush(building);
    call->Pump();
  });
}

void SubscribeCall::EndAfter(absl::Duration delay) {
  hop_.timer->After(delay, [weak = weak_from_this()] {
    const auto call = weak.lock();
    if (call == nullptr) return;
    absl::MutexLock lock(&call->mutex_);
    call->forced_status_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, "try again");
    call->up_context_.TryCancel();
  });
}

void SubscribeCall::DownWritten(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_.reset();
  if (!ok) {
    down_broken_ = true;
    queue_.clear();
    up_context_.TryCancel();
  }
  Pump();
}

void SubscribeCall::UpDone(const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  up_closed_ = true;
  up_status_ = status;
  // A call that is over delivers what it has at once: no later moment is promised to come.
  for (Message& message : queue_) message.not_before = absl::InfinitePast();
  Pump();
}

}  // namespace

void EntriesBuilder::BeginTopic(const v1::TopicEntries& genuine) {
  v1::TopicEntries& entries = *out_.add_topics();
  entries.set_topic(genuine.topic());
  entries.set_log_id(genuine.log_id());
  entries.set_first_kept(genuine.first_kept());
  entries.set_first_offset(genuine.first_offset());
}

void EntriesBuilder::Add(uint32_t topic, uint64_t offset, std::string group) {
  if (out_.topics_size() > 0) {
    v1::TopicEntries& last = *out_.mutable_topics(out_.topics_size() - 1);
    if (last.topic() == topic && last.first_offset() + static_cast<uint64_t>(last.groups_size()) == offset) {
      last.add_groups(std::move(group));
      return;
    }
  }
  v1::TopicEntries& entries = *out_.add_topics();
  entries.set_topic(topic);
  entries.set_first_offset(offset);
  entries.add_groups(std::move(group));
}

void EntriesBuilder::EndTopic(const v1::TopicEntries& genuine) {
  v1::TopicEntries* last = out_.topics_size() == 0 ? nullptr : out_.mutable_topics(out_.topics_size() - 1);
  if (last != nullptr && last->topic() == genuine.topic()) {
    last->set_caught_up(genuine.caught_up());
    return;
  }
  if (!genuine.caught_up()) return;
  last = out_.add_topics();
  last->set_topic(genuine.topic());
  last->set_first_offset(genuine.first_offset() + static_cast<uint64_t>(genuine.groups_size()));
  last->set_caught_up(true);
}

grpc::ServerWriteReactor<v1::SubscribeResponse>* StartSubscribePass(const Hop& hop, const Upstream* upstream,
                                                                    const std::string& reader,
                                                                    grpc::CallbackServerContext& context,
                                                                    const v1::SubscribeRequest& request) {
  return std::make_shared<SubscribeCall>(hop, upstream, reader, request)->Start(context);
}

}  // namespace keystead::infra
