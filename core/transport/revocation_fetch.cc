#include "core/transport/revocation_fetch.h"

#include <grpcpp/server_context.h>

#include <memory>
#include <utility>

#include "core/identity/peer_event.h"
#include "core/transport/authorization.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"

namespace keystead {
namespace {

// The answer and the end of the call may come at the same time: the keeper decides which of them finishes.
class FetchCall final : public grpc::ServerUnaryReactor {
 public:
  FetchCall(v1::FetchRevocationsResponse* response, RevocationKeeper& keeper)
      : response_(response), keeper_(keeper) {}

  void Refuse(const absl::Status& status) { Finish(ToPeer(status, "fetch_revocations_refused")); }

  void Start(const Principal& peer, uint64_t above, CallPlaces::Place place) {
    place_ = std::move(place);
    const uint64_t ticket = keeper_.Await(peer, above, [this](absl::StatusOr<std::string> object) {
      const absl::Status status = object.status();
      if (status.ok()) response_->set_object(*std::move(object));
      // Being cancelled is how most of these end.
      Finish(absl::IsCancelled(status) ? grpc::Status::CANCELLED
                                       : ToPeer(status, "fetch_revocations_refused"));
    });
    if (ticket == 0) return;
    bool cancelled = false;
    {
      absl::MutexLock lock(&mutex_);
      ticket_ = ticket;
      cancelled = cancelled_;
    }
    if (cancelled) keeper_.Cancel(ticket);
  }
  void OnCancel() override {
    uint64_t ticket = 0;
    {
      absl::MutexLock lock(&mutex_);
      cancelled_ = true;
      ticket = ticket_;
    }
    if (ticket != 0) keeper_.Cancel(ticket);
  }
  void OnDone() override { delete this; }

 private:
  v1::FetchRevocationsResponse* const response_;
  RevocationKeeper& keeper_;
  CallPlaces::Place place_;
  absl::Mutex mutex_;
  uint64_t ticket_ ABSL_GUARDED_BY(mutex_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerUnaryReactor* StartRevocationFetch(grpc::CallbackServerContext& context,
                                               const v1::FetchRevocationsRequest& request,
                                               v1::FetchRevocationsResponse* response,
                                               const PrincipalResolver& resolver, RevocationKeeper& keeper,
                                               RevocationShares& shares) {
  auto* const call = new FetchCall(response, keeper);
  const absl::StatusOr<std::shared_ptr<const Principal>> peer = PrincipalOf(context, resolver);
  if (!peer.ok()) {
    call->Refuse(peer.status());
    return call;
  }
  CallPlaces::Place place;
  absl::Status room = TakeRate(shares.rate, (*peer)->uri(), peer_limits::kRevocationFetches);
  if (room.ok()) {
    place = shares.places.Enter((*peer)->tenant().str(), (*peer)->uri());
    if (place == nullptr)
      room = LimitReached(peer_limits::kRevocationFetches, peer_limits::kComeBackForPlace);
  }
  if (!room.ok()) {
    call->Refuse(ReportLimit(**peer, "revocations: asked for too often", room));
    return call;
  }
  call->Start(**peer, request.above(), std::move(place));
  return call;
}

}  // namespace keystead
