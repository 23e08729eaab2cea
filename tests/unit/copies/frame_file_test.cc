// Frames of a file: whole ones come out in whatever pieces it came in, and what was cut, edited or put behind
// it is found.
#include "core/copies/frame_file.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/copies/export_verify.h"

namespace keystead::copies {
namespace {

std::string Example(FrameWriter& writer) {
  std::string out;
  writer.Append(out, 'H', "header");
  writer.Append(out, 'E', "");
  writer.Append(out, 'E', std::string(1000, 'x'));
  writer.AppendTrailer(out, "end");
  return out;
}

// The kinds of all frames, and whether the end was good.
std::pair<std::string, bool> Read(FrameReader& reader, std::string_view file, size_t piece) {
  std::string kinds;
  for (size_t at = 0; at < file.size(); at += piece) {
    reader.Feed(file.substr(at, piece));
    while (true) {
      const auto frame = reader.Next();
      if (!frame.ok()) return {kinds, false};
      if (!frame->has_value()) break;
      kinds.push_back((*frame)->kind);
    }
  }
  return {kinds, reader.Finish().ok()};
}

TEST(FrameFileTest, FramesComeOutWhateverThePieces) {
  FrameWriter writer;
  const std::string file = Example(writer);
  const Digest digest = writer.digest();
  for (const size_t piece : {size_t{1}, size_t{2}, size_t{7}, size_t{1000}, file.size()}) {
    FrameReader reader;
    EXPECT_EQ(Read(reader, file, piece), std::pair(std::string("HEEZ"), true)) << piece;
    EXPECT_EQ(reader.frames(), 3u);
    EXPECT_EQ(reader.digest(), digest);
  }
}

TEST(FrameFileTest, EveryTruncationAndWhatStandsBehindIsFound) {
  FrameWriter writer;
  const std::string file = Example(writer);
  for (size_t size = 0; size < file.size(); ++size) {
    FrameReader reader;
    EXPECT_FALSE(Read(reader, file.substr(0, size), 64).second) << size;
  }
  FrameReader reader;
  EXPECT_FALSE(Read(reader, file + "x", 64).second);
}

TEST(FrameFileTest, EveryFlippedByteChangesTheDigestOrTheFrames) {
  FrameWriter writer;
  const std::string file = Example(writer);
  const Digest digest = writer.digest();
  for (size_t at = 0; at < file.size(); ++at) {
    std::string edited = file;
    edited[at] = static_cast<char>(edited[at] ^ 1);
    FrameReader reader;
    const auto [kinds, good] = Read(reader, edited, 64);
    const bool in_trailer = at + 4 > file.size() - 4;
    EXPECT_TRUE(!good || reader.digest() != digest || reader.frames() != 3 || in_trailer) << at;
  }
}

TEST(FrameFileTest, AFrameBeyondTheLimitIsRefusedBeforeItIsHeld) {
  FrameReader reader;
  reader.Feed(std::string("ks1copy\n\xff\xff\xff\xff", 12));
  EXPECT_TRUE(absl::IsInvalidArgument(reader.Next().status()));
  FrameReader empty;
  empty.Feed(std::string("ks1copy\n\0\0\0\0", 12));
  EXPECT_TRUE(absl::IsInvalidArgument(empty.Next().status()));
}

TEST(FrameFileTest, AnExportThatNobodySignedIsNoSignedOne) {
  FrameWriter writer;
  std::string file;
  const ExportHeader header{"provider-one.example", *TenantName::Parse("acme.keystead.example"),
                            absl::UnixEpoch()};
  writer.Append(file, 'H', EncodeExportHeader(header));
  const Digest digest = writer.digest();
  writer.AppendTrailer(file, EncodeExportTrailer({writer.frames(), digest, "", {}}));
  ExportVerifier verifier;
  ASSERT_TRUE(verifier.Feed(file).ok());
  EXPECT_TRUE(verifier.Finish("").ok());
  EXPECT_TRUE(absl::IsUnauthenticated(verifier.Finish("a CA").status()));
}

}  // namespace
}  // namespace keystead::copies
