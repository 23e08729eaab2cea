// Coming into somebody else's home as a guest, who reads what its owner grants: the newcomer's side of
// pairing, for a console, a service beside a gateway, or another maker's app. docs/protocol.md, "Joining" and
// "Roster".
#pragma once

#include <functional>

#include "core/membership/label.h"
#include "mobile-stub/engine.h"

namespace keystead::mobile {

bool CanBeGuest(const SpiffeId& id);  // apps, third parties' apps and services

struct GuestRequest {
  // Puts the one-time label where the owner can take it: called once, before anything is announced. It is as
  // secret as a device's.
  std::function<absl::Status(const membership::Label&)> show;
  absl::Duration patience = absl::Minutes(10);
};

// Blocks until the commit that adds this app has opened, and stores it: what it was granted stands in the
// roster. A label that nobody has taken is kept, and the next call goes on with it. FAILED_PRECONDITION: the
// state folder has a home already, or was begun with another certificate, or the certificate is of no app or
// service. DEADLINE_EXCEEDED: nobody let it in. ABORTED: somebody else with the label tried as well. Where
// the label was taken the next call makes another one.
absl::StatusOr<Member> JoinAsGuest(const Engine& engine, const GuestRequest& request,
                                   const ProgressFn& progress);

}  // namespace keystead::mobile
