#include "tests/unit/backend/home.h"

#include <cstdio>
#include <cstdlib>
#include <map>

#include "core/cose/cose_key.h"
#include "core/sealing/commit_secrets.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::testing {
namespace {

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "home: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

RandomSource& Random() { return RandomSource::System(); }

}  // namespace

Resident MakeResident(MemberKind kind, const std::string& transport) {
  Resident out;
  out.entry.member = Random().NewId<MemberId>();
  out.entry.kind = kind;
  out.entry.transport = transport;
  if (kind == MemberKind::kDevice) out.entry.rights = DeviceRights(out.entry.member);
  if (kind == MemberKind::kCourier) return out;
  out.ik = OrDie(crypto::EcdsaKeyPair::Generate());
  out.entry.ik = out.ik.public_key();
  out.entry.k = OrDie(crypto::EcdhKeyPair::Generate()).public_key();
  return out;
}

Resident AfterReset(const Resident& device) {
  Resident out = MakeResident(device.entry.kind, device.entry.transport);
  out.ik = device.ik.Clone();
  out.entry.ik = device.entry.ik;
  out.reset_counter = device.reset_counter + 1;
  return out;
}

std::vector<Right> DeviceRights(const MemberId& device) { return DefaultDeviceRights(device); }

struct Home::Impl {
  TenantName tenant;
  std::string transport;
  MemberId member = Random().NewId<MemberId>();
  Digest nonce = Random().NewId<Digest>();
  crypto::EcdsaKeyPair ik = OrDie(crypto::EcdsaKeyPair::Generate());
  crypto::EcdhKeyPair k = OrDie(crypto::EcdhKeyPair::Generate());
  std::optional<MembershipChain> chain;
  EpochSecret secret;
  std::map<std::string, NewCommit> drafts;
  std::map<std::pair<MemberId, uint64_t>, Bytes> acceptances;
};

Home::Home(std::string_view tenant, const std::string& owner_transport) : impl_(std::make_unique<Impl>()) {
  impl_->tenant = Tenant(tenant);
  impl_->transport = owner_transport;
  impl_->chain.emplace(impl_->tenant,
                       DeriveInstantiationId(impl_->tenant, cose::Ckt(impl_->ik.public_key()), impl_->nonce));
}
Home::~Home() = default;

const TenantName& Home::tenant() const { return impl_->tenant; }
const InstantiationId& Home::id() const { return impl_->chain->id(); }
const MemberId& Home::owner() const { return impl_->member; }
const MembershipChain& Home::chain() const { return *impl_->chain; }

Bytes Home::AcceptanceOf(const Resident& resident) {
  Bytes& known = impl_->acceptances[{resident.entry.member, resident.reset_counter}];
  if (known.empty()) {
    Acceptance acceptance;
    acceptance.tenant = impl_->tenant;
    acceptance.id = id();
    acceptance.device_ckt = cose::Ckt(resident.ik.public_key());
    acceptance.owner_ckt = cose::Ckt(impl_->ik.public_key());
    acceptance.reset_counter = resident.reset_counter;
    acceptance.m1_hash = Random().NewId<Digest>();
    known = OrDie(SignAcceptance(resident.ik, acceptance));
  }
  return known;
}

std::string Home::Make(const std::vector<const Resident*>& add, const std::vector<MemberId>& remove) {
  OwnerIdentity owner{impl_->tenant,    id(),       impl_->nonce, impl_->member,
                      impl_->transport, &impl_->ik, &impl_->k};
  CommitRequest request;
  for (const Resident* resident : add) {
    Newcomer newcomer;
    newcomer.entry = resident->entry;
    if (resident->entry.kind != MemberKind::kCourier) {
      newcomer.join.emplace(Random().Secret(kSecretBytes));
      newcomer.acceptance = AcceptanceOf(*resident);
    }
    request.add.push_back(std::move(newcomer));
  }
  request.remove = remove;
  request.time = 1'800'000'000;
  NewCommit commit = OrDie(
      MakeCommit(*impl_->chain, owner, impl_->chain->empty() ? nullptr : &impl_->secret, request, Random()));
  std::string bundle = ToString(commit.bundle.EncodeContent());
  impl_->drafts.insert_or_assign(bundle, std::move(commit));
  return bundle;
}

void Home::Take(const std::string& bundle) {
  NewCommit& commit = impl_->drafts.at(bundle);
  if (!impl_->chain->Apply(commit.bundle).ok()) std::abort();
  impl_->secret = std::move(commit.secret);
  impl_->drafts.clear();
}

}  // namespace keystead::testing
