#include "gateway/revocation_link.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/transport/status_mapping.h"
#include "keystead/v1/revocation.grpc.pb.h"

namespace keystead::gateway {
namespace {
constexpr std::string_view kFile = "revocations";
constexpr StateFolder::Format kFormat{"ks-revocations", 1};
}  // namespace

struct RevocationLink::Call {
  grpc::ClientContext context;
  v1::FetchRevocationsRequest request;
  v1::FetchRevocationsResponse response;
};

RevocationLink::~RevocationLink() { Stop(); }

absl::Status RevocationLink::Restore() {
  if (!options_.folder->Has(kFile)) return absl::OkStatus();
  absl::Status status;
  if (auto object = options_.folder->ReadChecked(kFile, kFormat); !object.ok()) {
    status = object.status();
  } else {
    status = options_.keeper->Restore(object->ExposeSecret());
  }
  if (status.ok()) return status;
  return absl::DataLossError(
      absl::StrCat(options_.folder->PathOf(kFile), ": ", status.message(),
                   ": restore it from a copy, or delete it to fetch it again from the next hop"));
}

void RevocationLink::Tick() {
  std::shared_ptr<Call> call;
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_ || call_ != nullptr || absl::Now() < next_) return;
    call = call_ = std::make_shared<Call>();
  }
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + options_.call_limit));
  call->request.set_above(options_.keeper->NumberOf(options_.tenant));
  v1::Revocation::Stub(options_.channel.get())
      .async()
      ->Fetch(&call->context, &call->request, &call->response, [this, call](const grpc::Status& status) {
        // Verifying and writing a file are not for gRPC's threads.
        options_.executor->Post([this, call, status = FromGrpc(status)] { Ended(call, status); });
      });
}

absl::Status RevocationLink::Take(const std::string& object) {
  return options_.keeper
      ->Put(
          options_.tenant, AsBytes(object), options_.next_hop,
          [&] { return options_.folder->WriteChecked(kFile, kFormat, SecretBytes::CopyOf(AsBytes(object))); })
      .status();
}

// THREAD: executor.
void RevocationLink::Ended(const std::shared_ptr<Call>& call, const absl::Status& status) {
  absl::Status taken = status;
  if (status.ok()) taken = Take(call->response.object());
  // An answer that is no news, or a lie, must not be asked for again at once: nor is the end of a long poll
  // in which nothing happened a failure.
  const bool good = status.ok()
                        ? taken.ok() && options_.keeper->NumberOf(options_.tenant) > call->request.above()
                        : absl::IsDeadlineExceeded(status);
  if (!good) Log(LogLevel::kInfo, "revocations_not_fetched", {{"reason", Std(taken.message())}});
  absl::MutexLock lock(&mutex_);
  call_.reset();
  if (good) backoff_.Reset();
  next_ = good ? absl::InfinitePast() : absl::Now() + backoff_.NextAfter(status);
}

void RevocationLink::Stop() {
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return call_ == nullptr; };
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  if (call_ != nullptr) call_->context.TryCancel();
  mutex_.Await(absl::Condition(&idle));
}

}  // namespace keystead::gateway
