#include "core/sealing/stream_track.h"

#include <gtest/gtest.h>

#include <set>

#include "core/base/random.h"
#include "core/sealing/stream_writer.h"

namespace keystead {
namespace {

using Arrival = StreamTrack::Arrival;
constexpr uint64_t kWindow = limits::kReplayWindowRecords;

Digest D(uint64_t n, uint8_t variant = 0) {
  std::array<uint8_t, 32> bytes{};
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(n >> (8 * i));
  bytes[31] = variant;
  return Digest(bytes);
}

Digest HashOf(const Digest& from, uint64_t first, uint64_t end) {
  Digest h = from;
  for (uint64_t s = first; s < end; ++s) h = NextRunningHash(h, D(s));
  return h;
}

class TrackTest : public testing::Test {
 protected:
  StreamTrack::Outcome Take(uint64_t sequence) {
    EXPECT_EQ(track_.Classify(sequence, D(sequence)), Arrival::kNew) << sequence;
    const StreamTrack::Outcome outcome = track_.Note(sequence, D(sequence));
    if (sequence == track_.frontier()) track_.AdvanceTo(sequence + 1);
    return outcome;
  }
  const Digest h0_ = D(777);
  StreamTrack track_{h0_};
};

TEST_F(TrackTest, TellsNewDuplicateConflictOldAndTooFar) {
  EXPECT_EQ(track_.Classify(0, D(0)), Arrival::kNew);
  EXPECT_EQ(track_.Classify(kWindow - 1, D(1)), Arrival::kNew);
  EXPECT_EQ(track_.Classify(kWindow, D(1)), Arrival::kTooFarAhead);
  Take(0);
  EXPECT_EQ(track_.Classify(0, D(0)), Arrival::kDuplicate);
  EXPECT_EQ(track_.Classify(0, D(0, 1)), Arrival::kConflict);
  for (uint64_t s = 1; s < 3 * kWindow; ++s) Take(s);
  EXPECT_EQ(track_.Classify(0, D(0)), Arrival::kOld);
  EXPECT_EQ(track_.Classify(2 * kWindow + 1, D(2 * kWindow + 1)), Arrival::kDuplicate);
  EXPECT_EQ(track_.received(), 3 * kWindow);
}

TEST_F(TrackTest, GapsAreFilledOnceAndSplit) {
  Take(0);
  track_.DeclareMissing(10);
  EXPECT_EQ(track_.missing(), (std::vector<SequenceRange>{{1, 9}}));
  Take(5);
  EXPECT_EQ(track_.missing(), (std::vector<SequenceRange>{{1, 4}, {6, 9}}));
  EXPECT_EQ(track_.Classify(5, D(5)), Arrival::kDuplicate);
  for (const uint64_t s : {1u, 2u, 3u, 4u, 6u, 7u, 8u, 9u}) Take(s);
  EXPECT_TRUE(track_.missing().empty());
}

TEST_F(TrackTest, ALateFillerDoesNotPushOutTheWindow) {
  track_.DeclareMissing(1);
  for (uint64_t s = 1; s <= 2 * kWindow; ++s) Take(s);
  Take(0);  // shares its slot with 2 * kWindow
  EXPECT_EQ(track_.Classify(2 * kWindow, D(2 * kWindow)), Arrival::kDuplicate);
  EXPECT_EQ(track_.Classify(0, D(0)), Arrival::kOld);
}

TEST_F(TrackTest, GapsAreBounded) {
  for (uint64_t s = 1; s < 6 * limits::kMaxGapsPerStream; s += 2) {
    track_.DeclareMissing(s);
    Take(s);
  }
  EXPECT_LE(track_.missing().size(), limits::kMaxGapsPerStream);
  EXPECT_EQ(track_.Classify(0, D(0)), Arrival::kOld) << "the oldest gap is forgotten";
}

TEST_F(TrackTest, FillingEveryOtherRecordOfAHugeGapIsBoundedToo) {
  track_.DeclareMissing(uint64_t{1} << 24);
  for (uint64_t s = (uint64_t{1} << 24) - 1; s > (uint64_t{1} << 24) - 20'000; s -= 2) {
    if (track_.Classify(s, D(s)) == Arrival::kNew) track_.Note(s, D(s));
  }
  EXPECT_LE(track_.missing().size(), limits::kMaxGapsPerStream);
}

TEST_F(TrackTest, CheckpointsConfirm) {
  for (uint64_t s = 0; s < 4; ++s) Take(s);
  EXPECT_EQ(track_.NoteCheckpoint(3, HashOf(h0_, 0, 3)).confirmed, (std::vector<SequenceRange>{{0, 2}}));
  EXPECT_EQ(track_.confirmed_to(), 3u);
  EXPECT_TRUE(track_.NoteCheckpoint(2, HashOf(h0_, 0, 2)).confirmed.empty()) << "an older word";
  EXPECT_EQ(track_.NoteCheckpoint(4, HashOf(h0_, 0, 4)).confirmed, (std::vector<SequenceRange>{{3, 3}}));
  EXPECT_EQ(track_.confirmed_count(), 4u);
  EXPECT_TRUE(track_.Complete(4));
  EXPECT_FALSE(track_.Complete(5));
  EXPECT_FALSE(track_.NoteCheckpoint(4, HashOf(h0_, 0, 4)).broken);
  EXPECT_TRUE(track_.NoteCheckpoint(4, D(1)).broken) << "two words about one place";
}

TEST_F(TrackTest, ACheckpointThatContradictsBreaksOnceAndConfirmsNothing) {
  for (uint64_t s = 0; s < 3; ++s) Take(s);
  const auto outcome = track_.NoteCheckpoint(3, D(1));
  EXPECT_TRUE(outcome.broken);
  EXPECT_TRUE(outcome.confirmed.empty());
  EXPECT_EQ(track_.confirmed_count(), 0u);
}

TEST_F(TrackTest, AGapWaitsForItsRecords) {
  Take(0);
  track_.DeclareMissing(2);
  Take(2);
  EXPECT_TRUE(track_.NoteCheckpoint(3, HashOf(h0_, 0, 3)).confirmed.empty());
  Take(3);
  EXPECT_EQ(track_.NoteCheckpoint(4, HashOf(h0_, 0, 4)).confirmed, (std::vector<SequenceRange>{{3, 3}}));
  EXPECT_EQ(Take(1).confirmed, (std::vector<SequenceRange>{{0, 2}}));
}

TEST_F(TrackTest, ALateCheckpointDividesWhatWaits) {
  for (uint64_t s = 0; s < 6; ++s) {
    if (s != 4) {
      Take(s);
    } else {
      track_.DeclareMissing(5);
    }
  }
  EXPECT_TRUE(track_.NoteCheckpoint(6, HashOf(h0_, 0, 6)).confirmed.empty());
  EXPECT_EQ(track_.NoteCheckpoint(3, HashOf(h0_, 0, 3)).confirmed, (std::vector<SequenceRange>{{0, 2}}));
  EXPECT_EQ(Take(4).confirmed, (std::vector<SequenceRange>{{3, 5}}));
  EXPECT_EQ(track_.confirmed_count(), 6u);
}

TEST_F(TrackTest, TheSenderDecidesBetweenVariants) {
  StreamTrack::Outcome outcome;
  EXPECT_EQ(track_.Classify(0, D(0, 1)), Arrival::kNew);
  track_.Note(0, D(0, 1));
  track_.AdvanceTo(1);
  Take(1);
  EXPECT_EQ(track_.Classify(0, D(0)), Arrival::kConflict);
  EXPECT_TRUE(track_.NoteVariant(0, D(0), outcome));
  EXPECT_EQ(track_.Classify(0, D(0)), Arrival::kDuplicate);
  const auto decided = track_.NoteCheckpoint(2, HashOf(h0_, 0, 2));
  EXPECT_EQ(decided.confirmed, (std::vector<SequenceRange>{{1, 1}}));
  EXPECT_EQ(decided.swapped, (std::vector<StreamTrack::Swap>{{0, D(0)}}));
  EXPECT_FALSE(decided.broken);
  EXPECT_EQ(track_.Classify(0, D(0)), Arrival::kDuplicate);
  EXPECT_EQ(track_.Classify(0, D(0, 1)), Arrival::kConflict);
  EXPECT_FALSE(track_.NoteVariant(0, D(0, 1), outcome)) << "decided";
}

TEST_F(TrackTest, VariantsAndTheSearchAmongThemAreBounded) {
  StreamTrack::Outcome outcome;
  for (uint64_t s = 0; s < 300; ++s) {
    track_.Note(s, D(s, 9));
    track_.AdvanceTo(s + 1);
    const size_t kept = [&] {
      size_t n = 0;
      for (uint8_t v = 0; v < 8; ++v) n += track_.NoteVariant(s, D(s, v), outcome) ? 1u : 0u;
      return n;
    }();
    EXPECT_EQ(kept, s < 256 ? limits::kMaxVariantsPerSequence - 1 : 0) << s;
  }
  const auto decided = track_.NoteCheckpoint(300, HashOf(h0_, 0, 300));  // must come back
  EXPECT_TRUE(decided.broken);
  EXPECT_TRUE(decided.confirmed.empty());
}

// Random arrivals against a model that remembers everything.
TEST(TrackModelTest, AgreesWithAModelThatForgetsNothing) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SeededRandom random(seed);
    const auto pick = [&](uint64_t below) {
      std::array<uint8_t, 8> b{};
      random.Fill(b);
      uint64_t n = 0;
      for (const uint8_t byte : b) n = n << 8 | byte;
      return n % below;
    };
    const Digest h0 = D(seed);
    StreamTrack track(h0);
    std::set<uint64_t> got;
    std::set<uint64_t> confirmed;
    std::set<uint64_t> seen_missing;
    const auto note = [&](const StreamTrack::Outcome& outcome) {
      EXPECT_FALSE(outcome.broken);
      for (const SequenceRange& range : outcome.confirmed) {
        for (uint64_t s = range.first; s <= range.last; ++s) EXPECT_TRUE(confirmed.insert(s).second) << s;
      }
    };
    std::vector<Digest> hashes = {h0};
    for (uint64_t s = 0; s < 6000; ++s) hashes.push_back(NextRunningHash(hashes.back(), D(s)));
    for (int step = 0; step < 20'000; ++step) {
      const uint64_t frontier = track.frontier();
      const uint64_t low = frontier > 1500 ? frontier - 1500 : 0;
      const uint64_t sequence = pick(4) == 0 ? low + pick(3000) : frontier + pick(12);
      if (sequence >= 6000) continue;
      const bool junk = pick(50) == 0;
      const Arrival arrival = track.Classify(sequence, D(sequence, junk ? 1 : 0));
      const bool has = got.contains(sequence);
      if (sequence >= frontier + kWindow) {
        EXPECT_EQ(arrival, Arrival::kTooFarAhead);
      } else if (!has) {
        EXPECT_EQ(arrival, Arrival::kNew);
        if (junk) continue;
        note(track.Note(sequence, D(sequence)));
        got.insert(sequence);
        uint64_t next = track.frontier();
        while (got.contains(next)) ++next;
        track.AdvanceTo(next);
      } else if (sequence + kWindow >= frontier) {
        EXPECT_EQ(arrival, junk ? Arrival::kConflict : Arrival::kDuplicate) << sequence << " at " << frontier;
      } else {
        EXPECT_TRUE(arrival == Arrival::kOld || arrival == (junk ? Arrival::kConflict : Arrival::kDuplicate));
      }
      if (pick(200) == 0 && !got.empty()) {  // a gap is given up
        const uint64_t to = *got.rbegin();
        while (track.frontier() < to) {
          uint64_t up_to = track.frontier();
          while (!got.contains(up_to)) ++up_to;
          track.DeclareMissing(up_to);
          while (got.contains(up_to)) ++up_to;
          track.AdvanceTo(up_to);
        }
      }
      if (pick(60) == 0) {
        const uint64_t count = pick(track.frontier() + 1);
        note(track.NoteCheckpoint(count, hashes[count]));
      }
      if (step % 500 == 0) {
        std::set<uint64_t> missing;
        for (uint64_t s = 0; s < track.frontier(); ++s) {
          if (!got.contains(s)) missing.insert(s);
        }
        std::set<uint64_t> told;
        for (const SequenceRange& range : track.missing()) {
          for (uint64_t s = range.first; s <= range.last; ++s) told.insert(s);
        }
        EXPECT_EQ(told, missing);
      }
    }
    for (uint64_t s = 0; s < 6000; ++s) {  // everything comes in the end
      if (got.contains(s)) continue;
      if (s >= track.frontier() + kWindow) track.AdvanceTo(s);
      note(track.Note(s, D(s)));
      got.insert(s);
      uint64_t next = track.frontier();
      while (got.contains(next)) ++next;
      track.AdvanceTo(next);
    }
    note(track.NoteCheckpoint(6000, hashes[6000]));
    EXPECT_EQ(confirmed.size(), 6000u) << "seed " << seed;
    EXPECT_TRUE(track.Complete(6000));
  }
}

}  // namespace
}  // namespace keystead
