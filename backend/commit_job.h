// One commit on its way through CommitIntake. Internal to backend/.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/commit_intake.h"
#include "core/cose/cbor.h"
#include "core/crypto/hash.h"

namespace keystead::backend {

// Belongs to one thread at a time: the executor's, then the writer's.
struct CommitIntake::Job {
  explicit Job(const Target& t) : target(t) {}

  const Target target;
  const TenantView& tenant = target.tenant;
  const Caller& caller = target.caller;
  const InstantiationId& id = target.id;
  std::string bundle;
  SubmitAnswer answer;
  CallPlaces::Place place;

  AcceptedCommit accepted;
  bool repeated = false;                         // stored already, durably
  std::shared_ptr<const MembershipChain> chain;  // with the commit
  CommitEffect effect;
  std::vector<std::pair<InstantiationId, Digest>> evicted;  // memberships that a device left by its reset
  RecordLogChanges changes;
  StoredChange stored;   // in the keyring; nothing: it was there
  bool entered = false;  // memory shows it: to be taken back when the batch fails
};

// What makes an acceptance the same: all it says. The signature over it is randomised.
inline Digest DigestOf(const Acceptance& a) {
  return crypto::Sha256(
      cose::EncodeArray(a.tenant, a.id, a.device_ckt, a.owner_ckt, a.reset_counter, a.m1_hash));
}

}  // namespace keystead::backend
