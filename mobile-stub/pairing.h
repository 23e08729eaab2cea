// Pairing by printed label: joins the devices whose labels are in the owner's hand and adds them in one
// commit.
#pragma once

#include <string>
#include <vector>

#include "core/membership/label.h"
#include "mobile-stub/membership.h"

namespace keystead::mobile {

struct PairRequest {
  std::vector<membership::Label> labels;
  absl::Duration patience = absl::Seconds(30);  // for each device's announcement and M2
};

struct PairedDevice {
  std::string device_id;
  std::string kind;  // what it says it is
  MemberId member;
};
struct FailedDevice {
  std::string device_id;
  absl::Status status;
};
struct PairOutcome {
  uint64_t epoch = 0;
  InstantiationId id;
  std::vector<PairedDevice> paired;
  std::vector<FailedDevice>
      failed;  // not added: FAILED_PRECONDITION "this device is not yours yet: reset it"; ALREADY_EXISTS
};

// Statuses are of what concerns all of them: the state, the hop, the commit.
absl::StatusOr<PairOutcome> PairDevices(const Engine& engine, const PairRequest& request,
                                        const RecoverySink& recovery, const ProgressFn& progress);

}  // namespace keystead::mobile
