#include "tests/isolation/attack.h"

#include <cstdlib>

#include "backend/policy.h"
#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/identity/revocations.h"
#include "core/transport/group_view.h"
#include "keystead/v1/admin.pb.h"
#include "keystead/v1/enrollment.pb.h"
#include "keystead/v1/observer.pb.h"
#include "keystead/v1/registry.pb.h"
#include "keystead/v1/rendezvous.pb.h"
#include "keystead/v1/revocation.pb.h"
#include "keystead/v1/transport.pb.h"

namespace keystead::testing {
namespace {

constexpr uint64_t kSequence = 7;  // behind what the genuine stream has

bool Ends(const Cell& cell, std::string_view name) { return cell.method.ends_with(name); }
bool InService(const Cell& cell, std::string_view name) {
  return cell.method.find(name) != std::string::npos;
}

MailboxName WithBit(const MailboxName& box, size_t byte) {
  std::array<uint8_t, MailboxName::kSize> bytes = box.array();
  bytes.at(byte) ^= 1;
  return MailboxName(bytes);
}

TopicKind TopicKindOf(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kCommand:
      return TopicKind::kCommand;
    case ObjectKind::kState:
      return TopicKind::kState;
    case ObjectKind::kKeyring:
      return TopicKind::kKeyring;
    default:
      return TopicKind::kTelemetry;
  }
}

const MemberId& Gateway(const Household& household) {
  return household.chain().roster().FindByTransport(household.MemberOf(Role::kGateway).str())->member;
}

// The first household's device, the second's gateway.
const MemberId& MemberAttacked(const Cell& cell, const Household& household) {
  return cell.object == 0 ? household.device() : Gateway(household);
}

std::string ForgedBundle(const Cell& cell, const Household& victim) {
  const uint64_t next = victim.chain().epoch() + 1;
  if (cell.kind == ObjectKind::kCommit) return victim.ForgedCommit(cell.object, nullptr);
  return victim.ForgedCommit(next,
                             cell.kind == ObjectKind::kMember ? &MemberAttacked(cell, victim) : nullptr);
}

}  // namespace

Attack::Attack(Provider& provider, const Cell& cell)
    : provider_(provider),
      victim_(provider.household(cell.victim, 1 + cell.object)),
      channel_(ChannelOf(cell)),
      expected_(Expect(cell)) {
  expected_.peer = NameOf(cell).str();
  // Of a product's request that is not genuine, the certificate in it is what is refused.
  if (expected_.event == "issuer_mismatch" && cell.standing == Standing::kSibling)
    expected_.peer = victim_.MemberOf(Role::kFactory).str();
  Aim aim{victim_.tenant(), victim_.id(), provider.BoxOf(victim_), provider.ProductOf(victim_)};
  if (cell.standing == Standing::kSibling) {
    // Within a tenant a mailbox is whose who knows its name, so all that an attacker has are guesses. And any
    // courier may bring a product's request: what it can make itself is a false one.
    aim.box = WithBit(aim.box, 0);
    if (cell.kind == ObjectKind::kFactory)
      aim.product = provider.ForgedProduct(aim.tenant, victim_.MemberOf(Role::kFactory).id());
  }
  if (Ends(cell, "/Submit")) bundle_ = ForgedBundle(cell, victim_);
  request_ = RequestFor(cell, aim);
  for (const Aim& decoy : Decoys(cell, aim)) {
    decoys_.push_back(RequestFor(cell, decoy));
    if (cell.kind == ObjectKind::kMailbox) boxes_.push_back(decoy.box);
  }
  if (cell.kind == ObjectKind::kMailbox && cell.standing != Standing::kForger) boxes_.push_back(aim.box);
}

const Provider::Channel& Attack::ChannelOf(const Cell& cell) const {
  if (cell.standing == Standing::kOperator) return provider_.Operator();
  if (cell.standing == Standing::kForger) return provider_.ForgedMemberOf(victim_, cell.role, cell.attacker);
  return provider_.MemberOf(provider_.household(cell.attacker, 0), cell.role);
}

SpiffeId Attack::NameOf(const Cell& cell) const {
  const bool forger = cell.standing == Standing::kForger;
  if (cell.standing == Standing::kOperator || (forger && cell.role == Role::kOperator))
    return Provider::OperatorsName();
  return (forger ? victim_ : provider_.household(cell.attacker, 0)).MemberOf(cell.role);
}

Expectation Attack::Expect(const Cell& cell) const {
  using grpc::StatusCode;
  if (cell.standing == Standing::kForger)
    return {Verdict::kRefused, StatusCode::UNAUTHENTICATED, "issuer_mismatch", ""};
  if (cell.IsFalseOperator()) return {Verdict::kRefused, StatusCode::UNAUTHENTICATED, "peer_refused", ""};
  if (!backend::MakePolicy().Allows(cell.method, cell.role))
    return {Verdict::kRefused, StatusCode::PERMISSION_DENIED, "not_permitted", ""};
  const bool foreign = cell.standing == Standing::kForeign;
  // What it says is proven by the tenant's CA key and by nothing else, for its own peers too.
  if (Ends(cell, ".Revocation/Put"))
    return {Verdict::kRefused, StatusCode::UNAUTHENTICATED, "signature_invalid", ""};
  // Of what an administrator may do to the own tenant this backend, which has no key to sign receipts with,
  // erases nothing.
  const bool administers = InService(cell, ".TenantAdmin/") || InService(cell, ".Observer/");
  if (cell.kind == ObjectKind::kService || (administers && !foreign) ||
      (cell.kind == ObjectKind::kTenant && !foreign))
    return {Verdict::kGranted, StatusCode::OK, "", ""};
  if (Ends(cell, "/List") || Ends(cell, ".Revocation/Fetch"))
    return {Verdict::kKeptApart, StatusCode::OK, "", ""};
  if (cell.kind == ObjectKind::kMailbox) return {Verdict::kKeptApart, StatusCode::OK, "", ""};
  if (cell.kind == ObjectKind::kFactory)
    return {Verdict::kRefused, StatusCode::UNAUTHENTICATED, foreign ? "not_permitted" : "issuer_mismatch",
            ""};
  if (Ends(cell, "/Submit") && !foreign)
    return {Verdict::kRefused, StatusCode::INVALID_ARGUMENT, "commit_refused", ""};
  return {Verdict::kRefused, StatusCode::NOT_FOUND, "not_permitted", ""};
}

std::vector<Aim> Attack::Decoys(const Cell& cell, const Aim& aim) const {
  std::vector<Aim> out;
  if (expected_.verdict == Verdict::kGranted || cell.kind == ObjectKind::kService || Ends(cell, "/List") ||
      Ends(cell, ".Revocation/Fetch"))
    return out;
  Aim decoy = aim;
  if (cell.kind == ObjectKind::kTenant) decoy.tenant = *TenantName::Parse(kNoTenant);
  decoy.box = WithBit(aim.box, MailboxName::kSize - 1);
  decoy.instantiation = RandomSource::System().NewId<InstantiationId>();
  if (cell.kind == ObjectKind::kFactory) {
    decoy.product = cell.standing == Standing::kSibling
                        ? provider_.ForgedProduct(aim.tenant, "device.that-nobody-made")
                        : provider_.ProductOfNoTenant();
  }
  out.push_back(decoy);
  if (cell.standing == Standing::kSibling ||
      !(InService(cell, ".Transport/") || InService(cell, ".Registry/")))
    return out;
  decoy.tenant = *TenantName::Parse(kNoTenant);
  out.push_back(decoy);
  // Of the attacker's own tenant, a commit would be measured against its owner's signature instead.
  if (cell.standing == Standing::kForeign && !Ends(cell, "/Submit")) {
    decoy.tenant = provider_.tenant(cell.attacker);
    out.push_back(decoy);
  }
  return out;
}

std::string Attack::PublishFor(const Cell& cell, const Aim& aim) const {
  GroupHeader header;
  header.tenant = aim.tenant;
  header.instantiation = aim.instantiation;
  header.epoch = victim_.chain().epoch();
  if (cell.kind == ObjectKind::kMember) {
    // In its name, where it may not write.
    header.topic = victim_.TopicOf(cell.object == 0 ? TopicKind::kCommand : TopicKind::kTelemetry);
    header.sender = MemberAttacked(cell, victim_);
    header.stream = victim_.StreamOf(TopicKind::kKeyring);
  } else {
    const TopicKind kind = TopicKindOf(cell.kind);
    header.topic = victim_.TopicOf(kind);
    const bool owners = kind == TopicKind::kCommand || kind == TopicKind::kKeyring;
    header.sender = owners ? victim_.owner() : victim_.device();
    header.stream = victim_.StreamOf(kind);
  }
  GroupBuilder builder(header);
  if (!builder.Append(kSequence, AsBytes("of the attacker's making")).ok()) std::abort();
  v1::PublishRequest request;
  request.add_groups(*builder.Take());
  return request.SerializeAsString();
}

// A list that takes the victim's device away, under a key that is not the victim's CA's.
std::string Attack::RevocationsFor(const Cell& cell, const Aim& aim) const {
  Revocations revocations;
  revocations.number = 1000;
  revocations.tenant = aim.tenant;
  revocations.text = "name device/bulb\n";
  const absl::StatusOr<Bytes> object =
      SignRevocations(revocations, provider_.WrongCaKey(cell.attacker, cell.victim));
  if (!object.ok()) std::abort();
  v1::PutRevocationsRequest request;
  request.set_object(ToString(*object));
  return request.SerializeAsString();
}

std::string Attack::AdminRequestFor(const Cell& cell, const Aim& aim) const {
  if (Ends(cell, "/List")) return v1::ListTenantsRequest().SerializeAsString();
  if (Ends(cell, "/EraseInstantiation")) {
    v1::EraseInstantiationRequest erase;
    erase.set_tenant(aim.tenant.str());
    erase.set_instantiation(aim.instantiation.ToString());
    return erase.SerializeAsString();
  }
  v1::CreateTenantRequest create;  // the others are the beginning of it
  create.set_tenant(aim.tenant.str());
  if (Ends(cell, "/Create")) create.set_ca_pem(provider_.AttackersCaPem());
  return create.SerializeAsString();
}

std::string Attack::LookFor(const Cell& cell, const Aim& aim) const {
  v1::HeldRequest request;
  request.set_tenant(aim.tenant.str());
  request.set_instantiation(aim.instantiation.ToString());
  if (cell.kind == ObjectKind::kInstantiation) {
    request.set_last(limits::kMaxHeldGroups);
    return request.SerializeAsString();
  }
  const TopicKind kind = TopicKindOf(cell.kind);
  const bool owners = kind == TopicKind::kCommand || kind == TopicKind::kKeyring;
  v1::RecordPlace& place = *request.add_places();
  place.set_topic(victim_.TopicOf(kind).str());
  place.set_sender((owners ? victim_.owner() : victim_.device()).ToString());
  place.set_epoch(victim_.chain().epoch());
  place.set_stream(victim_.StreamOf(kind).ToString());
  place.set_sequence(1);
  return request.SerializeAsString();
}

std::string Attack::RequestFor(const Cell& cell, const Aim& aim) const {
  if (InService(cell, ".Observer/")) return LookFor(cell, aim);
  if (InService(cell, ".TenantAdmin/")) return AdminRequestFor(cell, aim);
  if (Ends(cell, ".Revocation/Put")) return RevocationsFor(cell, aim);
  if (Ends(cell, ".Revocation/Fetch")) return v1::FetchRevocationsRequest().SerializeAsString();
  if (Ends(cell, "/Publish")) return PublishFor(cell, aim);
  if (Ends(cell, "/Subscribe")) {
    v1::SubscribeRequest request;
    request.set_tenant(aim.tenant.str());
    request.set_instantiation(aim.instantiation.ToString());
    request.add_topics()->set_topic(victim_.TopicOf(TopicKindOf(cell.kind)).str());
    return request.SerializeAsString();
  }
  if (Ends(cell, "/Submit")) {
    v1::SubmitCommitRequest request;
    request.set_tenant(aim.tenant.str());
    request.set_instantiation(aim.instantiation.ToString());
    request.set_bundle(bundle_);
    return request.SerializeAsString();
  }
  if (Ends(cell, "/Fetch")) {
    v1::FetchCommitsRequest request;
    request.set_tenant(aim.tenant.str());
    request.set_instantiation(aim.instantiation.ToString());
    request.set_from_epoch(cell.kind == ObjectKind::kCommit ? victim_.chain().epoch() : 0);
    return request.SerializeAsString();
  }
  if (Ends(cell, "/Put")) {
    v1::PutRequest request;
    request.set_box(aim.box.ToString());
    request.set_message(std::string(kAttackersMessage));
    return request.SerializeAsString();
  }
  if (Ends(cell, "/Await")) {
    v1::AwaitRequest request;
    request.set_box(aim.box.ToString());
    return request.SerializeAsString();
  }
  if (Ends(cell, "/Enroll")) {
    v1::EnrollRequest request;
    request.set_factory_chain(aim.product.factory_chain);
    request.set_proof(ToString(aim.product.proof));
    return request.SerializeAsString();
  }
  // grpc.health.v1.HealthCheckRequest: the server as a whole, and a service that there is not.
  return cell.object == 0 ? "" : "\x0a\x04none";
}

}  // namespace keystead::testing
