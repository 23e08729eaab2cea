#include "mobile-stub/hop_client.h"

#include <grpcpp/channel.h>
#include <thread>

#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/transport/backoff.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/registry.grpc.pb.h"
#include "keystead/v1/rendezvous.grpc.pb.h"

namespace keystead::mobile {
namespace {

constexpr BackoffOptions kPauses = {.initial = absl::Milliseconds(100), .max = absl::Seconds(2)};

// The hop restarts, or asks for patience: a moment later the call may succeed.
bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
}

template <class CallOnce>
absl::Status CallUntil(absl::Time deadline, bool (*again)(const absl::Status&), const CallOnce& call) {
  Backoff pauses(kPauses);
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    context.set_wait_for_ready(true);
    const absl::Status status = FromGrpc(call(context));
    const absl::Duration pause = pauses.NextAfter(status);
    if (!again(status) || absl::Now() + pause >= deadline) return status;
    std::this_thread::sleep_for(absl::ToChronoMilliseconds(pause));
  }
}

}  // namespace

absl::Status HopClient::Put(const MailboxName& box, ByteView message, absl::Duration patience) const {
  const auto stub = v1::Rendezvous::NewStub(channel_);
  v1::PutRequest request;
  request.set_box(box.ToString());
  request.set_message(message.data(), message.size());
  v1::PutResponse response;
  // Who was told of a limit has put nothing there; after any other failure the message may lie there already.
  return CallUntil(absl::Now() + patience, absl::IsResourceExhausted,
                   [&](grpc::ClientContext& context) { return stub->Put(&context, request, &response); });
}

absl::StatusOr<std::vector<std::string>> HopClient::Await(const MailboxName& box, uint32_t after,
                                                          absl::Duration patience) const {
  const auto stub = v1::Rendezvous::NewStub(channel_);
  v1::AwaitRequest request;
  request.set_box(box.ToString());
  request.set_after(after);
  v1::AwaitResponse response;
  const absl::Status status = CallUntil(absl::Now() + patience, MayPass, [&](grpc::ClientContext& context) {
    return stub->Await(&context, request, &response);
  });
  if (absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status))
    return std::vector<std::string>();
  KS_RETURN_IF_ERROR(status);
  return std::vector<std::string>(response.messages().begin(), response.messages().end());
}

absl::Status HopClient::Submit(const TenantName& tenant, const InstantiationId& id, ByteView bundle,
                               absl::Duration patience) const {
  const auto stub = v1::Registry::NewStub(channel_);
  v1::SubmitCommitRequest request;
  request.set_tenant(tenant.str());
  request.set_instantiation(id.ToString());
  request.set_bundle(bundle.data(), bundle.size());
  v1::SubmitCommitResponse response;
  return CallUntil(absl::Now() + patience, MayPass,
                   [&](grpc::ClientContext& context) { return stub->Submit(&context, request, &response); });
}

absl::StatusOr<std::vector<std::string>> HopClient::FetchCommits(const TenantName& tenant,
                                                                 const InstantiationId& id,
                                                                 uint64_t from_epoch,
                                                                 absl::Duration patience) const {
  const auto stub = v1::Registry::NewStub(channel_);
  v1::FetchCommitsRequest request;
  request.set_tenant(tenant.str());
  request.set_instantiation(id.ToString());
  request.set_from_epoch(from_epoch);
  v1::FetchCommitsResponse response;
  KS_RETURN_IF_ERROR(CallUntil(absl::Now() + patience, MayPass, [&](grpc::ClientContext& context) {
    return stub->Fetch(&context, request, &response);
  }));
  return std::vector<std::string>(response.bundles().begin(), response.bundles().end());
}

}  // namespace keystead::mobile
