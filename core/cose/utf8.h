// UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. Internal to
// core/cose.
#pragma once

#include "core/base/bytes.h"

namespace keystead::cose {

bool IsUtf8(ByteView bytes);

}  // namespace keystead::cose
