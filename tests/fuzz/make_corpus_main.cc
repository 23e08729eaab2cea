// Writes the seed corpora of the CBOR and COSE fuzz targets: valid objects of every shape, made with fixed
// keys, and a few that must be refused. Signatures and encapsulated keys differ from run to run.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/status.h"
#include "core/cose/cbor.h"
#include "core/cose/cose_key.h"
#include "core/cose/encrypt0.h"
#include "core/cose/hpke_recipient.h"
#include "core/cose/sign1.h"

namespace keystead {
namespace {

class Corpus {
 public:
  Corpus(const std::filesystem::path& root, const char* target) : folder_(root / target) {
    std::filesystem::create_directories(folder_);
  }
  void Add(const std::string& name, ByteView bytes) {
    std::ofstream out(folder_ / name, std::ios::binary);
    out << AsChars(bytes);
  }
  void AddHex(const std::string& name, std::string_view hex) { Add(name, *FromHex(hex)); }

 private:
  std::filesystem::path folder_;
};

void WriteCborCorpus(const std::filesystem::path& root) {
  Corpus corpus(root, "cbor");
  corpus.Add("array", cose::EncodeArray("ks1 rec", Bytes{1, 2, 3}, 7, -8, nullptr, true, "ä€😀"));
  corpus.Add("map", cose::CborMap().Set(1, 2).Set(-1, "x").Set(23, Bytes(30, 9)).Set(-24, false).Encode());
  corpus.AddHex("widths",
                "8c1718181864190100190fff1a000100001affffffff1b00000001000000001bffffffffffffffff3818391000"
                "3bffffffffffffffff");
  corpus.AddHex("nested", "a101a201818180038182f4f5");
  corpus.AddHex("deepest", "818181818181818100");
  corpus.AddHex("refused_deep", "81818181818181818100");
  corpus.AddHex("refused_long_form", "1817");
  corpus.AddHex("refused_indefinite", "9f01ff");
  corpus.AddHex("refused_unsorted", "a220000100");
  corpus.AddHex("refused_duplicate", "a201000100");
  corpus.AddHex("refused_float", "fb3ff0000000000000");
  corpus.AddHex("refused_utf8", "62c328");
  corpus.AddHex("lenient_tag", "d28443a10126a10442313140f6");
}

absl::Status WriteCoseCorpus(const std::filesystem::path& root) {
  SeededRandom random(1);
  KS_ASSIGN_OR_RETURN(auto aead, crypto::Aes256Gcm::Create(random.Secret(32)));
  Corpus records(root, "encrypt0");
  const uint64_t sequences[] = {0, 255, 256, uint64_t{1} << 40};
  for (size_t i = 0; i < std::size(sequences); ++i) {
    Bytes object;
    KS_RETURN_IF_ERROR(cose::AppendEncrypt0(aead, {}, Bytes(8 * (i + 1), 0x6b), sequences[i], AsBytes("aad"),
                                            Bytes(i * 100, 0x70), object));
    records.Add("record_" + std::to_string(i), object);
  }

  KS_ASSIGN_OR_RETURN(const auto signer, crypto::EcdsaKeyPair::Generate(random));
  Corpus keys(root, "cose_key");
  keys.Add("key", cose::EncodeCoseKey(signer.public_key()));
  Corpus signatures(root, "sign1");
  for (const char* kind : {"ks1/commit", "ks1/opening"}) {
    KS_ASSIGN_OR_RETURN(const Bytes object,
                        cose::SignSign1(signer, kind, AsBytes("payload"), AsBytes("aad")));
    signatures.Add(std::string(kind).substr(4), object);
  }
  signatures.AddHex("esp256_h00", "844ea2012810696b73312f70726f6265a0405840" + std::string(128, '1'));

  KS_ASSIGN_OR_RETURN(const auto receiver, crypto::EcdhKeyPair::Generate(random));
  const SecretBytes psk = random.Secret(32);
  const cose::HpkePsk with_psk{&psk, AsBytes("ks1 m1")};
  const cose::HpkeBinding binding{AsBytes("aad"), {}, {}};
  Corpus hpke(root, "hpke_recipient");
  for (const bool use_psk : {false, true}) {
    const cose::HpkePsk mode = use_psk ? with_psk : cose::HpkePsk{};
    const std::string suffix = use_psk ? "_psk" : "_base";
    KS_ASSIGN_OR_RETURN(const Bytes one, cose::SealHpkeEncrypt0(receiver.public_key(), AsBytes("kid"), mode,
                                                                binding, AsBytes("content")));
    hpke.Add("encrypt0" + suffix, one);
    const std::vector<cose::HpkeRecipientTo> to = {
        {receiver.public_key(), ToBytes(std::string_view("a")), mode}, {receiver.public_key(), {}, {}}};
    KS_ASSIGN_OR_RETURN(const Bytes many, cose::SealHpkeEncrypt(to, binding, AsBytes("content"), random));
    hpke.Add("encrypt" + suffix, many);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace keystead

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  keystead::WriteCborCorpus(argv[1]);
  const absl::Status status = keystead::WriteCoseCorpus(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
