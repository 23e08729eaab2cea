#include "device-sim/command_link.h"

#include <utility>

#include "core/crypto/hash.h"
#include "core/member/keyring_link.h"
#include "core/membership/signed_object.h"
#include "core/observe/log.h"

namespace keystead::device_sim {

CommandLink::CommandLink(const Options& options, std::string_view snapshot)
    : options_(options),
      topic_(Topic::Of(TopicKind::kCommand, options.member->identity().self)),
      reader_(options.member->identity().self, ReaderLimits(), &options.member->ring(),
              &options.member->chain(), options.clock, this),
      jobs_(options.executor) {
  if (!snapshot.empty()) {
    if (const absl::Status status = reader_.Restore(AsBytes(snapshot)); !status.ok()) {
      Log(LogLevel::kWarning, "command_memory_dropped", {{"reason", Std(status.message())}});
    }
  }
  SubscriberCallbacks on;
  on.on_entries = [this](const TopicBatch& batch) {
    std::vector<Payload> groups(batch.groups.begin(), batch.groups.end());
    PostPaused([this, groups = std::move(groups)] { Process(groups); });
  };
  on.on_log = [this](const Topic&, const LogId& log_id, uint64_t) {
    if (std::exchange(log_id_, log_id) == log_id) return;
    PostPaused([this] {
      absl::MutexLock lock(options_.mutex);
      reader_.BeginPass(topic_);
      in_pass_ = true;
    });
  };
  on.on_caught_up = [this](const Topic&) {
    PostPaused([this] {
      absl::MutexLock lock(options_.mutex);
      if (std::exchange(in_pass_, false)) reader_.CaughtUp(topic_);
    });
  };
  SubscriberOptions subscriber;
  subscriber.tenant = options.member->identity().tenant;
  subscriber.instantiation = options.member->identity().id;
  subscriber.backoff = options.backoff;
  subscriber_ = std::make_unique<Subscriber>(options.channel, std::move(on), subscriber);
}

CommandLink::~CommandLink() { Stop(); }

void CommandLink::Start() {
  subscriber_->Add({SubscriberTopic{.topic = topic_}}).IgnoreError();  // one topic always fits
  subscriber_->Start();
}

void CommandLink::Stop() {
  subscriber_->Stop();
  jobs_.Drain();
}

// Until the job is done no further message is read: however many a hop sends, also empty ones, it fills no
// queue here.
// THREAD: gRPC's.
void CommandLink::PostPaused(std::function<void()> job) {
  subscriber_->Pause();
  jobs_.Post([this, job = std::move(job)] {
    job();
    subscriber_->Resume();
  });
}

void CommandLink::Process(const std::vector<Payload>& groups) {
  absl::MutexLock lock(options_.mutex);
  for (const Payload& payload : groups) {
    const absl::StatusOr<GroupView> group = GroupView::Parse(*payload, headers_);
    if (!group.ok() || group->header().topic != topic_) {
      SecurityEvent event{.kind = SecurityEventKind::kMalformed, .topic = topic_.str()};
      event.detail = "a group that does not parse";
      if (group.ok()) {
        event.detail = "a group of another topic";
        event.sender = group->header().sender.ToHex();
        event.stream = group->header().stream.ToHex();
        event.epoch = group->header().epoch;
        event.sequence = group->first_sequence();
      }
      Report(event);
      continue;
    }
    const StreamPlace place = PlaceOf(group->header());
    for (const RecordView& record : group->records()) reader_.Accept(place, record.sequence, record.cose);
  }
  const std::vector<ReceivedCommand> received = std::exchange(received_, {});
  for (const ReceivedCommand& command : received) options_.on_command(command);
  if (!received.empty()) options_.on_progress(ToString(reader_.Snapshot()));
}

void CommandLink::OnRecord(const ReadRecord& record) {
  if (record.kind != kinds::kCommand) return;
  received_.push_back({record.place->sender, record.place->epoch, ToBytes(record.body),
                       crypto::Sha256(record.signed_object)});
}

// A hop sends each record once per pass over its log.
void CommandLink::OnDuplicate(const StreamPlace& place, uint64_t sequence) {
  if (in_pass_) return;
  Report({.kind = SecurityEventKind::kReplay,
          .tenant = place.tenant.str(),
          .instantiation = place.id.ToHex(),
          .topic = place.topic.str(),
          .sender = place.sender.ToHex(),
          .stream = place.stream.ToHex(),
          .epoch = place.epoch,
          .sequence = sequence,
          .peer = "",
          .detail = "a record of the command topic came again; not acted on"});
}

}  // namespace keystead::device_sim
