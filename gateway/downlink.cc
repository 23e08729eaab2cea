#include "gateway/downlink.h"

#include <algorithm>
#include <utility>

#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"
#include "gateway/rows.h"

namespace keystead::gateway {
namespace {

constexpr absl::Duration kRestartAfter = absl::Seconds(1);
// Whatever the next hop has at a place is taken: it bounds that itself.
constexpr RecordSource kFromNextHop{.publisher = 0, .slots = limits::kMaxVariantsPerPlace};

// Whether a group may stand in the log that it is said to come from. Who wrote it is for members to judge.
bool Belongs(const GroupHeader& header, const TenantName& tenant, const InstantiationId& id,
             const Topic& topic) {
  return header.tenant == tenant && header.instantiation == id && header.topic == topic &&
         (header.stream != StreamId() || topic.kind() == TopicKind::kKeyring);
}

}  // namespace

// One message's entries of one topic on their way into the local log.
class Downlink::BringTask final : public storage::Task {
 public:
  struct Item {
    Payload bytes;
    GroupView view;  // into bytes
  };
  BringTask(Downlink* owner, std::shared_ptr<Feed> feed, Topic topic, const Position& reached)
      : owner_(owner), feed_(std::move(feed)), topic_(std::move(topic)), reached_(reached) {}
  ~BringTask() override {
    if (!done_) feed_->failed = true;
    feed_->subscriber->Resume();
  }

  void Add(Item item) {
    bytes_ += item.bytes->size();
    items_.push_back(std::move(item));
  }

  absl::Status Prepare(storage::Transaction& transaction) override {
    if (feed_->failed) return absl::CancelledError("an earlier batch was not stored");
    absl::Status status = DoPrepare(transaction);
    if (!status.ok()) {
      feed_->failed = true;  // tasks behind this one must not move the position past it
      owner_->log_->Finish(changes_, status);
    }
    return status;
  }

  void Done(const absl::Status& status) override {
    done_ = true;
    owner_->log_->Finish(changes_, status);
    for (const auto& [log, offset] : brought_) owner_->forwarder_->Committed(log, offset, status);
    if (!status.ok()) {
      feed_->failed = true;
      return;
    }
    owner_->stored_ += brought_.size();
    if (topic_.kind() == TopicKind::kKeyring && !brought_.empty() && owner_->options_.on_keyring)
      owner_->options_.on_keyring();
  }

  size_t bytes() const override { return bytes_ + sizeof(*this) + items_.size() * sizeof(Item); }

 private:
  absl::Status DoPrepare(storage::Transaction& transaction) {
    for (const Item& item : items_) {
      KS_ASSIGN_OR_RETURN(
          const AppendOutcome outcome,
          owner_->log_->Append(transaction, kTenantNumber, item.view, item.bytes, kFromNextHop, changes_));
      if (!outcome.offset.has_value()) continue;  // it was published here, or has come before
      owner_->forwarder_->Brought(transaction, outcome.log.ref, *outcome.offset);
      brought_.emplace_back(outcome.log.ref, *outcome.offset);
      if (owner_->options_.on_stored) owner_->options_.on_stored(outcome.log.ref, outcome.stored->size());
    }
    transaction.Put(kTenantNumber, kPositionTable, PositionKey(feed_->id, topic_), EncodePosition(reached_));
    return absl::OkStatus();
  }

  Downlink* const owner_;
  const std::shared_ptr<Feed> feed_;
  const Topic topic_;
  const Position reached_;
  std::vector<Item> items_;
  std::vector<std::pair<storage::LogRef, uint64_t>> brought_;
  RecordLogChanges changes_;
  size_t bytes_ = 0;
  bool done_ = false;
};

Downlink::Downlink(storage::LogStore* store, RecordLog* log, Forwarder* forwarder, const Options& options)
    : store_(store), log_(log), forwarder_(forwarder), options_(options) {}
Downlink::~Downlink() { Stop(); }

void Downlink::Follow(const InstantiationId& id) {
  absl::MutexLock lock(&control_);
  if (stopped_ || id_ == id) return;
  id_ = id;
  members_.clear();
  Restart();
}

void Downlink::SetMembers(const std::vector<MemberId>& members) {
  absl::MutexLock lock(&control_);
  if (stopped_ || feed_ == nullptr) return;
  std::vector<Topic> before = WantedTopics();
  members_ = members;
  std::vector<Topic> after = WantedTopics();
  std::sort(before.begin(), before.end());
  std::sort(after.begin(), after.end());
  std::vector<Topic> gone;
  std::vector<Topic> added;
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(gone));
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(added));
  if (!gone.empty()) feed_->subscriber->Remove(gone);
  if (added.empty()) return;
  if (absl::Status status = feed_->subscriber->Add(PositionsOf(*id_, added)); !status.ok())
    Log(LogLevel::kError, "commands_not_followed", {{"reason", Std(status.message())}});
}

std::vector<Topic> Downlink::WantedTopics() const {
  std::vector<Topic> out{Topic::Keyring()};
  for (const MemberId& member : members_) out.push_back(Topic::Of(TopicKind::kCommand, member));
  return out;
}

std::vector<SubscriberTopic> Downlink::PositionsOf(const InstantiationId& id,
                                                   const std::vector<Topic>& topics) const {
  std::vector<SubscriberTopic> out;
  for (const Topic& topic : topics) {
    SubscriberTopic wanted{.topic = topic};
    const auto row = store_->Get(kTenantNumber, kPositionTable, PositionKey(id, topic));
    if (row.ok() && row->has_value()) {
      if (const absl::StatusOr<Position> position = DecodePosition(**row); position.ok()) {
        wanted.log_id = position->log_id;
        wanted.next_offset = position->next_offset;
      }
    }
    out.push_back(std::move(wanted));  // without a position: all from the first, and duplicates are known
  }
  return out;
}

void Downlink::Restart() {
  if (feed_ != nullptr) feed_->subscriber->Stop();
  auto feed = std::make_shared<Feed>();
  feed->id = *id_;
  SubscriberOptions options;
  options.tenant = options_.tenant;
  options.instantiation = *id_;
  options.backoff = options_.backoff;
  SubscriberCallbacks on;
  on.on_entries = [this, weak = std::weak_ptr<Feed>(feed)](const TopicBatch& batch) {
    if (const std::shared_ptr<Feed> alive = weak.lock(); alive != nullptr) Take(alive, batch);
  };
  on.on_disconnected = [](const absl::Status& why) {
    Log(LogLevel::kInfo, "downlink_disconnected",
        {{"code", Std(absl::StatusCodeToString(why.code()))}, {"reason", Std(why.message())}});
  };
  feed->subscriber = std::make_unique<Subscriber>(options_.channel, std::move(on), options);
  feed_ = feed;
  feed->subscriber->Add(PositionsOf(*id_, WantedTopics())).IgnoreError();  // a roster's topics always fit
  feed->subscriber->Start();
}

// THREAD: gRPC's. The next message is read when this one is stored: what comes down is little.
void Downlink::Take(const std::shared_ptr<Feed>& feed, const TopicBatch& batch) {
  feed->subscriber->Pause();  // until the task is destroyed
  auto task = std::make_unique<BringTask>(this, feed, batch.topic,
                                          Position{batch.log_id, batch.first_offset + batch.groups.size()});
  GroupHeaderCache headers;
  for (const Payload& bytes : batch.groups) {
    absl::StatusOr<GroupView> view = GroupView::Parse(*bytes, headers);
    if (view.ok() && Belongs(view->header(), options_.tenant, feed->id, batch.topic)) {
      task->Add({bytes, *std::move(view)});
      continue;
    }
    ++malformed_;
    SecurityEvent event{.kind = SecurityEventKind::kMalformed,
                        .tenant = options_.tenant.str(),
                        .instantiation = feed->id.ToHex(),
                        .topic = batch.topic.str(),
                        .peer = "next hop",
                        .detail = "a group that does not parse"};
    if (view.ok()) {
      event.detail = "a group of another place in this log";
      event.sender = view->header().sender.ToHex();
      event.stream = view->header().stream.ToHex();
      event.epoch = view->header().epoch;
      event.sequence = view->first_sequence();
    }
    Report(event);
  }
  store_->Submit(std::move(task)).IgnoreError();  // refused: destroyed, which marks the feed as failed
}

void Downlink::Tick() {
  absl::MutexLock lock(&control_);
  if (stopped_ || feed_ == nullptr || !feed_->failed) return;
  const absl::Time now = options_.clock->Now();
  if (restart_at_ == absl::InfinitePast()) {
    restart_at_ = now + kRestartAfter;
    return;
  }
  if (now < restart_at_) return;
  restart_at_ = absl::InfinitePast();
  ++restarts_;
  Restart();
}

void Downlink::Stop() {
  absl::MutexLock lock(&control_);
  stopped_ = true;
  if (feed_ != nullptr) feed_->subscriber->Stop();
}

Downlink::Stats Downlink::GetStats() const {
  Stats out;
  absl::MutexLock lock(&control_);
  if (feed_ != nullptr) {
    const Subscriber::Stats subscriber = feed_->subscriber->GetStats();
    out.connected = subscriber.connected;
    out.groups = subscriber.groups;
  }
  out.stored = stored_;
  out.malformed = malformed_;
  out.restarts = restarts_;
  return out;
}

}  // namespace keystead::gateway
