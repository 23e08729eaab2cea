#include "core/member/stream_sender.h"

#include <algorithm>
#include <string>

#include "core/member/last_stream.h"
#include "core/membership/signed_object.h"
#include "core/observe/log.h"

namespace keystead {
namespace {

GroupHeader HeaderOf(const StreamPlace& place) {
  return {place.tenant, place.id, place.topic, place.sender, place.epoch, place.stream};
}

}  // namespace

StreamSender::StreamSender(const Options& options, Callbacks callbacks)
    : options_(options), callbacks_(std::move(callbacks)) {}

absl::StatusOr<std::unique_ptr<StreamSender>> StreamSender::Create(const Options& options,
                                                                   Callbacks callbacks,
                                                                   std::shared_ptr<grpc::Channel> channel) {
  std::unique_ptr<StreamSender> sender(new StreamSender(options, std::move(callbacks)));
  KS_RETURN_IF_ERROR(sender->LoadJournal());
  StreamSender* raw = sender.get();
  PublisherCallbacks on;
  on.on_durable = [raw](uint64_t ticket) { raw->OnDurable(ticket); };
  on.on_refused = [raw](uint64_t ticket, const GroupRefusal& refusal) { raw->OnRefused(ticket, refusal); };
  PublisherOptions publisher = options.publisher;
  publisher.max_buffer_bytes =
      std::min(publisher.max_buffer_bytes, std::max<size_t>(options.journal_bytes / 2, 1 << 20));
  publisher.linger = options.linger;
  sender->publisher_ = std::make_unique<Publisher>(std::move(channel), std::move(on), publisher);
  sender->publisher_->Start();
  absl::MutexLock lock(&sender->mutex_);
  sender->Feed();
  return sender;
}

StreamSender::~StreamSender() { Stop(absl::ZeroDuration()); }

absl::Status StreamSender::LoadJournal() {
  absl::MutexLock lock(&mutex_);
  const std::string key = std::to_string(options_.journal.log);
  KS_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                      options_.store->Get(options_.journal.tenant, kSenderTable, key));
  if (row.has_value()) {
    KS_ASSIGN_OR_RETURN(previous_, ParseLastStream(*row));
  }
  KS_ASSIGN_OR_RETURN(const storage::Bounds bounds, options_.store->GetBounds(options_.journal));
  GroupHeaderCache headers;
  for (uint64_t at = bounds.first; at < bounds.end;) {
    KS_ASSIGN_OR_RETURN(const std::vector<storage::Entry> found,
                        options_.store->Read(options_.journal, at, 1 << 20));
    if (found.empty()) break;
    for (const storage::Entry& stored : found) {
      at = stored.offset + 1;
      KS_ASSIGN_OR_RETURN(const GroupView group, GroupView::Parse(*stored.bytes, headers));
      Entry entry;
      entry.number = next_entry_++;
      entry.bytes = stored.bytes;
      entry.stream = group.header().stream;
      entry.first_sequence = group.first_sequence();
      entry.last_sequence = group.last_sequence();
      entry.offset = stored.offset;
      entry.submitted = entry.journalled = true;
      entries_bytes_ += entry.bytes->size();
      entries_.push_back(std::move(entry));
    }
  }
  return absl::OkStatus();
}

absl::Status StreamSender::OpenStream() {
  KS_ASSIGN_OR_RETURN(Keys keys, callbacks_.keys());
  keys.config.limits = options_.limits;
  scratch_.clear();
  const Opening opening{previous_, callbacks_.freshness()};
  KS_ASSIGN_OR_RETURN(writer_, StreamWriter::Open(keys.config, keys.key, *keys.ik, opening, *options_.clock,
                                                  *options_.random, scratch_));
  builder_ = std::make_unique<GroupBuilder>(HeaderOf(writer_->place()));
  return Collect(0, scratch_);
}

absl::Status StreamSender::Collect(uint64_t sequence, ByteView record) {
  if (!builder_->empty() && (!builder_->Fits(record.size()) || builder_->bytes() >= options_.gather_bytes)) {
    KS_RETURN_IF_ERROR(FlushLocked());
  }
  if (builder_->empty()) builder_first_ = sequence;
  builder_last_ = sequence;
  ++stats_.sealed;
  return builder_->Append(sequence, record);
}

// A stream that can take one more record.
absl::Status StreamSender::Prepare() {
  if (ended_) return absl::FailedPreconditionError("the sender was stopped");
  if (writer_ != nullptr && writer_->Exhausted()) {
    KS_RETURN_IF_ERROR(CheckpointIfDue(true, true));
    KS_RETURN_IF_ERROR(FlushLocked());
    writer_.reset();
  }
  return writer_ == nullptr ? OpenStream() : absl::OkStatus();
}

absl::Status StreamSender::CheckpointIfDue(bool force, bool end) {
  if (writer_ == nullptr || writer_->ended() || !(force || writer_->CheckpointDue())) return absl::OkStatus();
  scratch_.clear();
  KS_ASSIGN_OR_RETURN(const uint64_t at, writer_->SealCheckpoint(callbacks_.freshness(), end, scratch_));
  KS_RETURN_IF_ERROR(Collect(at, scratch_));
  previous_ = writer_->AsPrevious();
  return absl::OkStatus();
}

absl::StatusOr<StreamSender::Sent> StreamSender::SendLocked(std::string_view kind, ByteView body,
                                                            bool is_signed) {
  KS_RETURN_IF_ERROR(Prepare());
  scratch_.clear();
  absl::StatusOr<uint64_t> at =
      is_signed ? writer_->SealSigned(kind, body, scratch_) : writer_->Seal(kind, body, scratch_);
  KS_RETURN_IF_ERROR(at.status());
  const Sent sent{writer_->place(), *at};
  KS_RETURN_IF_ERROR(Collect(*at, scratch_));
  KS_RETURN_IF_ERROR(CheckpointIfDue(false, false));
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
  return FlushLocked();
}

absl::Status StreamSender::FlushLocked() {
  if (builder_ == nullptr || builder_->empty()) return absl::OkStatus();
  Entry entry;
  entry.number = next_entry_++;
  entry.stream = writer_->place().stream;
  entry.first_sequence = builder_first_;
  entry.last_sequence = builder_last_;
  entry.bytes = builder_->Take();
  previous_ = writer_->AsPrevious();
  entries_bytes_ += entry.bytes->size();
  ++stats_.groups;
  entries_.push_back(std::move(entry));
  Overflow();
  SubmitToJournal();
  return absl::OkStatus();
}

absl::Status StreamSender::ReportLosses() {
  std::vector<Loss> losses = std::move(losses_);
  losses_.clear();
  for (const Loss& loss : losses) {
    KS_RETURN_IF_ERROR(SendLocked(kinds::kLoss, EncodeLoss(loss), true).status());
  }
  return absl::OkStatus();
}

absl::Status StreamSender::Tick(bool checkpoint_now) {
  absl::MutexLock lock(&mutex_);
  if (ended_) return absl::OkStatus();
  KS_RETURN_IF_ERROR(ReportLosses());
  KS_RETURN_IF_ERROR(CheckpointIfDue(checkpoint_now, false));
  KS_RETURN_IF_ERROR(FlushLocked());
  const absl::Duration now = options_.clock->Uptime();
  for (Entry& entry : entries_) {
    if (entry.refusals > 0 && entry.ticket == 0 && !entry.done && now >= entry.retry_at)
      entry.retry_at = absl::ZeroDuration();
  }
  SubmitToJournal();
  Feed();
  TrimDone();
  return absl::OkStatus();
}

absl::Status StreamSender::EndStream() {
  absl::MutexLock lock(&mutex_);
  if (writer_ == nullptr) return absl::OkStatus();
  KS_RETURN_IF_ERROR(CheckpointIfDue(true, true));
  KS_RETURN_IF_ERROR(FlushLocked());
  writer_.reset();
  builder_.reset();
  return absl::OkStatus();
}

void StreamSender::Stop(absl::Duration patience) {
  {
    absl::MutexLock lock(&mutex_);
    if (!ended_) {
      if (patience > absl::ZeroDuration()) {
        const absl::Status closed = CheckpointIfDue(true, true);
        if (!closed.ok()) Log(LogLevel::kWarning, "stream_not_closed", {{"reason", Std(closed.message())}});
      }
      const absl::Status flushed = FlushLocked();
      if (!flushed.ok()) Log(LogLevel::kWarning, "stream_not_flushed", {{"reason", Std(flushed.message())}});
      ended_ = true;
    }
    const auto all_done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return std::ranges::all_of(entries_, [](const Entry& e) { return e.done; });
    };
    mutex_.AwaitWithTimeout(absl::Condition(&all_done), patience);
  }
  if (publisher_ != nullptr) publisher_->Stop();
  absl::MutexLock lock(&mutex_);
  ended_for_good_ = true;
  TrimDone();
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return tasks_ == 0; };
  mutex_.Await(absl::Condition(&idle));
}

bool StreamSender::AllDurable() const {
  absl::MutexLock lock(&mutex_);
  return std::ranges::all_of(entries_, [](const Entry& e) { return e.done; });
}

StreamSender::Stats StreamSender::GetStats() const {
  absl::MutexLock lock(&mutex_);
  Stats stats = stats_;
  stats.journal_entries = entries_.size();
  stats.journal_bytes = entries_bytes_;
  if (publisher_ != nullptr) {
    const Publisher::Stats publisher = publisher_->GetStats();
    stats.connected = publisher.connected;
    stats.connections = publisher.connections;
  }
  return stats;
}

}  // namespace keystead
