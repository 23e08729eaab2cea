#include "gateway/downlink.h"

#include <algorithm>
#include <utility>

#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/observe/security_event.h"
#include "core/transport/group_event.h"
#include "gateway/rows.h"

namespace keystead::gateway {
namespace {

constexpr absl::Duration kRestartAfter = absl::Seconds(1);
// Whatever the next hop has at a place is taken: it bounds that itself.
constexpr RecordSource kFromNextHop{.publisher = 0, .slots = limits::kMaxVariantsPerPlace};
constexpr absl::Duration kLongestWait = absl::Minutes(5);

// Whether a group may stand in the log that it is said to come from. Who wrote it is for members to judge.
bool Belongs(const GroupHeader& header, const TenantName& tenant, const InstantiationId& id,
             const Topic& topic) {
  return header.tenant == tenant && header.instantiation == id && header.topic == topic &&
         (header.stream != StreamId() || topic.kind() == TopicKind::kKeyring);
}

}  // namespace

// One message's entries of one topic on their way into the local log, or commits that were asked for.
class Downlink::BringTask final : public storage::Task {
 public:
  struct Item {
    Payload bytes;
    GroupView view;  // into bytes
  };
  BringTask(Downlink* owner, std::shared_ptr<Feed> feed, Topic topic, std::optional<Position> reached)
      : owner_(owner), feed_(std::move(feed)), topic_(std::move(topic)), reached_(reached) {}
  ~BringTask() override {
    if (!done_) feed_->failed = true;
    if (reached_.has_value()) feed_->subscriber->Resume();
  }

  const std::shared_ptr<Feed>& feed() const { return feed_; }
  const Topic& topic() const { return topic_; }

  bool empty() const { return items_.empty(); }
  void Drop() { done_ = true; }  // there was nothing to do

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
      if (!outcome.refused.empty()) Refused(item.view, outcome);
      if (!outcome.offset.has_value()) continue;  // it was published here, or has come before
      const GroupHeader& header = item.view.header();
      if (header.stream == StreamId())
        owner_->book_.Store(transaction, header, *outcome.offset, *outcome.stored);
      owner_->forwarder_->Brought(transaction, outcome.log.ref, *outcome.offset);
      brought_.emplace_back(outcome.log.ref, *outcome.offset);
      if (owner_->options_.on_stored)
        owner_->options_.on_stored(header, outcome.log.ref, outcome.stored->size());
    }
    if (reached_.has_value())
      transaction.Put(kTenantNumber, kPositionTable, PositionKey(feed_->id, topic_),
                      EncodePosition(*reached_));
    return absl::OkStatus();
  }

  // The genuine record may be among those for which there was no room. Who should have it will miss it, and
  // its sender gets no answer; here it is said why.
  void Refused(const GroupView& group, const AppendOutcome& outcome) {
    for (const RefusedRecords& records : outcome.refused) {
      owner_->refused_records_ += records.last_sequence - records.first_sequence + 1;
      SecurityEvent event = EventAt(SecurityEventKind::kConflict, group, kNextHop,
                                    "the next hop shows more records at one place than are kept: refused");
      event.sequence = records.first_sequence;
      Report(event);
    }
  }

  Downlink* const owner_;
  const std::shared_ptr<Feed> feed_;
  const Topic topic_;
  const std::optional<Position> reached_;  // none: not from a subscription
  std::vector<Item> items_;
  std::vector<std::pair<storage::LogRef, uint64_t>> brought_;
  RecordLogChanges changes_;
  size_t bytes_ = 0;
  bool done_ = false;
};

Downlink::Downlink(storage::LogStore* store, RecordLog* log, Forwarder* forwarder, const Options& options)
    : store_(store),
      log_(log),
      forwarder_(forwarder),
      options_(options),
      book_(store, options.tenant, options.clock),
      fetch_(options.channel, options.tenant,
             [this](const InstantiationId& id, std::vector<std::string> bundles) {
               verifier_.Post([this, id, bundles = std::move(bundles)] {
                 std::shared_ptr<Feed> feed;
                 {
                   absl::MutexLock lock(&control_);
                   feed = feed_;
                 }
                 if (feed != nullptr && feed->id == id) TakeBundles(feed, bundles);
               });
             }) {}
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
  // Before the first of the feed's groups is looked at.
  verifier_.Post([this, id = *id_, feed] {
    const absl::Status loaded = book_.Load(id);
    next_epoch_ = book_.next_epoch();
    if (loaded.ok()) return;
    Log(LogLevel::kError, "commits_not_loaded", {{"reason", Std(loaded.message())}});
    feed->failed = true;
  });
  feed->subscriber = std::make_unique<Subscriber>(options_.channel, std::move(on), options);
  feed_ = feed;
  feed->subscriber->Add(PositionsOf(*id_, WantedTopics())).IgnoreError();  // a roster's topics always fit
  feed->subscriber->Start();
}

// THREAD: gRPC's. The next message is read when this one is stored: what comes down is little.
void Downlink::Take(const std::shared_ptr<Feed>& feed, const TopicBatch& batch) {
  feed->subscriber->Pause();  // until the task is destroyed
  auto task = std::make_shared<std::unique_ptr<BringTask>>(std::make_unique<BringTask>(
      this, feed, batch.topic, Position{batch.log_id, batch.first_offset + batch.groups.size()}));
  std::vector<Payload> groups(batch.groups.begin(), batch.groups.end());
  if (batch.topic.kind() != TopicKind::kKeyring) return Sort(std::move(*task), groups);
  // Signatures are verified elsewhere, in order.
  verifier_.Post([this, task, groups = std::move(groups)] { Sort(std::move(*task), groups); });
}

// THREAD: gRPC's; for keyring, verifier_.
void Downlink::Sort(std::unique_ptr<BringTask> task, const std::vector<Payload>& groups) {
  GroupHeaderCache headers;
  for (const Payload& bytes : groups) {
    if (task->feed()->failed) return;  // the book may be ahead of the store: it begins anew with the feed
    absl::StatusOr<GroupView> view = GroupView::Parse(*bytes, headers);
    if (view.ok() && Belongs(view->header(), options_.tenant, task->feed()->id, task->topic())) {
      if (view->header().topic.kind() != TopicKind::kKeyring || MayEnter(*view))
        task->Add({bytes, *std::move(view)});
      continue;
    }
    ++malformed_;
    if (view.ok()) {
      Report(EventAt(SecurityEventKind::kMalformed, *view, kNextHop, "a group of another place in this log"));
      continue;
    }
    Report({.kind = SecurityEventKind::kMalformed,
            .tenant = options_.tenant.str(),
            .instantiation = task->feed()->id.ToHex(),
            .topic = task->topic().str(),
            .peer = std::string(kNextHop),
            .detail = "a group that does not parse"});
  }
  store_->Submit(std::move(task)).IgnoreError();  // refused: destroyed, which marks the feed as failed
}

bool Downlink::MayEnter(const GroupView& group) {
  if (group.header().stream != StreamId()) {
    if (group.header().epoch >= book_.next_epoch()) Behind();
    return true;
  }
  const CommitBook::Verdict verdict = book_.Judge(group);
  next_epoch_ = book_.next_epoch();
  if (verdict == CommitBook::Verdict::kSuccessor) return true;
  if (verdict != CommitBook::Verdict::kKnown) {
    ++refused_commits_;
    Behind();  // the genuine one may have been passed over
  }
  return false;
}

void Downlink::TakeBundles(const std::shared_ptr<Feed>& feed, const std::vector<std::string>& bundles) {
  if (feed->failed) return;
  auto task = std::make_unique<BringTask>(this, feed, Topic::Keyring(), std::nullopt);
  GroupHeaderCache headers;
  for (const std::string& bundle : bundles) {
    const absl::StatusOr<Payload> group = book_.JudgeBundle(AsBytes(bundle));
    if (!group.ok()) {
      ++refused_commits_;
      Report({.kind = absl::IsAlreadyExists(group.status()) ? SecurityEventKind::kFork
                                                            : SecurityEventKind::kCommitRefused,
              .tenant = options_.tenant.str(),
              .instantiation = feed->id.ToHex(),
              .topic = Topic::Keyring().str(),
              .peer = std::string(kNextHop),
              .detail = std::string(group.status().message())});
      break;
    }
    if (*group == nullptr) continue;
    absl::StatusOr<GroupView> view = GroupView::Parse(**group, headers);
    if (!view.ok()) break;  // we have just built it
    task->Add({*group, *std::move(view)});
  }
  next_epoch_ = book_.next_epoch();
  if (task->empty()) return task->Drop();
  store_->Submit(std::move(task)).IgnoreError();
}

void Downlink::Tick() {
  absl::MutexLock lock(&control_);
  if (stopped_ || feed_ == nullptr) return;
  const absl::Time now = options_.clock->Now();
  if (behind_ && now >= ask_at_) {
    behind_ = false;
    const uint64_t from = next_epoch_;
    const bool in_vain = from == asked_from_;
    ask_wait_ = in_vain ? std::min(ask_wait_ * 2, kLongestWait) : options_.ask_after;
    asked_from_ = from;
    ask_at_ = now + ask_wait_;
    fetch_.Begin(*id_, from);
  }
  if (!feed_->failed) return;
  if (restart_at_ == absl::InfinitePast()) {
    restart_at_ = now + kRestartAfter;
    return;
  }
  if (now < restart_at_) return;
  restart_at_ = absl::InfinitePast();
  ++restarts_;
  Restart();
}

// The verifier takes control_ for a moment, and waits for the store, which must still be open.
void Downlink::Stop() {
  {
    absl::MutexLock lock(&control_);
    stopped_ = true;
    if (feed_ != nullptr) feed_->subscriber->Stop();
  }
  fetch_.Stop();
  verifier_.Drain();
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
  out.refused_commits = refused_commits_;
  out.refused_records = refused_records_;
  out.restarts = restarts_;
  return out;
}

}  // namespace keystead::gateway
