#include "backend/admin/connection.h"

#include <grpcpp/channel.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/transport/channel_options.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"
#include "core/transport/tls_credentials.h"

namespace keystead::admin {

absl::Status Connection::Dial() {
  if (stub_ != nullptr) return absl::OkStatus();
  if (options_->address.empty() || options_->server.empty() || options_->files.chain.empty() ||
      options_->files.key.empty() || options_->files.roots.empty()) {
    return absl::InvalidArgumentError(
        "this verb asks a backend: give --backend HOST:PORT, --backend-id spiffe://PROVIDER/service/*, "
        "--tls-chain, --tls-key and --tls-roots");
  }
  KS_ASSIGN_OR_RETURN(const PeerExpectation server, PeerExpectation::Parse(options_->server));
  const absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> credentials =
      MakeChannelCredentials(TlsOptions{.files = options_->files, .refresh_seconds = 0}, server);
  if (!credentials.ok()) return absl::FailedPreconditionError(credentials.status().message());
  const auto channel = DialChannel(options_->address, *credentials);
  stub_ = v1::TenantAdmin::NewStub(channel);
  observer_ = v1::Observer::NewStub(channel);
  return absl::OkStatus();
}

void Connection::SetDeadline(grpc::ClientContext& context) const {
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(static_cast<int64_t>(options_->timeout_seconds * 1000)));
}

absl::Status Connection::Explain(const grpc::Status& status, std::string_view what) const {
  if (status.ok()) return absl::OkStatus();
  const absl::Status failed = FromGrpc(status);
  const absl::string_view about = Absl(what);
  switch (failed.code()) {
    case absl::StatusCode::kNotFound:
      return absl::NotFoundError(
          absl::StrCat(about,
                       ": there is no such tenant, or it is not this certificate's to administer; "
                       "`keystead-admin list` shows those that are"));
    case absl::StatusCode::kAlreadyExists:
      return absl::AlreadyExistsError(
          absl::StrCat(about,
                       ": it is there already with other CA keys, or the name is the provider's own; "
                       "choose another name, or give the same file as before"));
    case absl::StatusCode::kPermissionDenied:
      return absl::PermissionDeniedError(
          absl::StrCat(about, ": the role in this certificate may not do that; use an operator's"));
    case absl::StatusCode::kUnauthenticated:
      return absl::UnauthenticatedError(absl::StrCat(
          about, ": ", options_->address,
          " does not know who this is: the certificate is of no operator or administrator there, "
          "has expired or was revoked; use another"));
    case absl::StatusCode::kUnavailable:
      return absl::UnavailableError(absl::StrCat(
          "no backend answers at ", options_->address,
          "; check the address, that it runs, and that --backend-id, --tls-roots and --tls-chain "
          "fit it"));
    case absl::StatusCode::kDeadlineExceeded:
      return absl::DeadlineExceededError(
          absl::StrCat(about, ": no answer from ", options_->address, " within ", options_->timeout_seconds,
                       " s; whether it was done is not known, try again or give a longer --timeout"));
    case absl::StatusCode::kResourceExhausted: {
      const std::string limit = LimitNameOf(failed);
      const auto delay = RetryDelayOf(failed);
      return absl::ResourceExhaustedError(absl::StrCat(
          about, ": too much at once", limit.empty() ? "" : absl::StrCat(" (limit ", limit, ")"),
          "; try again", delay.has_value() ? absl::StrCat(" in ", absl::FormatDuration(*delay)) : " later"));
    }
    case absl::StatusCode::kInvalidArgument:
      return absl::FailedPreconditionError(
          absl::StrCat(about, ": the backend does not take what was given; correct it, its log says why"));
    case absl::StatusCode::kFailedPrecondition:
      return absl::FailedPreconditionError(
          absl::StrCat(about, ": the backend is not set up for that; its log says what to set"));
    case absl::StatusCode::kUnimplemented:
      return absl::UnimplementedError(absl::StrCat(
          about, ": ", options_->address,
          " does not serve this; what others hold is shown by processes started with --observer"));
    default:
      return absl::InternalError(
          absl::StrCat(about, ": the backend failed (", failed.message(), "); its log says why, try again"));
  }
}

}  // namespace keystead::admin
