#include "device-sim/label_view.h"

#include <errno.h>
#include <png.h>
#include <qrencode.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <memory>
#include <string_view>

namespace keystead::device_sim {
namespace {

struct InputDeleter {
  void operator()(QRinput* input) const { QRinput_free(input); }
};
struct CodeDeleter {
  void operator()(QRcode* code) const {
    SecureWipe(code->data, static_cast<size_t>(code->width) * static_cast<size_t>(code->width));
    QRcode_free(code);
  }
};

// Fixed colours of the 256-colour cube: 0 to 15 are what the user's theme makes of them.
constexpr std::string_view kBlackOnWhite = "\x1b[38;5;16;48;5;231m";
constexpr std::string_view kLineEnd = "\x1b[0m\n";
constexpr std::string_view kFull = "\u2588";
constexpr std::string_view kUpper = "\u2580";
constexpr std::string_view kLower = "\u2584";

// Coordinates count from the corner of the quiet zone.
bool IsDark(const QrSymbol& symbol, size_t x, size_t y) {
  if (x < kQuietZoneModules || y < kQuietZoneModules) return false;
  x -= kQuietZoneModules;
  y -= kQuietZoneModules;
  if (x >= symbol.width || y >= symbol.width) return false;
  return symbol.modules.ExposeSecret()[y * symbol.width + x] != 0;
}

absl::Status WriteAll(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "cannot show the label");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<QrSymbol> EncodeQr(ByteView text) {
  if (text.empty() || text.size() > INT_MAX)
    return absl::InvalidArgumentError("QR code: no text, or too much");
  const std::unique_ptr<QRinput, InputDeleter> input(QRinput_new2(0, QR_ECLEVEL_M));
  if (input == nullptr) return absl::ResourceExhaustedError("QR code: no memory");
  if (QRinput_append(input.get(), QR_MODE_AN, static_cast<int>(text.size()), text.data()) != 0) {
    return absl::InvalidArgumentError("QR code: the text is not of the alphanumeric mode");
  }
  const std::unique_ptr<QRcode, CodeDeleter> code(QRcode_encodeInput(input.get()));
  if (code == nullptr) {
    return errno == ERANGE ? absl::InvalidArgumentError("QR code: the text is too long")
                           : absl::ResourceExhaustedError("QR code: no memory");
  }
  QrSymbol symbol;
  symbol.width = static_cast<size_t>(code->width);
  symbol.modules = SecretBytes(symbol.width * symbol.width);
  // The lowest bit is the colour; the others say what kind of module it is (qrencode.h, QRcode).
  std::transform(code->data, code->data + symbol.modules.size(), symbol.modules.MutableSecret().begin(),
                 [](unsigned char module) { return static_cast<uint8_t>(module & 1U); });
  return symbol;
}

SecretBytes RenderForTerminal(const QrSymbol& symbol) {
  const size_t side = symbol.width + 2 * kQuietZoneModules;
  const size_t lines = (side + 1) / 2;
  SecretBytes room(lines * (kBlackOnWhite.size() + side * kFull.size() + kLineEnd.size()));
  uint8_t* const begin = room.MutableSecret().data();
  uint8_t* to = begin;
  const auto put = [&to](std::string_view s) { to = std::copy(s.begin(), s.end(), to); };
  for (size_t y = 0; y < side; y += 2) {
    put(kBlackOnWhite);
    for (size_t x = 0; x < side; ++x) {
      const bool upper = IsDark(symbol, x, y);
      const bool lower = IsDark(symbol, x, y + 1);
      put(upper ? (lower ? kFull : kUpper) : (lower ? kLower : " "));
    }
    put(kLineEnd);
  }
  return room.Slice(0, static_cast<size_t>(to - begin));
}

absl::StatusOr<SecretBytes> RenderPng(const QrSymbol& symbol, size_t scale) {
  if (scale < 1 || scale > 64) return absl::InvalidArgumentError("PNG: scale must be 1 to 64");
  const size_t side = (symbol.width + 2 * kQuietZoneModules) * scale;
  SecretBytes pixels(side * side);
  for (size_t y = 0; y < side; ++y) {
    for (size_t x = 0; x < side; ++x) {
      pixels.MutableSecret()[y * side + x] = IsDark(symbol, x / scale, y / scale) ? 0 : 255;
    }
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(side);
  image.height = image.width;
  image.format = PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  SecretBytes png(size);
  if (png_image_write_to_memory(&image, png.MutableSecret().data(), &size, 0, pixels.ExposeSecret().data(),
                                static_cast<png_int_32>(side), nullptr) == 0) {
    return absl::InternalError("PNG: libpng could not write the image");
  }
  return png.Slice(0, size);
}

absl::Status ShowLabel(int fd, ByteView text, ByteView grouped_text, bool force) {
  if (!force && isatty(fd) == 0) {
    return absl::FailedPreconditionError("the label holds a secret and is shown on a terminal only");
  }
  KS_ASSIGN_OR_RETURN(const QrSymbol symbol, EncodeQr(text));
  const SecretBytes picture = RenderForTerminal(symbol);
  KS_RETURN_IF_ERROR(WriteAll(fd, picture.ExposeSecret()));
  return WriteAll(fd, grouped_text);
}

}  // namespace keystead::device_sim
