// A hop that reorders, repeats, drops and changes 20,000 records of several streams, with restarts of the
// reader in between: what it did and what the reader reports must agree record by record.
#include <gtest/gtest.h>

#include "core/sealing/reader.h"
#include "tests/unit/sealing/test_reader.h"

namespace keystead {
namespace {

struct Travelling {
  StreamPlace place;
  uint64_t sequence = 0;
  Bytes bytes;
};

class HopTest : public testing::Test, public ReaderWorld {
 protected:
  uint64_t Pick(uint64_t below) {
    std::array<uint8_t, 4> b{};
    random_.Fill(b);
    return (uint64_t{b[0]} | uint64_t{b[1]} << 8 | uint64_t{b[2]} << 16 | uint64_t{b[3]} << 24) % below;
  }
  SeededRandom random_{42};
};

TEST_F(HopTest, CountsAgreeRecordByRecord) {
  std::vector<Travelling> sent;
  std::optional<PreviousStream> previous;
  for (int stream = 0; stream < 20; ++stream) {
    sender->Open(previous);
    while (sender->records.size() < 1000) {
      sender->Readings("reading " + std::to_string(sender->records.size()));
      if (sender->records.size() % 64 == 0) sender->Checkpoint();
    }
    sender->Checkpoint(stream % 3 != 0);
    for (uint64_t s = 0; s < sender->records.size(); ++s)
      sent.push_back({sender->place(), s, sender->records[s]});
    previous = sender->writer->AsPrevious();
    world.clock.Advance(absl::Seconds(1));
  }
  ASSERT_GE(sent.size(), 20'000u);

  std::map<std::pair<StreamId, uint64_t>, int> injected_duplicates;
  std::set<std::pair<StreamId, uint64_t>> dropped;
  size_t duplicates = 0;
  size_t changed = 0;
  std::vector<Travelling> hop;  // in the hop's hands
  const auto let_go = [&](size_t at) {
    const Travelling t = hop[at];
    hop.erase(hop.begin() + static_cast<ptrdiff_t>(at));
    reader->Accept(t.place, t.sequence, t.bytes);
  };
  for (size_t i = 0; i < sent.size(); ++i) {
    const Travelling& t = sent[i];
    // The newest stream's last records must come, else nobody can tell that they are missing.
    const bool may_drop = i + 1 < sent.size() && t.sequence != 0;
    if (may_drop && Pick(50) == 0) {
      dropped.insert({t.place.stream, t.sequence});
      continue;
    }
    hop.push_back(t);
    if (Pick(20) == 0) {
      hop.push_back(t);
      ++duplicates;
    }
    if (Pick(20) == 0) {
      Travelling bad = t;
      bad.bytes[Pick(bad.bytes.size())] ^= static_cast<uint8_t>(1 + Pick(255));
      hop.push_back(bad);
      ++changed;
    }
    if (Pick(40) == 0) {
      Travelling bad = t;
      bad.sequence += 1 + Pick(5);
      hop.push_back(bad);
      ++changed;
    }
    if (Pick(40) == 0) {
      Travelling bad = t;
      bad.place.stream = sent[Pick(sent.size())].place.stream;
      if (bad.place == t.place) {
        ++duplicates;
      } else {
        ++changed;
      }
      hop.push_back(bad);
    }
    while (hop.size() > 100) let_go(Pick(hop.size()));
  }
  while (!hop.empty()) let_go(Pick(hop.size()));
  for (int i = 0; i < 50; ++i) Wait(limits_.gap_grace);

  EXPECT_EQ(notes.duplicates, duplicates);
  EXPECT_EQ(notes.Alarms(SecurityEventKind::kOpenFailed), changed);
  std::set<std::pair<StreamId, uint64_t>> delivered;
  for (const auto& [at, count] : notes.deliveries) {
    EXPECT_EQ(count, 1);
    delivered.insert(at);
  }
  EXPECT_EQ(delivered.size() + dropped.size(), sent.size());
  for (const auto& at : dropped) EXPECT_FALSE(delivered.contains(at));
  uint64_t missing = 0;
  for (const SequenceRange& range : notes.missing) missing += range.last - range.first + 1;
  EXPECT_EQ(missing, dropped.size()) << "exactly what was dropped";
  std::map<StreamId, uint64_t> next;
  for (const Heard& r : notes.records) {
    EXPECT_FALSE(r.filled);
    EXPECT_GE(r.sequence, next[r.stream]) << "in stream order";
    next[r.stream] = r.sequence + 1;
  }
  for (const auto& [at, count] : notes.confirmed) {
    EXPECT_EQ(count, 1);
    EXPECT_TRUE(delivered.contains(at));
  }

  // What was dropped comes after all, with the reader started anew in between.
  const Bytes snapshot = reader->Snapshot();
  NewReader();
  ASSERT_TRUE(reader->Restore(snapshot).ok());
  for (const Travelling& t : sent) reader->Accept(t.place, t.sequence, t.bytes);
  EXPECT_EQ(notes.deliveries.size(), sent.size());
  for (const auto& [at, count] : notes.deliveries) EXPECT_EQ(count, 1) << at.second;
  EXPECT_EQ(notes.confirmed.size() + 1, sent.size()) << "all but the last checkpoint";
  for (const auto& [at, count] : notes.confirmed) EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace keystead
