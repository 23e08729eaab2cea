#include "gateway/upstream.h"

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"

namespace keystead::gateway {
namespace {
constexpr absl::Duration kAskStop = absl::Milliseconds(200);
}

Upstream::~Upstream() { Stop(); }

absl::StatusOr<std::unique_ptr<Upstream>> Upstream::Open(const GatewayOptions& options) {
  std::unique_ptr<Upstream> out(new Upstream(options));
  absl::StatusOr<PeerExpectation> server = PeerExpectation::Parse(options.upstream_id);
  if (!server.ok())
    return absl::InvalidArgumentError(absl::StrCat("--upstream-id: ", server.status().message()));
  out->server_ = *std::move(server);
  if (options.factory.chain.empty() != options.factory.key.empty())
    return absl::InvalidArgumentError("--factory-chain and --factory-key go together");
  if (!options.factory.chain.empty()) KS_RETURN_IF_ERROR(out->Enroll());
  KS_ASSIGN_OR_RETURN(const CertificateInfo info, ValidateCertificateFiles(options.files, absl::Now()));
  out->self_ = info.id;
  if (info.id.role() != Role::kGateway)
    return absl::InvalidArgumentError(absl::StrCat(options.files.chain, " is for ", info.id.str(),
                                                   ", not for a gateway: give one of role gateway"));
  KS_ASSIGN_OR_RETURN(out->credentials_, MakeChannelCredentials({.files = out->files()}, out->server_));
  return out;
}

absl::Status Upstream::Enroll() {
  EnrollingIdentity identity;
  identity.factory = options_.factory;
  identity.operational = files();
  identity.on_certificate = [this](const CertificateInfo& info) {
    for (const HopChannel& channel : channels_) {
      const absl::Status status = DialWithNewCertificate(channel, options_.upstream, files(), server_);
      if (!status.ok())
        Log(LogLevel::kError, "certificate_unusable",
            {{"peer", info.id.str()}, {"reason", Std(status.message())}});
    }
  };
  Enroller::Options options;
  options.next_hop = options_.upstream;
  options.server = server_;
  KS_ASSIGN_OR_RETURN(enroller_, Enroller::Create(options, {identity}));
  if (enroller_->enrollees().front().role() != Role::kGateway)
    return absl::InvalidArgumentError(absl::StrCat(
        options_.factory.chain, " is for ", enroller_->enrollees().front().str(), ", not for a gateway"));
  const auto stop = [this] { return options_.stop && options_.stop(); };
  while (!enroller_->AwaitAll(kAskStop, stop)) {
    if (stop()) return absl::CancelledError("ended before there was a certificate");
  }
  return absl::OkStatus();
}

HopChannel Upstream::Dial() {
  return channels_.emplace_back(DialChannel(options_.upstream, credentials_, {.own_connection = true}));
}

void Upstream::Start() {
  if (enroller_ != nullptr) enroller_->Start();
}

void Upstream::Stop() {
  if (enroller_ != nullptr) enroller_->Stop();
}

void Upstream::OnEnded(const absl::Status& status) {
  // Once is what happens when a certificate lapses on a connection that is older than the next one.
  refused_ = absl::IsUnauthenticated(status) ? refused_ + 1 : 0;
  if (refused_ > 1 && enroller_ != nullptr) enroller_->Suspect(0);
}

}  // namespace keystead::gateway
