#include "core/sealing/stream_writer.h"

#include <algorithm>

#include "core/cose/cbor.h"
#include "core/crypto/hash.h"
#include "core/membership/signed_object.h"
#include "core/sealing/places.h"

namespace keystead {
namespace {

constexpr size_t kClosingBytes = 4096;        // one closing checkpoint, with every echo
constexpr size_t kSignedOverheadBytes = 256;  // of a signed object beyond its payload

}  // namespace

Digest InitialRunningHash(const StreamPlace& place) {
  return crypto::Sha256(cose::EncodeArray("ks1 run", place.tenant, place.id, place.topic, place.sender,
                                          place.stream, place.epoch));
}

Digest NextRunningHash(const Digest& hash, const Digest& record_hash) {
  return crypto::Sha256({hash.view(), record_hash.view()});
}

StreamWriter::StreamWriter(const Config& config, const StreamPlace& place, RecordCipher cipher,
                           const crypto::EcdsaKeyPair& ik, const Clock& clock)
    : place_(place),
      limits_(config.limits),
      cipher_(std::move(cipher)),
      ik_(ik),
      clock_(clock),
      opened_(clock.Uptime()),
      hash_(InitialRunningHash(place)),
      last_checkpoint_(opened_) {}

absl::StatusOr<std::unique_ptr<StreamWriter>> StreamWriter::Open(const Config& config, const SenderKey& key,
                                                                 const crypto::EcdsaKeyPair& ik,
                                                                 const Opening& opening, const Clock& clock,
                                                                 RandomSource& random, Bytes& out) {
  if (config.limits.records < 2) return absl::InvalidArgumentError("a stream has at least two records");
  const StreamPlace place{config.tenant, config.id,    config.topic,
                          config.sender, config.epoch, random.NewId<StreamId>()};
  KS_ASSIGN_OR_RETURN(RecordCipher cipher, RecordCipher::Create(key, place));
  std::unique_ptr<StreamWriter> writer(new StreamWriter(config, place, std::move(cipher), ik, clock));
  KS_RETURN_IF_ERROR(writer->SignAndAppend(kinds::kOpening, EncodeOpening(opening), out).status());
  writer->since_checkpoint_ = 0;
  return writer;
}

absl::StatusOr<uint64_t> StreamWriter::Append(ByteView content, Bytes& out) {
  if (ended_) return absl::FailedPreconditionError("the stream has ended");
  if (next_ >= limits_.records || bytes_ + content.size() > limits_.bytes) {
    return absl::ResourceExhaustedError("the stream is at its limit: open the next one");
  }
  if (content.size() + 128 > limits::kMaxRecordBytes) return absl::InvalidArgumentError("record is too long");
  const size_t start = out.size();
  KS_RETURN_IF_ERROR(cipher_.Seal(next_, content, out));
  hash_ = NextRunningHash(hash_, crypto::Sha256(ByteView(out).subspan(start)));
  bytes_ += content.size();
  ++since_checkpoint_;
  return next_++;
}

absl::StatusOr<uint64_t> StreamWriter::Seal(std::string_view kind, ByteView body, Bytes& out) {
  if (kind != kinds::kReadings || place_.topic.signs_every_record())
    return absl::InvalidArgumentError("records of this kind or topic are signed one by one");
  KS_RETURN_IF_ERROR(CheckRoom(body.size()));
  content_.clear();
  cose::CborWriter(content_).Array(2).Text(kind).Bstr(body);
  return Append(content_, out);
}

absl::StatusOr<uint64_t> StreamWriter::SealSigned(std::string_view kind, ByteView payload, Bytes& out) {
  if (kind == kinds::kOpening || kind == kinds::kCheckpoint || kind == kinds::kReadings)
    return absl::InvalidArgumentError("openings and checkpoints are the writer's own");
  KS_RETURN_IF_ERROR(CheckRoom(payload.size() + kSignedOverheadBytes));
  return SignAndAppend(kind, payload, out);
}

// Room for the closing checkpoint is never given away.
absl::Status StreamWriter::CheckRoom(size_t content_bytes) const {
  if (ended_) return absl::FailedPreconditionError("the stream has ended");
  if (Exhausted() || bytes_ + content_bytes + kClosingBytes > limits_.bytes)
    return absl::ResourceExhaustedError("the stream is at its limit: open the next one");
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> StreamWriter::SignAndAppend(std::string_view kind, ByteView payload, Bytes& out) {
  KS_ASSIGN_OR_RETURN(const Bytes object, SignObject(ik_, kind, SignedPlaceOf(place_, next_), payload));
  return Append(EncodeContent(kind, object), out);
}

absl::StatusOr<uint64_t> StreamWriter::SealCheckpoint(const Freshness& freshness, bool end, Bytes& out) {
  const Checkpoint checkpoint{next_, hash_, freshness, end};
  KS_ASSIGN_OR_RETURN(const uint64_t at,
                      SignAndAppend(kinds::kCheckpoint, EncodeCheckpoint(checkpoint), out));
  since_checkpoint_ = 0;
  last_checkpoint_ = clock_.Uptime();
  ended_ = end;
  return at;
}

absl::Duration StreamWriter::UntilCheckpoint() const {
  if (since_checkpoint_ >= limits_.checkpoint_records) return absl::ZeroDuration();
  return std::max(absl::ZeroDuration(), last_checkpoint_ + limits_.checkpoint_interval - clock_.Uptime());
}

bool StreamWriter::CheckpointDue() const { return UntilCheckpoint() == absl::ZeroDuration(); }

bool StreamWriter::Exhausted() const {
  return next_ + 1 >= limits_.records || bytes_ + kClosingBytes >= limits_.bytes ||
         clock_.Uptime() - opened_ >= limits_.age;
}

PreviousStream StreamWriter::AsPrevious() const {
  return PreviousStream{place_.stream, PreviousStream::End{next_ - 1, hash_}};
}

}  // namespace keystead
