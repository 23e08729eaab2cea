#include "core/cose/utf8.h"

namespace keystead::cose {

bool IsUtf8(ByteView b) {
  size_t i = 0;
  while (i < b.size()) {
    const uint8_t lead = b[i];
    if (lead < 0x80) {
      ++i;
      continue;
    }
    size_t more = 0;
    uint32_t code = 0;
    uint32_t least = 0;
    if ((lead & 0xe0) == 0xc0) {
      more = 1, code = lead & 0x1fu, least = 0x80;
    } else if ((lead & 0xf0) == 0xe0) {
      more = 2, code = lead & 0x0fu, least = 0x800;
    } else if ((lead & 0xf8) == 0xf0) {
      more = 3, code = lead & 0x07u, least = 0x10000;
    } else {
      return false;
    }
    if (b.size() - i <= more) return false;
    for (size_t k = 1; k <= more; ++k) {
      if ((b[i + k] & 0xc0) != 0x80) return false;
      code = (code << 6) | (b[i + k] & 0x3fu);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace keystead::cose
