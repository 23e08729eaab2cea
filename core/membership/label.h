// The printed label of a device, or the one-time label that a phone, console or service shows on its screen:
// what the owner's app must know before it talks to a stranger. docs/protocol.md, "Label".
//
// Text form: "KS1:" and the bytes below in Crockford's base32 (upper case, no padding, unused bits zero). All
// of it lies in the alphanumeric mode of a QR code (ISO/IEC 18004). "KS1" names the profile; the first byte
// the layout.
//
//   offset   size  field
//   0        1     layout, 1
//   1        1     t, length of the tenant name, 3 to 253
//   2        t     tenant name, lower-case DNS name
//   2+t      1     d, length of the device id, 1 to 64
//   3+t      d     device id, the last element of the device's SPIFFE id: A-Z a-z 0-9 . _ -, but not "." or
//   ".." 3+t+d    32    ckt(IK_D), RFC 9679 thumbprint (SHA-256) of the device's identity key 35+t+d   32
//   setup code, secret 67+t+d   4     CRC-32 (ISO 3309, as in zlib) of everything before, big-endian
//
// The CRC finds every single mistyped character, every swap of neighbours and all but one in 2^32 of other
// slips, before anything is sent. It is no protection against someone who forges labels; the label is trusted
// because it is in the owner's hand.
//
// The text form is as secret as the setup code: it lives in SecretBytes, and no status message quotes it.
// Functions are thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/secret_bytes.h"
#include "core/base/status.h"

namespace keystead::membership {

inline constexpr std::string_view kLabelProfile = "ks1";
inline constexpr size_t kSetupCodeBytes = 32;
inline constexpr size_t kMaxDeviceIdBytes = 64;
// What is read from a file or from standard input at most: the longest label in its spaced form, three times
// over.
inline constexpr size_t kMaxLabelTextBytes = 4096;

// Move-only, because of the setup code.
struct Label {
  TenantName tenant;
  std::string device_id;
  Digest ckt;              // RFC 9679 thumbprint of IK_D
  SecretBytes setup_code;  // kSetupCodeBytes
};

// INVALID_ARGUMENT unless `id` may be the last element of a SPIFFE id (SPIFFE-ID, section 2.2) of at most
// kMaxDeviceIdBytes.
absl::Status CheckDeviceId(std::string_view id);

// One line without a line end. INVALID_ARGUMENT when the label is incomplete.
absl::StatusOr<SecretBytes> EncodeLabel(const Label& label);

// The same for people who type it: after "KS1:", lines of eight groups of five characters, each line ended.
// `text` is what EncodeLabel made; ParseLabel reads the result.
SecretBytes GroupLabelText(const SecretBytes& text);

// Reads either form. Case, spaces, tabs, dashes and line ends do not matter; I and L read as 1, O as 0. Keeps
// no copy of `text`, which the caller owns and should wipe. INVALID_ARGUMENT says what is wrong and where
// (position, counted from 1 over all characters; wrong length; checksum); UNIMPLEMENTED: a version this
// program does not know.
absl::StatusOr<Label> ParseLabel(ByteView text);

// Writes the one-line form and a line end to an open descriptor, which stays open.
absl::Status WriteLabel(int fd, const Label& label);

// Creates `path` with mode 0600 and writes the label durably (file and folder synced). ALREADY_EXISTS when
// anything, also a dangling symbolic link, has that name; on every other error no file is left behind.
absl::Status WriteLabelFile(const std::string& path, const Label& label);

// As WriteLabelFile, but a file that holds this very label already is as good. FAILED_PRECONDITION: it is
// open to others.
absl::Status WriteLabelFileOnce(const std::string& path, const Label& label);

// Reads a label from a file, or from standard input where `path` is "-" (until its end; only a label file has
// its permissions checked). FAILED_PRECONDITION when group or others may access the file; RESOURCE_EXHAUSTED
// beyond kMaxLabelTextBytes; NOT_FOUND and the like from the system; otherwise as ParseLabel.
absl::StatusOr<Label> ReadLabelFile(const std::string& path);

}  // namespace keystead::membership
