#include "tests/unit/identity/test_pki.h"

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace keystead::testing {
namespace {

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "test_pki: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

}  // namespace

std::string CertsCommand(std::string_view script) {
  return absl::StrCat(KEYSTEAD_SOURCE_FOLDER "/certs/", Absl(script), " --tool " KEYSTEAD_ISSUE_PROGRAM);
}

std::string RunAny(const std::string& command, int* exit_code) {
  FILE* pipe = popen(absl::StrCat("( ", command, " ) 2>&1").c_str(), "r");
  if (pipe == nullptr) std::abort();
  std::string out;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
  const int status = pclose(pipe);
  *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return out;
}

std::string Run(const std::string& command) {
  int exit_code = 0;
  std::string out = RunAny(command, &exit_code);
  if (exit_code != 0) {
    std::fprintf(stderr, "%s: exit code %d\n%s\n", command.c_str(), exit_code, out.c_str());
    std::abort();
  }
  return out;
}

TenantName Tenant(std::string_view name) { return OrDie(TenantName::Parse(name)); }
SpiffeId Id(std::string_view uri) { return OrDie(SpiffeId::Parse(uri)); }

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}

void WriteAll(const std::string& path, std::string_view content) { std::ofstream(path) << content; }

SecretBytes Secret(std::string_view text) { return SecretBytes::CopyOf(AsBytes(text)); }
std::string Text(const SecretBytes& secret) { return ToString(secret.ExposeSecret()); }

TestPki& TestPki::Shared() {
  static TestPki pki;
  return pki;
}

TestPki::TestPki() {
  std::string name = (std::filesystem::temp_directory_path() / "keystead-pki-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  folder_ = name;
  Run(absl::StrCat(CertsCommand("make-pki"), " --out ", folder_, " --tenant ", kAcme, " --tenant ", kGlobex));
}

TestPki::~TestPki() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string TestPki::NewFolder() {
  std::string out = absl::StrCat(folder_, "/test-", next_++);
  std::filesystem::create_directory(out);
  return out;
}

CertificateFiles TestPki::Backend() const {
  const std::string folder = folder_ + "/provider/backend";
  return {folder + "/chain.pem", folder + "/key.pem", admission_roots()};
}

CertificateFiles TestPki::Operator() const {
  const std::string folder = folder_ + "/provider/operator/ops";
  return {folder + "/chain.pem", folder + "/key.pem", provider_roots()};
}

CertificateFiles TestPki::Leaf(std::string_view tenant, Role role, std::string_view id,
                               const std::string& more) const {
  Run(absl::StrCat(CertsCommand("issue"), " --out ", folder_, " --tenant ", Absl(tenant), " --role ",
                   Absl(RoleName(role)), " --id ", Absl(id), " ", more));
  const std::string folder = absl::StrCat(tenant_folder(tenant), "/", Absl(RoleName(role)), "/", Absl(id));
  return {folder + "/chain.pem", folder + "/key.pem", provider_roots()};
}

CertificateIssuer TestPki::Issuer(const std::string& ca_folder) const {
  // The provider's server is met by clients that have the provider's CA itself.
  const bool crossed =
      ca_folder.ends_with("/provider") ? false : std::filesystem::exists(ca_folder + "/cross.pem");
  const std::string cross = crossed ? ReadAll(ca_folder + "/cross.pem") : "";
  return OrDie(CertificateIssuer::Create(ReadAll(ca_folder + "/ca.pem"),
                                         Secret(ReadAll(ca_folder + "/ca.key")), cross));
}

CertificateIssuer TestPki::EnrollmentIssuer(std::string_view tenant) const {
  const std::string folder = tenant_folder(tenant) + "/enrollment";
  return OrDie(CertificateIssuer::Load({folder + "/ca.pem", folder + "/ca.key", folder + "/chain.pem"}));
}

LeafRequest TestPki::Request(std::string_view uri) const {
  LeafRequest request;
  request.id = Id(uri);
  request.not_before = absl::Now() - absl::Minutes(5);
  request.not_after = absl::Now() + absl::Hours(24);
  return request;
}

CertificateFiles TestPki::Store(const IssuedLeaf& leaf, const std::string& roots) {
  const std::string folder = NewFolder();
  CertificateFiles files{folder + "/chain.pem", folder + "/key.pem", folder + "/roots.pem"};
  WriteAll(files.chain, leaf.chain_pem);
  WriteAll(files.key, Text(leaf.key_pem));
  std::filesystem::permissions(files.key,
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  WriteAll(files.roots, ReadAll(roots));
  return files;
}

std::string TestPki::UnconstrainedCa(std::string_view common_name) {
  const std::string folder = NewFolder();
  Run(absl::StrCat("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=",
                   Absl(common_name), "' -addext keyUsage=critical,keyCertSign -keyout ", folder,
                   "/ca.key -out ", folder, "/ca.pem"));
  return folder;
}

}  // namespace keystead::testing
