#include "core/member/offered_member.h"

#include <utility>

#include "core/cose/cose_key.h"

namespace keystead {

std::unique_ptr<Member> MakeOfferedMember(const JoinResponder::Offer& offer, const TenantName& tenant,
                                          const crypto::EcdsaKeyPair& ik, const Clock* clock) {
  Member::Identity identity;
  identity.tenant = tenant;
  identity.id = offer.id;
  identity.self = offer.self;
  identity.ik = ik.Clone();
  identity.k = offer.k.Clone();
  identity.join = JoinSecret(offer.join.secret().Clone());
  identity.owner_ckt = cose::Ckt(offer.owner_ik);
  return std::make_unique<Member>(std::move(identity), clock);
}

bool IsOf(const Member& member, const JoinResponder::Offer& offer) {
  return member.identity().id == offer.id && member.identity().self == offer.self &&
         member.identity().k.public_key() == offer.k.public_key();
}

bool MayBeOwned(const Member& member, const JoinResponder& responder, const BootId& boot,
                absl::Duration uptime) {
  if (responder.state() == JoinResponder::State::kOwned) return true;
  return responder.OfferStands(boot, uptime) && IsOf(member, *responder.offer());
}

}  // namespace keystead
