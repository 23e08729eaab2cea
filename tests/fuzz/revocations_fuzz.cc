// Revocations: what is read was not signed by a key that the input cannot know, and says again what it said
// when it is signed with ours.
#include "core/identity/authority.h"
#include "core/identity/revocations.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keystead;
  const ByteView input(data, size);
  const auto read = ReadRevocations(input);
  if (!read.ok()) return 0;
  FUZZ_CHECK(read->number > 0);
  const auto ours = MakeTenantAuthority(read->tenant, absl::Now() + absl::Hours(1));
  FUZZ_CHECK(ours.ok());
  TenantDirectory directory;
  FUZZ_CHECK(absl::IsUnauthenticated(OpenRevocations(input, directory).status()));
  FUZZ_CHECK(directory.Register(read->tenant, ours->ca_pem).ok());
  FUZZ_CHECK(absl::IsUnauthenticated(OpenRevocations(input, directory).status()));

  const auto again = SignRevocations(*read, ours->key_pem);
  FUZZ_CHECK(again.ok() || read->text.size() > kMaxRevocationBytes / 2);
  if (!again.ok()) return 0;
  const auto opened = OpenRevocations(*again, directory);
  FUZZ_CHECK(opened.ok() && opened->number == read->number && opened->text == read->text);
  FUZZ_CHECK(opened->entries.names == read->entries.names &&
             opened->entries.serials == read->entries.serials);
  return 0;
}
