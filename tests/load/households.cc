#include "tests/load/households.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/registry.grpc.pb.h"
#include "tests/unit/backend/home.h"

namespace keystead::load {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);  // a thousand tenants found at the same time
constexpr size_t kFounders = 8;                          // tenants at a time

absl::Status Submit(const std::shared_ptr<grpc::Channel>& channel, const testing::Home& home,
                    const std::string& bundle) {
  const auto stub = v1::Registry::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  v1::SubmitCommitRequest request;
  request.set_tenant(home.tenant().str());
  request.set_instantiation(home.id().ToString());
  request.set_bundle(bundle);
  v1::SubmitCommitResponse response;
  return FromGrpc(stub->Submit(&context, request, &response));
}

GroupHeader HeaderOf(const testing::Home& home, const MemberId& device) {
  GroupHeader out;
  out.tenant = home.tenant();
  out.instantiation = home.id();
  out.topic = Topic::Of(TopicKind::kTelemetry, device);
  out.sender = device;
  out.epoch = home.chain().epoch();
  return out;
}

absl::StatusOr<Household> Found(const std::shared_ptr<grpc::Channel>& channel,
                                const TenantCredentials& tenant, size_t first, size_t end) {
  testing::Home home(tenant.name.str(), tenant.owner.id.str());
  std::vector<testing::Resident> residents;
  std::vector<const testing::Resident*> add;
  for (size_t i = first; i < end; ++i)
    residents.push_back(testing::MakeResident(MemberKind::kDevice, tenant.devices[i].id.str()));
  for (const testing::Resident& resident : residents) add.push_back(&resident);
  const std::string founding = home.Make();
  KS_RETURN_IF_ERROR(Submit(channel, home, founding));
  home.Take(founding);
  const std::string admitting = home.Make(add);
  KS_RETURN_IF_ERROR(Submit(channel, home, admitting));
  home.Take(admitting);
  Household out{tenant.name, home.id(), {}};
  for (const testing::Resident& resident : residents)
    out.devices.push_back(HeaderOf(home, resident.entry.member));
  return out;
}

absl::StatusOr<std::vector<Household>> FoundAll(const Target& target, const TenantCredentials& tenant,
                                                size_t households) {
  KS_ASSIGN_OR_RETURN(const auto channel, DialAs(target, tenant.owner));
  std::vector<Household> out;
  const size_t devices = tenant.devices.size();
  for (size_t i = 0; i < households; ++i) {
    absl::StatusOr<Household> one =
        Found(channel, tenant, devices * i / households, devices * (i + 1) / households);
    if (!one.ok()) {
      return absl::Status(
          one.status().code(),
          absl::StrCat(tenant.name.str(), " cannot found an instantiation: ", one.status().message()));
    }
    out.push_back(*std::move(one));
  }
  return out;
}

}  // namespace

absl::StatusOr<std::vector<std::vector<Household>>> FoundHouseholds(
    const Target& target, const std::vector<TenantCredentials>& tenants, int households) {
  std::vector<std::vector<Household>> out(tenants.size());
  std::vector<absl::Status> failed(tenants.size());
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < tenants.size(); i = next++) {
      const size_t needed = (tenants[i].devices.size() + kDevicesPerHousehold - 1) / kDevicesPerHousehold;
      auto founded = FoundAll(target, tenants[i], std::max<size_t>(needed, static_cast<size_t>(households)));
      failed[i] = founded.status();
      if (founded.ok()) out[i] = *std::move(founded);
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(kFounders, tenants.size()); ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : failed) KS_RETURN_IF_ERROR(status);
  return out;
}

struct CommitSource::State {
  std::shared_ptr<grpc::Channel> channel;
  testing::Home home;
  std::string pending;
};

CommitSource::CommitSource(std::shared_ptr<grpc::Channel> channel, const Identity& owner)
    : state_(new State{std::move(channel), testing::Home(owner.id.tenant().str(), owner.id.str()), {}}) {}
CommitSource::~CommitSource() = default;

absl::Status CommitSource::SubmitNext() {
  if (state_->pending.empty()) state_->pending = state_->home.Make();
  KS_RETURN_IF_ERROR(Submit(state_->channel, state_->home, state_->pending));
  state_->home.Take(state_->pending);
  state_->pending.clear();
  return absl::OkStatus();
}

}  // namespace keystead::load
