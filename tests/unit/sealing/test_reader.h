// A reader whose every conclusion is written down.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "core/sealing/reader.h"
#include "tests/unit/sealing/test_world.h"

namespace keystead {

struct Heard {
  StreamId stream;
  uint64_t sequence = 0;
  std::string kind;
  std::string body;
  bool confirmed = false;
  bool filled = false;
  bool replaces = false;
  bool after_removal = false;
  Digest sealed;
};

class Notebook final : public ReaderListener {
 public:
  void OnRecord(const ReadRecord& r) override {
    records.push_back({r.place->stream, r.sequence, std::string(r.kind), ToString(r.body), r.confirmed,
                       r.filled, r.replaces, r.after_removal, r.sealed});
    ++deliveries[{r.place->stream, r.sequence}];
  }
  void OnConfirmed(const StreamPlace& place, const SequenceRange& range) override {
    for (uint64_t s = range.first; s <= range.last; ++s) ++confirmed[{place.stream, s}];
  }
  void OnMissing(const StreamPlace&, const SequenceRange& range) override { missing.push_back(range); }
  void OnDuplicate(const StreamPlace&, uint64_t) override { ++duplicates; }
  void OnAlarm(SecurityEventKind kind, const StreamPlace& place, uint64_t sequence,
               std::string_view) override {
    alarms.push_back({kind, place.stream, sequence});
  }

  size_t Alarms(SecurityEventKind kind) const {
    size_t count = 0;
    for (const auto& alarm : alarms) count += std::get<0>(alarm) == kind ? 1u : 0u;
    return count;
  }
  std::vector<uint64_t> Sequences() const {
    std::vector<uint64_t> out;
    for (const Heard& record : records) out.push_back(record.sequence);
    return out;
  }

  std::vector<Heard> records;
  std::map<std::pair<StreamId, uint64_t>, int> deliveries;
  std::map<std::pair<StreamId, uint64_t>, int> confirmed;
  std::vector<SequenceRange> missing;
  std::vector<std::tuple<SecurityEventKind, StreamId, uint64_t>> alarms;
  size_t duplicates = 0;
};

// The owner reads what one device writes.
struct ReaderWorld {
  explicit ReaderWorld(const ReaderLimits& limits = {}, uint64_t seed = 1) : world(seed), limits_(limits) {
    device = &world.AddDevice();
    telemetry = Topic::Of(TopicKind::kTelemetry, device->id());
    sender = std::make_unique<TestSender>(world, *device, telemetry);
    NewReader();
  }
  void NewReader() {
    reader = std::make_unique<Reader>(world.owner.id(), limits_, &world.owner.ring(), &world.owner.chain(),
                                      &world.clock, &notes);
  }
  void Give(uint64_t sequence) { Give(*sender, sequence); }
  void Give(const TestSender& from, uint64_t sequence) {
    reader->Accept(from.place(), sequence, from.records.at(sequence));
  }
  void GiveAll(const TestSender& from) {
    for (uint64_t s = 0; s < from.records.size(); ++s) Give(from, s);
  }
  void GiveAll() { GiveAll(*sender); }
  void Wait(absl::Duration time) {
    world.clock.Advance(time);
    reader->Tick();
  }
  StreamStatus StatusOf(const StreamPlace& place) const {
    for (const StreamStatus& status : reader->Status()) {
      if (status.place == place) return status;
    }
    return {};
  }
  StreamStatus Status() const { return StatusOf(sender->place()); }
  // What another reader of the topic could seal in the device's name: it holds the same S.
  Bytes Forge(const StreamPlace& place, uint64_t sequence, std::string_view body) const {
    RecordCipher cipher =
        RecordCipher::Create(world.owner.ring().SenderKeyFor(place.epoch, place.topic, place.sender).value(),
                             place)
            .value();
    Bytes out;
    cipher.Seal(sequence, EncodeContent(kinds::kReadings, AsBytes(body)), out).IgnoreError();
    return out;
  }

  World world;
  ReaderLimits limits_;
  Party* device = nullptr;
  Topic telemetry;
  std::unique_ptr<TestSender> sender;
  Notebook notes;
  std::unique_ptr<Reader> reader;
};

}  // namespace keystead
