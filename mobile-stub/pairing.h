// Pairing by label: joins the devices whose labels are in the owner's hand, or lets guests in, and adds them
// in one commit.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/membership/label.h"
#include "mobile-stub/membership.h"

namespace keystead::mobile {

// Who is let in as a guest (guest.h), and to what: nothing but this.
struct GuestTerms {
  SpiffeId who;                       // of its certificate: what a guest says of itself counts for nothing
  std::vector<std::string> may_read;  // members that measure, by any of their names (members.h)
  std::optional<absl::Time> until;    // none: until it is put out; a third party's app needs one
};

struct PairRequest {
  std::vector<membership::Label> labels;
  std::optional<GuestTerms>
      guest;  // there is one label, and it is the guest's; none: of devices and gateways
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

// Statuses are of what concerns all of them: the state, the hop, the commit. INVALID_ARGUMENT: a guest's
// terms name nobody who measures, nothing at all, a time that is over, or somebody who can be no guest.
// ALREADY_EXISTS: the guest is a member, or is called as one.
absl::StatusOr<PairOutcome> PairDevices(const Engine& engine, const PairRequest& request,
                                        const RecoverySink& recovery, const ProgressFn& progress);

}  // namespace keystead::mobile
