// Real certificates for tests, made by certs/make-pki into a folder that goes away with the process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/identity/certificate_files.h"
#include "core/identity/issuer.h"
#include "core/identity/principal.h"

namespace keystead::testing {

// Ends the test program with a message when `command` fails; returns what it printed on both outputs.
std::string Run(const std::string& command);
// The same for a command that may fail: its exit code is stored.
std::string RunAny(const std::string& command, int* exit_code);

// The start of a command line of certs/make-pki or certs/issue.
std::string CertsCommand(std::string_view script);

TenantName Tenant(std::string_view name);
SpiffeId Id(std::string_view uri);
std::string ReadAll(const std::string& path);
void WriteAll(const std::string& path, std::string_view content);
SecretBytes Secret(std::string_view text);
std::string Text(const SecretBytes& secret);

inline constexpr char kAcme[] = "acme.keystead.example";
inline constexpr char kGlobex[] = "globex.keystead.example";
inline constexpr char kProvider[] = "provider-one.example";

class TestPki {
 public:
  static TestPki& Shared();  // made once per process
  TestPki();
  ~TestPki();

  const std::string& folder() const { return folder_; }
  std::string NewFolder();  // an empty one inside

  std::string admission_roots() const { return folder_ + "/admission/ca.pem"; }
  std::string provider_roots() const { return folder_ + "/provider/ca.pem"; }
  std::string tenant_folder(std::string_view tenant) const {
    return folder_ + "/tenants/" + std::string(tenant);
  }
  CertificateFiles Backend() const;  // its roots are the admission CA

  CertificateFiles Operator() const;  // spiffe://<provider>/operator/ops

  // A leaf by certs/issue, with roots of the provider, as a client of the backend has.
  CertificateFiles Leaf(std::string_view tenant, Role role, std::string_view id,
                        const std::string& more = "") const;

  // What the command line does not offer: any request under the CA of a tenant or the provider.
  CertificateIssuer Issuer(const std::string& ca_folder) const;
  CertificateIssuer EnrollmentIssuer(std::string_view tenant) const;  // the key that backends get
  LeafRequest Request(std::string_view uri) const;                    // valid now, client only
  // Stores a leaf as files with `roots`.
  CertificateFiles Store(const IssuedLeaf& leaf, const std::string& roots);

  // A CA that obeys no name constraint: <folder>/ca.pem and ca.key.
  std::string UnconstrainedCa(std::string_view common_name);

 private:
  std::string folder_;
  int next_ = 0;
};

}  // namespace keystead::testing
