// A hostile hop that also holds the sender's key: the input is what it does, three bytes at a time. Whatever
// it is, nothing is delivered twice, nothing forged is confirmed, and memory of what was seen survives a
// restart.
#include "core/observe/log.h"
#include "core/sealing/reader.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/unit/sealing/test_reader.h"

namespace {

using namespace keystead;

constexpr size_t kRecords = 24;

struct Stream {
  StreamPlace place;
  std::vector<Bytes> records;
  std::vector<Bytes> forgeries;
};

struct Fixture : ReaderWorld {
  std::vector<Stream> streams;
  Fixture() {
    ConfigureLog({.program = "fuzz", .level = LogLevel::kError}).IgnoreError();
    std::optional<PreviousStream> previous;
    for (int i = 0; i < 3; ++i) {
      sender->Open(previous);
      while (sender->records.size() + 1 < kRecords) {
        sender->Readings("genuine");
        if (sender->records.size() % 5 == 0) sender->Checkpoint();
      }
      sender->Checkpoint(i != 1);
      Stream stream{sender->place(), sender->records, {}};
      for (uint64_t s = 0; s < kRecords; ++s) stream.forgeries.push_back(Forge(stream.place, s, "forged"));
      streams.push_back(std::move(stream));
      previous = sender->writer->AsPrevious();
      if (i == 1) previous->end.reset();
    }
  }
};

void CheckNotes(const Notebook& notes) {
  std::map<std::pair<StreamId, uint64_t>, int> shown;
  std::map<std::pair<StreamId, uint64_t>, std::string> body;
  for (const Heard& r : notes.records) {
    if (!r.replaces) {
      const int times = ++shown[{r.stream, r.sequence}];
      FUZZ_CHECK(times == 1);
      body[{r.stream, r.sequence}] = r.body;
    }
    if (r.confirmed) FUZZ_CHECK(r.body != "forged");
  }
  for (const auto& [at, count] : notes.confirmed) {
    FUZZ_CHECK(count == 1);
    FUZZ_CHECK(body.contains(at) && body[at] != "forged");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Fixture* const f = new Fixture;
  f->notes = Notebook();
  f->NewReader();
  for (size_t i = 0; i + 2 < size && i < 3000; i += 3) {
    const Stream& stream = f->streams[data[i + 1] % f->streams.size()];
    const uint64_t sequence = data[i + 2] % kRecords;
    switch (data[i] % 6) {
      case 0:
      case 1:
        f->reader->Accept(stream.place, sequence, stream.records[sequence]);
        break;
      case 2:
        f->reader->Accept(stream.place, sequence, stream.forgeries[sequence]);
        break;
      case 3:
        f->Wait(absl::Milliseconds(100 * data[i + 2]));
        break;
      case 4: {
        const Bytes snapshot = f->reader->Snapshot();
        f->NewReader();
        FUZZ_CHECK(f->reader->Restore(snapshot).ok());
        FUZZ_CHECK(f->reader->Snapshot() == snapshot);
        break;
      }
      default:
        f->reader->Accept(stream.place, sequence, f->streams[data[i] % 3].records[(sequence + 1) % kRecords]);
    }
  }
  CheckNotes(f->notes);
  return 0;
}
