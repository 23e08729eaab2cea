// keystead-health-probe: asks one server over grpc.health.v1 whether it serves. Understands the options of
// grpc_health_probe, also with one dash, so that what calls that can call this.
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/program/program.h"
#include "core/transport/authorization.h"
#include "core/transport/channel_options.h"
#include "core/transport/status_mapping.h"
#include "core/transport/tls_credentials.h"

namespace keystead {
namespace {

// As grpc_health_probe ends; 1 is what the program could not do at all.
constexpr int kNoConnection = 2;
constexpr int kCallFailed = 3;
constexpr int kNotServing = 4;

constexpr std::string_view kServing = "\x08\x01";  // HealthCheckResponse{status: SERVING}
constexpr absl::Duration kLongest = absl::Minutes(10);
constexpr size_t kMaxServiceName = 127;  // its length is then one byte

struct Options {
  std::string address;
  std::string service;
  bool tls = false;
  CertificateFiles files;
  std::string server;
  std::string connect_timeout = "2s";
  std::string call_timeout = "2s";
};

// HealthCheckRequest{service}; field 1, a string.
grpc::ByteBuffer Request(const std::string& service) {
  std::string bytes;
  if (!service.empty())
    bytes = absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

absl::StatusOr<absl::Time> After(const std::string& option, const std::string& timeout) {
  absl::Duration duration;
  if (!absl::ParseDuration(timeout, &duration) || duration <= absl::ZeroDuration() || duration > kLongest)
    return absl::InvalidArgumentError(
        absl::StrCat(option, " is a time of at most ten minutes, such as 500ms or 2s"));
  return absl::Now() + duration;
}

grpc::Status Check(const std::shared_ptr<grpc::Channel>& channel, const std::string& service,
                   absl::Time deadline, std::string* answer) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(deadline));
  const grpc::ByteBuffer request = Request(service);
  grpc::ByteBuffer response;
  grpc::Status status;
  absl::Notification done;
  stub.UnaryCall(&context, std::string(kHealthCheckMethod), grpc::StubOptions(), &request, &response,
                 [&](grpc::Status result) {
                   status = std::move(result);
                   done.Notify();
                 });
  done.WaitForNotification();
  std::vector<grpc::Slice> slices;
  if (status.ok() && response.Dump(&slices).ok()) {
    for (const grpc::Slice& slice : slices)
      answer->append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return status;
}

// Says in one line what came of it; the exit code.
int Said(int code, const std::string& line) {
  std::fputs(absl::StrCat(line, "\n").c_str(), code == 0 ? stdout : stderr);
  return code;
}

absl::StatusOr<int> Probe(const Options& options) {
  if (!options.tls)
    return absl::InvalidArgumentError(
        "every server of ours asks for a certificate: give --tls and the --tls-… files");
  if (options.service.size() > kMaxServiceName)
    return absl::InvalidArgumentError(absl::StrCat("--service is longer than ", kMaxServiceName, " bytes"));
  KS_ASSIGN_OR_RETURN(const PeerExpectation server, PeerExpectation::Parse(options.server));
  KS_ASSIGN_OR_RETURN(const auto credentials,
                      MakeChannelCredentials({.files = options.files, .refresh_seconds = 0}, server));
  const auto channel = DialChannel(options.address, credentials);
  KS_ASSIGN_OR_RETURN(const absl::Time connected_by, After("--connect-timeout", options.connect_timeout));
  if (!channel->WaitForConnected(absl::ToChronoTime(connected_by)))
    return Said(kNoConnection, absl::StrCat("no connection to ", options.address, " as ", server.str()));
  KS_ASSIGN_OR_RETURN(const absl::Time answered_by, After("--rpc-timeout", options.call_timeout));
  std::string answer;
  const grpc::Status status = Check(channel, options.service, answered_by, &answer);
  if (!status.ok()) {
    return Said(kCallFailed, absl::StrCat(options.address, " did not answer: ", FromGrpc(status).ToString()));
  }
  if (answer != kServing) return Said(kNotServing, absl::StrCat(options.address, " does not serve"));
  return Said(0, absl::StrCat(options.address, " serves"));
}

void AddOptions(CLI::App& app, Options& options) {
  app.add_option("--addr", options.address, "host:port of the server")->required();
  app.add_option("--service", options.service, "One service of it; all when left out");
  app.add_flag("--tls", options.tls, "Needed: there is no server without");
  app.add_option("--tls-ca-cert", options.files.roots,
                 "Authorities that the server is verified against (PEM)");
  app.add_option("--tls-client-cert", options.files.chain, "Own certificate chain (PEM)");
  app.add_option("--tls-client-key", options.files.key, "Own private key (PEM, mode 0600)");
  app.add_option("--tls-server-name", options.server,
                 "Whom to meet there: spiffe://<domain>/<role>/<id or *>, not a host name");
  app.add_option("--connect-timeout", options.connect_timeout, "Until there must be a connection")
      ->capture_default_str();
  app.add_option("--rpc-timeout", options.call_timeout, "For the answer")->capture_default_str();
}

// -addr=… and -addr … are written so by those who call grpc_health_probe.
std::vector<std::string> WithTwoDashes(int argc, char** argv) {
  std::vector<std::string> words(argv, argv + argc);
  for (std::string& word : words) {
    if (word.size() > 2 && word[0] == '-' && word[1] != '-') word.insert(0, 1, '-');
  }
  return words;
}

}  // namespace
}  // namespace keystead

int main(int argc, char** argv) {
  keystead::Program program(
      "keystead-health-probe",
      "Asks a server over grpc.health.v1 whether it serves. Exit codes: 0 it does, 1 options "
      "or files are wrong, 2 no connection, 3 no answer, 4 it does not serve.",
      "KEYSTEAD_HEALTH_PROBE");
  keystead::Options options;
  keystead::AddOptions(program.app(), options);
  std::vector<std::string> words = keystead::WithTwoDashes(argc, argv);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  return program.Run(argc, arguments.data(), [&]() -> absl::Status {
    KS_ASSIGN_OR_RETURN(const int code, keystead::Probe(options));
    program.SucceedWith(code);
    return absl::OkStatus();
  });
}
