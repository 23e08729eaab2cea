// Exports of audit logs, entries and heads: what is read is encoded again alike, and nothing that somebody
// else made is taken for the provider's. A leading byte picks the parser.
#include "core/audit/entry.h"
#include "core/audit/export.h"
#include "core/audit/head.h"
#include "core/audit/verify.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keystead;
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      if (const auto entry = audit::ParseEntry(input); entry.ok())
        FUZZ_CHECK(Equal(audit::EncodeEntry(*entry), input));
      break;
    case 1:
      if (const auto view = audit::ParseExport(input); view.ok()) {
        Bytes again = audit::EncodeExportHeader(view->chain_pem, view->signed_head);
        for (const ByteView entry : view->entries) again.insert(again.end(), entry.begin(), entry.end());
        FUZZ_CHECK(Equal(again, input));
      }
      FUZZ_CHECK(!audit::VerifyExport(input, "no CA", audit::Extent::kPart).ok());
      break;
    default:
      if (const auto head = audit::UnverifiedHead(input); head.ok()) FUZZ_CHECK(head->end() >= head->first);
      break;
  }
  return 0;
}
