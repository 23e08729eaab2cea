// keystead-backend as a process: start-up errors are one line, SIGTERM is an orderly end.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::HasSubstr;

std::string Program() {
  const char* const folder = std::getenv("KEYSTEAD_BINARY_DIR");
  return absl::StrCat(folder == nullptr ? "." : folder, "/bin/keystead-backend");
}

class BackendProgramTest : public BackendTest {
 protected:
  BackendProgramTest() : folder_(TestPki::Shared().NewFolder()) {}
  void SetUp() override { ASSERT_TRUE(std::filesystem::exists(Program())) << Program(); }
  std::string Command(const CertificateFiles& tls, const std::string& data,
                      const std::string& listen = "127.0.0.1:0") const {
    return absl::StrCat("timeout 20 ", Program(), " --quiet --listen ", listen, " --data ", data,
                        " --tls-chain ", tls.chain, " --tls-key ", tls.key, " --tls-roots ", tls.roots,
                        " --tenants ", options_.tenants_folder);
  }
  // One line on standard error, exit code 1.
  void ExpectRefusal(const std::string& command, const std::string& why) {
    int code = 0;
    const std::string said = RunAny(command, &code);
    EXPECT_EQ(code, 1) << said;
    EXPECT_THAT(said, HasSubstr(why));
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  }

  const CertificateFiles good_ = TestPki::Shared().Backend();
  const std::string folder_;
};

TEST_F(BackendProgramTest, SaysInOneLineWhyItCannotStart) {
  const std::string data = folder_ + "/data";
  ExpectRefusal(Command(good_, data, absl::StrCat("127.0.0.1:", backend_->port())), "the port is taken");
  CertificateFiles missing = good_;
  missing.chain = folder_ + "/none.pem";
  ExpectRefusal(Command(missing, data), "none.pem");
  CertificateFiles mismatch = good_;
  mismatch.key = TestPki::Shared().Leaf(kAcme, Role::kApp, "phone").key;
  ExpectRefusal(Command(mismatch, data), "key");
  LeafRequest old = TestPki::Shared().Request(absl::StrCat("spiffe://", kProvider, "/service/old"));
  old.not_before = absl::Now() - absl::Hours(2);
  old.not_after = absl::Now() - absl::Hours(1);
  const auto issued = TestPki::Shared().Issuer(TestPki::Shared().folder() + "/provider").Issue(old);
  ASSERT_TRUE(issued.ok());
  ExpectRefusal(Command(TestPki::Shared().Store(*issued, good_.roots), data), "expired");
  ExpectRefusal(Command(good_, options_.store.path), "another process");
  WriteAll(folder_ + "/file", "x");
  ExpectRefusal(Command(good_, folder_ + "/file/data"), folder_ + "/file");
  const std::string no_tenant =
      absl::StrCat("timeout 20 ", Program(), " --quiet --data ", data, " --tls-chain ", good_.chain,
                   " --tls-key ", good_.key, " --tls-roots ", good_.roots);
  ExpectRefusal(no_tenant, "--tenants");
  int code = 0;
  RunAny(Program() + " --no-such-option", &code);
  EXPECT_EQ(code, 2);
}

TEST_F(BackendProgramTest, RefusesDamagedAndForeignStores) {
  const std::string data = folder_ + "/data";
  storage::Options other;
  other.path = data;
  other.format_name = "keystead-gateway";
  ASSERT_TRUE(storage::LogStore::Open(other).ok());
  ExpectRefusal(Command(good_, data), "keystead-gateway");
  std::filesystem::remove_all(data);
  backend_.reset();
  std::filesystem::copy(options_.store.path, data);
  for (const auto& file : std::filesystem::directory_iterator(data)) {
    if (file.path().filename().string().starts_with("MANIFEST")) WriteAll(file.path(), "junk");
  }
  ExpectRefusal(Command(good_, data), data);
  Start();
}

TEST_F(BackendProgramTest, AnnouncesItsPortAndEndsOnSigterm) {
  const std::string ports = folder_ + "/ports.json";
  const std::string log = folder_ + "/log.jsonl";
  const std::string command =
      absl::StrCat(Command(good_, folder_ + "/data"), " --ports-file ", ports, " --log-file ", log,
                   " & pid=$!; until test -s ", ports, "; do sleep 0.01; done; kill -TERM $pid; wait $pid");
  int code = -1;
  const std::string said = RunAny(command, &code);
  EXPECT_EQ(code, 0) << said;
  EXPECT_THAT(ReadAll(ports), HasSubstr("\"grpc\":"));
  EXPECT_THAT(ReadAll(log), HasSubstr("\"event\":\"started\""));
  EXPECT_THAT(ReadAll(log), HasSubstr("\"event\":\"stopped\""));
}

}  // namespace
}  // namespace keystead::testing
