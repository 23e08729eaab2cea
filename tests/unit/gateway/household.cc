#include "tests/unit/gateway/household.h"

#include <cstdio>
#include <cstdlib>
#include <optional>

#include "core/cose/cose_key.h"
#include "core/membership/acceptance.h"
#include "core/membership/label.h"
#include "core/membership/notice.h"
#include "core/sealing/commit_secrets.h"
#include "core/sealing/joining.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::testing {
namespace {

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "household: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

RandomSource& Random() { return RandomSource::System(); }

}  // namespace

struct Household::Impl {
  TenantName tenant = Tenant(kAcme);
  InstantiationId id;
  MemberId member = Random().NewId<MemberId>();
  Digest nonce = Random().NewId<Digest>();
  crypto::EcdsaKeyPair ik = OrDie(crypto::EcdsaKeyPair::Generate());
  crypto::EcdhKeyPair k = OrDie(crypto::EcdhKeyPair::Generate());
  std::optional<MembershipChain> chain;
  EpochSecret secret;
  CommitRequest next;
  uint64_t hseq = 0;
  std::string bundle;
  std::optional<int64_t> gateway_term;
};

Household::Household() : impl_(std::make_unique<Impl>()) {
  impl_->id = DeriveInstantiationId(impl_->tenant, cose::Ckt(impl_->ik.public_key()), impl_->nonce);
  impl_->chain.emplace(impl_->tenant, impl_->id);
}
Household::~Household() = default;

const TenantName& Household::tenant() const { return impl_->tenant; }
const InstantiationId& Household::id() const { return impl_->id; }
const MemberId& Household::owner() const { return impl_->member; }
uint64_t Household::epoch() const { return impl_->chain->epoch(); }

MemberId Household::AddDevice(const std::string& transport) {
  const auto ik = OrDie(crypto::EcdsaKeyPair::Generate());
  Newcomer newcomer;
  newcomer.entry.member = Random().NewId<MemberId>();
  newcomer.entry.kind = MemberKind::kDevice;
  newcomer.entry.transport = transport;
  newcomer.entry.ik = ik.public_key();
  newcomer.entry.k = OrDie(crypto::EcdhKeyPair::Generate()).public_key();
  newcomer.entry.rights = DefaultDeviceRights(newcomer.entry.member);
  newcomer.join = JoinSecret(Random().Secret(kSecretBytes));
  newcomer.acceptance = OrDie(SignAcceptance(ik, {.tenant = impl_->tenant,
                                                  .id = impl_->id,
                                                  .device_ckt = cose::Ckt(ik.public_key()),
                                                  .owner_ckt = cose::Ckt(impl_->ik.public_key()),
                                                  .reset_counter = 0,
                                                  .m1_hash = Digest()}));
  impl_->next.add.push_back(std::move(newcomer));
  return impl_->next.add.back().entry.member;
}

JoinInitiator Household::StartJoin(const std::string& label_file, const MailboxAccess& mailboxes,
                                   size_t announced, const MemberId& newcomer) {
  const membership::Label label = OrDie(membership::ReadLabelFile(label_file));
  const std::vector<std::string> announcements =
      mailboxes.await(OrDie(AnnouncementBox(label.setup_code)), announced);
  const JoinInitiator::Owner owner{impl_->tenant, impl_->id, impl_->member, &impl_->ik,
                                   impl_->k.public_key()};
  JoinInitiator initiator =
      OrDie(JoinInitiator::Start(label, AsBytes(announcements.back()), owner, newcomer, 0, Random()));
  mailboxes.put(initiator.m1_box(), ToString(initiator.m1()));
  return initiator;
}

void Household::Claim(const std::string& label_file, const MailboxAccess& mailboxes) {
  StartJoin(label_file, mailboxes, 1, Random().NewId<MemberId>());
}

MemberId Household::PairByLabel(const std::string& label_file, const MailboxAccess& mailboxes,
                                size_t announced) {
  const MemberId member = Random().NewId<MemberId>();
  const JoinInitiator initiator = StartJoin(label_file, mailboxes, announced, member);
  const std::vector<std::string> answers = mailboxes.await(initiator.m2_box(), 1);
  JoinedMember joined = OrDie(initiator.Finish(AsBytes(answers.back())));
  Newcomer newcomer;
  newcomer.entry.member = joined.member;
  newcomer.entry.kind = joined.kind == "gateway" ? MemberKind::kGateway : MemberKind::kDevice;
  newcomer.entry.transport = joined.transport;
  newcomer.entry.ik = joined.ik;
  newcomer.entry.k = joined.k;
  if (newcomer.entry.kind == MemberKind::kGateway) newcomer.entry.expires_at = impl_->gateway_term;
  newcomer.join = std::move(joined.join);
  newcomer.acceptance = joined.acceptance;
  impl_->next.add.push_back(std::move(newcomer));
  return member;
}

const std::string& Household::bundle() const { return impl_->bundle; }
void Household::SetGatewayTerm(absl::Time term) { impl_->gateway_term = absl::ToUnixSeconds(term); }

void Household::Remove(const MemberId& member) { impl_->next.remove.push_back(member); }

Payload Household::Commit() {
  OwnerIdentity owner;
  owner.tenant = impl_->tenant;
  owner.id = impl_->id;
  owner.nonce = impl_->nonce;
  owner.member = impl_->member;
  owner.transport = "spiffe://acme.keystead.example/app/phone";
  owner.ik = &impl_->ik;
  owner.k = &impl_->k;
  NewCommit commit = OrDie(MakeCommit(*impl_->chain, owner, impl_->chain->empty() ? nullptr : &impl_->secret,
                                      impl_->next, Random()));
  OrDie(impl_->chain->Apply(commit.bundle));
  impl_->secret = std::move(commit.secret);
  impl_->next = {};
  GroupHeader header;
  header.tenant = impl_->tenant;
  header.instantiation = impl_->id;
  header.sender = impl_->member;
  header.epoch = impl_->chain->epoch();
  GroupBuilder builder(header);
  impl_->bundle = ToString(commit.bundle.EncodeContent());
  builder.Append(0, AsBytes(impl_->bundle)).IgnoreError();
  return builder.Take();
}

Payload Household::HeadNotice(const StreamId& stream, uint64_t sequence) {
  GroupHeader header;
  header.tenant = impl_->tenant;
  header.instantiation = impl_->id;
  header.sender = impl_->member;
  header.epoch = impl_->chain->epoch();
  header.stream = stream;
  SignedPlace place;
  place.tenant = header.tenant;
  place.id = header.instantiation;
  place.topic = header.topic;
  place.sender = header.sender;
  place.stream = stream;
  place.epoch = header.epoch;
  place.sequence = sequence;
  const Head head{header.epoch, impl_->chain->head().hash, ++impl_->hseq, 0};
  GroupBuilder builder(header);
  builder.Append(sequence, EncodeContent(kinds::kHead, OrDie(SignHead(impl_->ik, place, head))))
      .IgnoreError();
  return builder.Take();
}

}  // namespace keystead::testing
