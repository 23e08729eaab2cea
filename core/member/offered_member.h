// What a newcomer that joined by its label is between its M2 and the commit that adds it.
#pragma once

#include <memory>

#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/crypto/p256.h"
#include "core/sealing/joining.h"
#include "core/sealing/member.h"

namespace keystead {

// The member that this offer makes of who answered it. `clock` must outlive it.
std::unique_ptr<Member> MakeOfferedMember(const JoinResponder::Offer& offer, const TenantName& tenant,
                                          const crypto::EcdsaKeyPair& ik, const Clock* clock);

// Whether `member` was made from this offer.
bool IsOf(const Member& member, const JoinResponder::Offer& offer);

// Whether a commit that opened may make `member` the owner's: it is so already, or the offer it was made from
// still stands. Not so once another claimed the label too, or the offer's time is over, however late the
// commit comes (docs/protocol.md, KS1-JOIN-06).
bool MayBeOwned(const Member& member, const JoinResponder& responder, const BootId& boot,
                absl::Duration uptime);

}  // namespace keystead
