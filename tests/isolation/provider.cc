#include "tests/isolation/provider.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/random.h"
#include "core/crypto/hash.h"
#include "core/identity/revocations.h"
#include "core/identity/tls_process.h"
#include "core/transport/authorization.h"
#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"
#include "keystead/v1/admin.pb.h"
#include "keystead/v1/registry.pb.h"
#include "keystead/v1/rendezvous.pb.h"
#include "keystead/v1/revocation.pb.h"
#include "keystead/v1/transport.pb.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::testing {
namespace {

// Before main, as the header of PinTls13Process asks.
[[maybe_unused]] const bool kPinned = [] {
  if (!PinTls13Process().ok()) std::abort();
  return true;
}();

constexpr std::array<const char*, kTenants> kNames = {kAcme, kGlobex};
constexpr char kServing[] = "\x08\x01";  // grpc.health.v1.HealthCheckResponse{status: SERVING}

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "provider: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

TestPki& Pki() { return TestPki::Shared(); }

CertificateFiles Issue(const CertificateIssuer& issuer, const SpiffeId& id) {
  return Pki().Store(OrDie(issuer.Issue(Pki().Request(id.str()))), Pki().provider_roots());
}

EnrollmentRequest RequestOf(const CertificateFiles& factory) {
  return OrDie(PrepareEnrollment(factory, absl::Now())).request;
}

constexpr int kMaxWaits = 60;  // of one call, a second each
size_t waits = 0;

// Calls of those who keep to the rules must be answered.
std::string Answered(const Provider::Channel& channel, const std::string& method,
                     const google::protobuf::MessageLite& request) {
  const Answer answer = Provider::Insist(channel, method, request.SerializeAsString());
  EXPECT_EQ(answer.code, grpc::StatusCode::OK) << method << ": " << answer.message;
  return answer.responses.empty() ? "" : answer.responses[0];
}

}  // namespace

std::vector<Role> AllRoles() {
  std::vector<Role> out;
  out.reserve(kRoleCount);
  for (size_t i = 0; i < kRoleCount; ++i) out.push_back(static_cast<Role>(i));
  return out;
}

Provider::Provider(const std::string& mutant) {
  MakeForgersAuthorities();
  for (size_t t = 0; t < kTenants; ++t) {
    for (size_t h = 0; h < kHouseholds; ++h)
      households_[t].push_back(std::make_unique<Household>(Tenant(kNames[t]), absl::StrCat(h)));
  }
  const CertificateFiles tls = Pki().Backend();
  const std::string tenants = Pki().folder() + "/tenants";
  backend_ = std::make_unique<BackendProcess>(
      std::vector<std::string>{"--data", Pki().NewFolder() + "/store", "--tls-chain", tls.chain, "--tls-key",
                               tls.key, "--tls-roots", tls.roots, "--provider",
                               absl::StrCat(kProvider, "=", Pki().provider_roots()), "--tenants", tenants,
                               "--enrollment", tenants, "--rendezvous-per-second", "1e6",
                               "--rendezvous-burst", "1e6", "--observer"},
      mutant);
  for (const auto& of_tenant : households_) {
    for (const auto& household : of_tenant) Furnish(*household);
  }
  for (size_t t = 0; t < kTenants; ++t) Revoke(t);
  attackers_ca_ = Pki().UnconstrainedCa("a CA that nobody registered");
  no_tenants_product_ = ForgedProduct(Tenant(kNoTenant), "device.product");
  TakeEvents();
}

Answer Provider::Insist(const Channel& channel, const std::string& method, const std::string& request,
                        const std::function<bool(const std::string& response)>& enough) {
  Answer answer = Exchange(channel, method, request, enough);
  for (int i = 0; i < kMaxWaits && answer.code == grpc::StatusCode::RESOURCE_EXHAUSTED; ++i) {
    ++waits;
    absl::SleepFor(absl::Seconds(1));
    answer = Exchange(channel, method, request, enough);
  }
  return answer;
}

std::vector<LoggedEvent> Provider::TakeEvents() {
  std::vector<LoggedEvent> events = backend_->TakeEvents();
  size_t expected = std::exchange(waits, 0);
  std::erase_if(events, [&expected](const LoggedEvent& event) {
    return event.kind == "limit_exceeded" && expected > 0 && expected-- > 0;
  });
  return events;
}

Provider::~Provider() = default;

void Provider::MakeForgersAuthorities() {
  for (size_t t = 0; t < kTenants; ++t) {
    forgers_[t] = Pki().NewFolder();
    const std::string ca = Pki().tenant_folder(kNames[t]);
    const std::string& out = forgers_[t];
    Run(absl::StrCat("openssl pkey -in ", ca, "/ca.key -pubout -out ", out, "/pub && printf ",
                     "'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign\\n",
                     "subjectKeyIdentifier=hash\\n' >", out, "/ext && openssl x509 -new -force_pubkey ", out,
                     "/pub -subj \"/$(openssl x509 -in ", ca,
                     "/ca.pem -noout -subject -nameopt compat | sed 's/^subject=//;s#^/##')\" -days 2 ",
                     "-extfile ", out, "/ext -CA ", Pki().folder(), "/admission/ca.pem -CAkey ",
                     Pki().folder(), "/admission/ca.key -out ", out, "/cross.pem"));
    WriteAll(out + "/ca.pem", ReadAll(ca + "/ca.pem"));
    WriteAll(out + "/ca.key", ReadAll(ca + "/ca.key"));
  }
}

Provider::Channel Provider::Dial(const CertificateFiles& files) const {
  const auto expected =
      OrDie(PeerExpectation::Parse(absl::StrCat("spiffe://", kProvider, "/service/backend")));
  ChannelOptions options;
  options.own_connection = true;
  return DialChannel(absl::StrCat("127.0.0.1:", backend_->port()),
                     OrDie(MakeChannelCredentials({.files = files, .refresh_seconds = 0}, expected)),
                     options);
}

const Provider::Channel& Provider::MemberOf(const Household& household, Role role) {
  const SpiffeId id = household.MemberOf(role);
  Channel& channel = channels_[id.str()];
  if (channel == nullptr)
    channel = Dial(Issue(Pki().Issuer(Pki().tenant_folder(household.tenant().str())), id));
  return channel;
}

const Provider::Channel& Provider::ForgedMemberOf(const Household& household, Role role, size_t forger) {
  const SpiffeId id = role == Role::kOperator ? OperatorsName() : household.MemberOf(role);
  Channel& channel = channels_[absl::StrCat(forger, " forges ", id.str())];
  if (channel == nullptr) channel = Dial(Issue(Pki().Issuer(forgers_.at(forger)), id));
  return channel;
}

SpiffeId Provider::OperatorsName() { return Id(absl::StrCat("spiffe://", kProvider, "/operator/ops")); }

const Provider::Channel& Provider::Operator() {
  Channel& channel = channels_["the operator"];
  if (channel == nullptr) channel = Dial(Pki().Operator());
  return channel;
}

std::string Provider::AttackersCaPem() const { return ReadAll(attackers_ca_ + "/ca.pem"); }

EnrollmentRequest Provider::ForgedProduct(const TenantName& tenant, const std::string& name) const {
  return RequestOf(Issue(Pki().Issuer(attackers_ca_), OrDie(SpiffeId::Of(tenant, Role::kFactory, name))));
}

SecretBytes Provider::WrongCaKey(size_t attacker, size_t victim) const {
  const std::string folder = attacker == victim ? attackers_ca_ : Pki().tenant_folder(kNames.at(attacker));
  return Secret(ReadAll(folder + "/ca.key"));
}

// A list of each tenant's own, about nobody.
void Provider::Revoke(size_t tenant) {
  Revocations revocations;
  revocations.number = 1;
  revocations.tenant = Tenant(kNames.at(tenant));
  revocations.text = "name device/nobody\n";
  v1::PutRevocationsRequest request;
  request.set_object(ToString(
      *SignRevocations(revocations, Secret(ReadAll(Pki().tenant_folder(kNames.at(tenant)) + "/ca.key")))));
  Answered(MemberOf(household(tenant, 0), Role::kAdmin), "/keystead.v1.Revocation/Put", request);
}

void Provider::Furnish(const Household& household) {
  const Channel& owner = MemberOf(household, Role::kApp);
  for (const std::string& bundle : household.bundles()) {
    v1::SubmitCommitRequest request;
    request.set_tenant(household.tenant().str());
    request.set_instantiation(household.id().ToString());
    request.set_bundle(bundle);
    Answered(owner, "/keystead.v1.Registry/Submit", request);
  }
  for (const Household::Written& written : household.groups()) {
    v1::PublishRequest request;
    request.add_groups(written.group);
    v1::PublishResponse response;
    response.ParseFromString(
        Answered(MemberOf(household, written.by), "/keystead.v1.Transport/Publish", request));
    EXPECT_EQ(response.durable_requests(), 1u);
    EXPECT_EQ(response.refusals_size(), 0);
  }
  v1::PutRequest put;
  boxes_[&household] = RandomSource::System().NewId<MailboxName>();
  put.set_box(boxes_[&household].ToString());
  put.set_message("sealed for whoever knows the setup code");
  Answered(owner, "/keystead.v1.Rendezvous/Put", put);
  products_[&household] = RequestOf(
      Issue(Pki().Issuer(Pki().tenant_folder(household.tenant().str())), household.MemberOf(Role::kFactory)));
}

std::string Provider::SeenOf(const Household& household) {
  const Channel& owner = MemberOf(household, Role::kApp);
  v1::SubscribeRequest subscribe;
  subscribe.set_tenant(household.tenant().str());
  subscribe.set_instantiation(household.id().ToString());
  for (const Topic& topic : household.Topics()) subscribe.add_topics()->set_topic(topic.str());
  int caught_up = 0;
  std::map<uint32_t, std::string> topics;
  const Answer read =
      Exchange(owner, "/keystead.v1.Transport/Subscribe", subscribe.SerializeAsString(),
               [&](const std::string& bytes) {
                 v1::SubscribeResponse response;
                 response.ParseFromString(bytes);
                 for (const v1::TopicEntries& topic : response.topics()) {
                   caught_up += topic.caught_up() ? 1 : 0;
                   std::string& seen = topics[topic.topic()];
                   absl::StrAppend(&seen, topic.log_id(), topic.first_offset(), " ", topic.first_kept());
                   for (const std::string& group : topic.groups()) absl::StrAppend(&seen, "\n", group);
                 }
                 return caught_up == subscribe.topics_size();
               });
  EXPECT_EQ(caught_up, subscribe.topics_size()) << "subscribe: " << read.message;
  v1::FetchCommitsRequest fetch;
  fetch.set_tenant(household.tenant().str());
  fetch.set_instantiation(household.id().ToString());
  v1::AwaitRequest await;
  await.set_box(BoxOf(household).ToString());
  std::string out = absl::StrCat(Answered(owner, "/keystead.v1.Registry/Fetch", fetch), "\n",
                                 Answered(owner, "/keystead.v1.Rendezvous/Await", await));
  for (const auto& [index, seen] : topics) absl::StrAppend(&out, "\n", index, ": ", seen);
  return out;
}

std::string Provider::RevocationsOf(size_t tenant) {
  return Answered(MemberOf(household(tenant, 0), Role::kAdmin), "/keystead.v1.Revocation/Fetch",
                  v1::FetchRevocationsRequest());
}

Digest Provider::StateOf(size_t tenant) {
  const Answer health =
      Exchange(MemberOf(household(tenant, 1), Role::kApp), std::string(kHealthCheckMethod), "");
  EXPECT_TRUE(health.responses == std::vector<std::string>{kServing}) << "health: " << health.message;
  v1::GetLimitsRequest limits;
  limits.set_tenant(kNames.at(tenant));
  std::string all =
      Answered(MemberOf(household(tenant, 0), Role::kAdmin), "/keystead.v1.TenantAdmin/GetLimits", limits);
  for (const auto& household : households_.at(tenant)) absl::StrAppend(&all, SeenOf(*household), "\n\n");
  return crypto::Sha256(AsBytes(all));
}

}  // namespace keystead::testing
