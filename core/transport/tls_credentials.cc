#include "core/transport/tls_credentials.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <functional>
#include <string>
#include <vector>

#include "core/base/mutants.h"
#include "core/base/status.h"
#include "core/identity/denied_servers.h"
#include "core/identity/file_access.h"
#include "core/observe/security_event.h"

namespace keystead {
namespace {

namespace tls = grpc::experimental;

// gRPC has verified the chain when this runs; here the name is compared. Thread-safe: immutable.
class SpiffeVerifier final : public tls::ExternalCertificateVerifier {
 public:
  SpiffeVerifier(PeerExpectation expected, std::string denied_servers)
      : expected_(std::move(expected)), denied_servers_(std::move(denied_servers)) {}

  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* sync_status) override {
    const std::vector<grpc::string_ref> uris = request->uri_names();
    const std::string uri = uris.size() == 1 ? std::string(uris[0].data(), uris[0].size()) : std::string();
    const absl::StatusOr<SpiffeId> id = SpiffeId::Parse(uri);
    const std::string peer = id.ok() ? id->str() : std::string();
    const bool expected = id.ok() && (expected_.Matches(*id) || MutantActive(Mutant::kServerNameIgnored));
    if (!expected) {
      Refuse(peer, "server is not " + expected_.str(), "server has not the expected SPIFFE id", sync_status);
      return true;
    }
    *sync_status = grpc::Status::OK;
    if (denied_servers_.empty()) return true;
    const auto text = [](const grpc::string_ref& ref) { return std::string_view(ref.data(), ref.size()); };
    const absl::Status stands = CheckServerIsNotDenied(denied_servers_, *id, text(request->peer_cert()),
                                                       text(request->peer_cert_full_chain()));
    if (!stands.ok())
      Refuse(peer, std::string(stands.message()), "the server's certificate counts no longer", sync_status);
    return true;
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}  // Verify never defers

 private:
  static void Refuse(const std::string& peer, const std::string& why, const char* said,
                     grpc::Status* sync_status) {
    SecurityEvent event;
    event.kind = SecurityEventKind::kPeerRefused;
    event.peer = peer;
    event.detail = why;
    Report(event);
    *sync_status = grpc::Status(grpc::StatusCode::UNAUTHENTICATED, said);
  }

  const PeerExpectation expected_;
  const std::string denied_servers_;
};

// Accepts everybody whom gRPC has verified, and tells of it.
class SuccessTold final : public tls::ExternalCertificateVerifier {
 public:
  explicit SuccessTold(std::function<void()> tell) : tell_(std::move(tell)) {}
  bool Verify(tls::TlsCustomVerificationCheckRequest*, std::function<void(grpc::Status)>,
              grpc::Status* sync_status) override {
    *sync_status = grpc::Status::OK;
    tell_();
    return true;
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}  // Verify never defers

 private:
  const std::function<void()> tell_;
};

absl::StatusOr<std::shared_ptr<tls::CertificateProviderInterface>> Watch(const TlsOptions& options) {
  KS_RETURN_IF_ERROR(ValidateCertificateFiles(options.files, options.clock->Now()).status());
  if (options.refresh_seconds == 0) {
    KS_ASSIGN_OR_RETURN(std::string roots, ReadTextFile(options.files.roots));
    tls::IdentityKeyCertPair pair;
    KS_ASSIGN_OR_RETURN(pair.private_key, ReadTextFile(options.files.key));
    KS_ASSIGN_OR_RETURN(pair.certificate_chain, ReadTextFile(options.files.chain));
    return std::make_shared<tls::StaticDataCertificateProvider>(
        roots, std::vector<tls::IdentityKeyCertPair>{std::move(pair)});
  }
  return std::make_shared<tls::FileWatcherCertificateProvider>(options.files.key, options.files.chain,
                                                               options.files.roots, options.refresh_seconds);
}

}  // namespace

absl::StatusOr<ServerCredentialsFactory> MakeServerCredentials(const TlsOptions& options) {
  KS_ASSIGN_OR_RETURN(const std::shared_ptr<tls::CertificateProviderInterface> provider, Watch(options));
  return [provider](std::function<void()> on_success) {
    tls::TlsServerCredentialsOptions server(provider);
    server.watch_root_certs();
    server.watch_identity_key_cert_pairs();
    server.set_cert_request_type(MutantActive(Mutant::kServerOnlyTls)
                                     ? GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY
                                     : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    if (on_success != nullptr) {
      server.set_certificate_verifier(
          tls::ExternalCertificateVerifier::Create<SuccessTold>(std::move(on_success)));
    }
    return tls::TlsServerCredentials(server);
  };
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const TlsOptions& options, const PeerExpectation& server) {
  if (const std::string& denied = options.files.denied_servers; !denied.empty())
    KS_RETURN_IF_ERROR(CheckDeniedServersFile(denied));
  KS_ASSIGN_OR_RETURN(const std::shared_ptr<tls::CertificateProviderInterface> provider, Watch(options));
  tls::TlsChannelCredentialsOptions client;
  client.set_certificate_provider(provider);
  client.watch_root_certs();
  client.watch_identity_key_cert_pairs();
  client.set_verify_server_certs(true);
  client.set_check_call_host(false);  // the SPIFFE id is the name, not the host
  client.set_certificate_verifier(
      tls::ExternalCertificateVerifier::Create<SpiffeVerifier>(server, options.files.denied_servers));
  std::shared_ptr<grpc::ChannelCredentials> credentials = tls::TlsCredentials(client);
  if (credentials == nullptr) return absl::InternalError("gRPC refused the TLS client options");
  return credentials;
}

}  // namespace keystead
