#include "core/membership/label.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace keystead::membership {
namespace {

constexpr std::string_view kPrefix = "KS1:";
constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";  // Crockford: no I, L, O, U
constexpr uint8_t kLayout = 1;
constexpr size_t kCrcBytes = 4;
constexpr size_t kMaxTenantBytes = 253;
constexpr size_t kFixedBytes = 3 + Digest::kSize + kSetupCodeBytes + kCrcBytes;
constexpr size_t kMaxBytes = kFixedBytes + kMaxTenantBytes + kMaxDeviceIdBytes;
constexpr size_t kCharsPerGroup = 5;
constexpr size_t kGroupsPerLine = 8;

constexpr size_t CharsFor(size_t bytes) { return (bytes * 8 + 4) / 5; }

// ISO 3309, reflected polynomial 0xEDB88320. Bit by bit: a label is a hundred bytes.
uint32_t Crc32(ByteView data) {
  uint32_t crc = 0xFFFFFFFFU;
  for (const uint8_t byte : data) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320U & (0U - (crc & 1U)));
  }
  return ~crc;
}

bool IsSeparator(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '-'; }

char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// 0 to 31, or -1.
int Base32Value(char c) {
  c = Upper(c);
  if (c == 'I' || c == 'L') return 1;
  if (c == 'O') return 0;
  const size_t at = kAlphabet.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// Never names the character itself: it may be a neighbour of a secret.
absl::Status BadCharacter(std::string_view text, size_t at) {
  const std::string_view before = text.substr(0, at);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return absl::InvalidArgumentError(absl::StrCat("label: the character at position ", at + 1, " (line ", line,
                                                 ", column ", at - line_start + 1,
                                                 ") cannot be part of a label"));
}

// Reads "KS<version>:" and returns where the rest begins.
absl::StatusOr<size_t> ReadPrefix(std::string_view text) {
  constexpr std::string_view kNoLabel = "label: the text does not begin with KS1:";
  constexpr size_t kMaxVersionDigits = 4;
  size_t seen = 0;
  std::string version;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = Upper(text[i]);
    if (IsSeparator(c)) continue;
    if (seen < 2) {
      if (c != kPrefix[seen++]) return absl::InvalidArgumentError(Absl(kNoLabel));
    } else if (c == ':' && !version.empty()) {
      if (version != "1") {
        return absl::UnimplementedError(
            absl::StrCat("label: version KS", version, " is not supported; this program reads KS1"));
      }
      return i + 1;
    } else if (c < '0' || c > '9' || version.size() == kMaxVersionDigits) {
      return absl::InvalidArgumentError(Absl(kNoLabel));
    } else {
      version.push_back(c);
    }
  }
  return absl::InvalidArgumentError(seen == 0 ? "label: the text is empty" : Absl(kNoLabel));
}

absl::Status WrongLength(size_t chars, size_t expected) {
  if (expected == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("label: wrong length: no label has ", chars, " characters after KS1:"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("label: wrong length: ", chars, " characters after KS1: where its beginning announces ",
                   expected, "; some are missing or too many, or the beginning is mistyped"));
}

// How long a label that begins like this is, or 0 where the beginning cannot be right.
size_t AnnouncedBytes(ByteView raw) {
  if (raw.size() < 2 || raw[0] != kLayout || raw[1] < 3 || raw[1] > kMaxTenantBytes) return 0;
  const size_t id_length_at = 2 + size_t{raw[1]};
  if (raw.size() <= id_length_at || raw[id_length_at] < 1 || raw[id_length_at] > kMaxDeviceIdBytes) return 0;
  return kFixedBytes + raw[1] + raw[id_length_at];
}

// The bytes between prefix and checksum, with length and checksum verified.
absl::StatusOr<SecretBytes> DecodeBody(std::string_view text, size_t begin) {
  SecretBytes raw(kMaxBytes);
  const std::span<uint8_t> out = raw.MutableSecret();
  size_t bytes = 0;
  size_t chars = 0;
  uint32_t buffer = 0;
  uint32_t bits = 0;
  bool too_long = false;
  for (size_t i = begin; i < text.size(); ++i) {
    if (IsSeparator(text[i])) continue;
    const int value = Base32Value(text[i]);
    if (value < 0) return BadCharacter(text, i);
    ++chars;
    buffer = ((buffer << 5) | static_cast<uint32_t>(value)) & 0xFFFU;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    too_long = too_long || bytes == kMaxBytes;
    if (!too_long) out[bytes++] = static_cast<uint8_t>(buffer >> bits);
  }
  const ByteView all = raw.ExposeSecret().first(bytes);
  if (too_long || bits >= 5 || bytes < kFixedBytes + 4) {
    const size_t announced = AnnouncedBytes(all);
    const size_t expected = announced == 0 ? 0 : CharsFor(announced);
    return WrongLength(chars, expected == chars ? 0 : expected);
  }
  const bool unused_bits_zero = (buffer & ((1U << bits) - 1U)) == 0;
  const ByteView body = all.first(bytes - kCrcBytes);
  uint32_t carried = 0;
  for (const uint8_t byte : all.last(kCrcBytes)) carried = (carried << 8) | byte;
  if (carried != Crc32(body) || !unused_bits_zero) {
    if (const size_t announced = AnnouncedBytes(all); announced != 0 && announced != bytes) {
      return WrongLength(chars, CharsFor(announced));
    }
    return absl::InvalidArgumentError(
        "label: the checksum is wrong; at least one character is mistyped or out of place");
  }
  return raw.Slice(0, body.size());
}

absl::Status CheckLabel(const Label& label) {
  if (label.tenant.str().empty()) return absl::InvalidArgumentError("label: it names no tenant");
  KS_RETURN_IF_ERROR(CheckDeviceId(label.device_id));
  if (label.setup_code.size() != kSetupCodeBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("label: the setup code must have ", kSetupCodeBytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status SystemError(std::string_view doing, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("label file ", path, ": ", Absl(doing)));
}

absl::Status WriteAll(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "label: cannot write it");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  std::string folder = ".";
  if (slash != std::string::npos) folder = slash == 0 ? "/" : path.substr(0, slash);
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError("cannot open its folder to make it durable", path);
  const int rc = fsync(fd);
  absl::Status status = rc == 0 ? absl::OkStatus() : SystemError("cannot make its folder durable", path);
  close(fd);
  return status;
}

absl::StatusOr<Label> ReadLabelFrom(int fd, const std::string& path) {
  SecretBytes text(kMaxLabelTextBytes + 1);
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = read(fd, text.MutableSecret().data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError("cannot read it", path);
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > kMaxLabelTextBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("label file ", path, ": more than ", kMaxLabelTextBytes, " bytes; this is no label"));
  }
  return ParseLabel(text.ExposeSecret().first(size));
}

}  // namespace

absl::Status CheckDeviceId(std::string_view id) {
  if (id.empty() || id.size() > kMaxDeviceIdBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("label: the device id must have 1 to ", kMaxDeviceIdBytes, " characters"));
  }
  const bool known = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  if (!known || id == "." || id == "..") {
    return absl::InvalidArgumentError(
        "label: the device id may hold A-Z a-z 0-9 . _ - and not be '.' or '..'");
  }
  return absl::OkStatus();
}

absl::StatusOr<SecretBytes> EncodeLabel(const Label& label) {
  KS_RETURN_IF_ERROR(CheckLabel(label));
  const std::string& tenant = label.tenant.str();
  SecretBytes raw(kFixedBytes + tenant.size() + label.device_id.size());
  uint8_t* to = raw.MutableSecret().data();
  const auto put = [&to](ByteView bytes) { to = std::copy(bytes.begin(), bytes.end(), to); };
  *to++ = kLayout;
  *to++ = static_cast<uint8_t>(tenant.size());
  put(AsBytes(tenant));
  *to++ = static_cast<uint8_t>(label.device_id.size());
  put(AsBytes(label.device_id));
  put(label.ckt.view());
  put(label.setup_code.ExposeSecret());
  const uint32_t crc = Crc32(raw.ExposeSecret().first(raw.size() - kCrcBytes));
  for (int shift = 24; shift >= 0; shift -= 8) *to++ = static_cast<uint8_t>(crc >> shift);

  SecretBytes text(kPrefix.size() + CharsFor(raw.size()));
  uint8_t* next = std::copy(kPrefix.begin(), kPrefix.end(), text.MutableSecret().data());
  uint32_t buffer = 0;
  uint32_t bits = 0;
  for (const uint8_t byte : raw.ExposeSecret()) {
    buffer = ((buffer << 8) | byte) & 0xFFFU;
    for (bits += 8; bits >= 5; bits -= 5)
      *next++ = static_cast<uint8_t>(kAlphabet[(buffer >> (bits - 5)) & 31U]);
  }
  if (bits > 0) *next = static_cast<uint8_t>(kAlphabet[(buffer << (5 - bits)) & 31U]);
  return text;
}

SecretBytes GroupLabelText(const SecretBytes& text) {
  const ByteView in = text.ExposeSecret();
  const size_t prefix = std::min(kPrefix.size(), in.size());
  const size_t chars = in.size() - prefix;
  const size_t groups = (chars + kCharsPerGroup - 1) / kCharsPerGroup;
  SecretBytes out(prefix + 1 + chars + groups);
  uint8_t* to = std::copy_n(in.data(), prefix, out.MutableSecret().data());
  *to++ = '\n';
  for (size_t group = 0; group < groups; ++group) {
    const size_t begin = group * kCharsPerGroup;
    to = std::copy_n(in.data() + prefix + begin, std::min(kCharsPerGroup, chars - begin), to);
    *to++ = group + 1 == groups || (group + 1) % kGroupsPerLine == 0 ? '\n' : ' ';
  }
  return out;
}

absl::StatusOr<Label> ParseLabel(ByteView text) {
  const std::string_view chars = AsChars(text);
  KS_ASSIGN_OR_RETURN(const size_t begin, ReadPrefix(chars));
  KS_ASSIGN_OR_RETURN(const SecretBytes body, DecodeBody(chars, begin));
  const ByteView raw = body.ExposeSecret();
  if (raw[0] != kLayout) {
    return absl::UnimplementedError(absl::StrCat("label: layout ", int{raw[0]},
                                                 " is not supported; this program "
                                                 "reads layout ",
                                                 int{kLayout}));
  }
  if (AnnouncedBytes(raw) != raw.size() + kCrcBytes) {
    return absl::InvalidArgumentError("label: its fields do not fill it; the label was made wrongly");
  }
  const size_t tenant_size = raw[1];
  const size_t id_size = raw[2 + tenant_size];
  Label label;
  KS_ASSIGN_OR_RETURN(label.tenant, TenantName::Parse(AsChars(raw.subspan(2, tenant_size))));
  label.device_id = ToString(raw.subspan(3 + tenant_size, id_size));
  KS_RETURN_IF_ERROR(CheckDeviceId(label.device_id));
  const size_t ckt_at = 3 + tenant_size + id_size;
  KS_ASSIGN_OR_RETURN(label.ckt, Digest::FromBytes(raw.subspan(ckt_at, Digest::kSize)));
  label.setup_code = body.Slice(ckt_at + Digest::kSize, kSetupCodeBytes);
  return label;
}

absl::Status WriteLabel(int fd, const Label& label) {
  KS_ASSIGN_OR_RETURN(const SecretBytes text, EncodeLabel(label));
  KS_RETURN_IF_ERROR(WriteAll(fd, text.ExposeSecret()));
  return WriteAll(fd, AsBytes("\n"));
}

absl::Status WriteLabelFile(const std::string& path, const Label& label) {
  KS_RETURN_IF_ERROR(CheckLabel(label));
  // O_EXCL also refuses a symbolic link in the last place, dangling or not (open(2)).
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return SystemError("cannot create it (nothing is overwritten)", path);
  absl::Status status = WriteLabel(fd, label);
  if (status.ok() && fsync(fd) != 0) status = SystemError("cannot make it durable", path);
  if (close(fd) != 0 && status.ok()) status = SystemError("cannot close it", path);
  if (status.ok()) status = SyncFolderOf(path);
  if (!status.ok()) unlink(path.c_str());
  return status;
}

absl::StatusOr<Label> ReadLabelFile(const std::string& path) {
  if (path == "-") return ReadLabelFrom(STDIN_FILENO, "-");
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return SystemError("cannot open it", path);
  struct stat info {};
  absl::StatusOr<Label> label = absl::InternalError("label: not read");
  if (fstat(fd, &info) != 0) {
    label = SystemError("cannot look at it", path);
  } else if ((info.st_mode & 077U) != 0) {
    label = absl::FailedPreconditionError(absl::StrFormat(
        "label file %s: others than its owner may access it (mode %04o); it holds a secret: chmod 600", path,
        static_cast<unsigned>(info.st_mode & 07777U)));
  } else {
    label = ReadLabelFrom(fd, path);
  }
  close(fd);
  return label;
}

absl::Status WriteLabelFileOnce(const std::string& path, const Label& label) {
  const absl::Status written = WriteLabelFile(path, label);
  if (written.code() != absl::StatusCode::kAlreadyExists) return written;
  const absl::StatusOr<Label> there = ReadLabelFile(path);
  if (absl::IsFailedPrecondition(there.status())) return there.status();  // open to others: says what to do
  if (there.ok() && there->device_id == label.device_id && there->tenant == label.tenant &&
      there->ckt == label.ckt && there->setup_code.ConstantTimeEquals(label.setup_code)) {
    return absl::OkStatus();
  }
  return absl::AlreadyExistsError(absl::StrCat(path, " exists and is not this label: remove it"));
}

}  // namespace keystead::membership
