// Members, rosters and signed commits for tests, made from fixed seeds so that a failure repeats.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "core/cose/cose_key.h"
#include "core/membership/acceptance.h"
#include "core/membership/chain.h"
#include "core/membership/signed_object.h"

namespace keystead {

struct TestMember {
  MemberId id;
  crypto::EcdsaKeyPair ik;
  crypto::EcdhKeyPair k;
};

inline TestMember MakeTestMember(RandomSource& random) {
  TestMember m;
  m.id = random.NewId<MemberId>();
  m.ik = crypto::EcdsaKeyPair::Generate(random).value();
  m.k = crypto::EcdhKeyPair::Generate(random).value();
  return m;
}

inline RosterEntry EntryOf(const TestMember& m, MemberKind kind, std::vector<Right> rights = {}) {
  RosterEntry entry;
  entry.member = m.id;
  entry.kind = kind;
  entry.transport = "spiffe://acme.keystead.example/x/" + m.id.ToHex();
  if (kind != MemberKind::kCourier) {
    entry.ik = m.ik.public_key();
    entry.k = m.k.public_key();
  }
  entry.rights = std::move(rights);
  return entry;
}

// The signature (r, n - s) verifies wherever (r, s) does. `object` ends with r ‖ s.
inline Bytes WithOtherSignature(ByteView object) {
  static const Bytes order =
      FromHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").value();
  Bytes out = ToBytes(object);
  int borrow = 0;
  for (size_t i = 0; i < 32; ++i) {
    const size_t at = out.size() - 1 - i;
    const int digit = int{order[31 - i]} - int{out[at]} - borrow;
    borrow = digit < 0 ? 1 : 0;
    out[at] = static_cast<uint8_t>(digit + (borrow != 0 ? 256 : 0));
  }
  return out;
}

// An owner and the commits it makes, with whatever wraps a test likes: nothing here is secret.
class TestOwner {
 public:
  explicit TestOwner(uint64_t seed = 1) : random(seed), self(MakeTestMember(random)) {
    tenant = TenantName::Parse("acme.keystead.example").value();
    nonce = random.NewId<Digest>();
    id = DeriveInstantiationId(tenant, ckt(), nonce);
  }

  Digest ckt() const { return cose::Ckt(self.ik.public_key()); }

  Bytes AcceptanceOf(const TestMember& m, uint64_t reset_counter = 0) {
    return SignAcceptance(m.ik, {tenant, id, cose::Ckt(m.ik.public_key()), ckt(), reset_counter, Digest()})
        .value();
  }

  // The body of the commit after `parent` (null: commit 0), with these members beside the owner.
  CommitBody Body(const MembershipChain* parent, std::vector<RosterEntry> others) {
    CommitBody body;
    body.tenant = tenant;
    body.id = id;
    body.owner_ckt = ckt();
    body.time = 1'800'000'000;
    if (parent == nullptr || parent->empty()) {
      body.nonce = nonce;
      body.recovery_ckt = recovery;
    } else {
      body.epoch = parent->epoch() + 1;
      body.parent = parent->head().hash;
      body.recovery_ckt = recovery;
    }
    others.push_back(EntryOf(self, MemberKind::kOwner));
    body.roster = Roster::Create(std::move(others)).value();
    return body;
  }

  CommitBundle Sign(const CommitBody& body, std::vector<Wrap> wraps = {},
                    std::vector<Bytes> acceptances = {}) {
    CommitBundle bundle;
    bundle.commit = SignCommit(self.ik, self.id, body, WrapsHash(wraps)).value();
    bundle.wraps = std::move(wraps);
    bundle.acceptances = std::move(acceptances);
    return bundle;
  }

  SeededRandom random;
  TestMember self;
  TenantName tenant;
  Digest nonce;
  InstantiationId id;
  std::optional<Digest> recovery;
};

}  // namespace keystead
