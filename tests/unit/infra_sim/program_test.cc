// The program as its users start it: ports file, control client, authorization, errors at start-up, SIGTERM.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::infra {
namespace {

using testing::kAcme;
using testing::RunAny;
using testing::TestPki;

constexpr char kProgram[] = KEYSTEAD_INFRA_SIM;

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() : folder_(pki_.NewFolder()) {}
  ~ProgramTest() override {
    if (pid_ > 0) Stop();
  }
  std::string Control() const {
    const CertificateFiles files = pki_.Backend();
    return absl::StrCat(" --tenants ", pki_.folder(),
                        "/tenants --control-listen 127.0.0.1:0 --control-tls-chain ", files.chain,
                        " --control-tls-key ", files.key, " --control-tls-roots ", files.roots);
  }
  // Starts it in the background and waits for its ports file.
  void Start(const std::string& arguments) {
    const std::string ports = folder_ + "/ports.json";
    const std::string command = absl::StrCat("exec ", kProgram, " --ports-file ", ports, arguments,
                                             " --quiet >", folder_, "/out 2>&1");
    pid_ = fork();
    if (pid_ == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (!std::filesystem::exists(ports)) {
      ASSERT_LT(absl::Now(), deadline) << testing::ReadAll(folder_ + "/out");
      absl::SleepFor(absl::Milliseconds(10));
    }
    ports_ = nlohmann::json::parse(testing::ReadAll(ports));
    EXPECT_EQ(ports_["pid"], pid_);
  }
  void Stop() {
    kill(pid_, SIGTERM);
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  std::string Ctl(Role role, const std::string& verb, int* exit_code) const {
    const CertificateFiles files = pki_.Leaf(kAcme, role, "root");
    return RunAny(
        absl::StrCat(kProgram, " --quiet ctl --control 127.0.0.1:", ports_["ports"]["control"].get<int>(),
                     " --server spiffe://provider-one.example/service/backend --tls-chain ", files.chain,
                     " --tls-key ", files.key, " --tls-roots ", files.roots, " ", verb),
        exit_code);
  }
  std::string Fails(const std::string& arguments) const {
    int exit_code = 0;
    std::string out = RunAny(absl::StrCat("timeout 10 ", kProgram, " --quiet ", arguments), &exit_code);
    EXPECT_NE(exit_code, 0);
    EXPECT_NE(exit_code, 124) << "it kept running";
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1) << out;
    return out;
  }

  TestPki& pki_ = TestPki::Shared();
  const std::string folder_;
  nlohmann::json ports_;
  pid_t pid_ = 0;
};

TEST_F(ProgramTest, ServesAndIsDrivenByItsControlClient) {
  Start(" --tcp name=wire,listen=127.0.0.1:0,upstream=127.0.0.1:9" + Control());
  EXPECT_GT(ports_["ports"]["wire"].get<int>(), 0);
  int exit_code = 0;
  const std::string armed = Ctl(Role::kAdmin,
                                "--json arm --kind modify --target cose_tag --topic-prefix telemetry/ "
                                "--direction up --count 3 --seed 7",
                                &exit_code);
  EXPECT_EQ(exit_code, 0) << armed;
  EXPECT_EQ(nlohmann::json::parse(armed)["attack"], "1");
  const std::string injections = Ctl(Role::kAdmin, "injections --json", &exit_code);
  EXPECT_EQ(exit_code, 0) << injections;
  EXPECT_TRUE(nlohmann::json::parse(injections)["injections"].empty());
  EXPECT_EQ(nlohmann::json::parse(Ctl(Role::kAdmin, "seen --json", &exit_code))["records"], "0");
  Ctl(Role::kAdmin, "disarm", &exit_code);
  EXPECT_EQ(exit_code, 0);
  EXPECT_NE(Ctl(Role::kAdmin, "arm --kind bribe", &exit_code).find("splice"), std::string::npos);
  EXPECT_EQ(exit_code, 1);
  Stop();
}

TEST_F(ProgramTest, OnlyAdminsDriveIt) {
  Start(" --tcp name=wire,listen=127.0.0.1:0,upstream=127.0.0.1:9" + Control());
  for (const Role role : {Role::kDevice, Role::kGateway, Role::kApp, Role::kThirdParty, Role::kService}) {
    int exit_code = 0;
    Ctl(role, "arm --kind drop", &exit_code);
    EXPECT_EQ(exit_code, 1) << RoleName(role);
  }
}

TEST_F(ProgramTest, ReadsItsConfigurationFileAndEnvironment) {
  testing::WriteAll(folder_ + "/infra.toml",
                    "tcp = [\"name=one,listen=127.0.0.1:0,upstream=127.0.0.1:9\", "
                    "\"name=two,listen=127.0.0.1:0,upstream=127.0.0.1:9\"]\n");
  Start(" --config " + folder_ + "/infra.toml");
  EXPECT_TRUE(ports_["ports"].contains("one"));
  EXPECT_TRUE(ports_["ports"].contains("two"));
  Stop();
  std::filesystem::remove(folder_ + "/ports.json");
  setenv("KEYSTEAD_INFRA_TCP", "name=three,listen=127.0.0.1:0,upstream=127.0.0.1:9", 1);
  Start("");
  unsetenv("KEYSTEAD_INFRA_TCP");
  EXPECT_TRUE(ports_["ports"].contains("three"));
}

TEST_F(ProgramTest, StartUpErrorsAreOneLineEach) {
  EXPECT_NE(Fails("").find("nothing to listen on"), std::string::npos);
  EXPECT_NE(Fails("--tcp name=a,listen=127.0.0.1:0,upstream=b:1,x=y").find("unknown key"), std::string::npos);
  const CertificateFiles files = pki_.Backend();
  const auto balancer = [&](const std::string& chain, const std::string& key) {
    return absl::StrCat("--tenants ", pki_.folder(),
                        "/tenants --balancer name=front,listen=127.0.0.1:0,chain=", chain, ",key=", key,
                        ",roots=", files.roots, " --upstream balancer=front,tenant=", kAcme,
                        ",address=127.0.0.1:9,chain=", files.chain, ",key=", files.key,
                        ",roots=", files.roots, ",server=spiffe://provider-one.example/service/backend");
  };
  EXPECT_NE(Fails(balancer("/nowhere/chain.pem", files.key)).find("/nowhere/chain.pem"), std::string::npos);
  const CertificateFiles other = pki_.Leaf(kAcme, Role::kDevice, "other");
  EXPECT_NE(Fails(balancer(files.chain, other.key)).find("balancer front"), std::string::npos);
  LeafRequest expired = pki_.Request("spiffe://acme.keystead.example/gateway/old");
  expired.not_before = absl::Now() - absl::Hours(48);
  expired.not_after = absl::Now() - absl::Hours(24);
  const CertificateFiles old =
      pki_.Store(*pki_.Issuer(pki_.tenant_folder(kAcme)).Issue(expired), files.roots);
  EXPECT_NE(Fails(balancer(old.chain, old.key)).find("expired"), std::string::npos);
  Start(" --tcp name=wire,listen=127.0.0.1:0,upstream=127.0.0.1:9");
  const std::string taken = absl::StrCat("127.0.0.1:", ports_["ports"]["wire"].get<int>());
  EXPECT_NE(Fails("--tcp name=again,listen=" + taken + ",upstream=127.0.0.1:9").find(taken),
            std::string::npos);
}

}  // namespace
}  // namespace keystead::infra
