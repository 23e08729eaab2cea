// A stream's record as the other vocabularies name it: a signature's place, a security event's coordinates.
// Internal to core/sealing.
#pragma once

#include <string_view>

#include "core/membership/signed_object.h"
#include "core/observe/security_event.h"
#include "core/sealing/record_cipher.h"

namespace keystead {

SignedPlace SignedPlaceOf(const StreamPlace& stream, uint64_t sequence);
SecurityEvent EventAt(SecurityEventKind kind, const StreamPlace& place, uint64_t sequence,
                      std::string_view detail);

}  // namespace keystead
