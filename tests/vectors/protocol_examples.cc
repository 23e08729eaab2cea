#include "tests/vectors/protocol_examples.h"

#include <sstream>

#include "core/base/clock.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"
#include "core/cose/hpke_recipient.h"
#include "core/cose/sign1.h"
#include "core/crypto/hash.h"
#include "core/crypto/hkdf.h"
#include "core/membership/acceptance.h"
#include "core/membership/commit.h"
#include "core/membership/label.h"
#include "core/sealing/command.h"
#include "core/sealing/joining.h"
#include "core/sealing/joining_keys.h"
#include "core/sealing/stream_writer.h"
#include "core/sealing/wrap.h"
#include "keystead/v1/records.pb.h"

namespace keystead::vectors {
namespace {

template <class Id>
Id Filled(uint8_t byte) {
  std::array<uint8_t, Id::kSize> bytes{};
  bytes.fill(byte);
  return Id(bytes);
}

SecretBytes Secret(uint8_t byte) { return SecretBytes::CopyOf(Bytes(32, byte)); }

// Everybody and everything in the examples. Private keys are 32 equal bytes, which nobody should use.
struct Cast {
  TenantName tenant = TenantName::Parse("acme.keystead.example").value();
  std::string device_id = "bulb-1";
  std::string transport = "spiffe://acme.keystead.example/device/bulb-1";
  SecretBytes code = Secret(0x5e);
  crypto::EcdsaKeyPair ik_a = crypto::EcdsaKeyPair::FromPrivateScalar(Secret(0x11)).value();
  crypto::EcdhKeyPair k_a = crypto::EcdhKeyPair::FromPrivateScalar(Secret(0x12)).value();
  crypto::EcdsaKeyPair ik_d = crypto::EcdsaKeyPair::FromPrivateScalar(Secret(0x21)).value();
  crypto::EcdhKeyPair k_d = crypto::EcdhKeyPair::FromPrivateScalar(Secret(0x22)).value();
  crypto::EcdhKeyPair k = crypto::EcdhKeyPair::FromPrivateScalar(Secret(0x23)).value();  // for membership
  crypto::EcdhKeyPair e_a = crypto::EcdhKeyPair::FromPrivateScalar(Secret(0x31)).value();
  SecretBytes s_a = Secret(0xaa);
  SecretBytes s_d = Secret(0xdd);
  Digest nonce = Filled<Digest>(0x4e);
  MemberId owner = Filled<MemberId>(0x01);
  MemberId device = Filled<MemberId>(0x02);
  StreamId stream = Filled<StreamId>(0x51);
  BootId boot = Filled<BootId>(0xb0);
  ArmId arm = Filled<ArmId>(0xa0);
  uint64_t reset_counter = 3;
  int64_t time = 1'800'000'000;
  Topic telemetry = Topic::Of(TopicKind::kTelemetry, device);
  CommitSecret commit_secret{Secret(0xc5)};
  Digest ckt_a = cose::Ckt(ik_a.public_key());
  Digest ckt_d = cose::Ckt(ik_d.public_key());
  InstantiationId id = DeriveInstantiationId(tenant, ckt_a, nonce);
  SecretBytes psk1 = joining::DerivePsk1(code, device_id, reset_counter).value();
  SecretBytes psk2 = joining::DerivePsk2(psk1, s_a).value();

  membership::Label Label() const { return {tenant, device_id, ckt_d, code.Clone()}; }

  Bytes AnnouncementPayload() const {
    cose::CborWriter w;
    w.Array(6).Text(device_id);
    cose::EncodeOne(w, ik_d.public_key());
    cose::EncodeOne(w, k_d.public_key());
    w.Uint(reset_counter).Bstr(arm.view()).Array(1).Text(kProfile);
    return w.Take();
  }
  Bytes M1Payload() const {
    cose::CborWriter w;
    w.Array(11).Text(tenant.str()).Bstr(id.view()).Bstr(owner.view()).Bstr(device.view());
    cose::EncodeOne(w, ik_a.public_key());
    cose::EncodeOne(w, k_a.public_key());
    cose::EncodeOne(w, e_a.public_key());
    w.Bstr(s_a.ExposeSecret()).Bstr(ckt_d.view()).Text(kProfile).Int(time);
    return w.Take();
  }
  Bytes M2Payload(const Digest& m1_hash) const {
    cose::CborWriter w;
    w.Array(8).Bstr(m1_hash.view()).Bstr(ckt_a.view()).Bstr(s_d.ExposeSecret());
    cose::EncodeOne(w, k.public_key());
    w.Bstr(boot.view()).Uint(61'000).Text("lightbulb").Text(transport);
    return w.Take();
  }
  RosterEntry OwnerEntry() const {
    RosterEntry entry;
    entry.member = owner;
    entry.kind = MemberKind::kOwner;
    entry.transport = "spiffe://acme.keystead.example/app/phone-1";
    entry.ik = ik_a.public_key();
    entry.k = k_a.public_key();
    return entry;
  }
  RosterEntry DeviceEntry() const {
    RosterEntry entry;
    entry.member = device;
    entry.kind = MemberKind::kDevice;
    entry.transport = transport;
    entry.ik = ik_d.public_key();
    entry.k = k.public_key();
    entry.rights = {{Topic::Of(TopicKind::kCommand, device), true, false},
                    {Topic::Of(TopicKind::kState, device), false, true},
                    {telemetry, false, true}};
    return entry;
  }
  CommitBody Body() const {
    CommitBody body;
    body.tenant = tenant;
    body.id = id;
    body.nonce = nonce;
    body.owner_ckt = ckt_a;
    body.recovery_ckt = Filled<Digest>(0x4b);
    body.roster = Roster::Create({OwnerEntry(), DeviceEntry()}).value();
    body.time = time;
    return body;
  }
  EpochSecret Epoch() const {
    const JoinerSecret joiner = DeriveJoiner(nullptr, commit_secret).value();
    return DeriveEpochSecret(joiner, id, 0, crypto::Sha256(Body().Encode())).value();
  }
  TopicKey T() const { return DeriveTopicKey(Epoch(), id, 0, telemetry).value(); }
  SenderKey S() const { return DeriveSenderKey(T(), device).value(); }
  SecretBytes Grants() const {
    std::vector<Grant> grants;
    for (const Right& right : DeviceEntry().rights) {
      const TopicKey t = DeriveTopicKey(Epoch(), id, 0, right.topic).value();
      if (right.read) {
        grants.push_back({right.topic, std::nullopt, t.secret().Clone()});
      } else {
        grants.push_back({right.topic, device, DeriveSenderKey(t, device).value().secret().Clone()});
      }
    }
    return EncodeGrants(grants);
  }
  WrapPlace PlaceOfWrap() const { return {tenant, id, 0, std::nullopt}; }
  StreamPlace PlaceOfStream() const { return {tenant, id, telemetry, device, 0, stream}; }
  SignedPlace PlaceOfRecord(uint64_t sequence) const {
    return {tenant, id, telemetry, device, stream, 0, sequence};
  }
  Freshness Fresh() const {
    Freshness f;
    f.commit_hash = Filled<Digest>(0xcc);
    f.boot = boot;
    f.uptime = absl::Seconds(61);
    f.time = time;
    f.hseq = 9;
    f.echoes = {{owner, Filled<ProbeNonce>(0x99)}};
    return f;
  }
  Bytes Record() const {
    RecordCipher cipher = RecordCipher::Create(S(), PlaceOfStream()).value();
    Bytes out;
    cipher.Seal(1, EncodeContent(kinds::kReadings, AsBytes("21.5 C")), out).IgnoreError();
    return out;
  }
  // As any protobuf library writes it; GroupViewTest.IsWhatProtobufWrites shows that ours writes the same.
  Bytes Group() const {
    v1::SealedGroup group;
    group.mutable_header()->set_tenant(std::string(tenant.str()));
    group.mutable_header()->set_instantiation(ToString(id.view()));
    group.mutable_header()->set_topic(std::string(telemetry.str()));
    group.mutable_header()->set_sender(ToString(device.view()));
    group.mutable_header()->set_epoch(0);
    group.mutable_header()->set_stream(ToString(stream.view()));
    v1::SealedRecord* const record = group.add_records();
    record->set_sequence(1);
    record->set_cose(ToString(Record()));
    return ToBytes(group.SerializeAsString());
  }
  SecretBytes LabelText() const {
    return membership::EncodeLabel({tenant, device_id, ckt_d, code.Clone()}).value();
  }
  Bytes CheckpointPayload() const {
    const Digest h0 = InitialRunningHash(PlaceOfStream());
    return EncodeCheckpoint({2, NextRunningHash(h0, crypto::Sha256(Record())), Fresh(), false});
  }
};

// The bytes behind the text of a label: after "KS1:", five bits a character (Crockford's base32).
Bytes LabelBytes(ByteView text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  Bytes out;
  uint32_t bits = 0;
  int count = 0;
  for (const uint8_t c : text.subspan(4)) {
    bits = (bits << 5) | static_cast<uint32_t>(kDigits.find(static_cast<char>(c)));
    count += 5;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<uint8_t>(bits >> count));
  }
  return out;
}

class Examples {
 public:
  void Add(const char* name, const char* says, ByteView bytes) {
    list_.push_back({name, says, ToBytes(bytes), false});
  }
  void Add(const char* name, const char* says, const SecretBytes& secret) {
    Add(name, says, secret.ExposeSecret());
  }
  void AddRandom(const char* name, const char* says, ByteView bytes) {
    list_.push_back({name, says, ToBytes(bytes), true});
  }
  std::vector<ProtocolExample> Take() { return std::move(list_); }

 private:
  std::vector<ProtocolExample> list_;
};

void AddJoining(const Cast& c, Examples& out) {
  out.Add("device-ckt", "ckt(IK_D), as the label has it; IK_D is 32 bytes of 21", c.ckt_d.view());
  const SecretBytes label = c.LabelText();
  out.Add("label", "the label's bytes; device id \"bulb-1\", the setup code is 32 bytes of 5e",
          LabelBytes(label.ExposeSecret()));
  out.Add("label-text", "its one-line form in ASCII", label.ExposeSecret());
  out.Add("instantiation-id", "of tenant, ckt(IK_A) and nonce; IK_A is 32 bytes of 11, the nonce 32 of 4e",
          c.id.view());
  out.Add("box-announcement", "name of the announcement's mailbox; the setup code is 32 bytes of 5e",
          AnnouncementBox(c.code).value().view());
  out.Add("psk1", "for device id \"bulb-1\" and reset counter 3", c.psk1);
  out.Add("box-m1", "", joining::BoxName(c.psk1, "ks1 box m1").value().view());
  out.Add("box-m2", "", joining::BoxName(c.psk1, "ks1 box m2").value().view());
  out.Add("announcement-payload", "K_D is 32 bytes of 22, arm 16 of a0", c.AnnouncementPayload());
  const Bytes announcement =
      SignObject(c.ik_d, kinds::kAnnouncement, SignedPlace{}, c.AnnouncementPayload()).value();
  out.AddRandom("announcement", "signed by IK_D", announcement);
  out.Add("m1-payload", "K_A is 32 bytes of 12, E_A of 31, s_A of aa", c.M1Payload());
  const Bytes m1_object =
      SignObject(c.ik_a, kinds::kM1, joining::PlaceOf(c.tenant, c.id), c.M1Payload()).value();
  const Bytes aad1 = joining::M1Aad(c.tenant, c.device_id, crypto::Sha256(announcement));
  const Bytes m1 = cose::SealHpkeEncrypt0(c.k_d.public_key(), {}, {&c.psk1, AsBytes(joining::kM1PskId)},
                                          {.external_aad = aad1, .info = aad1}, m1_object)
                       .value();
  out.AddRandom("m1", "sealed to K_D under psk1", m1);
  out.Add("psk2", "", c.psk2);
  const Digest m1_hash = crypto::Sha256(m1);
  const Bytes m2_object =
      SignObject(c.ik_d, kinds::kM2, joining::PlaceOf(c.tenant, c.id), c.M2Payload(m1_hash)).value();
  const Bytes acceptance =
      SignAcceptance(c.ik_d, {c.tenant, c.id, c.ckt_d, c.ckt_a, c.reset_counter, m1_hash}).value();
  out.AddRandom("acceptance", "as the commit will carry it", acceptance);
  const Bytes aad2 = joining::M2Aad(m1_hash);
  const Bytes m2 =
      cose::SealHpkeEncrypt0(c.e_a.public_key(), {}, {&c.psk2, AsBytes(joining::kM2PskId)},
                             {.external_aad = aad2, .info = aad2}, cose::EncodeArray(m2_object, acceptance))
          .value();
  out.AddRandom("m2", "sealed to E_A under psk2; s_D is 32 bytes of dd, the fresh K of 23", m2);
  out.AddRandom("join-secret", "J, from M1 and M2 above",
                joining::DeriveJoinSecret(m1, m2, c.s_a, c.s_d).secret().ExposeSecret());
}

void AddCommit(const Cast& c, const Bytes& join, Examples& out) {
  const CommitBody body = c.Body();
  out.Add("commit-body", "commit 0 with the owner (id 01…) and the device (id 02…)", body.Encode());
  out.Add("epoch-secret", "E_0; the commit secret is 32 bytes of c5", c.Epoch().secret());
  out.Add("topic-key", "T(telemetry/02…)", c.T().secret());
  out.Add("sender-key", "S(telemetry/02…, device)", c.S().secret());
  out.Add("grants", "what the device's wrap holds", c.Grants());
  const SecretBytes psk = FirstWrapPsk(JoinSecret(SecretBytes::CopyOf(join)), c.id, c.device).value();
  const Wrap wrap = SealWrap(c.PlaceOfWrap(), c.device, c.k.public_key(), WrapKind::kGrants, &psk, c.Grants(),
                             RandomSource::System())
                        .value();
  out.AddRandom("first-wrap", "under the join secret above", wrap.sealed);
  const CommitBundle bundle{SignCommit(c.ik_a, c.owner, body, WrapsHash({wrap})).value(), {wrap}, {}};
  out.AddRandom("commit", "the signed commit, over the body and the hash of the one wrap above",
                bundle.commit);
}

void AddRecords(const Cast& c, Examples& out) {
  const SecretBytes stream =
      crypto::HkdfExpand(c.S().secret(), cose::EncodeArray("ks1 stream", c.stream), kSecretBytes).value();
  out.Add("stream-key", "key of stream 5151…", crypto::HkdfExpand(stream, "ks1 key", 32).value());
  out.Add("stream-iv", "base_iv", crypto::HkdfExpand(stream, "ks1 iv", 12).value());
  out.Add("stream-kid", "kid", crypto::HkdfExpand(stream, "ks1 kid", 8).value());
  out.Add("record-content", "plaintext of the record at sequence 1",
          EncodeContent(kinds::kReadings, AsBytes("21.5 C")));
  out.Add("record-aad", "external AAD of that record",
          cose::EncodeArray("ks1 rec", c.tenant, c.id, c.telemetry, c.device, c.stream, 0, 1));
  out.Add("record", "the record", c.Record());
  out.Add("group", "a SealedGroup with that one record, as it travels and is stored", c.Group());
  out.Add("run-hash-0", "h_0 of the stream", InitialRunningHash(c.PlaceOfStream()).view());
  out.Add("opening-payload", "of a first stream", EncodeOpening({std::nullopt, c.Fresh()}));
  out.Add("opening-after-power-cut", "previous stream 5050…, its end not known",
          EncodeOpening({PreviousStream{Filled<StreamId>(0x50), std::nullopt}, c.Fresh()}));
  out.Add("checkpoint-payload",
          "at sequence 2; the hash is h_1 over the record above alone, to keep it computable",
          c.CheckpointPayload());
  out.Add("checkpoint-signature-aad", "[\"ks1 sig\", …]",
          SignatureAad(kinds::kCheckpoint, c.PlaceOfRecord(2)));
  out.Add("checkpoint-sig-structure", "what ECDSA signs (RFC 9052, section 4.4)",
          cose::SigStructure(cose::CborMap().Set(1, -7).Set(16, "ks1/checkpoint").Encode(),
                             SignatureAad(kinds::kCheckpoint, c.PlaceOfRecord(2)), c.CheckpointPayload()));
  out.AddRandom("checkpoint", "the signed object",
                SignObject(c.ik_d, kinds::kCheckpoint, c.PlaceOfRecord(2), c.CheckpointPayload()).value());
  out.Add("loss-payload", "", EncodeLoss({c.stream, 5, 9, "journal full"}));
  out.Add("head-payload", "", cose::EncodeArray(c.id, 0, Filled<Digest>(0xcc), 9, c.time));
  out.Add("probe-payload", "", cose::EncodeArray(c.owner, Filled<ProbeNonce>(0x99)));
  const Command command{c.device, c.owner, 7, c.boot, absl::Seconds(91), {"brightness", 40}};
  out.Add("command-payload", "brightness 40, until uptime 91 s", EncodeCommand(command));
  out.Add("answer-payload", "to a command whose SHA-256 is 32 bytes of ca",
          EncodeAnswer({Filled<Digest>(0xca), CommandResult::kDone, 7, ""}));
}

absl::Status Wrong(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("the block does not hold: ", what));
}

absl::StatusOr<Bytes> Block(const std::map<std::string, Bytes>& blocks, const std::string& name) {
  const auto at = blocks.find(name);
  if (at == blocks.end()) return absl::InvalidArgumentError(absl::StrCat("no block ", name));
  return at->second;
}

absl::Status CheckJoining(const Cast& c, const std::map<std::string, Bytes>& blocks) {
  KS_ASSIGN_OR_RETURN(const Bytes announcement, Block(blocks, "announcement"));
  const auto announced = VerifyAnnouncement(announcement, c.Label());
  if (!announced.ok() || !(announced->k == c.k_d.public_key()) || announced->arm != c.arm)
    return Wrong("announcement");
  KS_ASSIGN_OR_RETURN(const Bytes m1, Block(blocks, "m1"));
  const Bytes aad1 = joining::M1Aad(c.tenant, c.device_id, crypto::Sha256(announcement));
  const auto m1_object = cose::OpenHpkeEncrypt0(m1, c.k_d, {&c.psk1, AsBytes(joining::kM1PskId)},
                                                {.external_aad = aad1, .info = aad1});
  if (!m1_object.ok()) return Wrong("m1: does not open");
  const auto m1_payload = VerifyObject(m1_object->ExposeSecret(), c.ik_a.public_key(), kinds::kM1,
                                       joining::PlaceOf(c.tenant, c.id));
  if (!m1_payload.ok() || !Equal(*m1_payload, c.M1Payload())) return Wrong("m1");

  KS_ASSIGN_OR_RETURN(const Bytes m2, Block(blocks, "m2"));
  KS_ASSIGN_OR_RETURN(const Bytes acceptance, Block(blocks, "acceptance"));
  const Digest m1_hash = crypto::Sha256(m1);
  const Bytes aad2 = joining::M2Aad(m1_hash);
  const auto inside = cose::OpenHpkeEncrypt0(m2, c.e_a, {&c.psk2, AsBytes(joining::kM2PskId)},
                                             {.external_aad = aad2, .info = aad2});
  if (!inside.ok()) return Wrong("m2: does not open");
  cose::CborReader r(inside->ExposeSecret());
  KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
  KS_ASSIGN_OR_RETURN(const ByteView m2_object, r.ReadBytes());
  KS_ASSIGN_OR_RETURN(const ByteView accepted, r.ReadBytes());
  const auto m2_payload =
      VerifyObject(m2_object, c.ik_d.public_key(), kinds::kM2, joining::PlaceOf(c.tenant, c.id));
  if (!m2_payload.ok() || !Equal(*m2_payload, c.M2Payload(m1_hash))) return Wrong("m2");
  const auto consent = VerifyAcceptance(acceptance, c.ik_d.public_key());
  if (!Equal(accepted, acceptance) || !consent.ok() || consent->m1_hash != m1_hash ||
      consent->owner_ckt != c.ckt_a)
    return Wrong("acceptance");
  KS_ASSIGN_OR_RETURN(const Bytes join, Block(blocks, "join-secret"));
  if (!Equal(joining::DeriveJoinSecret(m1, m2, c.s_a, c.s_d).secret().ExposeSecret(), join))
    return Wrong("join-secret");
  return absl::OkStatus();
}

absl::Status CheckCommit(const Cast& c, const std::map<std::string, Bytes>& blocks) {
  KS_ASSIGN_OR_RETURN(const Bytes join, Block(blocks, "join-secret"));
  KS_ASSIGN_OR_RETURN(const Bytes sealed, Block(blocks, "first-wrap"));
  KS_ASSIGN_OR_RETURN(const SecretBytes psk,
                      FirstWrapPsk(JoinSecret(SecretBytes::CopyOf(join)), c.id, c.device));
  const Wrap wrap{c.device, WrapKind::kGrants, true, sealed};
  const auto grants = OpenWrap(c.PlaceOfWrap(), wrap, c.k, &psk);
  if (!grants.ok() || !grants->ConstantTimeEquals(c.Grants())) return Wrong("first-wrap");
  CommitBundle bundle;
  bundle.wraps = {wrap};
  KS_ASSIGN_OR_RETURN(bundle.commit, Block(blocks, "commit"));
  const auto commit = VerifyCommit(bundle, nullptr);
  if (!commit.ok() || commit->body_bytes != c.Body().Encode()) return Wrong("commit");
  KS_ASSIGN_OR_RETURN(const Bytes checkpoint, Block(blocks, "checkpoint"));
  const auto payload = VerifyObject(checkpoint, c.ik_d.public_key(), kinds::kCheckpoint, c.PlaceOfRecord(2));
  if (!payload.ok() || !Equal(*payload, c.CheckpointPayload())) return Wrong("checkpoint");
  return absl::OkStatus();
}

}  // namespace

std::vector<ProtocolExample> MakeProtocolExamples() {
  const Cast cast;
  Examples joining;
  AddJoining(cast, joining);
  std::vector<ProtocolExample> out = joining.Take();
  Examples rest;
  AddCommit(cast, out.back().bytes, rest);
  AddRecords(cast, rest);
  for (ProtocolExample& example : rest.Take()) out.push_back(std::move(example));
  return out;
}

absl::Status CheckRandomExamples(const std::map<std::string, Bytes>& blocks) {
  const Cast cast;
  KS_RETURN_IF_ERROR(CheckJoining(cast, blocks));
  return CheckCommit(cast, blocks);
}

absl::StatusOr<std::map<std::string, Bytes>> ReadHexBlocks(const std::string& markdown) {
  std::map<std::string, Bytes> out;
  std::istringstream lines(markdown);
  std::string line;
  while (std::getline(lines, line)) {
    if (!line.starts_with("```hex ")) continue;
    const std::string name = line.substr(7);
    std::string hex;
    while (std::getline(lines, line) && line != "```") hex += line;
    KS_ASSIGN_OR_RETURN(Bytes bytes, FromHex(hex));
    if (!out.emplace(name, std::move(bytes)).second)
      return absl::InvalidArgumentError(absl::StrCat("block ", name, " stands twice"));
  }
  return out;
}

std::string PrintProtocolExamples(const std::vector<ProtocolExample>& examples) {
  std::string out;
  for (const ProtocolExample& example : examples) {
    absl::StrAppend(&out, "**", example.name, "**", example.says.empty() ? "" : ": ", example.says,
                    example.random ? " *(random)*" : "", "\n\n```hex ", example.name, "\n");
    const std::string hex = ToHex(example.bytes);
    for (size_t at = 0; at < hex.size(); at += 96) absl::StrAppend(&out, hex.substr(at, 96), "\n");
    out += "```\n\n";
  }
  return out;
}

}  // namespace keystead::vectors
