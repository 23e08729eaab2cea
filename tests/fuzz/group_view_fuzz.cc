// Sealed groups from the network. What is accepted has exactly one encoding: built anew it is the same bytes.
#include <cstddef>
#include <cstdint>

#include "core/transport/group_view.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  keystead::GroupHeaderCache cache;
  const auto view = keystead::GroupView::Parse(bytes, cache);
  if (!view.ok()) return 0;
  keystead::GroupBuilder builder(view->header());
  for (const keystead::RecordView& record : view->records()) {
    FUZZ_CHECK(builder.Append(record.sequence, record.cose).ok());
  }
  FUZZ_CHECK(*builder.Take() == bytes);
  return 0;
}
