// keystead-revoke: brings a tenant's signed revocations (certs/issue --revoke) to its provider.
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/identity/revocations.h"
#include "core/program/files.h"
#include "core/program/program.h"
#include "core/transport/channel_options.h"
#include "core/transport/status_mapping.h"
#include "core/transport/tls_credentials.h"
#include "keystead/v1/revocation.grpc.pb.h"

namespace keystead {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(20);

struct Options {
  std::string file;
  std::string next_hop;
  std::string next_hop_id;
  CertificateFiles files;
};

absl::Status Run(const Options& options) {
  KS_ASSIGN_OR_RETURN(const std::string object, ReadFile(options.file, kMaxRevocationBytes));
  const absl::StatusOr<Revocations> read = ReadRevocations(AsBytes(object));
  if (!read.ok())
    return absl::InvalidArgumentError(absl::StrCat(options.file, ": ", read.status().message()));
  KS_ASSIGN_OR_RETURN(const PeerExpectation hop, PeerExpectation::Parse(options.next_hop_id));
  KS_ASSIGN_OR_RETURN(const auto credentials,
                      MakeChannelCredentials({.files = options.files, .refresh_seconds = 0}, hop));
  const auto stub = v1::Revocation::NewStub(DialChannel(options.next_hop, credentials));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kLimit));
  v1::PutRevocationsRequest request;
  request.set_object(object);
  v1::PutRevocationsResponse response;
  KS_RETURN_IF_ERROR(FromGrpc(stub->Put(&context, request, &response)));
  std::puts(absl::StrCat(read->tenant.str(), ": revocations number ", response.number(), " count").c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace keystead

int main(int argc, char** argv) {
  keystead::Program program(
      "keystead-revoke",
      "Brings revocations that a tenant has signed to its provider, where they count at once.",
      "KEYSTEAD_REVOKE");
  keystead::Options options;
  program.app()
      .add_option("--file", options.file, "revocations.cbor, as certs/issue --revoke wrote it")
      ->required();
  program.app()
      .add_option("--next-hop", options.next_hop, "host:port of the backend or a gateway")
      ->required();
  program.app()
      .add_option("--next-hop-id", options.next_hop_id,
                  "Whom to meet there: spiffe://<domain>/<role>/<id or *>")
      ->required();
  keystead::AddCertificateOptions(program.app(), options.files);
  return program.Run(argc, argv, [&] { return keystead::Run(options); });
}
