#include "tests/unit/mobile_stub/test_device.h"

#include <gtest/gtest.h>

#include "core/cose/cose_key.h"
#include "core/crypto/hash.h"
#include "core/member/join_session.h"
#include "core/member/offered_member.h"
#include "keystead/v1/readings.pb.h"

namespace keystead::mobile::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

}  // namespace

TestDevice::TestDevice(const TenantName& tenant, const std::string& id, const std::string& kind,
                       std::shared_ptr<grpc::Channel> channel)
    : tenant_(tenant),
      id_(id),
      kind_(kind),
      channel_(std::move(channel)),
      ik_(*crypto::EcdsaKeyPair::Generate()),
      setup_code_(RandomSource::System().Secret(membership::kSetupCodeBytes)),
      boot_(RandomSource::System().NewId<BootId>()) {
  const JoinResponder::Identity identity{
      tenant_, id_,
      kind_,   "spiffe://" + tenant_.str() + (kind_ == "gateway" ? "/gateway/" : "/device/") + id_,
      &ik_,    &setup_code_};
  responder_ = std::make_unique<JoinResponder>(identity, RandomSource::System());
  publisher_ = std::make_unique<Publisher>(channel_, PublisherCallbacks());
  publisher_->Start();
}

TestDevice::~TestDevice() { Stop(); }

membership::Label TestDevice::Label() const {
  return {tenant_, id_, cose::Ckt(ik_.public_key()), setup_code_.Clone()};
}

void TestDevice::Start() {
  joining_ = std::thread([this] { Join(); });
}

void TestDevice::Stop() {
  stopping_ = true;
  if (joining_.joinable()) joining_.join();
  if (keyring_ != nullptr) keyring_->Stop();
  if (commands_ != nullptr) commands_->Stop();
  executor_.Drain();
  publisher_->Stop();
}

void TestDevice::Join() {
  JoinSessionOptions options;
  options.channel = channel_;
  options.responder = responder_.get();
  {
    absl::MutexLock lock(&mutex_);
    options.boot = boot_;
  }
  options.store = [](const SecretBytes&) { return absl::OkStatus(); };
  options.on_offer = [this](const JoinResponder::Offer& offer) {
    absl::MutexLock lock(&mutex_);
    member_ = MakeOfferedMember(offer, tenant_, ik_, &Clock::System());
    telemetry_.topic = Topic::Of(TopicKind::kTelemetry, offer.self);
    state_.topic = Topic::Of(TopicKind::kState, offer.self);
    KeyringLink::Options link;
    link.channel = channel_;
    link.tenant = tenant_;
    link.id = offer.id;
    link.executor = &executor_;
    link.mutex = &mutex_;
    link.member = member_.get();
    link.on_effect = [this](KeyringEffect effect) ABSL_NO_THREAD_SAFETY_ANALYSIS { OnKeyring(effect); };
    link.backoff = {.initial = absl::Milliseconds(20), .max = absl::Milliseconds(200)};
    keyring_ = std::make_unique<KeyringLink>(link);
    keyring_->Start();
  };
  // A stop while it waits for a message takes effect when a message comes or the wait ends: tests end the
  // call.
  options.stop = [this] { return stopping_ || owned(); };
  RunJoinSession(options).IgnoreError();
}

MemberId TestDevice::self() const {
  absl::MutexLock lock(&mutex_);
  return member_ == nullptr ? MemberId() : member_->identity().self;
}

bool TestDevice::owned() const {
  absl::MutexLock lock(&mutex_);
  return member_ != nullptr && member_->belongs();
}

Freshness TestDevice::Word() const {
  return member_->MakeFreshness(boot_, Clock::System().Uptime(), absl::ToUnixSeconds(absl::Now()));
}

void TestDevice::OnKeyring(KeyringEffect effect) {
  if (effect == KeyringEffect::kEpoch) {
    for (Lane* lane : {&telemetry_, &state_}) {
      if (lane->writer != nullptr) SealCheckpoint(*lane, true);
      lane->writer.reset();
    }
    if (reader_ == nullptr) {
      FollowCommands();
    } else {
      reader_->MembershipChanged();
    }
    if (kind_ == "gateway" || mute) return;
    Open(telemetry_);
    Open(state_);
  }
  if (effect == KeyringEffect::kProbe && telemetry_.writer != nullptr && !mute)
    SealCheckpoint(telemetry_, false);
}

void TestDevice::FollowCommands() {
  reader_ = std::make_unique<Reader>(member_->identity().self, ReaderLimits(), &member_->ring(),
                                     &member_->chain(), &Clock::System(), static_cast<ReaderListener*>(this));
  SubscriberCallbacks on;
  on.on_entries = [this](const TopicBatch& batch) {
    std::vector<Payload> groups(batch.groups.begin(), batch.groups.end());
    executor_.Post([this, groups = std::move(groups)] {
      absl::MutexLock lock(&mutex_);
      for (const Payload& payload : groups) {
        GroupHeaderCache headers;
        const absl::StatusOr<GroupView> group = GroupView::Parse(*payload, headers);
        if (!group.ok()) continue;
        for (const RecordView& r : group->records()) {
          reader_->Accept(PlaceOf(group->header()), r.sequence, r.cose);
        }
      }
    });
  };
  SubscriberOptions options;
  options.tenant = tenant_;
  options.instantiation = member_->identity().id;
  options.backoff = {.initial = absl::Milliseconds(20), .max = absl::Milliseconds(200)};
  commands_ = std::make_unique<Subscriber>(channel_, std::move(on), options);
  commands_->Add({{.topic = Topic::Of(TopicKind::kCommand, member_->identity().self)}}).IgnoreError();
  commands_->Start();
}

StreamWriter& TestDevice::Open(Lane& lane) {
  if (lane.writer != nullptr) return *lane.writer;
  const Member::Identity& identity = member_->identity();
  const uint64_t epoch = member_->ring().epoch();
  const absl::StatusOr<SenderKey> key = member_->ring().SenderKeyFor(epoch, lane.topic, identity.self);
  EXPECT_TRUE(key.ok()) << key.status();
  Bytes record;
  auto writer =
      StreamWriter::Open({tenant_, identity.id, lane.topic, identity.self, epoch, {}}, *key, ik_,
                         Opening{lane.previous, Word()}, Clock::System(), RandomSource::System(), record);
  EXPECT_TRUE(writer.ok()) << writer.status();
  lane.writer = *std::move(writer);
  lane.commit_hash = Word().commit_hash;
  Publish(*lane.writer, 0, record);
  return *lane.writer;
}

void TestDevice::Publish(const StreamWriter& writer, uint64_t sequence, ByteView record) {
  const StreamPlace& p = writer.place();
  GroupBuilder group(GroupHeader{p.tenant, p.id, p.topic, p.sender, p.epoch, p.stream});
  EXPECT_TRUE(group.Append(sequence, record).ok());
  last_group_ = group.Take();
  EXPECT_TRUE(publisher_->Enqueue(last_group_).ok());
}

void TestDevice::SealCheckpoint(Lane& lane, bool end) {
  Bytes record;
  Freshness word = Word();
  word.commit_hash = lane.commit_hash;  // also when the next epoch has begun
  const auto at = lane.writer->SealCheckpoint(word, end, record);
  ASSERT_TRUE(at.ok()) << at.status();
  Publish(*lane.writer, *at, record);
  lane.previous = lane.writer->AsPrevious();
}

uint64_t TestDevice::SealReading(double value, bool publish) {
  StreamWriter& writer = Open(telemetry_);
  v1::ReadingBatch batch;
  batch.set_taken_unix_us(absl::ToUnixMicros(absl::Now()));
  v1::Channel* channel = batch.add_channels();
  channel->set_name("temperature");
  channel->set_unit("Cel");
  v1::Reading* reading = batch.add_readings();
  reading->set_value(value);
  reading->set_quality(v1::QUALITY_GOOD);
  Bytes record;
  const auto at = writer.Seal(kinds::kReadings, AsBytes(batch.SerializeAsString()), record);
  EXPECT_TRUE(at.ok()) << at.status();
  if (publish) Publish(writer, *at, record);
  telemetry_.previous = writer.AsPrevious();
  return *at;
}

uint64_t TestDevice::SendReading(double value, bool checkpoint) {
  absl::MutexLock lock(&mutex_);
  const uint64_t at = SealReading(value, true);
  const Payload group = last_group_;
  if (checkpoint) SealCheckpoint(telemetry_, false);
  last_group_ = group;
  return at;
}

uint64_t TestDevice::SkipReading(double value) {
  absl::MutexLock lock(&mutex_);
  return SealReading(value, false);
}

void TestDevice::EndStream(bool with_end) {
  absl::MutexLock lock(&mutex_);
  if (with_end) SealCheckpoint(telemetry_, true);
  if (!with_end) telemetry_.previous->end.reset();
  telemetry_.writer.reset();
}

Payload TestDevice::last_group() const {
  absl::MutexLock lock(&mutex_);
  return last_group_;
}

void TestDevice::AwaitEpoch(uint64_t epoch) {
  const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return member_ != nullptr && member_->belongs() && member_->chain().epoch() >= epoch;
  };
  absl::MutexLock lock(&mutex_);
  EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), kPatience))
      << id_ << " never came to epoch " << epoch;
}

void TestDevice::OnRecord(const ReadRecord& record) {
  if (record.kind == kinds::kCommand) Obey(record);
}

void TestDevice::Obey(const ReadRecord& record) {
  if (mute) return;
  const absl::StatusOr<Command> command = ParseCommand(record.body);
  if (!command.ok()) return;
  if (reboot_on_command.exchange(false)) {
    boot_ = RandomSource::System().NewId<BootId>();
    for (Lane* lane : {&telemetry_, &state_}) {
      if (lane->writer != nullptr) lane->previous = lane->writer->AsPrevious();
      lane->writer.reset();
    }
    Open(telemetry_);
  }
  const absl::Duration uptime = Clock::System().Uptime() + absl::Seconds(late_seconds.load());
  const CommandGate gate{member_->identity().self, boot_, uptime, &member_->chain()};
  CommandResult result = JudgeCommand(gate, *command, record.place->sender, record.place->epoch, mark_);
  if (result == CommandResult::kDone && command->operation.name == "fly")
    result = CommandResult::kUnsupported;
  if (result == CommandResult::kDone) {
    mark_ = command->counter;
    ++commands_done_;
  }
  const Answer answer{crypto::Sha256(record.signed_object), result, command->counter,
                      command->operation.name};
  StreamWriter& writer = Open(state_);
  Bytes out;
  const auto at = writer.SealSigned(kinds::kAnswer, EncodeAnswer(answer), out);
  ASSERT_TRUE(at.ok()) << at.status();
  Publish(writer, *at, out);
}

}  // namespace keystead::mobile::testing
