#include "core/transport/status_mapping.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/observe/log.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"
#include "core/transport/transport_metrics.h"

namespace keystead {
namespace {

constexpr size_t kMaxPeerText = 256;
constexpr absl::Duration kComeBackForCapacity = absl::Seconds(5);

std::string Tame(std::string_view text) {
  std::string out(text.substr(0, kMaxPeerText));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return out;
}

// The numbers of the two enumerations agree (both are those of the gRPC specification, "Status codes").
bool IsKnown(int code) {
  return code >= 0 && code <= 16 && code != static_cast<int>(absl::StatusCode::kUnknown);
}

}  // namespace

std::string_view PublicSentence(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return "";
    case absl::StatusCode::kCancelled:
      return "the call was cancelled";
    case absl::StatusCode::kInvalidArgument:
      return "the request is not well formed";
    case absl::StatusCode::kDeadlineExceeded:
      return "the call took too long";
    case absl::StatusCode::kNotFound:
      return "there is no such thing for this caller";
    case absl::StatusCode::kAlreadyExists:
      return "it exists already";
    case absl::StatusCode::kPermissionDenied:
      return "this caller may not do that";
    case absl::StatusCode::kResourceExhausted:
      return "a limit was reached; try again later";
    case absl::StatusCode::kFailedPrecondition:
      return "the request does not fit the present state";
    case absl::StatusCode::kAborted:
      return "another change came first; look again and retry";
    case absl::StatusCode::kOutOfRange:
      return "the position is outside of what is kept";
    case absl::StatusCode::kUnimplemented:
      return "there is no such method here";
    case absl::StatusCode::kUnavailable:
      return "not available now; try again later";
    case absl::StatusCode::kDataLoss:
      return "data were lost";
    case absl::StatusCode::kUnauthenticated:
      return "the caller is not known here";
    default:
      return "an internal error";
  }
}

grpc::Status ToPeer(const absl::Status& status, std::string_view event) {
  if (status.ok()) return grpc::Status::OK;
  const bool known = IsKnown(static_cast<int>(status.code()));
  const absl::StatusCode code = known ? status.code() : absl::StatusCode::kInternal;
  Log(LogLevel::kInfo, event,
      {{"code", absl::StatusCodeToString(status.code())}, {"reason", Std(status.message())}});
  const std::string sentence(PublicSentence(code));
  const bool unnamed = absl::IsResourceExhausted(status) && !RetryDelayOf(status).has_value();
  const absl::Status told = unnamed ? LimitReached(peer_limits::kCapacity, kComeBackForCapacity) : status;
  CountFailedCall(code, LimitNameOf(told));
  return {static_cast<grpc::StatusCode>(code), sentence, EncodeLimitDetails(told, sentence)};
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const int code = static_cast<int>(status.error_code());
  absl::Status out(IsKnown(code) ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kInternal,
                   Tame(status.error_message()));
  DecodeLimitDetails(status.error_details(), out);
  return out;
}

bool IsTransient(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kAborted:
      return true;
    default:
      return false;
  }
}

}  // namespace keystead
