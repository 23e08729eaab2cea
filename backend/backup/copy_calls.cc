#include "backend/backup/copy_calls.h"

#include <utility>

#include "backend/refusal.h"
#include "core/base/status.h"
#include "core/transport/authorization.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"

namespace keystead::backend {
namespace {

constexpr std::string_view kEvent = "copy_refused";
constexpr size_t kMaxPieceBytes = 1 << 20;

absl::Status TooMany() { return LimitReached(peer_limits::kCopies, peer_limits::kComeBackForPlace); }

}  // namespace

void TenantCopies::SourceCall::Start() {
  executor_.Post(caller_->tenant().str(), [this] { Send(); });
}

absl::Status TenantCopies::SourceCall::Fill() {
  if (source_ == nullptr) {
    KS_ASSIGN_OR_RETURN(source_, open_(*caller_));
  }
  KS_ASSIGN_OR_RETURN(*chunk_.mutable_data(), source_->Next());
  return absl::OkStatus();
}

void TenantCopies::SourceCall::Send() {
  const absl::Status status = Fill();
  if (status.ok() && !chunk_.data().empty()) return StartWrite(&chunk_);
  End(status);
}

// Whoever waits for the end and calls again finds snapshot and place free.
void TenantCopies::SourceCall::End(const absl::Status& status) {
  source_.reset();
  place_.reset();
  Finish(ToPeer(status, kEvent));
}

void TenantCopies::SourceCall::OnWriteDone(bool ok) {
  executor_.Post(caller_->tenant().str(), [this, ok] {
    if (ok) return Send();
    End(absl::CancelledError("the caller has gone"));
  });
}

absl::Status TenantCopies::RestoreCall::Take() {
  if (request_.data().size() > kMaxPieceBytes) return absl::InvalidArgumentError("a piece beyond the limit");
  if (restoration_ == nullptr) {
    KS_ASSIGN_OR_RETURN(const TenantView tenant, find_(*caller_, request_.tenant()));
    KS_ASSIGN_OR_RETURN(restoration_, copies_.OpenRestoration(*caller_, tenant));
  }
  return restoration_->Feed(request_.data());
}

void TenantCopies::RestoreCall::End(const absl::Status& status) {
  if (restoration_ != nullptr) *response_ = restoration_->response();
  restoration_.reset();
  place_.reset();
  Finish(ToPeer(status, kEvent));
}

// Of a caller that went away only a file that is whole already counts, as if it had waited for the answer.
void TenantCopies::RestoreCall::OnReadDone(bool ok) {
  copies_.parts_.executor->Post(caller_->tenant().str(), [this, ok] {
    if (cancelled_) return End(absl::CancelledError("the caller has gone"));
    if (!ok) {
      if (restoration_ == nullptr) return End(absl::InvalidArgumentError("a restoration without a request"));
      return End(restoration_->Finish());
    }
    const absl::Status status = Take();
    if (!status.ok() || restoration_->outcome() != v1::RESTORE_OUTCOME_UNSPECIFIED) return End(status);
    StartRead(&request_);
  });
}

TenantCopies::Writer* TenantCopies::Send(const grpc::CallbackServerContext& context, Open open) {
  auto caller = PrincipalOf(context, *parts_.resolver);
  if (!caller.ok()) return new Refusal<Writer>(caller.status(), kEvent);
  CallPlaces::Place place = places_.Enter((*caller)->tenant().str(), (*caller)->uri());
  if (place == nullptr) return new Refusal<Writer>(TooMany(), kEvent);
  auto* const call = new SourceCall(*parts_.executor, *std::move(caller), std::move(open), std::move(place));
  call->Start();
  return call;
}

TenantCopies::Reader* TenantCopies::Restore(const grpc::CallbackServerContext& context,
                                            v1::RestoreResponse* response, Find find) {
  auto caller = PrincipalOf(context, *parts_.resolver);
  if (!caller.ok()) return new Refusal<Reader>(caller.status(), kEvent);
  CallPlaces::Place place = places_.Enter((*caller)->tenant().str(), (*caller)->uri());
  if (place == nullptr) return new Refusal<Reader>(TooMany(), kEvent);
  auto* const call = new RestoreCall(*this, *std::move(caller), std::move(find), response, std::move(place));
  call->Start();
  return call;
}

}  // namespace keystead::backend
