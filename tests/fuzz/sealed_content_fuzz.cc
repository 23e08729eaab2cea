// What stands inside a sealed record has one encoding, and a reader survives whatever a holder of the key
// seals and whatever the sender itself signs.
#include "core/observe/log.h"
#include "core/sealing/reader.h"
#include "core/sealing/wrap.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/unit/sealing/test_reader.h"

namespace {

using namespace keystead;

void CheckEncodings(ByteView input) {
  if (const auto content = ParseContent(input); content.ok())
    FUZZ_CHECK(Equal(EncodeContent(content->kind, content->body), input));
  if (const auto opening = ParseOpening(input); opening.ok())
    FUZZ_CHECK(Equal(EncodeOpening(*opening), input));
  if (const auto c = ParseCheckpoint(input); c.ok()) FUZZ_CHECK(Equal(EncodeCheckpoint(*c), input));
  if (const auto loss = ParseLoss(input); loss.ok()) FUZZ_CHECK(Equal(EncodeLoss(*loss), input));
  if (const auto grants = ParseGrants(SecretBytes::CopyOf(input)); grants.ok())
    FUZZ_CHECK(Equal(EncodeGrants(*grants).ExposeSecret(), input));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView input(data, size);
  CheckEncodings(input);
  static ReaderWorld* const world = [] {
    ConfigureLog({.program = "fuzz", .level = LogLevel::kError}).IgnoreError();
    auto* const w = new ReaderWorld;
    w->sender->Open();
    return w;
  }();
  world->notes = Notebook();
  world->NewReader();
  world->Give(0);
  RecordCipher cipher =
      RecordCipher::Create(
          world->world.owner.ring().SenderKeyFor(1, world->telemetry, world->device->id()).value(),
          world->sender->place())
          .value();
  const StreamPlace& at = world->sender->place();
  const SignedPlace place{at.tenant, at.id, at.topic, at.sender, at.stream, at.epoch, 1};
  const std::string_view signed_kinds[] = {kinds::kCheckpoint, kinds::kLoss, kinds::kOpening};
  for (size_t i = 0; i <= std::size(signed_kinds); ++i) {
    Bytes record;
    const Bytes content =
        i == 0 ? ToBytes(input)
               : EncodeContent(signed_kinds[i - 1],
                               SignObject(world->device->keys.ik, signed_kinds[i - 1], place, input).value());
    FUZZ_CHECK(cipher.Seal(1, content, record).ok());
    world->reader->Accept(at, 1, record);
  }
  world->Wait(absl::Seconds(3));
  FUZZ_CHECK(world->notes.records.size() <= 2);
  return 0;
}
