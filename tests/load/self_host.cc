#include "tests/load/self_host.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "tests/load/pki.h"

namespace keystead::load {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

absl::StatusOr<std::string> MakeFolder(const std::string& below) {
  std::error_code error;
  const std::filesystem::path parent =
      below.empty() ? std::filesystem::temp_directory_path(error) : std::filesystem::path(below);
  std::string out = (parent / "keystead-load.XXXXXX").string();
  if (mkdtemp(out.data()) == nullptr)
    return absl::UnavailableError(absl::StrCat(parent.string(), ": ", std::strerror(errno)));
  return out;
}

// The second address of this machine that leads nowhere else, where there is one.
bool HasLoopbackV6() {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return bound;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SelfHost>> SelfHost::Start(const SelfHostOptions& options, Plan& plan) {
  std::unique_ptr<SelfHost> out(new SelfHost());
  KS_ASSIGN_OR_RETURN(out->folder_, MakeFolder(options.folder));
  const std::string pki = out->folder_ + "/pki";
  KS_RETURN_IF_ERROR(MakePki(pki, plan.tenants, plan.devices));
  const std::string ports = out->folder_ + "/ports.json";
  const bool both = HasLoopbackV6();
  std::vector<std::string> command = {options.backend,
                                      "--listen",
                                      both ? "127.0.0.1,[::1]:0" : "127.0.0.1:0",
                                      "--trusted-balancers",
                                      "127.0.0.1",
                                      "--data",
                                      out->data_folder(),
                                      "--tls-chain",
                                      pki + "/provider/backend/chain.pem",
                                      "--tls-key",
                                      pki + "/provider/backend/key.pem",
                                      "--tls-roots",
                                      pki + "/admission/ca.pem",
                                      "--tenants",
                                      pki + "/tenants",
                                      "--provider",
                                      absl::StrCat(Absl(kProviderName), "=", pki, "/provider/ca.pem"),
                                      "--ports-file",
                                      ports,
                                      "--log-level",
                                      "error"};
  command.insert(command.end(), options.more_options.begin(), options.more_options.end());
  KS_ASSIGN_OR_RETURN(
      ServerProcess server,
      ServerProcess::Start(command, ports, out->folder_ + "/backend.log", options.core, kPatience));
  out->server_ = std::make_unique<ServerProcess>(std::move(server));
  plan.address = absl::StrCat("127.0.0.1:", out->server_->port());
  plan.neighbour_address = both ? absl::StrCat("[::1]:", out->server_->port()) : "";
  plan.target_id = absl::StrCat("spiffe://", Absl(kProviderName), "/service/backend");
  plan.roots = pki + "/provider/ca.pem";
  plan.credentials = pki;
  return out;
}

SelfHost::~SelfHost() {
  server_.reset();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

}  // namespace keystead::load
