#include "gateway/commit_fetch.h"

#include <grpcpp/client_context.h>

#include <utility>

#include "absl/time/clock.h"
#include "core/base/bytes.h"
#include "core/observe/log.h"

namespace keystead::gateway {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(15);

}  // namespace

struct CommitFetch::Call {
  InstantiationId id;
  grpc::ClientContext context;
  v1::FetchCommitsRequest request;
  v1::FetchCommitsResponse response;
};

CommitFetch::CommitFetch(HopChannel channel, TenantName tenant,
                         std::function<void(const InstantiationId&, std::vector<std::string>)> on_bundles)
    : channel_(std::move(channel)), tenant_(std::move(tenant)), on_bundles_(std::move(on_bundles)) {}
CommitFetch::~CommitFetch() { Stop(); }

void CommitFetch::Begin(const InstantiationId& id, uint64_t from_epoch) {
  auto call = std::make_shared<Call>();
  call->id = id;
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + kLimit));
  call->request.set_tenant(tenant_.str());
  call->request.set_instantiation(id.ToString());
  call->request.set_from_epoch(from_epoch);
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_ || call_ != nullptr) return;
    call_ = call;
  }
  v1::Registry::Stub(channel_.get())
      .async()
      ->Fetch(&call->context, &call->request, &call->response,
              [this, call](const grpc::Status& status) { Finished(call, status); });
}

void CommitFetch::Finished(const std::shared_ptr<Call>& call, const grpc::Status& status) {
  Log(LogLevel::kInfo, "commits_asked_for",
      {{"code", static_cast<int>(status.error_code())},
       {"from_epoch", call->request.from_epoch()},
       {"commits", call->response.bundles_size()}});
  if (status.ok()) on_bundles_(call->id, {call->response.bundles().begin(), call->response.bundles().end()});
  absl::MutexLock lock(&mutex_);
  call_.reset();
}

void CommitFetch::Stop() {
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return call_ == nullptr; };
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  if (call_ != nullptr) call_->context.TryCancel();
  mutex_.Await(absl::Condition(&idle));
}

}  // namespace keystead::gateway
