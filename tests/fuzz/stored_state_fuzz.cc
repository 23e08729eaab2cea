// What a member stores of itself. It is read back from its own protected store, but a torn file must not
// bring a program down.
#include "core/sealing/member.h"
#include "core/sealing/reader.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/unit/sealing/test_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keystead;
  const ByteView input(data, size);
  const SecretBytes stored = SecretBytes::CopyOf(input);
  if (const auto ring = KeyRing::Parse(InstantiationId(), stored); ring.ok()) ring->Serialize();
  if (const auto member = Member::Parse(stored); member.ok()) member->Serialize();
  static ReaderWorld* const world = new ReaderWorld;
  world->NewReader();
  if (world->reader->Restore(input).ok()) {
    world->reader->Tick();
    world->reader->MembershipChanged();
    world->reader->Status();
    world->reader->SpentKeys();
  }
  return 0;
}
