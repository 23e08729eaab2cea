#include "device-sim/readings.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "keystead/v1/readings.pb.h"

namespace keystead::device_sim {
namespace {

v1::Quality QualityOf(Quality quality) {
  switch (quality) {
    case Quality::kGood:
      return v1::QUALITY_GOOD;
    case Quality::kUncertain:
      return v1::QUALITY_UNCERTAIN;
    case Quality::kBad:
      return v1::QUALITY_BAD;
  }
  return v1::QUALITY_BAD;
}

}  // namespace

std::string EncodeReadings(std::span<const Sample> samples) {
  v1::ReadingBatch batch;
  absl::flat_hash_map<std::string, uint32_t> channels;
  if (!samples.empty()) batch.set_taken_unix_us(absl::ToUnixMicros(samples.front().taken));
  for (const Sample& sample : samples) {
    const auto [at, added] = channels.try_emplace(sample.name, static_cast<uint32_t>(channels.size()));
    if (added) {
      v1::Channel& channel = *batch.add_channels();
      channel.set_name(sample.name);
      channel.set_unit(sample.unit);
    }
    v1::Reading& reading = *batch.add_readings();
    reading.set_channel(at->second);
    reading.set_value(sample.value);
    reading.set_taken_delta_us(absl::ToUnixMicros(sample.taken) - batch.taken_unix_us());
    reading.set_quality(QualityOf(sample.quality));
  }
  return batch.SerializeAsString();
}

absl::Time TakenAt(absl::Time started, double rate, uint64_t record, absl::Time now) {
  if (rate <= 0) return now;
  return std::min(now, started + absl::Seconds(static_cast<double>(record) / rate));
}

LoadBatch::LoadBatch(size_t readings, size_t reading_bytes, RandomSource& random)
    : batch_(std::make_unique<v1::ReadingBatch>()) {
  v1::Channel& channel = *batch_->add_channels();
  channel.set_name("load");
  channel.set_unit("1");
  for (size_t i = 0; i < readings; ++i) {
    v1::Reading& reading = *batch_->add_readings();
    reading.set_quality(v1::QUALITY_GOOD);
    std::string& payload = *reading.mutable_opaque();
    payload.resize(reading_bytes);
    random.Fill({reinterpret_cast<uint8_t*>(payload.data()), payload.size()});
  }
}

LoadBatch::~LoadBatch() = default;

const std::string& LoadBatch::Encode(absl::Time taken) {
  batch_->set_taken_unix_us(absl::ToUnixMicros(taken));
  for (v1::Reading& reading : *batch_->mutable_readings()) reading.set_value(next_++);
  encoded_.clear();
  batch_->AppendToString(&encoded_);
  return encoded_;
}

}  // namespace keystead::device_sim
