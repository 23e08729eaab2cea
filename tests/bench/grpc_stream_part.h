// The bare hop: one mutual-TLS stream of opaque batches with one acknowledgement each, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace keystead::bench {

struct StreamPartOptions {
  std::string pki;  // folder made by certs/make-pki, with a gateway "bench" (server) and a device "bench"
  std::string tenant;
  size_t message_bytes = 0;  // payload of one message
  int window = 8;            // messages without acknowledgement
  absl::Duration duration = absl::Seconds(3);
};

struct StreamPartResult {
  uint64_t messages = 0;
  absl::Duration wall;
  absl::Duration cpu;  // both ends together
};

absl::StatusOr<StreamPartResult> RunStreamPart(const StreamPartOptions& options);

}  // namespace keystead::bench
