// A file of frames, written and read as a stream. Numbers are big-endian.
//
//   file  = "ks1copy\n" frame*
//   frame = length(4) kind(1) payload         length counts kind and payload, at most kMaxFrameBytes
//
// The last frame, of kind 'Z', is the trailer; what is in it says the user, who gets the number and the
// SHA-256 of all bytes before it. Nothing of a file should count before its trailer was seen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/crypto/hash.h"

namespace keystead::copies {

inline constexpr size_t kMaxFrameBytes = 4 << 20;  // a group or a commit, and what is around it
inline constexpr char kTrailerKind = 'Z';

class FrameWriter {
 public:
  // Appends to `out`; the first call the beginning of the file too.
  void Append(std::string& out, char kind, std::string_view payload);
  uint64_t frames() const { return frames_; }
  Digest digest();                                                 // of all before the trailer; once
  void AppendTrailer(std::string& out, std::string_view payload);  // last, after digest()

 private:
  crypto::Sha256Hasher hasher_;
  uint64_t frames_ = 0;
};

struct Frame {
  char kind = 0;
  std::string_view payload;  // until the next call of the reader
};

// Not thread-safe. Holds what was fed and not yet read.
class FrameReader {
 public:
  void Feed(std::string_view bytes);
  // The next whole frame, or nothing until more is fed. INVALID_ARGUMENT: no such file, a frame beyond the
  // limit, or bytes behind the trailer.
  absl::StatusOr<std::optional<Frame>> Next();
  // INVALID_ARGUMENT unless the trailer was read and nothing is left.
  absl::Status Finish() const;

  uint64_t frames() const { return frames_; }       // without the trailer
  const Digest& digest() const { return digest_; }  // of all before the trailer, once that was read

 private:
  std::string buffer_;
  size_t at_ = 0;
  bool begun_ = false;
  bool ended_ = false;
  crypto::Sha256Hasher hasher_;
  uint64_t frames_ = 0;
  Digest digest_;
};

}  // namespace keystead::copies
