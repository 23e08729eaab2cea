// Shows a label to a person: its text in groups and a QR code, on a terminal or as an image. The text and
// every rendering of it are secret (core/membership/label.h), hence SecretBytes throughout. libqrencode and
// zlib keep working copies of their own on the heap, which they free without wiping: whoever can read the
// memory of a device that is showing its label has the label anyway.
//
// Depends on core/base only; functions are thread-safe.
#pragma once

#include <cstddef>

#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"
#include "core/base/status.h"

namespace keystead::device_sim {

// A QR code (ISO/IEC 18004), error correction level M, without its quiet zone.
struct QrSymbol {
  size_t width = 0;     // modules per side
  SecretBytes modules;  // width * width, row by row, 1 is dark
};

inline constexpr size_t kQuietZoneModules = 4;  // ISO/IEC 18004, section 9.1

// `text` in alphanumeric mode. INVALID_ARGUMENT when a character is outside that mode or the text too long.
absl::StatusOr<QrSymbol> EncodeQr(ByteView text);

// UTF-8 half blocks, two rows of modules in a line, quiet zone included. Sets black on white itself, so that
// it scans from dark and from light terminals.
SecretBytes RenderForTerminal(const QrSymbol& symbol);

// A greyscale PNG with `scale` (1 to 64) pixels per module, quiet zone included.
absl::StatusOr<SecretBytes> RenderPng(const QrSymbol& symbol, size_t scale);

// Writes QR code, then `grouped_text` (membership::GroupLabelText), to `fd`. FAILED_PRECONDITION, with
// nothing written, when `fd` is no terminal and `force` is false: a secret does not end in a log by
// redirection.
absl::Status ShowLabel(int fd, ByteView text, ByteView grouped_text, bool force);

}  // namespace keystead::device_sim
