// The body of a record of readings, which a member may fill with anything: what the app does with it
// overflows nothing and keeps within its bounds.
#include <array>

#include "core/base/clock.h"
#include "mobile-stub/device_board.h"
#include "mobile-stub/throughput.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

namespace mobile = keystead::mobile;

keystead::StreamPlace Place() {
  keystead::StreamPlace place;
  place.sender = keystead::MemberId(std::array<uint8_t, keystead::MemberId::kSize>{2});
  return place;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  keystead::v1::ReadingBatch batch;
  if (!batch.ParseFromArray(data, static_cast<int>(size))) return 0;
  const keystead::StreamPlace place = Place();
  keystead::ReadRecord record;
  record.place = &place;
  record.kind = "readings";
  record.body = {data, size};
  mobile::DeviceBoard board({});
  mobile::Throughput throughput(&keystead::Clock::System());
  for (record.sequence = 1; record.sequence <= 2; ++record.sequence) {
    record.filled = record.sequence == 2;
    board.OnReadings(record, batch, true);
    throughput.OnReadings(record, batch, true);
  }
  board.OnConfirmed(place, {1, 2});
  for (const mobile::DeviceRow& row : board.Rows()) FUZZ_CHECK(row.channels.size() <= 64);
  FUZZ_CHECK(throughput.summary().readings == 2 * static_cast<uint64_t>(batch.readings_size()));
  return 0;
}
