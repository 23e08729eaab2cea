#include "tests/load/storms.h"

#include <grpcpp/client_context.h>

#include <functional>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "core/base/status.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/registry.grpc.pb.h"
#include "tests/load/hello.h"
#include "tests/load/households.h"
#include "tests/load/machine.h"

namespace keystead::load {
namespace {

constexpr size_t kWorkers = 8;
constexpr absl::Duration kCallPatience = absl::Seconds(5);

using Attempt = std::function<absl::Status()>;

// Calls each attempt again and again on a thread of its own.
void Storm(const std::vector<Attempt>& attempts, double per_second, int64_t end_ns,
           BehaviourOutcome& outcome) {
  absl::Mutex mutex;
  const auto between = static_cast<int64_t>(1e9 * static_cast<double>(attempts.size()) / per_second);
  std::vector<std::thread> threads;
  for (const Attempt& attempt : attempts) {
    threads.emplace_back([&, attempt] {
      for (int64_t next = NowNs(); next < end_ns; next = std::max(next + between, NowNs())) {
        SleepUntilNs(next);
        const absl::Status status = attempt();
        absl::MutexLock lock(&mutex);
        ++outcome.attempts;
        ++outcome.answered[static_cast<int>(status.code())];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Whether it is a member does not matter: it is let in to ask.
absl::Status ConnectAndAsk(const Target& target, const Identity& device, const Household& household) {
  KS_ASSIGN_OR_RETURN(const auto channel, DialAs(target, device));
  const auto stub = v1::Registry::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCallPatience));
  v1::FetchCommitsRequest request;
  request.set_tenant(household.tenant.str());
  request.set_instantiation(household.id.ToString());
  request.set_from_epoch(UINT32_MAX);  // nothing comes: the connection is what counts
  v1::FetchCommitsResponse response;
  return FromGrpc(stub->Fetch(&context, request, &response));
}

}  // namespace

absl::Status StormHandshakes(Population& population, const NeighbourLimits& limits, int64_t end_ns,
                             BehaviourOutcome& outcome) {
  const Target& target = population.engine().target();
  const std::vector<TenantCredentials>& tenants = population.tenants();
  KS_ASSIGN_OR_RETURN(const std::string hello, ClientHelloOf(target, tenants.front().devices.front()));
  std::vector<Attempt> whole;
  std::vector<Attempt> begun;
  for (size_t i = 0; i < kWorkers; ++i) {
    const size_t tenant = i % tenants.size();
    const Household& household = population.households()[tenant].front();
    whole.push_back(
        [&, tenant] { return ConnectAndAsk(target, tenants[tenant].devices.front(), household); });
    begun.push_back([&] { return SayHello(target.address, hello); });
  }
  BehaviourOutcome of_begun;
  std::thread beside([&] { Storm(begun, limits.hellos_per_second, end_ns, of_begun); });
  Storm(whole, limits.handshakes_per_second, end_ns, outcome);
  beside.join();
  outcome.attempts += of_begun.attempts;
  for (const auto& [code, count] : of_begun.answered) outcome.answered[code] += count;
  return absl::OkStatus();
}

absl::Status StormCommits(Population& population, double per_second, int64_t end_ns,
                          BehaviourOutcome& outcome) {
  std::vector<std::unique_ptr<CommitSource>> sources;
  std::vector<Attempt> attempts;
  for (size_t i = 0; i < kWorkers; ++i) {
    const Identity& owner = population.tenants()[i % population.tenants().size()].owner;
    KS_ASSIGN_OR_RETURN(auto channel, DialAs(population.engine().target(), owner));
    sources.push_back(std::make_unique<CommitSource>(std::move(channel), owner));
    attempts.push_back([source = sources.back().get()] { return source->SubmitNext(); });
  }
  Storm(attempts, per_second, end_ns, outcome);
  return absl::OkStatus();
}

}  // namespace keystead::load
