// Groups for tests of the transport: their content is no COSE, which no hop looks at.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/transport/group_view.h"

namespace keystead::testing {

template <class Id>
Id NumberedId(int number) {
  std::array<uint8_t, Id::kSize> bytes{};
  bytes[0] = static_cast<uint8_t>(number >> 8);
  bytes[1] = static_cast<uint8_t>(number);
  bytes[15] = 1;
  return Id(bytes);
}

inline TenantName TestTenant() { return *TenantName::Parse("acme.keystead.example"); }
inline InstantiationId TestInstantiation() { return NumberedId<InstantiationId>(7); }
inline Topic TestTopic(int device) { return Topic::Of(TopicKind::kTelemetry, NumberedId<MemberId>(device)); }

// What a numbered device writes in its numbered stream.
inline GroupHeader TestHeader(int device, int stream = 0) {
  GroupHeader out;
  out.tenant = TestTenant();
  out.instantiation = TestInstantiation();
  out.topic = TestTopic(device);
  out.sender = NumberedId<MemberId>(device);
  out.epoch = 3;
  out.stream = NumberedId<StreamId>(1000 + stream);
  return out;
}

using TestRecords = std::vector<std::pair<uint64_t, std::string>>;

inline Payload TestGroup(const GroupHeader& header, const TestRecords& records) {
  GroupBuilder builder(header);
  for (const auto& [sequence, content] : records) builder.Append(sequence, AsBytes(content)).IgnoreError();
  return builder.Take();
}

}  // namespace keystead::testing
