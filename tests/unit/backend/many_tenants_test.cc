// Two thousand tenants at once: each admitted by the cross-certificate over its own CA, and a peer of each
// connected at the same time. A thousand CAs in one bundle would refuse every handshake; the admission CA is
// why this works (certs/README.md).
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "core/identity/authority.h"
#include "core/identity/tls_process.h"
#include "core/transport/channel_options.h"
#include "core/transport/tls_credentials.h"
#include "keystead/v1/rendezvous.grpc.pb.h"
#include "tests/unit/identity/test_pki.h"

extern char** environ;

namespace keystead::testing {
namespace {

[[maybe_unused]] const bool kPinned = [] {
  if (!PinTls13Process().ok()) std::abort();
  return true;
}();

size_t TenantCount() {
  const char* const asked = std::getenv("KEYSTEAD_MANY_TENANTS");
  return asked == nullptr ? 2000 : std::strtoul(asked, nullptr, 10);
}

// A backend of its own process, gone with the object.
class BackendProcess {
 public:
  explicit BackendProcess(const std::vector<std::string>& arguments) {
    std::vector<char*> argv;
    for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    if (posix_spawn(&pid_, argv[0], nullptr, nullptr, argv.data(), environ) != 0) std::abort();
  }
  ~BackendProcess() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  BackendProcess(const BackendProcess&) = delete;
  BackendProcess& operator=(const BackendProcess&) = delete;
  pid_t pid() const { return pid_; }
  bool ended() const { return waitpid(pid_, nullptr, WNOHANG) != 0; }

 private:
  pid_t pid_ = 0;
};

size_t StatusKb(pid_t pid, const std::string& field) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return std::strtoul(line.c_str() + field.size() + 1, nullptr, 10);
  }
  return 0;
}

// Established TCP connections that the process holds on its port, by the inode of their sockets.
std::set<std::string> LookAtConnections(pid_t pid, int port) {
  std::set<std::string> held;
  for (const auto& entry : std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/fd"))) {
    std::error_code error;
    held.insert(std::filesystem::read_symlink(entry.path(), error).string());
  }
  std::set<std::string> out;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream lines(table);
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      std::istringstream fields(line);
      std::vector<std::string> words{std::istream_iterator<std::string>(fields), {}};
      const size_t colon = words[1].rfind(':');
      if (words[3] == "01" && std::stoi(words[1].substr(colon + 1), nullptr, 16) == port &&
          held.contains(absl::StrCat("socket:[", words[9], "]")))
        out.insert(words[9]);
    }
  }
  return out;
}

// The kernel's table is no snapshot: while connections of whomever come and go, it names some of the others
// twice and leaves some out. So it counts what two looks in a row agree on.
size_t ConnectionsOf(pid_t pid, int port) {
  std::set<std::string> before = LookAtConnections(pid, port);
  while (true) {
    std::set<std::string> now = LookAtConnections(pid, port);
    if (now == before) return now.size();
    before = std::move(now);
  }
}

struct Member {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Rendezvous::Stub> stub;
  std::unique_ptr<grpc::ClientContext> context;
  v1::PutRequest request;
  v1::PutResponse response;
  grpc::Status status;
};

class ManyTenantsTest : public ::testing::Test {
 protected:
  ManyTenantsTest() {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }

  // The registered CA of the tenant into the folder, and a leaf of it for its peer.
  void Admit(const Authority& admission, const TenantName& tenant) {
    const absl::Time not_after = absl::Now() + absl::Hours(24);
    const Authority own = *MakeTenantAuthority(tenant, not_after);
    const std::string cross = *CrossSign(admission, own.ca_pem, tenant, not_after);
    const std::string folder = absl::StrCat(tenants_, "/", tenant.str());
    std::filesystem::create_directory(folder);
    WriteAll(folder + "/ca.pem", own.ca_pem);
    const auto issuer = CertificateIssuer::Create(own.ca_pem, own.key_pem, cross);
    const auto leaf = issuer->Issue(pki_.Request(SpiffeId::Of(tenant, Role::kDevice, "d")->str()));
    files_.push_back(pki_.Store(*leaf, pki_.provider_roots()));
  }
  int Start() {
    const CertificateFiles tls = pki_.Backend();
    const char* const folder = std::getenv("KEYSTEAD_BINARY_DIR");
    const std::string ports = data_ + ".ports";
    backend_ = std::make_unique<BackendProcess>(std::vector<std::string>{
        absl::StrCat(folder == nullptr ? "." : folder, "/bin/keystead-backend"), "--quiet", "--listen",
        "127.0.0.1:0", "--data", data_, "--tls-chain", tls.chain, "--tls-key", tls.key, "--tls-roots",
        tls.roots, "--tenants", tenants_, "--trusted-balancers", "127.0.0.1", "--ports-file", ports});
    while (!std::filesystem::exists(ports) && !backend_->ended()) usleep(10'000);
    const std::string text = ReadAll(ports);
    return std::stoi(
        text.substr(text.find("\"grpc\":") + 7 + (text.find("\"grpc\": ") != std::string::npos)));
  }
  // One authenticated call of each at the same time; how many were answered.
  size_t CallAll(std::vector<Member>& members) {
    absl::Mutex mutex;
    size_t left = members.size();
    for (Member& member : members) {
      member.context = std::make_unique<grpc::ClientContext>();
      member.context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Minutes(5)));
      member.context->set_wait_for_ready(true);
      member.request.set_box(std::string(16, 'b'));
      member.request.set_message("m");
      member.stub->async()->Put(member.context.get(), &member.request, &member.response,
                                [&mutex, &left, &member](const grpc::Status& status) {
                                  absl::MutexLock lock(&mutex);
                                  member.status = status;
                                  --left;
                                });
    }
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(
        +[](size_t* count) { return *count == 0; }, &left));
    return static_cast<size_t>(
        std::count_if(members.begin(), members.end(), [](const Member& m) { return m.status.ok(); }));
  }

  TestPki& pki_ = TestPki::Shared();
  const std::string tenants_ = pki_.NewFolder();
  const std::string data_ = pki_.NewFolder() + "/data";
  std::vector<CertificateFiles> files_;
  std::unique_ptr<BackendProcess> backend_;
};

TEST_F(ManyTenantsTest, OnePeerOfEachConnectsAtTheSameTimeAndStays) {
  const size_t count = TenantCount();
  const Authority admission{Secret(ReadAll(pki_.folder() + "/admission/ca.key")),
                            ReadAll(pki_.admission_roots())};
  for (size_t i = 0; i < count; ++i) Admit(admission, Tenant(absl::StrCat("t", i, ".keystead.example")));
  const int port = Start();
  const size_t idle_kb = StatusKb(backend_->pid(), "VmRSS:");
  const auto server = *PeerExpectation::Parse("spiffe://provider-one.example/service/backend");
  std::vector<Member> members(count);
  for (size_t i = 0; i < count; ++i) {
    const auto credentials = MakeChannelCredentials({.files = files_[i], .refresh_seconds = 0}, server);
    ASSERT_TRUE(credentials.ok()) << credentials.status();
    members[i].channel =
        DialChannel(absl::StrCat("127.0.0.1:", port), *credentials, {.own_connection = true});
    members[i].stub = v1::Rendezvous::NewStub(members[i].channel);
  }
  const absl::Time begun = absl::Now();
  const size_t answered = CallAll(members);
  const absl::Duration took = absl::Now() - begun;
  for (const Member& member : members) {
    if (!member.status.ok()) {
      ADD_FAILURE() << member.status.error_message();
      break;
    }
  }
  EXPECT_EQ(answered, count);
  EXPECT_EQ(ConnectionsOf(backend_->pid(), port), count) << "each has a connection of its own";
  for (const Member& member : members)
    ASSERT_EQ(member.channel->GetState(false), GRPC_CHANNEL_READY) << "and keeps it";
  EXPECT_EQ(CallAll(members), count);
  EXPECT_EQ(ConnectionsOf(backend_->pid(), port), count);
  const size_t kb = StatusKb(backend_->pid(), "VmRSS:");
  std::printf(
      "%zu tenants, a peer of each connected and answered in %.2f s; backend %zu MiB idle, %zu MiB then, "
      "%.1f KiB a connection\n",
      count, absl::ToDoubleSeconds(took), idle_kb >> 10, kb >> 10,
      static_cast<double>(kb - idle_kb) / static_cast<double>(count));
}

}  // namespace
}  // namespace keystead::testing
