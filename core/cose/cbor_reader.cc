#include "core/cose/cbor_reader.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cose/utf8.h"

namespace keystead::cose {
namespace {

enum Major : uint8_t {
  kMajorUint,
  kMajorNegative,
  kMajorBytes,
  kMajorText,
  kMajorArray,
  kMajorMap,
  kMajorTag,
  kMajorSimple
};
constexpr uint64_t kSimpleFalse = 20;
constexpr uint64_t kSimpleTrue = 21;
constexpr uint64_t kSimpleNull = 22;
constexpr uint8_t kOneByteArgument = 24;
constexpr uint8_t kEightByteArgument = 27;

bool Less(ByteView a, ByteView b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

absl::Status CborReader::Fail(std::string_view why) {
  failed_ = true;
  return absl::InvalidArgumentError(absl::StrCat("CBOR at byte ", at_, ": ", Absl(why)));
}

absl::Status CborReader::Begin(Head& head) {
  if (failed_) return Fail("read after an error");
  if (at_ >= in_.size()) return Fail("ends too early");
  if (++items_ > options_.max_items) return Fail("too many items");
  head.start = at_;
  const uint8_t initial = in_[at_++];
  head.major = initial >> 5;
  const uint8_t info = initial & 0x1f;
  if (info < kOneByteArgument) {
    head.argument = info;
  } else if (info > kEightByteArgument) {
    return Fail("indefinite length or reserved head");
  } else if (head.major == kMajorSimple) {
    return Fail("float or unknown simple value");
  } else {
    const size_t width = size_t{1} << (info - kOneByteArgument);
    if (in_.size() - at_ < width) return Fail("ends too early");
    uint64_t argument = 0;
    for (size_t i = 0; i < width; ++i) argument = (argument << 8) | in_[at_ + i];
    at_ += width;
    // The shortest form of one byte is 24 and above, of two bytes 2^8, of four 2^16, of eight 2^32.
    const uint64_t least = width == 1 ? kOneByteArgument : uint64_t{1} << (4 * width);
    if (argument < least && !options_.lenient) return Fail("number not in its shortest form");
    head.argument = argument;
  }
  if (head.major == kMajorSimple && (head.argument < kSimpleFalse || head.argument > kSimpleNull)) {
    return Fail("float or unknown simple value");
  }
  if (head.major == kMajorTag && !options_.lenient) return Fail("tag");
  if (AtKey() && head.major > kMajorText) return Fail("map key is neither integer nor string");
  return absl::OkStatus();
}

absl::Status CborReader::BeginAs(uint8_t major, Head& head) {
  if (!failed_ && at_ < in_.size() && (in_[at_] >> 5) != major) return Fail("another type than expected");
  return Begin(head);
}

// Counts a finished item in the containers around it, and compares a finished key with the one before.
absl::Status CborReader::End(const Head& head) {
  size_t start = head.start;
  while (depth_ > 0) {
    Frame& frame = frames_[depth_ - 1];
    if (frame.is_map && frame.left % 2 == 0) {
      const size_t size = at_ - start;
      if (!options_.lenient && frame.key_size > 0 &&
          !Less(in_.subspan(frame.key_start, frame.key_size), in_.subspan(start, size))) {
        return Fail("map keys out of order or repeated");
      }
      frame.key_start = start;
      frame.key_size = size;
    }
    if (--frame.left > 0) break;
    --depth_;  // the container itself is finished now; it is never a key
  }
  return absl::OkStatus();
}

absl::Status CborReader::Take(uint64_t size, ByteView& out) {
  if (size > in_.size() - at_) return Fail("ends too early");
  out = in_.subspan(at_, static_cast<size_t>(size));
  at_ += static_cast<size_t>(size);
  return absl::OkStatus();
}

absl::Status CborReader::Enter(const Head& head, bool is_map) {
  const uint64_t count = head.major == kMajorTag ? 1 : head.argument;
  const size_t left = in_.size() - at_;
  // Every item takes a byte at least, so a count beyond the input is refused before anyone loops or
  // allocates.
  if (count > left || (is_map && count > left / 2)) return Fail("count beyond the input");
  if (count == 0) return End(head);
  if (depth_ >= std::min(options_.max_depth, frames_.size())) return Fail("nested too deep");
  frames_[depth_++] = Frame{is_map ? 2 * count : count, is_map, 0, 0};
  return absl::OkStatus();
}

absl::StatusOr<CborType> CborReader::Peek() {
  if (failed_) return Fail("read after an error");
  if (at_ >= in_.size()) return Fail("ends too early");
  const uint8_t initial = in_[at_];
  if ((initial >> 5) != kMajorSimple) return static_cast<CborType>(initial >> 5);
  const uint8_t info = initial & 0x1f;
  if (info == kSimpleNull) return CborType::kNull;
  if (info == kSimpleFalse || info == kSimpleTrue) return CborType::kBool;
  return Fail("float or unknown simple value");
}

absl::StatusOr<uint64_t> CborReader::ReadUint() {
  Head head;
  KS_RETURN_IF_ERROR(BeginAs(kMajorUint, head));
  KS_RETURN_IF_ERROR(End(head));
  return head.argument;
}

absl::StatusOr<int64_t> CborReader::ReadInt() {
  Head head;
  KS_RETURN_IF_ERROR(Begin(head));
  if (head.major > kMajorNegative) return Fail("another type than expected");
  if (head.argument > static_cast<uint64_t>(INT64_MAX)) return Fail("integer out of range");
  KS_RETURN_IF_ERROR(End(head));
  const int64_t n = static_cast<int64_t>(head.argument);
  return head.major == kMajorUint ? n : -1 - n;
}

absl::StatusOr<uint64_t> CborReader::ReadNegativeArgument() {
  Head head;
  KS_RETURN_IF_ERROR(BeginAs(kMajorNegative, head));
  KS_RETURN_IF_ERROR(End(head));
  return head.argument;
}

absl::StatusOr<ByteView> CborReader::ReadBytes() {
  Head head;
  ByteView out;
  KS_RETURN_IF_ERROR(BeginAs(kMajorBytes, head));
  KS_RETURN_IF_ERROR(Take(head.argument, out));
  KS_RETURN_IF_ERROR(End(head));
  return out;
}

absl::StatusOr<ByteView> CborReader::ReadBytes(size_t exact_size) {
  KS_ASSIGN_OR_RETURN(const ByteView out, ReadBytes());
  if (out.size() != exact_size) return Fail("byte string of another size than expected");
  return out;
}

absl::StatusOr<std::string_view> CborReader::ReadText() {
  Head head;
  ByteView out;
  KS_RETURN_IF_ERROR(BeginAs(kMajorText, head));
  KS_RETURN_IF_ERROR(Take(head.argument, out));
  if (!IsUtf8(out)) return Fail("text is not UTF-8");
  KS_RETURN_IF_ERROR(End(head));
  return AsChars(out);
}

absl::StatusOr<bool> CborReader::ReadBool() {
  Head head;
  KS_RETURN_IF_ERROR(BeginAs(kMajorSimple, head));
  if (head.argument == kSimpleNull) return Fail("another type than expected");
  KS_RETURN_IF_ERROR(End(head));
  return head.argument == kSimpleTrue;
}

absl::Status CborReader::ReadNull() {
  Head head;
  KS_RETURN_IF_ERROR(BeginAs(kMajorSimple, head));
  if (head.argument != kSimpleNull) return Fail("another type than expected");
  return End(head);
}

absl::StatusOr<bool> CborReader::TryNull() {
  KS_ASSIGN_OR_RETURN(const CborType type, Peek());
  if (type != CborType::kNull) return false;
  KS_RETURN_IF_ERROR(ReadNull());
  return true;
}

absl::StatusOr<size_t> CborReader::ReadArray() {
  Head head;
  KS_RETURN_IF_ERROR(BeginAs(kMajorArray, head));
  KS_RETURN_IF_ERROR(Enter(head, false));
  return static_cast<size_t>(head.argument);
}

absl::Status CborReader::ReadArrayOf(size_t exact_items) {
  KS_ASSIGN_OR_RETURN(const size_t items, ReadArray());
  return items == exact_items ? absl::OkStatus() : Fail("array of another size than expected");
}

absl::StatusOr<size_t> CborReader::ReadMap() {
  Head head;
  KS_RETURN_IF_ERROR(BeginAs(kMajorMap, head));
  KS_RETURN_IF_ERROR(Enter(head, true));
  return static_cast<size_t>(head.argument);
}

absl::Status CborReader::ReadMapOf(size_t exact_pairs) {
  KS_ASSIGN_OR_RETURN(const size_t pairs, ReadMap());
  return pairs == exact_pairs ? absl::OkStatus() : Fail("map of another size than expected");
}

absl::StatusOr<uint64_t> CborReader::ReadTag() {
  Head head;
  KS_RETURN_IF_ERROR(BeginAs(kMajorTag, head));
  KS_RETURN_IF_ERROR(Enter(head, false));
  return head.argument;
}

absl::Status CborReader::ExpectInt(int64_t value) {
  KS_ASSIGN_OR_RETURN(const int64_t got, ReadInt());
  return got == value ? absl::OkStatus() : Fail("another number than expected");
}

absl::Status CborReader::ExpectText(std::string_view value) {
  KS_ASSIGN_OR_RETURN(const std::string_view got, ReadText());
  return got == value ? absl::OkStatus() : Fail("another text than expected");
}

absl::Status CborReader::SkipItem() {
  const size_t outer = depth_;
  do {
    Head head;
    ByteView content;
    KS_RETURN_IF_ERROR(Begin(head));
    switch (head.major) {
      case kMajorArray:
      case kMajorTag:
        KS_RETURN_IF_ERROR(Enter(head, false));
        continue;
      case kMajorMap:
        KS_RETURN_IF_ERROR(Enter(head, true));
        continue;
      case kMajorBytes:
      case kMajorText:
        KS_RETURN_IF_ERROR(Take(head.argument, content));
        if (head.major == kMajorText && !IsUtf8(content)) return Fail("text is not UTF-8");
        break;
      default:
        break;
    }
    KS_RETURN_IF_ERROR(End(head));
  } while (depth_ > outer);
  return absl::OkStatus();
}

absl::StatusOr<ByteView> CborReader::ReadItem() {
  const size_t start = at_;
  KS_RETURN_IF_ERROR(SkipItem());
  return in_.subspan(start, at_ - start);
}

absl::Status CborReader::Finish() {
  if (failed_) return Fail("read after an error");
  if (depth_ > 0) return Fail("container not read to its end");
  if (at_ != in_.size()) return Fail("bytes after the end");
  return absl::OkStatus();
}

}  // namespace keystead::cose
