#include "core/copies/frame_file.h"

#include "core/base/big_endian.h"

namespace keystead::copies {
namespace {

constexpr std::string_view kMagic = "ks1copy\n";
constexpr size_t kLengthBytes = 4;

void AppendFrame(std::string& out, char kind, std::string_view payload) {
  PutNumber(out, payload.size() + 1, kLengthBytes);
  out.push_back(kind);
  out.append(payload);
}

}  // namespace

void FrameWriter::Append(std::string& out, char kind, std::string_view payload) {
  const size_t begin = out.size();
  if (frames_ == 0) out.append(kMagic);
  AppendFrame(out, kind, payload);
  hasher_.Update(AsBytes(std::string_view(out).substr(begin)));
  ++frames_;
}

Digest FrameWriter::digest() { return hasher_.Finish(); }

void FrameWriter::AppendTrailer(std::string& out, std::string_view payload) {
  AppendFrame(out, kTrailerKind, payload);
}

void FrameReader::Feed(std::string_view bytes) {
  buffer_.erase(0, at_);
  at_ = 0;
  buffer_.append(bytes);
}

absl::StatusOr<std::optional<Frame>> FrameReader::Next() {
  std::string_view rest = std::string_view(buffer_).substr(at_);
  if (!begun_) {
    if (!kMagic.starts_with(rest.substr(0, kMagic.size())))
      return absl::InvalidArgumentError("this is no such file");
    if (rest.size() < kMagic.size()) return std::nullopt;
    hasher_.Update(AsBytes(kMagic));
    begun_ = true;
    at_ += kMagic.size();
    rest.remove_prefix(kMagic.size());
  }
  if (rest.empty()) return std::nullopt;
  if (ended_) return absl::InvalidArgumentError("there is something behind the end");
  if (rest.size() < kLengthBytes) return std::nullopt;
  const size_t length = GetNumber(rest.substr(0, kLengthBytes));
  if (length == 0 || length > kMaxFrameBytes) return absl::InvalidArgumentError("a frame of no such length");
  if (rest.size() - kLengthBytes < length) return std::nullopt;
  const std::string_view whole = rest.substr(0, kLengthBytes + length);
  at_ += whole.size();
  const Frame frame{whole[kLengthBytes], whole.substr(kLengthBytes + 1)};
  if (frame.kind == kTrailerKind) {
    digest_ = hasher_.Finish();
    ended_ = true;
  } else {
    hasher_.Update(AsBytes(whole));
    ++frames_;
  }
  return frame;
}

absl::Status FrameReader::Finish() const {
  if (!ended_) return absl::InvalidArgumentError("it is cut off: the end is missing");
  if (at_ != buffer_.size()) return absl::InvalidArgumentError("there is something behind the end");
  return absl::OkStatus();
}

}  // namespace keystead::copies
