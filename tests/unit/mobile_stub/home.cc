#include "tests/unit/mobile_stub/home.h"

#include <filesystem>

#include "absl/synchronization/notification.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"

namespace keystead::mobile::testing {

grpc::Status TestRendezvous::Refused() {
  if (without_wait > 0) {
    --without_wait;
  } else if (wait_seconds > 0) {
    return ToPeer(LimitReached("mailboxes", absl::Seconds(wait_seconds.load())));
  }
  return {grpc::StatusCode::RESOURCE_EXHAUSTED, "a limit was reached"};
}

bool TestRendezvous::Refuses() {
  if (refuses == 0) return false;
  --refuses;
  return true;
}

grpc::Status TestRendezvous::Put(grpc::ServerContext*, const v1::PutRequest* request, v1::PutResponse*) {
  absl::MutexLock lock(&mutex_);
  ++puts;
  if (full || Refuses()) return Refused();
  boxes_[request->box()].push_back(request->message());
  return grpc::Status::OK;
}

void TestRendezvous::PutForged(const MailboxName& box, const std::string& message) {
  absl::MutexLock lock(&mutex_);
  boxes_[box.ToString()].push_back(message);
}

grpc::Status TestRendezvous::Await(grpc::ServerContext* context, const v1::AwaitRequest* request,
                                   v1::AwaitResponse* response) {
  const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return boxes_[request->box()].size() > request->after();
  };
  ++awaits;
  absl::MutexLock lock(&mutex_);
  if (Refuses()) return Refused();
  if (answers_at_once && !there()) return grpc::Status::OK;
  // Callers ask again; so none of them is held up when a test ends.
  const absl::Time deadline =
      std::min(absl::FromChrono(context->deadline()), absl::Now() + absl::Milliseconds(200));
  if (!mutex_.AwaitWithDeadline(absl::Condition(&there), deadline)) {
    return {grpc::StatusCode::DEADLINE_EXCEEDED, ""};
  }
  const auto& messages = boxes_[request->box()];
  for (size_t i = request->after(); i < messages.size(); ++i) response->add_messages(messages[i]);
  return grpc::Status::OK;
}

void TestRegistry::PublishThrough(std::shared_ptr<grpc::Channel> channel) {
  publisher_ = std::make_unique<Publisher>(std::move(channel), PublisherCallbacks());
  publisher_->Start();
}

grpc::Status TestRegistry::Store(const v1::SubmitCommitRequest& request) {
  const auto bundle = CommitBundle::ParseContent(AsBytes(request.bundle()));
  if (!bundle.ok()) return ToPeer(bundle.status());
  if (chain_ == nullptr) {
    chain_ = std::make_unique<MembershipChain>(*TenantName::Parse(request.tenant()),
                                               *InstantiationId::FromBytes(request.instantiation()));
  }
  if (std::ranges::find(bundles_, request.bundle()) != bundles_.end()) return grpc::Status::OK;
  const auto effect = chain_->Apply(*bundle);
  if (absl::IsAlreadyExists(effect.status())) return {grpc::StatusCode::ABORTED, "not the head"};
  if (!effect.ok()) return ToPeer(effect.status());
  bundles_.push_back(request.bundle());
  ++commits;
  GroupBuilder group(GroupHeader{chain_->tenant(), chain_->id(), Topic::Keyring(), chain_->head().owner,
                                 chain_->epoch(), StreamId()});
  EXPECT_TRUE(group.Append(0, AsBytes(request.bundle())).ok());
  EXPECT_TRUE(publisher_->Enqueue(group.Take()).ok());
  return grpc::Status::OK;
}

grpc::Status TestRegistry::Submit(grpc::ServerContext*, const v1::SubmitCommitRequest* request,
                                  v1::SubmitCommitResponse* response) {
  absl::MutexLock lock(&mutex_);
  ++submits;
  if (!lies_.empty()) {
    const Lie lie = lies_.front();
    lies_.pop_front();
    if (lie.store) {
      EXPECT_TRUE(Store(*request).ok());
    }
    if (lie.echo) echoes_.push_back(request->bundle());
    return {lie.answer, lie.answer == grpc::StatusCode::OK ? "" : "so says a hop"};
  }
  const grpc::Status status = Store(*request);
  if (!status.ok()) return status;
  response->set_epoch(chain_->epoch());
  response->set_head(chain_->head().hash.ToString());
  return grpc::Status::OK;
}

grpc::Status TestRegistry::Fetch(grpc::ServerContext*, const v1::FetchCommitsRequest* request,
                                 v1::FetchCommitsResponse* response) {
  absl::MutexLock lock(&mutex_);
  if (shows_nothing) return {grpc::StatusCode::NOT_FOUND, "no such instantiation"};
  const size_t shown = std::min<uint64_t>(bundles_.size(), shows_below);
  for (size_t i = request->from_epoch(); i < shown; ++i) response->add_bundles(bundles_[i]);
  const size_t echoed = request->from_epoch() - std::min<size_t>(request->from_epoch(), bundles_.size());
  for (size_t i = echoed; i < echoes_.size(); ++i) response->add_bundles(echoes_[i]);
  if (shows_junk) response->add_bundles("junk");
  return grpc::Status::OK;
}

void TestRegistry::Lies(int times, const Lie& lie) {
  absl::MutexLock lock(&mutex_);
  lies_.insert(lies_.end(), static_cast<size_t>(times), lie);
}

void TestRegistry::BeHonest() {
  absl::MutexLock lock(&mutex_);
  lies_.clear();
  echoes_.clear();
  shows_nothing = false;
  shows_junk = false;
  shows_below = UINT64_MAX;
}

void TestRegistry::ForgetFrom(uint64_t epoch) {
  absl::MutexLock lock(&mutex_);
  bundles_.resize(epoch);
  MembershipChain chain(chain_->tenant(), chain_->id());
  for (const std::string& bundle : bundles_) {
    EXPECT_TRUE(chain.Apply(*CommitBundle::ParseContent(AsBytes(bundle))).ok());
  }
  *chain_ = std::move(chain);
}

Home::Home()
    : folder_((std::filesystem::path(::testing::TempDir()) /
               ("home_" + RandomSource::System().NewId<LogId>().ToHex()))
                  .string()),
      state_folder_(folder_ + "/app"),
      hop_(std::make_unique<HomeHop>(folder_ + "/hop",
                                     std::vector<grpc::Service*>{&registry_, &rendezvous_})) {
  registry_.PublishThrough(Dial(Role::kService));
}

Home::~Home() {
  registry_.Stop();
  hop_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::unique_ptr<Engine> Home::App() const {
  return Must(Engine::Over(state_folder_, Dial(Role::kApp), HomeHop::AppId()));
}

std::unique_ptr<TestDevice> Home::NewDevice(const std::string& id, const std::string& kind) {
  return std::make_unique<TestDevice>(HomeHop::AppId().tenant(), id, kind, Dial(Role::kDevice));
}

PairOutcome Home::Pair(const std::vector<TestDevice*>& devices) {
  PairRequest request;
  request.patience = kPatience;
  for (TestDevice* device : devices) {
    device->Start();
    request.labels.push_back(device->Label());
  }
  const auto engine = App();
  PairOutcome outcome = Must(PairDevices(*engine, request, IgnoreRecovery(), nullptr));
  EXPECT_TRUE(outcome.failed.empty()) << outcome.failed.front().status;
  for (TestDevice* device : devices) device->AwaitEpoch(outcome.epoch);
  return outcome;
}

void Home::Inject(Payload group) {
  absl::Notification durable;
  PublisherCallbacks on;
  on.on_durable = [&](uint64_t) { durable.Notify(); };
  Publisher publisher(Dial(Role::kService), std::move(on));
  publisher.Start();
  EXPECT_TRUE(publisher.Enqueue(std::move(group)).ok());
  EXPECT_TRUE(durable.WaitForNotificationWithTimeout(kPatience));
  publisher.Stop();
}

// Witness
// --------------------------------------------------------------------------------------------------------

void Witness::OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Reading& reading : batch.readings()) {
    readings_.push_back({record.place->sender, record.sequence, reading.value(), record.confirmed});
  }
  changed_.SignalAll();
}
void Witness::OnDuplicate(const StreamPlace& place, uint64_t sequence) {
  absl::MutexLock lock(&mutex_);
  duplicates_.emplace_back(place, sequence);
  changed_.SignalAll();
}
void Witness::OnMissing(const StreamPlace& place, const SequenceRange& range) {
  absl::MutexLock lock(&mutex_);
  missing_.emplace_back(place, range);
  changed_.SignalAll();
}
void Witness::OnConfirmed(const StreamPlace&, const SequenceRange& range) {
  absl::MutexLock lock(&mutex_);
  confirmed_ += range.last - range.first + 1;
  changed_.SignalAll();
}
void Witness::OnAlarm(const SecurityEvent& event) {
  absl::MutexLock lock(&mutex_);
  alarms_.push_back(event);
  changed_.SignalAll();
}
void Witness::OnMembership(const MembershipChain& chain) {
  absl::MutexLock lock(&mutex_);
  epoch_ = chain.epoch();
  changed_.SignalAll();
}
void Witness::OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) {
  absl::MutexLock lock(&mutex_);
  waiting_ = {epoch, members};
  changed_.SignalAll();
}
std::pair<uint64_t, std::vector<MemberId>> Witness::waiting() const {
  absl::MutexLock lock(&mutex_);
  return waiting_;
}
std::vector<Witness::Seen> Witness::readings() const {
  absl::MutexLock lock(&mutex_);
  return readings_;
}
std::vector<SecurityEvent> Witness::alarms() const {
  absl::MutexLock lock(&mutex_);
  return alarms_;
}
std::vector<std::pair<StreamPlace, uint64_t>> Witness::duplicates() const {
  absl::MutexLock lock(&mutex_);
  return duplicates_;
}
std::vector<std::pair<StreamPlace, SequenceRange>> Witness::missing() const {
  absl::MutexLock lock(&mutex_);
  return missing_;
}
uint64_t Witness::confirmed() const {
  absl::MutexLock lock(&mutex_);
  return confirmed_;
}
uint64_t Witness::epoch() const {
  absl::MutexLock lock(&mutex_);
  return epoch_;
}

void Witness::Await(const std::function<bool(const Witness&)>& condition, const char* what) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!condition(*this)) {
    absl::MutexLock lock(&mutex_);
    if (absl::Now() >= deadline) {
      ADD_FAILURE() << "waited in vain: " << what;
      return;
    }
    changed_.WaitWithTimeout(&mutex_, absl::Milliseconds(50));
  }
}

}  // namespace keystead::mobile::testing
