#include "mobile-stub/hop_contents.h"

#include <algorithm>
#include <functional>
#include <set>

#include "core/cose/encrypt0.h"
#include "core/transport/subscriber.h"
#include "mobile-stub/members.h"

namespace keystead::mobile {
namespace {

class Collector {
 public:
  Collector(size_t topics, size_t last) : topics_(topics), last_(last) {}

  SubscriberCallbacks Callbacks() {
    SubscriberCallbacks on;
    on.on_entries = [this](const TopicBatch& batch) { Take(batch); };
    on.on_caught_up = [this](const Topic& topic) {
      absl::MutexLock lock(&mutex_);
      caught_up_.insert(topic);
    };
    on.on_disconnected = [this](const absl::Status& why) {
      absl::MutexLock lock(&mutex_);
      why_ = why;
    };
    return on;
  }

  absl::StatusOr<std::vector<HeldRecord>> Await(absl::Duration patience) {
    const auto done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return caught_up_.size() >= topics_ || !malformed_.ok();
    };
    absl::MutexLock lock(&mutex_);
    const bool in_time = mutex_.AwaitWithTimeout(absl::Condition(&done), patience);
    KS_RETURN_IF_ERROR(malformed_);
    if (!in_time) {
      return absl::DeadlineExceededError(absl::StrCat("the next hop did not send everything in time",
                                                      why_.ok() ? "" : ": ", why_.message()));
    }
    std::vector<HeldRecord> out;
    for (auto& [topic, records] : records_) std::ranges::move(records, std::back_inserter(out));
    return out;
  }

 private:
  void Take(const TopicBatch& batch) {
    absl::MutexLock lock(&mutex_);
    uint64_t offset = batch.first_offset;
    for (const Payload& payload : batch.groups) {
      const absl::StatusOr<GroupView> group = GroupView::Parse(*payload, headers_);
      if (!group.ok()) {
        malformed_.Update(absl::DataLossError("the next hop holds a group that does not parse"));
        return;
      }
      const GroupHeader& h = group->header();
      std::deque<HeldRecord>& kept = records_[batch.topic];
      for (const RecordView& record : group->records()) {
        HeldRecord held;
        held.place = {h.tenant, h.instantiation, h.topic, h.sender, h.epoch, h.stream};
        held.sequence = record.sequence;
        held.offset = offset;
        held.cose = ToBytes(record.cose);
        if (const auto view = cose::ParseEncrypt0(record.cose); view.ok()) held.kid = ToBytes(view->kid);
        kept.push_back(std::move(held));
        if (kept.size() > last_) kept.pop_front();
      }
      ++offset;
    }
  }

  const size_t topics_;
  const size_t last_;
  absl::Mutex mutex_;
  GroupHeaderCache headers_ ABSL_GUARDED_BY(mutex_);
  std::map<Topic, std::deque<HeldRecord>> records_ ABSL_GUARDED_BY(mutex_);
  std::set<Topic> caught_up_ ABSL_GUARDED_BY(mutex_);
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
  absl::Status malformed_ ABSL_GUARDED_BY(mutex_);
};

// Another value of the same form, one bit away where there are bits.
template <class Id>
Id Flipped(const Id& id) {
  auto bytes = id.array();
  bytes[0] ^= 1;
  return Id(bytes);
}

struct FieldChange {
  std::string_view name;
  std::function<void(StreamPlace& place, uint64_t& sequence)> apply;
};

const std::vector<FieldChange>& Changes() {
  static const auto* const changes = new std::vector<FieldChange>{
      {"tenant",
       [](StreamPlace& p, uint64_t&) {
         const auto other = TenantName::Parse("x." + p.tenant.str());
         p.tenant = other.ok() ? *other : TenantName();
       }},
      {"instantiation", [](StreamPlace& p, uint64_t&) { p.id = Flipped(p.id); }},
      {"topic",
       [](StreamPlace& p, uint64_t&) { p.topic = Topic::Of(p.topic.kind(), Flipped(p.topic.member())); }},
      {"sender", [](StreamPlace& p, uint64_t&) { p.sender = Flipped(p.sender); }},
      {"stream", [](StreamPlace& p, uint64_t&) { p.stream = Flipped(p.stream); }},
      {"epoch", [](StreamPlace& p, uint64_t&) { p.epoch += 1; }},
      {"sequence", [](StreamPlace&, uint64_t& sequence) { sequence += 1; }},
  };
  return *changes;
}

}  // namespace

bool BindingReport::bound() const {
  return records > 0 && std::ranges::all_of(fields, [](const FieldBinding& f) { return f.opened == 0; });
}

absl::StatusOr<std::vector<Topic>> AllTopics(const Engine& engine) {
  KS_ASSIGN_OR_RETURN(const Member member, engine.state().LoadMember());
  const Roster& roster = member.chain().roster();
  const RosterEntry* const own = roster.Find(member.identity().self);
  std::vector<Topic> topics =
      ReadableTopics(member.chain(), member.identity().self, limits::kMaxTopicsPerSubscription - 1);
  for (const RosterEntry& entry : roster.entries()) {
    const Topic commands = Topic::Of(TopicKind::kCommand, entry.member);
    const bool room = topics.size() + 1 < limits::kMaxTopicsPerSubscription;
    if (entry.kind == MemberKind::kDevice && room && own != nullptr && roster.MayRead(*own, commands))
      topics.push_back(commands);
  }
  topics.push_back(Topic::Keyring());
  return topics;
}

absl::StatusOr<std::vector<HeldRecord>> FetchRecords(const Engine& engine, const std::vector<Topic>& topics,
                                                     size_t last, absl::Duration patience) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  SubscriberOptions options;
  {
    KS_ASSIGN_OR_RETURN(const Member member, engine.state().LoadMember());
    options.tenant = member.identity().tenant;
    options.instantiation = member.identity().id;
  }
  options.backoff = {.initial = absl::Milliseconds(100), .max = absl::Seconds(1)};
  Collector collector(topics.size(), last);
  Subscriber subscriber(engine.channel(), collector.Callbacks(), options);
  std::vector<SubscriberTopic> wanted;
  wanted.reserve(topics.size());
  for (const Topic& topic : topics) wanted.push_back({.topic = topic});
  KS_RETURN_IF_ERROR(subscriber.Add(std::move(wanted)));
  subscriber.Start();
  auto records = collector.Await(patience);
  subscriber.Stop();
  return records;
}

absl::StatusOr<BindingReport> CheckBinding(const Engine& engine, const std::vector<HeldRecord>& records) {
  KS_ASSIGN_OR_RETURN(const Member member, engine.state().LoadMember());
  BindingReport report;
  for (const FieldChange& change : Changes()) report.fields.push_back({std::string(change.name), 0, 0});
  Bytes plaintext;
  for (const HeldRecord& record : records) {
    if (!record.place.topic.is_sealed()) continue;
    const absl::StatusOr<SenderKey> key =
        member.ring().SenderKeyFor(record.place.epoch, record.place.topic, record.place.sender);
    absl::StatusOr<RecordCipher> cipher =
        key.ok() ? RecordCipher::Create(*key, record.place) : absl::StatusOr<RecordCipher>(key.status());
    if (!cipher.ok() || !cipher->Open(record.sequence, record.cose, plaintext).ok()) {
      ++report.unreadable;
      continue;
    }
    ++report.records;
    for (size_t i = 0; i < Changes().size(); ++i) {
      StreamPlace claimed = record.place;
      uint64_t sequence = record.sequence;
      Changes()[i].apply(claimed, sequence);
      ++report.fields[i].records;
      if (cipher->OpenAs(claimed, sequence, record.cose, plaintext).ok()) ++report.fields[i].opened;
    }
    SecureWipe(plaintext.data(), plaintext.size());
  }
  return report;
}

}  // namespace keystead::mobile
