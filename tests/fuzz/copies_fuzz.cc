// Backups and exports: what is read is encoded again alike, in whatever pieces it came, and no file that
// somebody else made is taken for signed. A leading byte picks the parser.
#include <algorithm>

#include "core/copies/backup_file.h"
#include "core/copies/export_verify.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace keystead;

// The frames of a file that was fed in pieces of `piece` bytes, written again.
std::string Again(std::string_view file, size_t piece) {
  copies::FrameReader reader;
  copies::FrameWriter writer;
  std::string out;
  for (size_t at = 0; at < file.size(); at += piece) {
    reader.Feed(file.substr(at, piece));
    while (true) {
      const auto frame = reader.Next();
      if (!frame.ok() || !frame->has_value()) break;
      if ((*frame)->kind == copies::kTrailerKind) {
        FUZZ_CHECK(writer.frames() == 0 || writer.digest() == reader.digest());
        writer.AppendTrailer(out, (*frame)->payload);
      } else {
        writer.Append(out, (*frame)->kind, (*frame)->payload);
      }
    }
  }
  if (reader.Finish().ok() && writer.frames() > 0) FUZZ_CHECK(out == file);
  return out;
}

void Decode(const copies::Frame& frame) {
  if (const auto header = copies::DecodeBackupHeader(frame); header.ok())
    FUZZ_CHECK(copies::EncodeBackupHeader(*header) == frame.payload);
  if (const auto trailer = copies::DecodeBackupTrailer(frame); trailer.ok())
    FUZZ_CHECK(copies::EncodeBackupTrailer(*trailer) == frame.payload);
  if (const auto item = copies::DecodeItem(frame); item.ok()) {
    FUZZ_CHECK(copies::KindOf(*item) == frame.kind);
    FUZZ_CHECK(copies::EncodeItem(*item) == frame.payload);
  }
  if (const auto header = copies::DecodeExportHeader(frame); header.ok())
    FUZZ_CHECK(copies::EncodeExportHeader(*header) == frame.payload);
  if (const auto commit = copies::DecodeExportedCommit(frame); commit.ok())
    FUZZ_CHECK(copies::EncodeExportedCommit(*commit) == frame.payload);
  if (const auto trailer = copies::DecodeExportTrailer(frame); trailer.ok())
    FUZZ_CHECK(copies::EncodeExportTrailer(*trailer) == frame.payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    Decode({input[0], input.substr(1)});
    return 0;
  }
  FUZZ_CHECK(Again(input, 1) == Again(input, input.size()));
  copies::ExportVerifier verifier;
  if (verifier.Feed(input).ok()) FUZZ_CHECK(!verifier.Finish("no CA").ok());
  return 0;
}
