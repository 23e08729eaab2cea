// A process of somebody else's that the console looks at or drives: where it is, who must answer there, and
// which certificate is shown to it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/identity/certificate_files.h"
#include "core/transport/grpc_names.h"

namespace keystead::console {

struct RemoteOptions {
  std::string name;     // for people
  std::string address;  // host:port
  std::string server;   // SPIFFE id expected there; its last element may be *
  CertificateFiles files;
  bool control = false;  // one of the unprotected control, which is another home
  // Whose records are looked at there; empty: this home's. Of a control they must be said.
  std::string tenant;
  std::string instantiation;  // in hex, or @FILE that holds it
};

// "name=…,address=…,server=…,chain=…,key=…,roots=…[,tenant=…,instantiation=…][,control]". INVALID_ARGUMENT
// naming the option and what is wrong.
absl::StatusOr<RemoteOptions> ParseRemote(std::string_view option, std::string_view text);
// Each, and that no two have one name.
absl::StatusOr<std::vector<RemoteOptions>> ParseRemotes(std::string_view option,
                                                        const std::vector<std::string>& texts);

// What is wrong with the certificate, in one line. Nothing is sent yet.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Dial(const RemoteOptions& remote);

// Of the control, as it is now: its file may come later than this process. NOT_FOUND, INVALID_ARGUMENT.
absl::StatusOr<InstantiationId> InstantiationOf(const RemoteOptions& remote);

// What an error of a remote means, for people: one sentence.
std::string WhyNot(const RemoteOptions& remote, const absl::Status& status);

}  // namespace keystead::console
