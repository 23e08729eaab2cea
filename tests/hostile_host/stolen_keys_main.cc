// keystead-stolen-keys: an adversary that holds the whole store of a provider and the keys of some of its
// instantiations, and opens what it can. It also makes the instantiations: with real keys, at a real backend.
// And one that holds the states of some devices and guests, and writes in the name of every device it knows
// of.
#include <grpcpp/client_context.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/cose/cbor_writer.h"
#include "core/crypto/aead.h"
#include "core/crypto/hash.h"
#include "core/membership/signed_object.h"
#include "core/program/program.h"
#include "core/program/state_folder.h"
#include "core/sealing/member.h"
#include "core/sealing/record_cipher.h"
#include "core/transport/group_view.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/readings.pb.h"
#include "keystead/v1/registry.grpc.pb.h"
#include "keystead/v1/transport.grpc.pb.h"
#include "mobile-stub/app_state.h"
#include "tests/hostile_host/provider_store.h"
#include "tests/isolation/household.h"
#include "tests/load/engine.h"

namespace keystead::hostile_host {
namespace {

using nlohmann::json;

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr int kGroupsPerRequest = 64;
constexpr std::string_view kRingSuffix =
    ".ring";  // <instantiation in hex>.ring: KeyRing::Serialize of the owner's

struct Founding {
  std::string address, server, tenant, name;
  CertificateFiles owner, device;
  std::string keys;
  int count = 1;
};

struct Opening {
  std::string store, keystore, keys;
};

struct Forging {
  std::vector<std::string> states;  // folders of keystead-device-sim, or of a guest's keystead-mobile-stub
  double value = 0;
};

using Channel = std::shared_ptr<grpc::Channel>;

void SetPatience(grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
}

absl::Status Submit(v1::Registry::Stub& registry, const testing::Household& household) {
  for (const std::string& bundle : household.bundles()) {
    grpc::ClientContext context;
    SetPatience(context);
    v1::SubmitCommitRequest request;
    request.set_tenant(household.tenant().str());
    request.set_instantiation(household.id().ToString());
    request.set_bundle(bundle);
    v1::SubmitCommitResponse response;
    KS_RETURN_IF_ERROR(FromGrpc(registry.Submit(&context, request, &response)));
  }
  return absl::OkStatus();
}

// Waits until all of them are durable. DATA_LOSS: some were refused.
absl::Status Publish(const Channel& channel, const std::vector<std::string>& groups) {
  const auto transport = v1::Transport::NewStub(channel);
  grpc::ClientContext context;
  SetPatience(context);
  const auto call = transport->Publish(&context);
  uint64_t sent = 0;
  uint64_t durable = 0;
  bool refused = false;
  v1::PublishResponse response;
  for (size_t at = 0; at < groups.size(); at += kGroupsPerRequest) {
    v1::PublishRequest request;
    for (size_t i = at; i < std::min(groups.size(), at + kGroupsPerRequest); ++i)
      request.add_groups(groups[i]);
    if (!call->Write(request)) break;
    ++sent;
    while (durable < sent && call->Read(&response)) {  // one at a time: nothing piles up on either side
      durable = response.durable_requests();
      refused = refused || response.refusals_size() > 0;
    }
    if (durable < sent) break;
  }
  call->WritesDone();
  while (call->Read(&response)) refused = refused || response.refusals_size() > 0;
  KS_RETURN_IF_ERROR(FromGrpc(call->Finish()));
  if (refused || durable * kGroupsPerRequest < groups.size())
    return absl::DataLossError("the backend did not take all records that were published");
  return absl::OkStatus();
}

absl::StatusOr<Channel> Dial(const Founding& founding, const CertificateFiles& files, const SpiffeId& id) {
  KS_ASSIGN_OR_RETURN(const PeerExpectation server, PeerExpectation::Parse(founding.server));
  return load::DialAs({founding.address, server}, {id, files});
}

absl::Status Found(const Founding& founding) {
  KS_ASSIGN_OR_RETURN(const TenantName tenant, TenantName::Parse(founding.tenant));
  KS_ASSIGN_OR_RETURN(const StateFolder keys, StateFolder::Open(founding.keys));
  const testing::Household first(tenant, founding.name);
  KS_ASSIGN_OR_RETURN(const Channel owner, Dial(founding, founding.owner, first.MemberOf(Role::kApp)));
  KS_ASSIGN_OR_RETURN(const Channel device, Dial(founding, founding.device, first.MemberOf(Role::kDevice)));
  const auto registry = v1::Registry::NewStub(owner);
  std::map<Role, std::vector<std::string>> groups;
  for (int i = 0; i < founding.count; ++i) {
    const testing::Household household(tenant, founding.name);
    KS_RETURN_IF_ERROR(Submit(*registry, household));
    for (const auto& written : household.groups()) groups[written.by].push_back(written.group);
    KS_RETURN_IF_ERROR(keys.Write(absl::StrCat(ToHex(household.id().view()), Absl(kRingSuffix)),
                                  household.RingOf(Role::kApp).Serialize()));
  }
  KS_RETURN_IF_ERROR(Publish(device, groups[Role::kDevice]));
  KS_RETURN_IF_ERROR(Publish(owner, groups[Role::kApp]));
  std::cout << json{{"founded", founding.count},
                    {"groups", groups[Role::kDevice].size() + groups[Role::kApp].size()}}
                   .dump()
            << '\n';
  return absl::OkStatus();
}

absl::StatusOr<std::vector<KeyRing>> StolenRings(const std::string& path) {
  KS_ASSIGN_OR_RETURN(const StateFolder folder, StateFolder::Open(path));
  std::vector<KeyRing> out;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(kRingSuffix)) continue;
    KS_ASSIGN_OR_RETURN(const Bytes bytes, FromHex(name.substr(0, name.size() - kRingSuffix.size())));
    KS_ASSIGN_OR_RETURN(const InstantiationId id, InstantiationId::FromBytes(AsChars(bytes)));
    KS_ASSIGN_OR_RETURN(const SecretBytes encoded, folder.Read(name));
    KS_ASSIGN_OR_RETURN(KeyRing ring, KeyRing::Parse(id, encoded));
    out.push_back(std::move(ring));
  }
  return out;
}

// What one tries: every record with every ring.
struct Tally {
  std::map<InstantiationId, uint64_t> records;  // content records of each instantiation
  std::map<InstantiationId, uint64_t> opened;
  struct Count {
    uint64_t records = 0;
    uint64_t opened = 0;
  };
  std::map<std::pair<Topic, uint64_t>, Count>
      places;  // topic and epoch, of instantiations of which a ring was stolen
  uint64_t tries = 0;
  uint64_t closed_groups = 0;                          // that the host's own keystore does not open
  std::set<std::pair<size_t, InstantiationId>> pairs;  // the ring of this number opened something of that one
  // By digest of the plaintext, which stands in several places: digests of what it was sealed to.
  std::map<Digest, std::vector<Digest>> sealed;
};

// What of a COSE object is the sealed text, without its tag: that stands at the end.
ByteView SealedPart(ByteView cose, size_t plain_bytes) {
  const size_t end = cose.size() - std::min(cose.size(), crypto::kAeadTagBytes);
  return cose.subspan(end - std::min(end, plain_bytes), std::min(end, plain_bytes));
}

void TryAll(const GroupView& view, const std::vector<KeyRing>& rings, Tally& tally) {
  const GroupHeader& h = view.header();
  if (h.topic.kind() == TopicKind::kKeyring) return;  // commits are signed, not sealed
  const StreamPlace place{h.tenant, h.instantiation, h.topic, h.sender, h.epoch, h.stream};
  tally.records[h.instantiation] += view.records().size();
  std::vector<bool> open(view.records().size());
  for (size_t number = 0; number < rings.size(); ++number) {
    const KeyRing& ring = rings[number];
    const absl::StatusOr<SenderKey> key = ring.SenderKeyFor(h.epoch, h.topic, h.sender);
    tally.tries += view.records().size();
    if (!key.ok()) continue;
    absl::StatusOr<RecordCipher> cipher = RecordCipher::Create(*key, place);
    if (!cipher.ok()) continue;
    for (size_t i = 0; i < open.size(); ++i) {
      Bytes plain;
      const ByteView cose = view.records()[i].cose;
      if (!cipher->Open(view.records()[i].sequence, cose, plain).ok()) continue;
      tally.pairs.emplace(number, h.instantiation);
      if (!open[i])
        tally.sealed[crypto::Sha256(plain)].push_back(crypto::Sha256(SealedPart(cose, plain.size())));
      open[i] = true;
    }
  }
  const auto opened = static_cast<uint64_t>(std::ranges::count(open, true));
  if (opened > 0) tally.opened[h.instantiation] += opened;
  if (std::ranges::none_of(rings, [&](const KeyRing& ring) { return ring.id() == h.instantiation; })) return;
  Tally::Count& count = tally.places[{h.topic, h.epoch}];
  count.records += open.size();
  count.opened += opened;
}

absl::Status Open(const Opening& opening) {
  KS_ASSIGN_OR_RETURN(const std::vector<KeyRing> rings, StolenRings(opening.keys));
  KS_ASSIGN_OR_RETURN(const auto store, ProviderStore::Open(opening.store, opening.keystore, Access::kLook));
  KS_ASSIGN_OR_RETURN(const std::vector<StoredGroup> groups, store->Groups());
  Tally tally;
  GroupHeaderCache headers;
  for (const StoredGroup& stored : groups) {
    if (!stored.group.has_value()) {
      ++tally.closed_groups;
      continue;
    }
    KS_ASSIGN_OR_RETURN(const GroupView view, GroupView::Parse(*stored.group, headers));
    TryAll(view, rings, tally);
  }
  uint64_t records = 0;
  for (const auto& [id, count] : tally.records) records += count;
  uint64_t repeated = 0;
  std::set<Digest> sealed;
  for (const auto& [plain, forms] : tally.sealed) {
    if (forms.size() < 2) continue;
    repeated += forms.size();
    sealed.insert(forms.begin(), forms.end());
  }
  json instantiations = json::object();
  uint64_t whole = 0;
  for (const auto& [id, count] : tally.opened) {
    instantiations[ToHex(id.view())] = count;
    if (count == tally.records[id]) ++whole;
  }
  json places = json::array();
  for (const auto& [place, count] : tally.places) {
    places.push_back({{"topic", place.first.str()},
                      {"epoch", place.second},
                      {"records", count.records},
                      {"opened", count.opened}});
  }
  std::cout << json{{"stolen", rings.size()},
                    {"places", places},
                    {"instantiations", tally.records.size()},
                    {"records", records},
                    {"tries", tally.tries},
                    {"readable", tally.opened.size()},
                    {"readable_whole", whole},
                    {"opened", instantiations},
                    {"closed_groups", tally.closed_groups},
                    {"pairs", tally.pairs.size()},
                    {"repeated_plaintexts", repeated},
                    {"their_sealed_forms", sealed.size()}}
                   .dump()
            << '\n';
  return absl::OkStatus();
}

constexpr std::string_view kMemberSuffix = ".member";
constexpr StateFolder::Format kMemberFormat{"ks-device-member", 1};  // as device-sim/device.cc writes it

absl::StatusOr<std::vector<Member>> StolenMembers(const Forging& forging) {
  std::vector<Member> out;
  for (const std::string& path : forging.states) {
    KS_ASSIGN_OR_RETURN(const StateFolder folder, StateFolder::Open(path));
    if (folder.Has("member")) {
      KS_ASSIGN_OR_RETURN(const mobile::AppState app, mobile::AppState::Open(path));
      KS_ASSIGN_OR_RETURN(Member member, app.LoadMember());
      out.push_back(std::move(member));
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      const std::string name = entry.path().filename().string();
      if (!name.ends_with(kMemberSuffix)) continue;
      KS_ASSIGN_OR_RETURN(const SecretBytes encoded, folder.ReadChecked(name, kMemberFormat));
      KS_ASSIGN_OR_RETURN(Member member, Member::Parse(encoded));
      out.push_back(std::move(member));
    }
  }
  return out;
}

std::string ForgedReadings(double value) {
  v1::ReadingBatch batch;
  batch.set_taken_unix_us(absl::ToUnixMicros(absl::Now()));
  v1::Channel& channel = *batch.add_channels();
  channel.set_name("temperature");  // as if a thermometer had said it
  channel.set_unit("Cel");
  v1::Reading& reading = *batch.add_readings();
  reading.set_value(value);
  reading.set_quality(v1::QUALITY_GOOD);
  return batch.SerializeAsString();
}

// The key of measurements of one device. NOT_FOUND: the thief has none.
absl::StatusOr<SenderKey> KeyOf(const Member& thief, const MemberId& device) {
  return thief.ring().SenderKeyFor(thief.ring().epoch(), Topic::Of(TopicKind::kTelemetry, device), device);
}

// Whatever key of measurements it has, its own first. NOT_FOUND: none.
absl::StatusOr<SenderKey> AnyKey(const Member& thief) {
  absl::StatusOr<SenderKey> key = KeyOf(thief, thief.identity().self);
  for (const RosterEntry& entry : thief.chain().roster().entries()) {
    if (!key.ok() && entry.kind == MemberKind::kDevice) key = KeyOf(thief, entry.member);
  }
  return key;
}

// One record of readings as `target`, in a stream that nobody opened: what a sealing key makes without a
// signature. Where the thief has no key of the target's it takes another that it has.
absl::StatusOr<json> ForgeAs(const Member& thief, const MemberId& target, std::string_view readings) {
  const Member::Identity& self = thief.identity();
  const uint64_t epoch = thief.ring().epoch();
  RandomSource& random = RandomSource::System();
  const StreamPlace place{self.tenant, self.id, Topic::Of(TopicKind::kTelemetry, target),
                          target,      epoch,   random.NewId<StreamId>()};
  absl::StatusOr<SenderKey> key = KeyOf(thief, target);
  const bool has_key = key.ok();
  if (!has_key) key = AnyKey(thief);
  KS_RETURN_IF_ERROR(key.status());
  KS_ASSIGN_OR_RETURN(RecordCipher cipher, RecordCipher::Create(*key, place));
  Bytes content;
  cose::CborWriter(content).Array(2).Text(kinds::kReadings).Bstr(AsBytes(readings));
  Bytes record;
  KS_RETURN_IF_ERROR(cipher.Seal(1, content, record));
  GroupBuilder builder({place.tenant, place.id, place.topic, place.sender, epoch, place.stream});
  KS_RETURN_IF_ERROR(builder.Append(1, record));
  return json{{"by", self.self.ToHex()},    {"as", target.ToHex()},
              {"topic", place.topic.str()}, {"stream", place.stream.ToHex()},
              {"key_of_theirs", has_key},   {"group", ToHex(AsBytes(*builder.Take()))}};
}

// Every thief as every device of its roster; a line for each.
absl::Status Forge(const Forging& forging) {
  KS_ASSIGN_OR_RETURN(const std::vector<Member> thieves, StolenMembers(forging));
  const std::string readings = ForgedReadings(forging.value);
  for (const Member& thief : thieves) {
    if (!thief.belongs()) return absl::FailedPreconditionError("a stolen state belongs to nobody");
    for (const RosterEntry& entry : thief.chain().roster().entries()) {
      if (entry.kind != MemberKind::kDevice) continue;
      KS_ASSIGN_OR_RETURN(const json forged, ForgeAs(thief, entry.member, readings));
      std::cout << forged.dump() << '\n';
    }
  }
  return absl::OkStatus();
}

void AddFiles(CLI::App& verb, CertificateFiles& files, const std::string& whose) {
  verb.add_option("--" + whose + "-chain", files.chain)->required();
  verb.add_option("--" + whose + "-key", files.key)->required();
}

}  // namespace
}  // namespace keystead::hostile_host

int main(int argc, char** argv) {
  using namespace keystead::hostile_host;  // NOLINT(google-build-using-namespace): of this file alone
  keystead::Program program(
      "keystead-stolen-keys",
      "Opens what it can of a provider's store with the keys of some instantiations, trying every "
      "record with each; and makes such instantiations. With the states of some devices or guests it writes "
      "as every device.",
      "KEYSTEAD_STOLEN");
  Founding founding;
  Opening opening;
  std::string roots;
  CLI::App& app = program.app();
  app.require_subcommand(1);
  CLI::App& found = *app.add_subcommand(
      "found", "makes instantiations with a device each at a backend, and keeps their keys");
  found.add_option("--backend", founding.address, "HOST:PORT")->required();
  found.add_option("--backend-id", founding.server, "its SPIFFE id")->required();
  found.add_option("--roots", roots, "what it is verified against")->required();
  found.add_option("--tenant", founding.tenant)->required();
  found.add_option("--name", founding.name, "the certificates are those of app-NAME and device-NAME")
      ->required();
  found.add_option("--count", founding.count)->check(CLI::Range(1, 100000));
  found.add_option("--keys", founding.keys, "the folder that gets a file of keys for each")->required();
  AddFiles(found, founding.owner, "app");
  AddFiles(found, founding.device, "device");
  CLI::App& open = *app.add_subcommand("open", "says how many instantiations of a store can be read");
  open.add_option("--store", opening.store)->required();
  open.add_option("--keystore", opening.keystore);
  open.add_option("--keys", opening.keys, "the folder of the stolen ones")->required();
  Forging forging;
  CLI::App& forge = *app.add_subcommand(
      "forge", "writes readings as every device of an instantiation, without a signature");
  forge.add_option("--state", forging.states, "the folder of a stolen device or guest; several")->required();
  forge.add_option("--value", forging.value, "what they say")->required();
  return program.Run(argc, argv, [&]() -> absl::Status {
    founding.owner.roots = founding.device.roots = roots;
    if (forge.parsed()) return Forge(forging);
    return found.parsed() ? Found(founding) : Open(opening);
  });
}
