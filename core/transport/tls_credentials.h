// Mutual TLS 1.3 on every port, with certificates that change while the program runs. PinTls13Process()
// (core/identity/tls_process.h) must have been called; this gRPC has no setter for the version.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/identity/certificate_files.h"
#include "core/identity/spiffe_id.h"
#include "core/transport/grpc_names.h"

namespace keystead {

struct TlsOptions {
  CertificateFiles files;
  // How often the files are looked at again, on a thread of each set of credentials. 0: read once, no thread;
  // for thousands of simulated devices in one process.
  unsigned int refresh_seconds = 1;
  const Clock* clock = &Clock::System();
};

// Makes credentials of a server, as many as it wants. With each comes what is called, on one of gRPC's
// threads, when a handshake with them has succeeded: the client's certificate is good and it holds the key.
// It must not block; null: nobody asks. Null is returned when gRPC refuses the options.
using ServerCredentialsFactory =
    std::function<std::shared_ptr<grpc::ServerCredentials>(std::function<void()> on_success)>;

// A server that requires a client certificate under files.roots. Changed files count for the next handshake;
// open connections go on. The status is that of ValidateCertificateFiles.
absl::StatusOr<ServerCredentialsFactory> MakeServerCredentials(const TlsOptions& options);

// A client that presents files.chain and accepts only a server under files.roots whose certificate has
// exactly one URI SAN, and that one as expected. The host name dialled is not compared with anything: the
// SPIFFE id is the server's name, so an address may change without a new certificate. Give each channel only
// the roots of its own next hop: what any of them signs is believed.
// With files.denied_servers a server that is on that list is refused, from the next handshake after the file
// changed, and so is every server while the file cannot be read.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const TlsOptions& options, const PeerExpectation& server);

}  // namespace keystead
