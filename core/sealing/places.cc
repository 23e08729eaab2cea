#include "core/sealing/places.h"

#include <string>

namespace keystead {

SignedPlace SignedPlaceOf(const StreamPlace& stream, uint64_t sequence) {
  SignedPlace place;
  place.tenant = stream.tenant;
  place.id = stream.id;
  place.topic = stream.topic;
  place.sender = stream.sender;
  place.stream = stream.stream;
  place.epoch = stream.epoch;
  place.sequence = sequence;
  return place;
}

SecurityEvent EventAt(SecurityEventKind kind, const StreamPlace& place, uint64_t sequence,
                      std::string_view detail) {
  return {.kind = kind,
          .tenant = place.tenant.str(),
          .instantiation = place.id.ToHex(),
          .topic = place.topic.str(),
          .sender = place.sender.ToHex(),
          .stream = place.stream.ToHex(),
          .epoch = place.epoch,
          .sequence = sequence,
          .peer = "",
          .detail = std::string(detail)};
}

}  // namespace keystead
