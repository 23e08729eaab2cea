#include "core/transport/limit_status.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "google/rpc/limit_details.pb.h"

namespace keystead {
namespace {

constexpr absl::string_view kTypePrefix = "type.googleapis.com/";
constexpr char kReason[] = "LIMIT";
constexpr char kDomain[] = "keystead";
constexpr char kLimitKey[] = "limit";
constexpr size_t kMaxDetailsBytes = 4 << 10;
constexpr size_t kMaxNameBytes = 64;

std::string UrlOf(const google::protobuf::Message& message) {
  return absl::StrCat(kTypePrefix, message.GetDescriptor()->full_name());
}

void SetPayload(absl::Status& status, const google::protobuf::Message& message) {
  const std::string bytes = message.SerializeAsString();
  // By string_view: the constructor from std::string&& is a template of which Debian's Abseil, built with
  // GCC, holds another mangled name than Clang asks for.
  status.SetPayload(UrlOf(message), absl::Cord(absl::string_view(bytes)));
}

template <class Message>
std::optional<Message> PayloadOf(const absl::Status& status) {
  Message out;
  const absl::optional<absl::Cord> bytes = status.GetPayload(UrlOf(out));
  if (!bytes.has_value() || !out.ParseFromString(std::string(*bytes))) return std::nullopt;
  return out;
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

}  // namespace

absl::Status LimitReached(std::string_view limit, absl::Duration retry_after) {
  absl::Status out = absl::ResourceExhaustedError(absl::StrCat("limit reached: ", Absl(limit)));
  const int64_t nanos =
      absl::ToInt64Nanoseconds(std::clamp(retry_after, absl::ZeroDuration(), kMaxRetryDelay));
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(nanos / 1'000'000'000);
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  SetPayload(out, retry);
  google::rpc::ErrorInfo info;
  info.set_reason(kReason);
  info.set_domain(kDomain);
  (*info.mutable_metadata())[kLimitKey] = std::string(limit);
  SetPayload(out, info);
  return out;
}

absl::Status TakeRate(RateLimiter& rate, std::string_view name, std::string_view limit) {
  const absl::Duration wait = rate.TakeOrWait(name);
  return wait == absl::ZeroDuration() ? absl::OkStatus() : LimitReached(limit, wait);
}

std::optional<absl::Duration> RetryDelayOf(const absl::Status& status) {
  const auto retry = PayloadOf<google::rpc::RetryInfo>(status);
  if (!retry.has_value()) return std::nullopt;
  const absl::Duration delay =
      absl::Seconds(retry->retry_delay().seconds()) + absl::Nanoseconds(retry->retry_delay().nanos());
  return std::clamp(delay, absl::ZeroDuration(), kMaxRetryDelay);
}

std::string LimitNameOf(const absl::Status& status) {
  const auto info = PayloadOf<google::rpc::ErrorInfo>(status);
  if (!info.has_value() || info->reason() != kReason || info->domain() != kDomain) return "";
  const auto found = info->metadata().find(kLimitKey);
  return found == info->metadata().end() || !IsName(found->second) ? "" : found->second;
}

std::string EncodeLimitDetails(const absl::Status& status, std::string_view public_message) {
  google::rpc::Status out;
  for (const google::protobuf::Message* message :
       {static_cast<const google::protobuf::Message*>(&google::rpc::RetryInfo::default_instance()),
        static_cast<const google::protobuf::Message*>(&google::rpc::ErrorInfo::default_instance())}) {
    const absl::optional<absl::Cord> bytes = status.GetPayload(UrlOf(*message));
    if (!bytes.has_value()) continue;
    google::protobuf::Any* const detail = out.add_details();
    detail->set_type_url(UrlOf(*message));
    detail->set_value(std::string(*bytes));
  }
  if (out.details().empty()) return "";
  out.set_code(static_cast<int>(status.code()));
  out.set_message(std::string(public_message));
  return out.SerializeAsString();
}

void DecodeLimitDetails(std::string_view details, absl::Status& status) {
  google::rpc::Status in;
  if (details.empty() || details.size() > kMaxDetailsBytes ||
      !in.ParseFromArray(details.data(), static_cast<int>(details.size())))
    return;
  for (const google::protobuf::Any& detail : in.details()) {
    google::rpc::RetryInfo retry;
    google::rpc::ErrorInfo info;
    if (detail.type_url() == UrlOf(retry) && retry.ParseFromString(detail.value())) SetPayload(status, retry);
    if (detail.type_url() == UrlOf(info) && info.ParseFromString(detail.value())) SetPayload(status, info);
  }
}

}  // namespace keystead
