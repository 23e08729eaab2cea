// A small instantiation for tests: an owner, members that joined it, and the commits between them. Everything
// but signatures and encapsulations comes from a seed.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/cose/cose_key.h"
#include "core/membership/acceptance.h"
#include "core/sealing/commit_secrets.h"
#include "core/sealing/member.h"
#include "core/sealing/stream_writer.h"
#include "tests/unit/membership/test_members.h"

namespace keystead {

struct Party {
  TestMember keys;
  JoinSecret join;
  std::unique_ptr<Member> member;

  const MemberId& id() const { return keys.id; }
  const KeyRing& ring() const { return member->ring(); }
  const MembershipChain& chain() const { return member->chain(); }
};

class World {
 public:
  explicit World(uint64_t seed = 1) : random(seed) {
    tenant = TenantName::Parse("acme.keystead.example").value();
    owner.keys = MakeTestMember(random);
    nonce = random.NewId<Digest>();
    id = DeriveInstantiationId(tenant, OwnerCkt(), nonce);
    owner.member = MakeMember(owner.keys, std::nullopt);
    Publish(Next({}));
  }

  Digest OwnerCkt() const { return cose::Ckt(owner.keys.ik.public_key()); }
  OwnerIdentity Identity() const {
    return {
        tenant,         id,           nonce, owner.id(), EntryOf(owner.keys, MemberKind::kOwner).transport,
        &owner.keys.ik, &owner.keys.k};
  }

  // Somebody who went through the joining exchange and waits for a commit.
  Party& Newcomers() {
    parties.emplace_back();
    Party& party = parties.back();
    party.keys = MakeTestMember(random);
    party.join = JoinSecret(random.Secret(kSecretBytes));
    party.member = MakeMember(party.keys, party.join.Clone());
    return party;
  }
  Newcomer NewcomerOf(const Party& party, MemberKind kind, std::vector<Right> rights) const {
    Newcomer newcomer;
    newcomer.entry = EntryOf(party.keys, kind, std::move(rights));
    newcomer.join = party.join.Clone();
    newcomer.acceptance = SignAcceptance(party.keys.ik, {tenant, id, cose::Ckt(party.keys.ik.public_key()),
                                                         OwnerCkt(), 0, Digest()})
                              .value();
    return newcomer;
  }
  Party& Add(MemberKind kind, std::vector<Right> rights = {}) {
    Party& party = Newcomers();
    CommitRequest request;
    request.add.push_back(NewcomerOf(party, kind, std::move(rights)));
    Publish(Next(request));
    return party;
  }
  Party& AddDevice() {
    Party& party = Newcomers();
    CommitRequest request;
    request.add.push_back(NewcomerOf(party, MemberKind::kDevice, DefaultDeviceRights(party.id())));
    Publish(Next(request));
    return party;
  }
  void Remove(const Party& party) {
    CommitRequest request;
    request.remove.push_back(party.id());
    Publish(Next(request));
  }
  void NewEpoch() { Publish(Next({})); }

  absl::StatusOr<NewCommit> TryNext(const CommitRequest& request) {
    const bool first = owner.chain().empty();
    return MakeCommit(owner.chain(), Identity(), first ? nullptr : &owner.ring().epoch_secret(), request,
                      random);
  }
  NewCommit Next(const CommitRequest& request) { return TryNext(request).value(); }
  void Publish(const NewCommit& commit) {
    owner.member->EnterOwn(commit, known_senders).IgnoreError();
    contents.push_back(commit.bundle.EncodeContent());
    for (Party& party : parties) CatchUp(party);
  }
  // Hands over every commit from the first on, as a hop would.
  KeyringEffect CatchUp(Party& party) {
    KeyringEffect last = KeyringEffect::kNothing;
    for (size_t n = 0; n < contents.size(); ++n) {
      if (party.chain().At(n) != nullptr) continue;
      last = party.member->AcceptKeyring(CommitPlace(n), 0, contents[n], known_senders);
    }
    return last;
  }
  StreamPlace CommitPlace(uint64_t epoch) const {
    return {tenant, id, Topic::Keyring(), owner.id(), epoch, StreamId()};
  }
  std::unique_ptr<Member> MakeMember(const TestMember& keys, std::optional<JoinSecret> join) const {
    Member::Identity identity;
    identity.tenant = tenant;
    identity.id = id;
    identity.self = keys.id;
    identity.ik = keys.ik.Clone();
    identity.k = keys.k.Clone();
    identity.join = std::move(join);
    identity.owner_ckt = OwnerCkt();
    return std::make_unique<Member>(std::move(identity), &clock);
  }

  SeededRandom random;
  ManualClock clock;
  TenantName tenant;
  Digest nonce;
  InstantiationId id;
  Party owner;
  std::deque<Party> parties;
  std::vector<Bytes> contents;  // commit n, as it stands in keyring
  std::vector<std::pair<Topic, MemberId>> known_senders;
};

// Writes the streams of one party in one topic and keeps every record.
class TestSender {
 public:
  TestSender(World& world, const Party& party, const Topic& topic, const limits::StreamLimits& limits = {})
      : world_(world), party_(party), topic_(topic), limits_(limits), boot(world.random.NewId<BootId>()) {}

  void Open(std::optional<PreviousStream> previous = std::nullopt) {
    const uint64_t epoch = party_.ring().epoch();  // of a removed member: its last
    const SenderKey key = party_.ring().SenderKeyFor(epoch, topic_, party_.id()).value();
    records.clear();
    Bytes out;
    writer =
        StreamWriter::Open({world_.tenant, world_.id, topic_, party_.id(), epoch, limits_}, key,
                           party_.keys.ik, {std::move(previous), Fresh()}, world_.clock, world_.random, out)
            .value();
    records.push_back(out);
  }
  // A new stream that says where this one ended.
  void Reopen() {
    const PreviousStream previous = writer->AsPrevious();
    Open(previous);
  }
  uint64_t Readings(std::string_view body = "21.5") {
    records.emplace_back();
    return writer->Seal(kinds::kReadings, AsBytes(body), records.back()).value();
  }
  uint64_t Signed(std::string_view kind, ByteView payload) {
    records.emplace_back();
    return writer->SealSigned(kind, payload, records.back()).value();
  }
  uint64_t Checkpoint(bool end = false) {
    records.emplace_back();
    return writer->SealCheckpoint(Fresh(), end, records.back()).value();
  }
  Freshness Fresh() const {
    Freshness f = party_.member->MakeFreshness(boot, world_.clock.Uptime(), std::nullopt);
    if (!echoes.empty()) f.echoes = echoes;
    return f;
  }
  const StreamPlace& place() const { return writer->place(); }

  World& world_;
  const Party& party_;
  const Topic topic_;
  const limits::StreamLimits limits_;
  BootId boot;
  std::vector<Probe> echoes;
  std::unique_ptr<StreamWriter> writer;
  std::vector<Bytes> records;  // of the stream that is open
};

}  // namespace keystead
