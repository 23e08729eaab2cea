#include "tests/unit/mobile_stub/home_hop.h"

#include <gtest/gtest.h>

#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"
#include "tests/unit/identity/test_pki.h"
#include "tests/unit/transport/hop_server.h"
#include "tests/unit/transport/test_server.h"

namespace keystead::mobile::testing {
namespace {

using keystead::testing::kAcme;
using keystead::testing::TestPki;

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "home_hop: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

const CertificateFiles& LeafOf(Role role) {
  static auto* const leaves = new std::map<Role, CertificateFiles>;
  const auto found = leaves->find(role);
  if (found != leaves->end()) return found->second;
  return leaves->emplace(role, TestPki::Shared().Leaf(kAcme, role, std::string(RoleName(role)) + "-home"))
      .first->second;
}

}  // namespace

// Refuses aloud what it stores all the same.
class LyingHop final : public keystead::testing::TestHop {
 public:
  using TestHop::TestHop;
  absl::StatusOr<uint32_t> Admit(storage::Transaction& transaction, const Principal& principal,
                                 const GroupView& group) override {
    if (principal.role() == Role::kApp && forward != nullptr && group.header().sender == lied_to) {
      GroupBuilder copy(group.header());
      for (const RecordView& record : group.records()) {
        EXPECT_TRUE(copy.Append(record.sequence, record.cose).ok());
      }
      EXPECT_TRUE(forward->Enqueue(copy.Take()).ok());
      return absl::PermissionDeniedError("so says a hop");
    }
    return TestHop::Admit(transaction, principal, group);
  }
  absl::StatusOr<uint32_t> AdmitSubscribe(storage::Transaction& transaction, const Principal& principal,
                                          const SubscribeDemand& demand) override {
    if (withholds_keyring && principal.role() == Role::kApp &&
        std::ranges::find(demand.topics, Topic::Keyring()) != demand.topics.end()) {
      return absl::UnavailableError("later");
    }
    return TestHop::AdmitSubscribe(transaction, principal, demand);
  }
  std::atomic<bool> withholds_keyring{false};
  MemberId lied_to;
  std::unique_ptr<Publisher> forward;
};

struct HomeHop::Impl {
  TenantDirectory directory;
  DenyList deny_list;
  std::shared_ptr<PrincipalResolver> resolver = std::make_shared<PrincipalResolver>(&directory, &deny_list);
  LyingHop hop{resolver.get()};
  std::unique_ptr<storage::LogStore> store;
  std::unique_ptr<RecordLog> log;
  std::unique_ptr<Executor> executor = std::make_unique<Executor>(2);
  std::unique_ptr<TransportService> transport;
  std::unique_ptr<RunningServer> server;
};

HomeHop::HomeHop(const std::string& folder, const std::vector<grpc::Service*>& services)
    : impl_(std::make_unique<Impl>()) {
  EXPECT_TRUE(impl_->directory.LoadFolder(TestPki::Shared().folder() + "/tenants").ok());
  storage::Options store;
  store.path = folder;
  store.format_name = "test-home";
  impl_->store = OrDie(storage::LogStore::Open(store));
  impl_->hop.store = impl_->store.get();
  impl_->log = std::make_unique<RecordLog>(impl_->store.get());
  impl_->transport = std::make_unique<TransportService>(&impl_->hop, impl_->log.get(), impl_->executor.get());
  ServerOptions options;
  options.listen_address = "127.0.0.1:0";
  options.credentials = OrDie(MakeServerCredentials({.files = TestPki::Shared().Backend()}));
  options.resolver = impl_->resolver;
  options.policy = AuthorizationPolicy{{keystead::testing::kPublishMethod, RoleSet::Operational()},
                                       {keystead::testing::kSubscribeMethod, RoleSet::Operational()},
                                       {"/keystead.v1.Registry/Submit", RoleSet::Operational()},
                                       {"/keystead.v1.Registry/Fetch", RoleSet::Operational()},
                                       {"/keystead.v1.Rendezvous/Put", RoleSet::Operational()},
                                       {"/keystead.v1.Rendezvous/Await", RoleSet::Operational()}};
  options.services = services;
  options.services.push_back(impl_->transport->service());
  impl_->server = std::make_unique<RunningServer>(OrDie(StartServer(options)));
}

HomeHop::~HomeHop() {
  if (impl_->hop.forward != nullptr) impl_->hop.forward->Stop();
  impl_->transport->Stop();
  impl_->server->Shutdown(absl::Milliseconds(200));
  impl_->server.reset();
  impl_->executor.reset();
  impl_->store.reset();
  impl_->transport.reset();
  impl_->log.reset();
}

std::shared_ptr<grpc::Channel> HomeHop::Dial(Role role) const {
  return DialChannel(
      "127.0.0.1:" + std::to_string(impl_->server->port()),
      OrDie(MakeChannelCredentials({.files = LeafOf(role)},
                                   OrDie(PeerExpectation::Parse(keystead::testing::kBackendId)))),
      {.own_connection = true});
}

void HomeHop::RefuseSender(const MemberId& sender) { impl_->hop.refused_sender = sender; }

void HomeHop::WithholdKeyring(bool withhold) { impl_->hop.withholds_keyring = withhold; }

void HomeHop::RefuseAfterStoring(const MemberId& sender) {
  impl_->hop.lied_to = sender;
  impl_->hop.forward = std::make_unique<Publisher>(Dial(Role::kService), PublisherCallbacks());
  impl_->hop.forward->Start();
}

std::vector<std::string> HomeHop::AppOptions() const {
  const CertificateFiles& files = LeafOf(Role::kApp);
  return {"--next-hop",    "127.0.0.1:" + std::to_string(impl_->server->port()),
          "--next-hop-id", keystead::testing::kBackendId,
          "--tls-chain",   files.chain,
          "--tls-key",     files.key,
          "--tls-roots",   files.roots};
}

SpiffeId HomeHop::AppId() { return keystead::testing::Id("spiffe://acme.keystead.example/app/app-home"); }

}  // namespace keystead::mobile::testing
