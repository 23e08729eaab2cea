// Writes the seed corpora of the fuzz targets of core/membership and core/sealing: valid objects of every
// shape.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/cose/cbor.h"
#include "core/sealing/command.h"
#include "core/sealing/joining.h"
#include "core/sealing/wrap.h"
#include "tests/unit/sealing/test_reader.h"

namespace keystead {
namespace {

void Write(const std::filesystem::path& folder, const std::string& name, ByteView bytes) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / name, std::ios::binary) << AsChars(bytes);
}

Bytes Prefixed(uint8_t mode, ByteView bytes) {
  Bytes out = {mode};
  Append(out, bytes);
  return out;
}

void WriteMembership(const std::filesystem::path& root, World& world) {
  for (size_t n = 0; n < world.contents.size(); ++n)
    Write(root / "commit_bundle", "commit_" + std::to_string(n), world.contents[n]);
  Write(root / "commit_bundle", "body", world.owner.chain().head().body_bytes);
  Write(root / "notice", "head", cose::EncodeArray(InstantiationId(), 1, Digest(), 7, -1));
  Write(root / "notice", "probe", cose::EncodeArray(MemberId(), ProbeNonce()));
  SeededRandom random(7);  // the key of notice_fuzz.cc
  const auto key = crypto::EcdsaKeyPair::Generate(random).value();
  Write(root / "notice", "acceptance",
        cose::EncodeArray("fuzz.keystead.example", InstantiationId(), cose::Ckt(key.public_key()), Digest(),
                          2, Digest()));
}

void WriteJoining(const std::filesystem::path& root, World& world) {
  const auto ik = crypto::EcdsaKeyPair::Generate(world.random).value();
  const auto k = crypto::EcdhKeyPair::Generate(world.random).value();
  const SecretBytes code = world.random.Secret(32);
  JoinResponder device({world.tenant, "bulb", "lightbulb", "spiffe://x/device/bulb", &ik, &code},
                       world.random);
  Write(root / "joining", "unowned", Prefixed(0, device.Serialize().ExposeSecret()));
  device.Arm(BootId(), absl::Seconds(1)).IgnoreError();
  Write(root / "joining", "armed", Prefixed(0, device.Serialize().ExposeSecret()));
  Write(root / "joining", "announcement", Prefixed(0, device.announcement()));
  cose::CborWriter announcement;
  announcement.Array(6).Text("bulb");
  cose::EncodeOne(announcement, ik.public_key());
  cose::EncodeOne(announcement, k.public_key());
  announcement.Uint(0).Bstr(ArmId().view()).Array(1).Text("ks1");
  Write(root / "joining", "announcement_payload", Prefixed(1, announcement.bytes()));
  cose::CborWriter m1;
  m1.Array(11).Text("fuzz.keystead.example").Bstr(InstantiationId().view()).Bstr(MemberId().view());
  m1.Bstr(MemberId().view());
  cose::EncodeOne(m1, ik.public_key());
  cose::EncodeOne(m1, k.public_key());
  cose::EncodeOne(m1, k.public_key());
  m1.Bstr(Digest().view()).Bstr(Digest().view()).Text("ks1").Int(0);
  Write(root / "joining", "m1_payload", Prefixed(2, m1.bytes()));
  cose::CborWriter m2;
  m2.Array(8).Bstr(Digest().view()).Bstr(Digest().view()).Bstr(Digest().view());
  cose::EncodeOne(m2, k.public_key());
  m2.Bstr(BootId().view()).Uint(1000).Text("lightbulb").Text("spiffe://x/device/bulb");
  Write(root / "joining", "m2_payload", Prefixed(3, m2.bytes()));
}

void WriteSealing(const std::filesystem::path& root, ReaderWorld& world) {
  world.sender->Open();
  world.sender->Readings();
  world.GiveAll();
  const Freshness fresh = world.sender->Fresh();
  const auto folder = root / "sealed_content";
  Write(folder, "readings", EncodeContent(kinds::kReadings, AsBytes("21.5")));
  Write(folder, "opening",
        EncodeOpening({PreviousStream{StreamId(), PreviousStream::End{4, Digest()}}, fresh}));
  Write(folder, "checkpoint", EncodeCheckpoint({1, Digest(), fresh, true}));
  Write(folder, "loss", EncodeLoss({StreamId(), 1, 2, "journal full"}));
  std::vector<Grant> grants;
  grants.push_back({world.telemetry, world.device->id(), SecretBytes(kSecretBytes)});
  grants.push_back({world.telemetry, std::nullopt, SecretBytes(kSecretBytes)});
  Write(folder, "grants", EncodeGrants(grants).ExposeSecret());
  Write(root / "command", "command",
        EncodeCommand({MemberId(), MemberId(), 3, BootId(), absl::Seconds(9), {"brightness", 40}}));
  Write(root / "command", "plain",
        EncodeCommand({MemberId(), MemberId(), 3, BootId(), absl::Seconds(9), {"on", {}}}));
  Write(root / "command", "answer", EncodeAnswer({Digest(), CommandResult::kDone, 3, "done"}));
  Write(root / "stored_state", "ring", world.world.owner.ring().Serialize().ExposeSecret());
  Write(root / "stored_state", "reader", world.reader->Snapshot());
  // In order, with gaps, with forgeries, with restarts.
  Bytes in_order, gaps, forged;
  for (uint8_t stream = 0; stream < 3; ++stream) {
    for (uint8_t s = 0; s < 24; ++s) {
      Append(in_order, Bytes{0, stream, s});
      if (s % 3 == 2) Append(forged, Bytes{2, stream, s});
      Append(forged, Bytes{0, stream, s});
      if (s % 4 != 1) Append(gaps, Bytes{0, stream, s});
      if (s % 8 == 7) Append(gaps, Bytes{3, 0, 60, 4, 0, 0});
    }
  }
  for (uint8_t s = 1; s < 24; s = static_cast<uint8_t>(s + 4)) Append(gaps, Bytes{0, 1, s});
  Write(root / "reader", "in_order", in_order);
  Write(root / "reader", "gaps", gaps);
  Write(root / "reader", "forged", forged);
}

}  // namespace
}  // namespace keystead

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  keystead::ReaderWorld world;
  keystead::WriteMembership(argv[1], world.world);
  keystead::WriteJoining(argv[1], world.world);
  keystead::WriteSealing(argv[1], world);
  return 0;
}
