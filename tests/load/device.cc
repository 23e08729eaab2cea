#include "tests/load/device.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>

#include "core/base/random.h"
#include "core/transport/response_writer.h"
#include "core/transport/status_mapping.h"
#include "core/transport/wire.h"
#include "tests/load/machine.h"
#include "tests/load/retry_info.h"

namespace keystead::load {
namespace {

constexpr size_t kMaxQueue = 1 << 20;           // records that wait here; what comes on top is never sent
constexpr size_t kMaxInFlight = 32;             // requests
constexpr size_t kMaxRequestBytes = 256 << 10;  // but for one record that is larger
constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kHostileWait = 5 * kMillisecond;  // a call that ended is opened again at once, or nearly so
constexpr int64_t kFirstWait = 50 * kMillisecond;
constexpr int64_t kLongestWait = 2000 * kMillisecond;

enum Operation { kStarted, kMetadata, kRead, kWritten, kFinished };

}  // namespace

// Lives until the queue has given back all that was started.
struct Device::Call final : public Completion {
  explicit Call(Device* of) : device(of) {
    for (int operation = kStarted; operation <= kFinished; ++operation) tags[operation] = {this, operation};
  }
  void Start() {
    grpc::GenericStub stub(device->channel_);
    stream = stub.PrepareCall(&context, "/keystead.v1.Transport/Publish", device->core_->cq);
    stream->StartCall(&tags[kStarted]);
  }
  void Done(int operation, bool ok) override {
    switch (operation) {
      case kStarted:
        if (!ok) return Finish();
        return stream->ReadInitialMetadata(&tags[kMetadata]);
      case kMetadata:
        if (!ok) return Finish();
        open = reading = true;
        device->failures_ = 0;
        stream->Read(&response, &tags[kRead]);
        if (device->on_change_) device->on_change_();
        return device->Pump();
      case kRead:
        return ReadDone(ok);
      case kWritten:
        writing = false;
        if (!ok) open = false;
        if (!reading) return Finish();
        return device->Pump();
      default:
        return device->Ended(status);  // destroys this
    }
  }
  void ReadDone(bool ok) {
    if (ok) {
      v1::PublishResponse message;
      if (grpc::SerializationTraits<v1::PublishResponse>::Deserialize(&response, &message).ok() &&
          device->Take(message)) {
        return stream->Read(&response, &tags[kRead]);
      }
      broke_protocol = true;
      context.TryCancel();
    }
    open = reading = false;
    if (!writing) Finish();
  }
  void Finish() {
    open = false;
    stream->Finish(&status, &tags[kFinished]);
  }

  Device* const device;
  grpc::ClientContext context;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
  grpc::ByteBuffer request;
  grpc::ByteBuffer response;
  grpc::Status status;
  bool open = false;
  bool reading = false;
  bool writing = false;
  bool broke_protocol = false;
  bool given_up = false;  // by us
  Tag tags[kFinished + 1];
};

Device::Device(EngineCore* core, size_t tenant, std::shared_ptr<grpc::Channel> channel, GroupHeader header)
    : core_(core), tenant_(tenant), channel_(std::move(channel)), header_(std::move(header)) {}
Device::~Device() = default;

bool Device::open() const { return call_ != nullptr && call_->open; }

void Device::Open() {
  if (call_ != nullptr || closing_) return;
  call_ = std::make_unique<Call>(this);
  call_->Start();
}

void Device::Begin(const std::shared_ptr<const DeviceLoad>& load, uint64_t seed) {
  load_ = load;
  ++generation_;
  random_ = SmallRandom(seed ^ 0x5bd1e995);
  header_.stream = RandomSource::System().NewId<StreamId>();
  header_bytes_ = EncodeGroupHeader(header_);
  queue_.clear();
  first_sequence_ = 0;
  sent_ = ever_sent_ = 0;
  refused_.clear();
  may_arrive_ = load_->per_second > 0;
  // A call keeps its numbering of requests; what an earlier Begin still has in flight is no longer ours.
  for (size_t& records : in_flight_) records = 0;
  const int64_t now = NowNs();
  for (uint64_t i = 0; i < load_->backlog; ++i) Enqueue(load_->begin_ns, now);
  for (uint64_t i = 0; i < load_->window; ++i) Enqueue(now, now);
  Open();
  Pump();
  if (!may_arrive_) return;
  arrivals_ = std::make_unique<Arrivals>(load_->arrivals, load_->per_second, load_->begin_ns, seed);
  core_->WakeAt(arrivals_->next(), [this, of = generation_](int64_t due_now) { ArrivalsDue(due_now, of); });
}

void Device::ArrivalsDue(int64_t now_ns, uint64_t generation) {
  if (generation != generation_ || !may_arrive_) return;
  for (; arrivals_->next() <= now_ns && arrivals_->next() < load_->end_ns; arrivals_->Advance())
    Arrive(arrivals_->next(), now_ns);
  may_arrive_ = arrivals_->next() < load_->end_ns;
  if (may_arrive_)
    core_->WakeAt(arrivals_->next(),
                  [this, generation](int64_t due_now) { ArrivalsDue(due_now, generation); });
  if (drained() && on_change_) on_change_();
  Pump();
}

void Device::Arrive(int64_t intended_ns, int64_t now_ns) {
  for (int i = 0; i < load_->records_per_arrival; ++i) Enqueue(intended_ns, now_ns);
}

void Device::Enqueue(int64_t intended_ns, int64_t now_ns) {
  core_->recorder->Offered(tenant_, intended_ns, now_ns);
  if (queue_.size() >= kMaxQueue) return core_->recorder->Unsent(tenant_, intended_ns, now_ns);
  queue_.push_back(intended_ns);
}

void Device::Pump() {
  if (!open() || call_->writing || in_flight_.size() >= kMaxInFlight || sent_ == queue_.size()) return;
  const size_t records = FillRequest(call_->request);
  in_flight_.push_back(records);
  sent_ += records;
  if (sent_ > ever_sent_) {
    core_->recorder->Sent(tenant_, sent_ - ever_sent_);
    ever_sent_ = sent_;
  }
  call_->writing = true;
  core_->writes.push_back({call_->stream.get(), &call_->request, &call_->tags[kWritten]});
}

size_t Device::FillRequest(grpc::ByteBuffer& out) {
  BufferWriter writer;
  std::vector<uint64_t>& firsts = group_firsts_.emplace_back();
  GroupBuilder group(header_bytes_);
  size_t records = 0;
  size_t bytes = 0;
  const auto end_group = [&] {
    const Payload whole = group.Take();
    writer.text().push_back(static_cast<char>(wire::BytesTag(1)));
    wire::PutVarint(writer.text(), whole->size());
    writer.Refer(whole);
  };
  const size_t most = std::min(queue_.size() - sent_, kMaxRequestRecords);
  while (records < most && (records == 0 || bytes + load_->form->bytes() <= kMaxRequestBytes)) {
    const size_t at = sent_ + records;
    if (!group.empty() && (group.records() >= static_cast<size_t>(load_->records_per_group) ||
                           !group.Fits(load_->form->bytes()))) {
      end_group();
    }
    if (group.empty()) firsts.push_back(first_sequence_ + at);
    // Cannot fail: sequences rise, and the size was checked.
    static_cast<void>(group.Append(first_sequence_ + at, load_->form->Stamped(queue_[at])));
    bytes += load_->form->bytes();
    ++records;
  }
  end_group();
  out = writer.Take();
  return records;
}

// False: the server does not keep to the protocol.
bool Device::Take(const v1::PublishResponse& response) {
  const int64_t now = NowNs();
  for (const v1::Refusal& refusal : response.refusals()) {
    const uint64_t index = refusal.request() - first_request_;
    if (refusal.request() < first_request_ || index >= in_flight_.size()) return false;
    const std::vector<uint64_t>& firsts = group_firsts_[index];
    if (refusal.group() >= firsts.size()) return false;
    RefusedRange range{refusal.first_sequence(), refusal.last_sequence(), refusal.code()};
    if (range.last == 0) {  // the whole group, unread
      range.first = firsts[refusal.group()];
      range.last = (refusal.group() + 1 < firsts.size() ? firsts[refusal.group() + 1]
                                                        : firsts[0] + in_flight_[index]) -
                   1;
    }
    if (in_flight_[index] > 0) refused_.push_back(range);
  }
  if (response.durable_requests() >= first_request_ + in_flight_.size()) return false;
  uint64_t settled = 0;
  while (!in_flight_.empty() && first_request_ <= response.durable_requests()) {
    settled += in_flight_.front();
    in_flight_.pop_front();
    group_firsts_.pop_front();
    ++first_request_;
  }
  if (settled > 0) last_end_ = absl::OkStatus();  // it is let in again
  Settle(settled, now);
  if (load_->window > 0 && now < load_->end_ns) {
    for (uint64_t i = 0; i < settled; ++i) Enqueue(now, now);
  }
  if (drained() && on_change_) on_change_();
  Pump();
  return true;
}

int Device::RefusalOf(uint64_t sequence) const {
  for (const RefusedRange& range : refused_) {
    if (sequence >= range.first && sequence <= range.last) return range.code;
  }
  return 0;
}

void Device::Settle(uint64_t records, int64_t now_ns) {
  for (uint64_t i = 0; i < records; ++i) {
    const int code = refused_.empty() ? 0 : RefusalOf(first_sequence_);
    if (code == 0) core_->recorder->Acknowledged(tenant_, queue_.front(), now_ns);
    if (code != 0) core_->recorder->Refused(tenant_, queue_.front(), now_ns, code);
    queue_.pop_front();
    ++first_sequence_;
  }
  sent_ -= records;
  ever_sent_ -= records;
  std::erase_if(refused_, [this](const RefusedRange& range) { return range.last < first_sequence_; });
}

void Device::Ended(const grpc::Status& status) {
  grpc::Status why = status;
  if (call_->broke_protocol)
    why = grpc::Status(grpc::StatusCode::INTERNAL, "the server does not keep to the protocol");
  if (why.ok()) why = grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server ended the call");
  const bool given_up = call_->given_up;
  if (!given_up) last_end_ = FromGrpc(why);
  call_.reset();
  sent_ = 0;  // all of it goes out again
  in_flight_.clear();
  group_firsts_.clear();
  first_request_ = 1;
  if (!closing_ && !given_up && core_->recorder != nullptr)
    core_->recorder->Ended(tenant_, NowNs(), static_cast<int>(last_end_.code()));
  if (on_change_) on_change_();
  if (closing_ || opening_again_ || load_ == nullptr) return;
  opening_again_ = true;
  core_->WakeAt(given_up ? NowNs() : NowNs() + WaitNs(why), [this](int64_t) {
    opening_again_ = false;
    Open();
  });
}

int64_t Device::WaitNs(const grpc::Status& status) {
  if (!load_->obeys) return kHostileWait;
  const int64_t bound = std::min(kFirstWait << std::min(failures_++, 16), kLongestWait);
  const auto backoff = static_cast<int64_t>(static_cast<double>(bound) * random_.Uniform());
  const auto asked = RetryDelayOf(status.error_details());
  if (!asked) return backoff;
  // At least what was asked for, and not all at the same moment.
  return static_cast<int64_t>(absl::ToDoubleNanoseconds(*asked) * (1 + 0.5 * random_.Uniform()));
}

void Device::Hush(int64_t now_ns) {
  ++generation_;
  may_arrive_ = false;
  while (queue_.size() > ever_sent_) {
    core_->recorder->Unsent(tenant_, queue_.back(), now_ns);
    queue_.pop_back();
  }
}

void Device::GiveUp(int64_t now_ns) {
  Hush(now_ns);
  const bool pushed_back = absl::IsResourceExhausted(last_end_);
  for (size_t i = 0; i < queue_.size(); ++i) {
    if (pushed_back) {
      core_->recorder->Refused(tenant_, queue_[i], now_ns, static_cast<int>(last_end_.code()));
    } else {
      core_->recorder->Lost(tenant_, queue_[i], now_ns);
    }
  }
  const bool left = !queue_.empty();
  queue_.clear();
  sent_ = ever_sent_ = 0;
  refused_.clear();
  for (size_t& records : in_flight_) records = 0;
  // What this stream still has under way must not be taken for the next one's.
  if (!left || call_ == nullptr) return;
  call_->open = false;
  call_->given_up = true;
  call_->context.TryCancel();
}

void Device::Close() {
  closing_ = true;
  if (call_ != nullptr) call_->context.TryCancel();
}

}  // namespace keystead::load
