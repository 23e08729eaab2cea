#include "core/membership/commit.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"
#include "core/crypto/hash.h"
#include "core/membership/signed_object.h"

namespace keystead {
namespace {

absl::Status BadCommit(std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("commit is malformed: ", Absl(why)));
}

SignedPlace PlaceOf(const CommitBody& body, const MemberId& owner) {
  SignedPlace place;
  place.tenant = body.tenant;
  place.id = body.id;
  place.topic = Topic::Keyring();
  place.sender = owner;
  place.epoch = body.epoch;
  return place;
}

void WriteWraps(cose::CborWriter& w, const std::vector<Wrap>& wraps) {
  w.Array(wraps.size());
  for (const Wrap& wrap : wraps) {
    w.Array(4)
        .Bstr(wrap.member.view())
        .Uint(static_cast<uint64_t>(wrap.kind))
        .Bool(wrap.first)
        .Bstr(wrap.sealed);
  }
}

absl::StatusOr<std::optional<Digest>> ReadOptionalDigest(cose::CborReader& r) {
  KS_ASSIGN_OR_RETURN(const bool absent, r.TryNull());
  if (absent) return std::optional<Digest>();
  KS_ASSIGN_OR_RETURN(const Digest digest, r.ReadId<Digest>());
  return std::optional<Digest>(digest);
}

absl::StatusOr<std::vector<Wrap>> ReadWraps(cose::CborReader& r) {
  KS_ASSIGN_OR_RETURN(const size_t count, r.ReadArray());
  if (count > limits::kMaxRosterEntries) return BadCommit("too many wraps");
  std::vector<Wrap> wraps(count);
  for (size_t i = 0; i < count; ++i) {
    Wrap& wrap = wraps[i];
    KS_RETURN_IF_ERROR(r.ReadArrayOf(4));
    KS_ASSIGN_OR_RETURN(wrap.member, r.ReadId<MemberId>());
    KS_ASSIGN_OR_RETURN(const uint64_t kind, r.ReadUint());
    if (kind > static_cast<uint64_t>(WrapKind::kGrants)) return BadCommit("unknown kind of wrap");
    wrap.kind = static_cast<WrapKind>(kind);
    KS_ASSIGN_OR_RETURN(wrap.first, r.ReadBool());
    KS_ASSIGN_OR_RETURN(const ByteView sealed, r.ReadBytes());
    wrap.sealed = ToBytes(sealed);
    if (i > 0 && !(wraps[i - 1].member < wrap.member)) return BadCommit("wraps are not in order of members");
  }
  return wraps;
}

}  // namespace

std::string_view WrapKindName(WrapKind kind) {
  switch (kind) {
    case WrapKind::kCommitSecret:
      return "commit secret";
    case WrapKind::kJoiner:
      return "joiner";
    case WrapKind::kGrants:
      return "grants";
  }
  return "grants";
}

Bytes CommitBody::Encode() const {
  cose::CborWriter w;
  w.Array(10).Text(tenant.str()).Bstr(id.view()).Uint(epoch);
  cose::EncodeOne(w, parent);
  cose::EncodeOne(w, nonce);
  w.Bstr(owner_ckt.view());
  cose::EncodeOne(w, recovery_ckt);
  roster.WriteTo(w);
  w.Null();  // residence: later work
  w.Int(time);
  return w.Take();
}

absl::StatusOr<CommitBody> CommitBody::Parse(ByteView encoded) {
  cose::CborReader r(encoded);
  CommitBody body;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(10));
  KS_ASSIGN_OR_RETURN(const std::string_view tenant, r.ReadText());
  KS_ASSIGN_OR_RETURN(body.tenant, TenantName::Parse(tenant));
  KS_ASSIGN_OR_RETURN(body.id, r.ReadId<InstantiationId>());
  KS_ASSIGN_OR_RETURN(body.epoch, r.ReadUint());
  KS_ASSIGN_OR_RETURN(body.parent, ReadOptionalDigest(r));
  KS_ASSIGN_OR_RETURN(body.nonce, ReadOptionalDigest(r));
  KS_ASSIGN_OR_RETURN(body.owner_ckt, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(body.recovery_ckt, ReadOptionalDigest(r));
  KS_ASSIGN_OR_RETURN(body.roster, Roster::ReadFrom(r));
  KS_RETURN_IF_ERROR(r.ReadNull());
  KS_ASSIGN_OR_RETURN(body.time, r.ReadInt());
  KS_RETURN_IF_ERROR(r.Finish());
  const bool first = body.epoch == 0;
  if (body.parent.has_value() == first) return BadCommit("commit 0 has no parent and every other has one");
  if (body.nonce.has_value() != first) return BadCommit("commit 0 has a nonce and no other has");
  return body;
}

InstantiationId DeriveInstantiationId(const TenantName& tenant, const Digest& owner_ckt,
                                      const Digest& nonce) {
  const Digest hash = crypto::Sha256(cose::EncodeArray("ks1 id", tenant, owner_ckt, nonce));
  return *InstantiationId::FromBytes(hash.view().first(InstantiationId::kSize));
}

Bytes CommitBundle::EncodeContent() const {
  cose::CborWriter w;
  w.Array(3).Bstr(commit);
  WriteWraps(w, wraps);
  w.Array(acceptances.size());
  for (const Bytes& acceptance : acceptances) w.Bstr(acceptance);
  return keystead::EncodeContent(kinds::kCommit, w.Take());
}

absl::StatusOr<CommitBundle> CommitBundle::ParseContent(ByteView content) {
  if (content.size() > limits::kMaxCommitBytes) return BadCommit("too long");
  KS_ASSIGN_OR_RETURN(const ContentView view, keystead::ParseContent(content));
  if (view.kind != kinds::kCommit) return BadCommit("of another kind");
  cose::CborReader r(view.body);
  CommitBundle bundle;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(3));
  KS_ASSIGN_OR_RETURN(const ByteView commit, r.ReadBytes());
  bundle.commit = ToBytes(commit);
  KS_ASSIGN_OR_RETURN(bundle.wraps, ReadWraps(r));
  KS_ASSIGN_OR_RETURN(const size_t acceptances, r.ReadArray());
  if (acceptances > limits::kMaxRosterEntries) return BadCommit("too many acceptances");
  for (size_t i = 0; i < acceptances; ++i) {
    KS_ASSIGN_OR_RETURN(const ByteView acceptance, r.ReadBytes());
    bundle.acceptances.push_back(ToBytes(acceptance));
  }
  KS_RETURN_IF_ERROR(r.Finish());
  return bundle;
}

Digest CommitBundle::CommitHash() const { return crypto::Sha256(commit); }

Digest WrapsHash(const std::vector<Wrap>& wraps) {
  cose::CborWriter w;
  WriteWraps(w, wraps);
  return crypto::Sha256(w.bytes());
}

absl::StatusOr<Bytes> SignCommit(const crypto::EcdsaKeyPair& owner, const MemberId& owner_member,
                                 const CommitBody& body, const Digest& wraps_hash) {
  const Bytes payload = cose::EncodeArray(body.Encode(), wraps_hash);
  return SignObject(owner, kinds::kCommit, PlaceOf(body, owner_member), payload);
}

absl::StatusOr<SignedCommit> VerifyCommit(const CommitBundle& bundle, const RosterEntry* owner) {
  KS_ASSIGN_OR_RETURN(const ByteView payload, UnverifiedPayload(bundle.commit));
  cose::CborReader r(payload);
  KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
  KS_ASSIGN_OR_RETURN(const ByteView body_bytes, r.ReadBytes());
  KS_ASSIGN_OR_RETURN(const Digest wraps_hash, r.ReadId<Digest>());
  KS_RETURN_IF_ERROR(r.Finish());
  SignedCommit out;
  KS_ASSIGN_OR_RETURN(out.body, CommitBody::Parse(body_bytes));
  out.body_bytes = ToBytes(body_bytes);

  const RosterEntry* signer = owner;
  if (signer == nullptr) {
    signer = out.body.roster.FindByCkt(out.body.owner_ckt);
    if (signer == nullptr) return BadCommit("its owner is not in its roster");
  }
  if (signer->ckt() != out.body.owner_ckt) return absl::UnauthenticatedError("commit names another owner");
  out.owner = signer->member;
  KS_RETURN_IF_ERROR(
      VerifyObject(bundle.commit, signer->ik, kinds::kCommit, PlaceOf(out.body, signer->member)).status());
  if (WrapsHash(bundle.wraps) != wraps_hash)
    return absl::UnauthenticatedError("wraps are not the ones signed for");
  out.wraps_hash = wraps_hash;
  out.hash = bundle.CommitHash();
  return out;
}

}  // namespace keystead
