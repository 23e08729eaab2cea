#include "core/transport/authorization.h"

#include <grpcpp/impl/codegen/server_context.h>
#include <grpcpp/security/auth_metadata_processor.h>
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/observe/security_event.h"
#include "core/transport/status_mapping.h"
#include "core/transport/transport_metrics.h"

namespace keystead {
namespace {

constexpr char kLeafProperty[] = "x509_pem_cert";
constexpr char kChainProperty[] = "x509_pem_cert_chain";  // what came beside the leaf
constexpr size_t kMaxLoggedMethod = 128;

grpc::Status Answer(absl::StatusCode code) {
  CountFailedCall(code);
  return {static_cast<grpc::StatusCode>(code), std::string(PublicSentence(code))};
}

absl::StatusOr<std::shared_ptr<const Principal>> Identify(const grpc::AuthContext* context,
                                                          const PrincipalResolver& resolver) {
  if (context == nullptr) return absl::UnauthenticatedError("no secure connection");
  const std::vector<grpc::string_ref> leaf = context->FindPropertyValues(kLeafProperty);
  if (leaf.size() != 1) return absl::UnauthenticatedError("no client certificate");
  const std::vector<grpc::string_ref> chain = context->FindPropertyValues(kChainProperty);
  return resolver.Resolve(
      {leaf[0].data(), leaf[0].size()},
      chain.empty() ? std::string_view() : std::string_view(chain[0].data(), chain[0].size()));
}

class AuthProcessor final : public grpc::AuthMetadataProcessor {
 public:
  AuthProcessor(std::shared_ptr<const PrincipalResolver> resolver, AuthorizationPolicy policy)
      : resolver_(std::move(resolver)), policy_(std::move(policy)) {}

  bool IsBlocking() const override { return false; }

  // THREAD: the one that polls the connection. Must not call context->AddProperty: it accumulates and is
  // unsynchronised.
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata*,
                       OutputMetadata*) override {
    const absl::StatusOr<std::shared_ptr<const Principal>> principal = Identify(context, *resolver_);
    if (!principal.ok()) return Answer(absl::StatusCode::kUnauthenticated);  // reported by the resolver
    const auto path = metadata.find(":path");
    const std::string_view method = path == metadata.end()
                                        ? std::string_view()
                                        : std::string_view(path->second.data(), path->second.size());
    if (policy_.Allows(method, (*principal)->role())) return grpc::Status::OK;
    SecurityEvent event;
    event.kind = SecurityEventKind::kNotPermitted;
    event.tenant = (*principal)->tenant().str();
    event.peer = (*principal)->uri();
    event.detail = absl::StrCat("role may not call ", Absl(method.substr(0, kMaxLoggedMethod)));
    Report(event);
    return Answer(absl::StatusCode::kPermissionDenied);
  }

 private:
  const std::shared_ptr<const PrincipalResolver> resolver_;
  const AuthorizationPolicy policy_;
};

}  // namespace

AuthorizationPolicy::AuthorizationPolicy(std::initializer_list<Row> rows) {
  for (const Row& row : rows) rows_[std::string(row.method)] = row.roles;
}

bool AuthorizationPolicy::Allows(std::string_view method, Role role) const {
  const auto found = rows_.find(Absl(method));
  return found != rows_.end() && found->second.contains(role);
}

bool AuthorizationPolicy::HasRow(std::string_view method) const { return rows_.contains(Absl(method)); }

std::vector<std::string> AuthorizationPolicy::Methods() const {
  std::vector<std::string> out;
  for (const auto& [method, roles] : rows_) out.push_back(method);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> AuthorizationPolicy::MethodsWithoutRow(
    std::span<const google::protobuf::ServiceDescriptor* const> services) const {
  std::vector<std::string> out;
  for (const google::protobuf::ServiceDescriptor* service : services) {
    for (std::string& method : MethodsOf(*service)) {
      if (!HasRow(method)) out.push_back(std::move(method));
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> MethodsOf(const google::protobuf::ServiceDescriptor& service) {
  std::vector<std::string> out;
  out.reserve(static_cast<size_t>(service.method_count()));
  for (int i = 0; i < service.method_count(); ++i) {
    out.push_back(absl::StrCat("/", service.full_name(), "/", service.method(i)->name()));
  }
  return out;
}

absl::StatusOr<std::shared_ptr<const Principal>> PrincipalOf(const grpc::ServerContextBase& context,
                                                             const PrincipalResolver& resolver) {
  return Identify(context.auth_context().get(), resolver);
}

std::shared_ptr<grpc::AuthMetadataProcessor> MakeAuthProcessor(
    std::shared_ptr<const PrincipalResolver> resolver, AuthorizationPolicy policy) {
  return std::make_shared<AuthProcessor>(std::move(resolver), std::move(policy));
}

}  // namespace keystead
