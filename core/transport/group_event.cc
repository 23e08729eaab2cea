#include "core/transport/group_event.h"

#include <utility>

namespace keystead {

SecurityEvent EventAt(SecurityEventKind kind, const GroupView& group, std::string_view peer,
                      std::string detail) {
  const GroupHeader& header = group.header();
  return {.kind = kind,
          .tenant = header.tenant.str(),
          .instantiation = header.instantiation.ToHex(),
          .topic = header.topic.str(),
          .sender = header.sender.ToHex(),
          .stream = header.stream.ToHex(),
          .epoch = header.epoch,
          .sequence = group.first_sequence(),
          .peer = std::string(peer),
          .detail = std::move(detail)};
}

}  // namespace keystead
