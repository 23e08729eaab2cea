#include "mobile-stub/console/remote.h"

#include <grpcpp/channel.h>

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "core/base/status.h"
#include "core/program/files.h"
#include "core/program/key_values.h"
#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"

namespace keystead::console {
namespace {

constexpr std::string_view kControlMark = ",control";
constexpr size_t kMaxIdFileBytes = 256;

absl::StatusOr<RemoteOptions> Parse(std::string_view text) {
  RemoteOptions out;
  out.control = text.ends_with(kControlMark);
  if (out.control) text.remove_suffix(kControlMark.size());
  KS_ASSIGN_OR_RETURN(const KeyValues values,
                      ParseKeyValues(text, {"name", "address", "server", "chain", "key", "roots"},
                                     {"tenant", "instantiation"}));
  const auto value = [&](const std::string& key) {
    const auto at = values.find(key);
    return at == values.end() ? std::string() : at->second;
  };
  out.name = value("name");
  out.address = value("address");
  out.server = value("server");
  out.files = {.chain = value("chain"), .key = value("key"), .roots = value("roots")};
  out.tenant = value("tenant");
  out.instantiation = value("instantiation");
  KS_RETURN_IF_ERROR(PeerExpectation::Parse(out.server).status());
  if (!out.tenant.empty()) KS_RETURN_IF_ERROR(TenantName::Parse(out.tenant).status());
  if (out.control && (out.tenant.empty() || out.instantiation.empty()))
    return absl::InvalidArgumentError(
        "a control is another home: add tenant=… and instantiation=HEX or @FILE");
  if (!out.control && !out.instantiation.empty())
    return absl::InvalidArgumentError("only a control has an instantiation of its own: end with ,control");
  return out;
}

}  // namespace

absl::StatusOr<RemoteOptions> ParseRemote(std::string_view option, std::string_view text) {
  absl::StatusOr<RemoteOptions> remote = Parse(text);
  if (remote.ok()) return remote;
  return absl::InvalidArgumentError(
      absl::StrCat(Absl(option), " ", Absl(text), ": ", remote.status().message()));
}

absl::StatusOr<std::vector<RemoteOptions>> ParseRemotes(std::string_view option,
                                                        const std::vector<std::string>& texts) {
  std::vector<RemoteOptions> out;
  std::set<std::string> names;
  for (const std::string& text : texts) {
    KS_ASSIGN_OR_RETURN(RemoteOptions remote, ParseRemote(option, text));
    if (!names.insert(remote.name).second)
      return absl::InvalidArgumentError(absl::StrCat(Absl(option), ": two are called '", remote.name, "'"));
    out.push_back(std::move(remote));
  }
  return out;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Dial(const RemoteOptions& remote) {
  KS_ASSIGN_OR_RETURN(const PeerExpectation server, PeerExpectation::Parse(remote.server));
  const auto credentials = MakeChannelCredentials(TlsOptions{.files = remote.files}, server);
  if (!credentials.ok())
    return absl::Status(credentials.status().code(),
                        absl::StrCat(remote.name, ": ", credentials.status().message()));
  // With an identity of its own: no connection of the app's, which shows the owner's certificate.
  return DialChannel(remote.address, *credentials, {.own_connection = true});
}

absl::StatusOr<InstantiationId> InstantiationOf(const RemoteOptions& remote) {
  std::string hex = remote.instantiation;
  if (hex.starts_with('@')) {
    KS_ASSIGN_OR_RETURN(const std::string content, ReadFile(hex.substr(1), kMaxIdFileBytes));
    hex = std::string(absl::StripAsciiWhitespace(content));
  }
  return InstantiationId::FromHex(hex);
}

std::string WhyNot(const RemoteOptions& remote, const absl::Status& status) {
  if (remote.control && absl::IsNotFound(status)) return "it does not run, or has made no home yet";
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return absl::StrCat("nobody answers at ", remote.address, " as ", remote.server,
                          ": it is away, or is somebody else");
    case absl::StatusCode::kUnimplemented:
      return absl::StrCat(remote.address, " does not show what it holds: start it with --observer");
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return absl::StrCat(remote.address, " shows nothing to the certificate in ", remote.files.chain,
                          ": a backend wants an operator's, everybody else an administrator's");
    case absl::StatusCode::kNotFound:
      return absl::StrCat(remote.address, " has no such tenant for that certificate");
    default:
      return absl::StrCat(remote.address, " did not answer: ", status.message());
  }
}

}  // namespace keystead::console
