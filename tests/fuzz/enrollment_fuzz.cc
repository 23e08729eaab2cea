// Requests to enroll and answers to them, from whoever stands between. The first byte says what the rest is:
// a request whole (two bytes for the length of the factory chain, the chain, the proof); edits to a genuine
// request, four bytes each; or an answer. Nothing but the genuine request is ever one, and it is so for its
// own name and key only.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/time/clock.h"
#include "core/identity/authority.h"
#include "core/identity/enrollment.h"
#include "core/identity/issuer.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace keystead;

void Write(const std::string& path, std::string_view content) {
  std::ofstream(path) << content;
  std::filesystem::permissions(path,
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

// One tenant and one product of it, new in each process.
struct World {
  World() {
    const absl::Time not_after = absl::Now() + absl::Hours(24);
    const TenantName tenant = *TenantName::Parse("acme.example");
    const Authority ca = *MakeTenantAuthority(tenant, not_after);
    FUZZ_CHECK(directory.Register(tenant, ca.ca_pem).ok());
    const auto issuer =
        CertificateIssuer::Create(ca.ca_pem, ca.key_pem, *CrossSign(ca, ca.ca_pem, tenant, not_after));
    FUZZ_CHECK(issuer.ok());
    LeafRequest request;
    request.id = *SpiffeId::Of(tenant, Role::kFactory, "device.bulb");
    request.not_before = absl::Now() - absl::Minutes(1);
    request.not_after = not_after;
    const IssuedLeaf leaf = *issuer->Issue(request);
    std::string folder = (std::filesystem::temp_directory_path() / "fuzz-enrollment-XXXXXX").string();
    FUZZ_CHECK(mkdtemp(folder.data()) != nullptr);
    Write(folder + "/chain.pem", leaf.chain_pem);
    Write(folder + "/key.pem", AsChars(leaf.key_pem.ExposeSecret()));
    auto made = PrepareEnrollment({folder + "/chain.pem", folder + "/key.pem", ""}, absl::Now());
    std::filesystem::remove_all(folder);
    FUZZ_CHECK(made.ok());
    prepared = std::make_unique<PreparedEnrollment>(*std::move(made));
    const auto genuine = VerifyEnrollment(prepared->request, resolver);
    FUZZ_CHECK(genuine.ok());
    key = genuine->public_key_pem;
  }
  TenantDirectory directory;
  DenyList nobody;
  PrincipalResolver resolver{&directory, &nobody};
  std::unique_ptr<PreparedEnrollment> prepared;
  std::string key;
};

void CheckWhole(const World& world, ByteView input) {
  if (input.size() < 2) return;
  const size_t length = std::min<size_t>(input[0] << 8 | input[1], input.size() - 2);
  const ByteView proof = input.subspan(2 + length);
  const EnrollmentRequest request{std::string(AsChars(input.subspan(2, length))),
                                  Bytes(proof.begin(), proof.end())};
  FUZZ_CHECK(!VerifyEnrollment(request, world.resolver).ok());
}

void CheckEdited(const World& world, ByteView edits) {
  EnrollmentRequest request = world.prepared->request;
  for (; edits.size() >= 4; edits = edits.subspan(4)) {
    const size_t at = edits[1] << 8 | edits[2];
    if (edits[0] % 2 == 0) {
      request.proof[at % request.proof.size()] = edits[3];
    } else {
      request.factory_chain[at % request.factory_chain.size()] = static_cast<char>(edits[3]);
    }
  }
  const auto verified = VerifyEnrollment(request, world.resolver);
  if (!verified.ok()) return;
  FUZZ_CHECK(verified->id == world.prepared->enrollee && verified->public_key_pem == world.key);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const World world;
  if (size == 0 || size > 1 << 16) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      CheckWhole(world, input);
      break;
    case 1:
      CheckEdited(world, input);
      break;
    default:
      FUZZ_CHECK(!CheckEnrolled(*world.prepared, AsChars(input), absl::Now()).ok());
  }
  return 0;
}
