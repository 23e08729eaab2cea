#include "core/transport/publish_request.h"

#include <grpcpp/support/byte_buffer.h>
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/base/limits.h"
#include "core/transport/status_mapping.h"
#include "core/transport/wire.h"

namespace keystead {
namespace {

// Walks bytes that lie in several pieces.
class PieceReader {
 public:
  explicit PieceReader(std::span<const std::string_view> pieces) : pieces_(pieces) {
    for (const std::string_view piece : pieces) left_ += piece.size();
    SkipEmpty();
  }

  size_t left() const { return left_; }
  uint8_t Byte() {  // only with left() > 0
    const auto out = static_cast<uint8_t>(pieces_.front()[at_]);
    Advance(1);
    return out;
  }
  // A length in shortest form. Five bytes hold more than a message may have.
  std::optional<size_t> Length() {
    size_t value = 0;
    for (int shift = 0; left_ > 0 && shift < 35; shift += 7) {
      const uint8_t byte = Byte();
      value |= size_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return byte == 0 && shift > 0 ? std::nullopt : std::optional(value);
    }
    return std::nullopt;
  }
  // Passes `size` bytes, which are there, and appends them to `out` if there is one.
  void Take(size_t size, std::string* out) {
    while (size > 0) {
      const std::string_view here = pieces_.front().substr(at_, size);
      if (out != nullptr) out->append(here);
      size -= here.size();
      Advance(here.size());
    }
  }

 private:
  void Advance(size_t size) {
    at_ += size;
    left_ -= size;
    SkipEmpty();
  }
  void SkipEmpty() {
    while (!pieces_.empty() && at_ == pieces_.front().size()) {
      pieces_ = pieces_.subspan(1);
      at_ = 0;
    }
  }

  std::span<const std::string_view> pieces_;
  size_t at_ = 0;  // in the first one
  size_t left_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<storage::Payload>> ParsePublishRequest(std::span<const std::string_view> pieces) {
  PieceReader in(pieces);
  std::vector<storage::Payload> out;
  while (in.left() > 0) {
    if (in.Byte() != wire::BytesTag(1)) return absl::InvalidArgumentError("publish: a field is not known");
    const std::optional<size_t> size = in.Length();
    if (!size || *size > in.left()) return absl::InvalidArgumentError("publish: a group is cut off");
    if (out.size() == limits::kMaxGroupsPerRequest)
      return absl::InvalidArgumentError("publish: too many groups in a request");
    std::string group;
    const bool fits = *size <= limits::kMaxGroupBytes;
    if (fits) group.reserve(*size);
    in.Take(*size, fits ? &group : nullptr);
    out.push_back(std::make_shared<const std::string>(std::move(group)));
  }
  return out;
}

absl::StatusOr<std::vector<storage::Payload>> ParsePublishRequest(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (buffer.Valid() && !buffer.Dump(&slices).ok())
    return absl::InvalidArgumentError("publish: not a request");
  std::vector<std::string_view> pieces;
  pieces.reserve(slices.size());
  for (const grpc::Slice& slice : slices)
    pieces.emplace_back(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return ParsePublishRequest(pieces);
}

grpc::ByteBuffer EncodePublishResponse(uint64_t durable_requests, std::span<const GroupRefused> refusals) {
  std::string out;
  wire::PutNumber(out, 1, durable_requests);
  std::string body;
  for (const GroupRefused& refusal : refusals) {
    body.clear();
    wire::PutNumber(body, 1, refusal.request);
    wire::PutNumber(body, 2, refusal.group);
    wire::PutNumber(body, 3, static_cast<uint64_t>(refusal.code));
    wire::PutBytes(body, 4, PublicSentence(refusal.code));
    wire::PutNumber(body, 5, refusal.first_sequence);
    wire::PutNumber(body, 6, refusal.last_sequence);
    wire::PutBytes(out, 2, body);
  }
  const grpc::Slice slice(out.data(), out.size());
  return {&slice, 1};
}

}  // namespace keystead
