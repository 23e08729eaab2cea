#include "core/member/stream_sender.h"

#include <algorithm>
#include <string>

#include "core/membership/signed_object.h"
#include "core/observe/log.h"

namespace keystead {
namespace {

constexpr absl::Duration kStopStep = absl::Milliseconds(200);

GroupHeader HeaderOf(const StreamPlace& place) {
  return {place.tenant, place.id, place.topic, place.sender, place.epoch, place.stream};
}

}  // namespace

StreamSender::StreamSender(const Options& options, Callbacks callbacks)
    : options_(options), callbacks_(std::move(callbacks)) {}

absl::StatusOr<std::unique_ptr<StreamSender>> StreamSender::Create(const Options& options,
                                                                   Callbacks callbacks, HopChannel channel) {
  std::unique_ptr<StreamSender> sender(new StreamSender(options, std::move(callbacks)));
  KS_RETURN_IF_ERROR(sender->LoadJournal());
  StreamSender* raw = sender.get();
  PublisherCallbacks on;
  on.on_durable = [raw](uint64_t ticket) { raw->OnDurable(ticket); };
  on.on_refused = [raw](uint64_t ticket, const GroupRefusal& refusal) { raw->OnRefused(ticket, refusal); };
  if (raw->callbacks_.on_connection) {
    on.on_connected = [raw] { raw->callbacks_.on_connection(absl::OkStatus()); };
    on.on_disconnected = [raw](const absl::Status& why) { raw->callbacks_.on_connection(why); };
  }
  PublisherOptions publisher = options.publisher;
  // What the publisher holds cannot be given up any more; the other half takes the newest.
  publisher.max_buffer_bytes = std::min(publisher.max_buffer_bytes, options.journal_bytes / 2);
  publisher.linger = options.linger;
  sender->publisher_ = std::make_unique<Publisher>(std::move(channel), std::move(on), publisher);
  sender->publisher_->Start();
  absl::MutexLock lock(&sender->mutex_);
  sender->Feed();
  return sender;
}

StreamSender::~StreamSender() { Stop(absl::ZeroDuration()); }

absl::Status StreamSender::OpenStream() {
  KS_ASSIGN_OR_RETURN(Keys keys, callbacks_.keys());
  keys.config.limits = options_.limits;
  const Opening opening{flushed_, callbacks_.freshness()};
  scratch_.clear();
  KS_ASSIGN_OR_RETURN(writer_, StreamWriter::Open(keys.config, keys.key, *keys.ik, opening, *options_.clock,
                                                  *options_.random, scratch_));
  commit_hash_ = opening.freshness.commit_hash;
  builder_ = std::make_unique<GroupBuilder>(HeaderOf(writer_->place()));
  ++stats_.streams;
  return Collect(0, scratch_);
}

absl::Status StreamSender::Collect(uint64_t sequence, ByteView record) {
  if (!builder_->empty() && (!builder_->Fits(record.size()) || builder_->bytes() >= options_.gather_bytes)) {
    FlushLocked();
  }
  if (absl::Status status = builder_->Append(sequence, record); !status.ok()) {
    // The running hash covers what will never be sent: this stream is over, its end as last flushed.
    FlushLocked();
    writer_.reset();
    builder_.reset();
    return status;
  }
  if (builder_->records() == 1) builder_run_.first = sequence;
  builder_run_.second = sequence;
  collected_ = writer_->AsPrevious();
  ++stats_.sealed;
  return absl::OkStatus();
}

// Closes the stream as far as that is possible. Afterwards there is none.
absl::Status StreamSender::CloseStream() {
  if (writer_ == nullptr) return absl::OkStatus();
  const absl::Status closed = CheckpointIfDue(true, true);
  FlushLocked();
  writer_.reset();
  builder_.reset();
  return closed;
}

// A stream that can take one more record.
absl::Status StreamSender::Prepare() {
  if (ended_) return absl::FailedPreconditionError("the sender was stopped");
  if (writer_ != nullptr && (writer_->ended() || writer_->Exhausted())) {
    if (const absl::Status closed = CloseStream(); !closed.ok()) {
      Log(LogLevel::kWarning, "stream_not_closed", {{"reason", Std(closed.message())}});
    }
  }
  return writer_ == nullptr ? OpenStream() : absl::OkStatus();
}

// The last record that a stream has room for is its end: an ordinary checkpoint must not take that place.
absl::Status StreamSender::CheckpointIfDue(bool force, bool end) {
  if (writer_ == nullptr || writer_->ended()) return absl::OkStatus();
  if (writer_->Exhausted()) end = true;
  if (!force && !end && !writer_->CheckpointDue()) return absl::OkStatus();
  Freshness freshness = callbacks_.freshness();
  freshness.commit_hash =
      commit_hash_;  // the end of a stream belongs to its epoch, although the next has begun
  scratch_.clear();
  KS_ASSIGN_OR_RETURN(const uint64_t at, writer_->SealCheckpoint(freshness, end, scratch_));
  return Collect(at, scratch_);
}

absl::StatusOr<StreamSender::Sent> StreamSender::SendLocked(std::string_view kind, ByteView body,
                                                            bool is_signed) {
  const auto seal = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    scratch_.clear();
    return is_signed ? writer_->SealSigned(kind, body, scratch_) : writer_->Seal(kind, body, scratch_);
  };
  KS_RETURN_IF_ERROR(Prepare());
  absl::StatusOr<uint64_t> at = seal();
  if (at.status().code() ==
      absl::StatusCode::kResourceExhausted) {  // too long for what is left of the stream
    CloseStream().IgnoreError();               // a stream without end is told by the next
    KS_RETURN_IF_ERROR(Prepare());
    at = seal();
  }
  KS_RETURN_IF_ERROR(at.status());
  const Sent sent{writer_->place(), *at};
  KS_RETURN_IF_ERROR(Collect(*at, scratch_));
  // The record itself is on its way whatever becomes of the checkpoint.
  if (const absl::Status status = CheckpointIfDue(false, false); !status.ok()) {
    Log(LogLevel::kWarning, "checkpoint_failed", {{"reason", Std(status.message())}});
  }
  return sent;
}

absl::StatusOr<StreamSender::Sent> StreamSender::Send(std::string_view kind, ByteView body) {
  absl::MutexLock lock(&mutex_);
  return SendLocked(kind, body, false);
}

absl::StatusOr<StreamSender::Sent> StreamSender::SendSigned(std::string_view kind, ByteView payload) {
  absl::MutexLock lock(&mutex_);
  return SendLocked(kind, payload, true);
}

absl::Status StreamSender::Flush() {
  absl::MutexLock lock(&mutex_);
  const bool gathers = writes_ > 0 && builder_ != nullptr && builder_->bytes() < options_.gather_bytes;
  flush_due_ = gathers;
  if (!gathers) FlushLocked();
  SetBacklog();
  return absl::OkStatus();
}

// While the journal is full, losses are gathered: a report would itself be the next to go.
absl::Status StreamSender::ReportLosses() {
  while (!losses_.empty() && entries_bytes_ <= options_.journal_bytes / 2) {
    KS_RETURN_IF_ERROR(Prepare());
    FlushLocked();
    const Loss loss = losses_.front();
    losses_.erase(losses_.begin());
    reporting_.push_back(loss);
    const absl::Status sent = SendLocked(kinds::kLoss, EncodeLoss(loss), true).status();
    if (!sent.ok()) {
      reporting_.clear();
      losses_.insert(losses_.begin(), loss);
      return sent;
    }
    FlushLocked();
    Log(LogLevel::kWarning, "loss_reported",
        {{"stream", loss.stream.ToHex()},
         {"first", loss.first_sequence},
         {"last", loss.last_sequence},
         {"reason", loss.reason}});
  }
  return absl::OkStatus();
}

absl::Status StreamSender::Tick(bool checkpoint_now) {
  absl::MutexLock lock(&mutex_);
  if (ended_) return absl::OkStatus();
  absl::Status status = ReportLosses();
  status.Update(CheckpointIfDue(checkpoint_now, false));
  FlushLocked();
  SubmitToJournal();
  Feed();
  TrimDone();
  return status;
}

absl::Status StreamSender::EndStream() {
  absl::MutexLock lock(&mutex_);
  return CloseStream();
}

void StreamSender::Stop(absl::Duration patience) {
  const absl::Time until = absl::Now() + patience;
  {
    absl::MutexLock lock(&mutex_);
    if (!ended_) {
      if (patience > absl::ZeroDuration()) {
        ReportLosses().IgnoreError();  // kept in the journal for the next run otherwise
        const absl::Status closed = CloseStream();
        if (!closed.ok()) Log(LogLevel::kWarning, "stream_not_closed", {{"reason", Std(closed.message())}});
      }
      FlushLocked();
      ended_ = true;
    }
    const auto all_done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return entries_.empty(); };
    while (publishing_ && !entries_.empty() && absl::Now() < until) {
      SubmitToJournal();  // nobody else retries now
      Feed();
      mutex_.AwaitWithTimeout(absl::Condition(&all_done), std::min(kStopStep, until - absl::Now()));
    }
    publishing_ = false;
  }
  if (publisher_ != nullptr) publisher_->Stop();
  absl::MutexLock lock(&mutex_);
  TrimDone();
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return tasks_ == 0; };
  mutex_.Await(absl::Condition(&idle));
}

bool StreamSender::AllDurable() const {
  absl::MutexLock lock(&mutex_);
  return entries_.empty() && (builder_ == nullptr || builder_->empty());
}

StreamSender::Stats StreamSender::GetStats() const {
  Stats stats;
  {
    absl::MutexLock lock(&mutex_);
    stats = stats_;
    stats.journal_entries = entries_.size();
    stats.journal_bytes = entries_bytes_;
  }
  if (publisher_ != nullptr) {
    const Publisher::Stats publisher = publisher_->GetStats();
    stats.connected = publisher.connected;
    stats.connections = publisher.connections;
  }
  return stats;
}

}  // namespace keystead
