#include "mobile-stub/console/reader_notes.h"

#include "absl/strings/str_cat.h"

namespace keystead::console {

void ReaderNotes::NoteOpened(const ReadRecord& record) {
  const RecordName name{record.place->stream, record.sequence};
  absl::MutexLock lock(&mutex_);
  // What the sender confirms instead takes the place of what was shown first.
  if (opened_.insert_or_assign(name, record.sealed).second) opened_order_.push_back(name);
  if (opened_order_.size() <= kMaxOpened) return;
  opened_.erase(opened_order_.front());
  opened_order_.pop_front();
}

void ReaderNotes::OnReadings(const ReadRecord& record, const v1::ReadingBatch&, bool) { NoteOpened(record); }
void ReaderNotes::OnRecord(const ReadRecord& record) { NoteOpened(record); }

void ReaderNotes::Note(const StreamId& stream, const SequenceRange& range, std::string kind,
                       std::string detail) {
  absl::MutexLock lock(&mutex_);
  notices_.push_back({stream, range, {std::move(kind), std::move(detail), absl::ToUnixMicros(clock_.Now())}});
  if (notices_.size() > kMaxNotices) notices_.pop_front();
}

void ReaderNotes::OnMissing(const StreamPlace& place, const SequenceRange& range) {
  Note(place.stream, range, "missing",
       absl::StrCat("records ", range.first, " to ", range.last, " are missing"));
}

void ReaderNotes::OnDuplicate(const StreamPlace& place, uint64_t sequence) {
  Note(place.stream, {sequence, sequence}, "duplicate", "the same bytes came again, and were taken once");
}

void ReaderNotes::OnAlarm(const SecurityEvent& event) {
  const absl::StatusOr<StreamId> stream = StreamId::FromHex(event.stream);
  if (!stream.ok() || event.kind == SecurityEventKind::kMissing) return;  // OnMissing says it of each record
  Note(*stream, {event.sequence, event.sequence}, std::string(SecurityEventName(event.kind)), event.detail);
}

std::optional<Digest> ReaderNotes::Opened(const RecordName& name) const {
  absl::MutexLock lock(&mutex_);
  const auto at = opened_.find(name);
  return at == opened_.end() ? std::nullopt : std::optional(at->second);
}

std::vector<Notice> ReaderNotes::NoticesAt(const RecordName& name) const {
  std::vector<Notice> out;
  absl::MutexLock lock(&mutex_);
  for (const At& at : notices_) {
    if (at.stream == name.stream && at.range.first <= name.sequence && name.sequence <= at.range.last)
      out.push_back(at.notice);
  }
  return out;
}

}  // namespace keystead::console
