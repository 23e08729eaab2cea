#include "backend/audit_export.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backend/refusal.h"
#include "core/base/status.h"
#include "core/transport/authorization.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"

namespace keystead::backend {
namespace {

constexpr size_t kChunkBytes = 256 << 10;
constexpr std::string_view kEvent = "audit_refused";

}  // namespace

// One job or one write is under way at any time, and each ends in the other or in Finish.
class AuditExport::Call final : public Reactor {
 public:
  Call(AuditExport& owner, const grpc::CallbackServerContext& context, const v1::AuditRequest& request,
       Find find, std::shared_ptr<const Principal> caller, CallPlaces::Place place)
      : owner_(owner),
        parts_(owner.parts_),
        context_(context),
        request_(request),
        find_(std::move(find)),
        caller_(std::move(caller)),
        place_(std::move(place)) {}

  void Start() {
    parts_.executor->Post(caller_->tenant().str(), [this] { Send(Begin()); });
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Conclude(ToPeer(absl::CancelledError("the caller has gone"), kEvent));
    if (next_ == end_) return Conclude(grpc::Status::OK);
    parts_.executor->Post(caller_->tenant().str(), [this] {
      chunk_.Clear();
      Send(Fill());
    });
  }
  void OnDone() override {
    std::shared_ptr<Call> self;  // goes without the lock
    absl::MutexLock lock(&owner_.mutex_);
    const auto found = owner_.open_.find(this);
    self = std::move(found->second);
    owner_.open_.erase(found);
  }

  bool Concerns(const TenantName& tenant) const {
    return caller_->tenant() == tenant || request_.tenant() == tenant.str();
  }
  // THREAD: any. What waits for a caller that does not read ends at once; a job under way with its write.
  void End() {
    {
      absl::MutexLock lock(&mutex_);
      if (concluded_) return;
      ending_ = true;  // holds Finish back, and with it the context alive
    }
    context_.TryCancel();
    std::optional<grpc::Status> held;
    {
      absl::MutexLock lock(&mutex_);
      ending_ = false;
      held = held_;
    }
    if (held.has_value()) Leave(*held);
  }

 private:
  void Conclude(const grpc::Status& status) {
    {
      absl::MutexLock lock(&mutex_);
      concluded_ = true;
      if (ending_) {
        held_ = status;
        return;
      }
    }
    Leave(status);
  }
  // Whoever waits for the end and asks again finds the place free. After Finish nothing here may be touched.
  void Leave(const grpc::Status& status) {
    place_.reset();
    Finish(status);
  }
  void Send(const absl::Status& ready) {
    if (!ready.ok()) return Conclude(ToPeer(ready, kEvent));
    StartWrite(&chunk_);
  }

  absl::StatusOr<AuditBook> Book() const {
    const std::optional<AuditBook> provider = parts_.log->Provider();
    const bool its_own = provider.has_value() && provider->name().str() == request_.tenant();
    if (its_own && caller_->role() == Role::kOperator) return *provider;
    KS_ASSIGN_OR_RETURN(const TenantView tenant, find_(*caller_, request_.tenant()));
    return AuditBook(tenant);
  }

  absl::Status Begin() {
    KS_ASSIGN_OR_RETURN(book_, Book());
    KS_ASSIGN_OR_RETURN(const SigningIdentity signer, parts_.log->Signer());
    KS_ASSIGN_OR_RETURN(const audit::Head head, parts_.log->HeadOf(*book_));
    if (request_.from_sequence() > head.end())
      return absl::InvalidArgumentError("the log does not have that many entries");
    KS_ASSIGN_OR_RETURN(const Bytes signed_head, audit::SignHead(signer, head));
    chunk_.set_head(ToString(signed_head));
    chunk_.set_chain_pem(signer.chain_pem);
    next_ = std::max(head.first, request_.from_sequence());
    end_ = head.end();
    parts_.notes->Note(*book_,
                       {caller_->uri(), "audit_exported", "", absl::StrCat("entries ", next_, " to ", end_)});
    return Fill();
  }

  absl::Status Fill() {
    absl::StatusOr<std::vector<std::string>> entries = parts_.log->Read(*book_, next_, end_, kChunkBytes);
    // Room was made at the beginning of the log since the head was signed: the next export has another.
    if (absl::IsNotFound(entries.status())) return absl::AbortedError(entries.status().message());
    KS_RETURN_IF_ERROR(entries.status());
    next_ += entries->size();
    for (std::string& entry : *entries) chunk_.add_entries(std::move(entry));
    return absl::OkStatus();
  }

  AuditExport& owner_;
  const Parts& parts_;
  const grpc::CallbackServerContext& context_;
  const v1::AuditRequest& request_;
  const Find find_;
  const std::shared_ptr<const Principal> caller_;
  CallPlaces::Place place_;
  std::optional<AuditBook> book_;
  uint64_t next_ = 0;
  uint64_t end_ = 0;
  v1::AuditChunk chunk_;

  absl::Mutex mutex_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool concluded_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> held_ ABSL_GUARDED_BY(mutex_);
};

AuditExport::Reactor* AuditExport::Open(const grpc::CallbackServerContext& context,
                                        const v1::AuditRequest& request, Find find) {
  auto caller = PrincipalOf(context, *parts_.resolver);
  if (!caller.ok()) return new Refusal<Reactor>(caller.status(), kEvent);
  CallPlaces::Place place = places_.Enter((*caller)->tenant().str(), (*caller)->uri());
  if (place == nullptr)
    return new Refusal<Reactor>(LimitReached(peer_limits::kAuditExports, peer_limits::kComeBackForPlace),
                                kEvent);
  const auto call =
      std::make_shared<Call>(*this, context, request, std::move(find), *std::move(caller), std::move(place));
  {
    absl::MutexLock lock(&mutex_);
    open_.emplace(call.get(), call);
  }
  call->Start();
  return call.get();
}

void AuditExport::EndOf(const TenantName& tenant) {
  std::vector<std::shared_ptr<Call>> ending;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [key, call] : open_) {
      if (call->Concerns(tenant)) ending.push_back(call);
    }
  }
  for (const std::shared_ptr<Call>& call : ending) call->End();
}

}  // namespace keystead::backend
