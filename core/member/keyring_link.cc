#include "core/member/keyring_link.h"

#include <utility>

#include "core/observe/log.h"
#include "core/observe/security_event.h"

namespace keystead {

StreamPlace PlaceOf(const GroupHeader& header) {
  return {header.tenant, header.instantiation, header.topic, header.sender, header.epoch, header.stream};
}

KeyringLink::KeyringLink(const Options& options)
    : options_(options), jobs_(options.executor), position_(options.start) {
  SubscriberCallbacks on;
  on.on_entries = [this](const TopicBatch& batch) { Take(batch); };
  on.on_caught_up = [this](const Topic&) {
    if (!options_.on_caught_up) return;
    subscriber_->Pause();  // a hop may say it as often as it likes
    jobs_.Post([this] {
      options_.on_caught_up();
      subscriber_->Resume();
    });
  };
  on.on_disconnected = options_.on_disconnected;
  SubscriberOptions subscriber;
  subscriber.tenant = options.tenant;
  subscriber.instantiation = options.id;
  subscriber.backoff = options.backoff;
  subscriber_ = std::make_unique<Subscriber>(options.channel, std::move(on), subscriber);
}

KeyringLink::~KeyringLink() { Stop(); }

void KeyringLink::Start() {
  subscriber_->Add({options_.start}).IgnoreError();  // one topic always fits
  subscriber_->Start();
}

void KeyringLink::Stop() {
  subscriber_->Stop();
  jobs_.Drain();
}

// THREAD: gRPC's. Signatures are verified elsewhere; until they are, no further message is read.
void KeyringLink::Take(const TopicBatch& batch) {
  subscriber_->Pause();
  std::vector<Payload> groups(batch.groups.begin(), batch.groups.end());
  const uint64_t behind = batch.first_offset + groups.size();
  jobs_.Post([this, groups = std::move(groups), log_id = batch.log_id, behind] {
    Process(groups);
    {
      absl::MutexLock lock(&position_mutex_);
      position_.log_id = log_id;
      position_.next_offset = behind;
    }
    if (gap_.ReadAgain()) ReadAgain();
    subscriber_->Resume();
  });
}

void KeyringLink::ReadAgain() {
  Log(LogLevel::kWarning, "keyring_read_again",
      {{"tenant", options_.tenant.str()},
       {"instantiation", options_.id.ToHex()},
       {"reason", "records of an epoch whose commit has not come"}});
  {
    absl::MutexLock lock(&position_mutex_);
    position_ = {.topic = Topic::Keyring()};
  }
  subscriber_->Rewind(Topic::Keyring());
}

SubscriberTopic KeyringLink::Position() const {
  absl::MutexLock lock(&position_mutex_);
  return position_;
}

void KeyringLink::Process(const std::vector<Payload>& groups) {
  for (const Payload& payload : groups) {
    const absl::StatusOr<GroupView> group = GroupView::Parse(*payload, headers_);
    if (group.ok()) {
      ProcessGroup(*group);
    } else {
      Report({.kind = SecurityEventKind::kMalformed,
              .topic = "keyring",
              .detail = "a group that does not parse"});
    }
  }
}

void KeyringLink::ProcessGroup(const GroupView& group) {
  const StreamPlace place = PlaceOf(group.header());
  for (const RecordView& record : group.records()) {
    absl::MutexLock lock(options_.mutex);
    const auto senders =
        options_.known_senders ? options_.known_senders() : std::vector<std::pair<Topic, MemberId>>();
    const KeyringEffect effect = options_.member->AcceptKeyring(place, record.sequence, record.cose, senders);
    gap_.Took(effect, place.epoch, options_.member->chain());
    if (effect != KeyringEffect::kNothing && effect != KeyringEffect::kRefused && options_.on_effect) {
      options_.on_effect(effect);
    }
  }
}

}  // namespace keystead
