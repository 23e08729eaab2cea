#include "mobile-stub/engine.h"

#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"

namespace keystead::mobile {

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(const EngineOptions& options) {
  if (options.state_folder.empty())
    return absl::InvalidArgumentError("--state is missing: the folder of this app");
  std::shared_ptr<grpc::Channel> channel;
  SpiffeId transport;
  if (!options.next_hop.empty()) {
    if (options.next_hop_id.empty() || options.tls.chain.empty() || options.tls.key.empty() ||
        options.tls.roots.empty()) {
      return absl::InvalidArgumentError(
          "--next-hop needs --next-hop-id, --tls-chain, --tls-key and --tls-roots beside it");
    }
    KS_ASSIGN_OR_RETURN(const PeerExpectation server, PeerExpectation::Parse(options.next_hop_id));
    KS_ASSIGN_OR_RETURN(const CertificateInfo own, ValidateCertificateFiles(options.tls, absl::Now()));
    KS_ASSIGN_OR_RETURN(const auto credentials, MakeChannelCredentials({.files = options.tls}, server));
    transport = own.id;
    channel = DialChannel(options.next_hop, credentials);
  }
  KS_ASSIGN_OR_RETURN(AppState state, AppState::Open(options.state_folder));
  if (channel != nullptr && state.HasHome()) {
    KS_ASSIGN_OR_RETURN(const std::string known, state.Transport());
    if (known != transport.str()) {
      return absl::FailedPreconditionError(absl::StrCat("state folder ", options.state_folder, " belongs to ",
                                                        known, ", but the certificate is of ",
                                                        transport.str()));
    }
  }
  return std::unique_ptr<Engine>(new Engine(std::move(state), std::move(channel), std::move(transport)));
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Over(const std::string& state_folder,
                                                     std::shared_ptr<grpc::Channel> channel,
                                                     const SpiffeId& transport) {
  KS_ASSIGN_OR_RETURN(AppState state, AppState::Open(state_folder));
  return std::unique_ptr<Engine>(new Engine(std::move(state), std::move(channel), transport));
}

absl::Status Engine::RequireHop() const {
  return has_hop() ? absl::OkStatus()
                   : absl::InvalidArgumentError("--next-hop is missing: HOST:PORT to talk to");
}

}  // namespace keystead::mobile
