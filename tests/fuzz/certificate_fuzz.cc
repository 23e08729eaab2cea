// What is asked of a peer's certificate, above all its URI names. The first byte says whether the rest is
// PEM, or one certificate in DER, which then is wrapped: a mutation of base64 seldom is a mutation of what it
// stands for.
#include <openssl/evp.h>

#include "core/identity/spiffe_id.h"
#include "core/identity/x509.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using keystead::AsChars;
using keystead::ByteView;

constexpr size_t kMaxCertificates = 4;

std::string ToPem(ByteView der) {
  std::string base64(4 * ((der.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(base64.data()), der.data(),
                                   static_cast<int>(der.size()));
  std::string out = "-----BEGIN CERTIFICATE-----\n";
  for (int at = 0; at < size; at += 64)
    out += base64.substr(static_cast<size_t>(at), 64).c_str() + std::string("\n");
  return out + "-----END CERTIFICATE-----\n";
}

void CheckCertificates(std::string_view pem) {
  const auto certificates = keystead::x509::ParseCertificates(pem, kMaxCertificates);
  if (!certificates.ok()) return;
  FUZZ_CHECK(!certificates->empty() && certificates->size() <= kMaxCertificates);
  for (const auto& certificate : *certificates) {
    const auto names = keystead::x509::UriNames(certificate.get());
    if (names.ok()) {
      for (const std::string& name : *names) {
        FUZZ_CHECK(name.find('\0') == std::string::npos);
        keystead::SpiffeId::Parse(name).IgnoreError();
      }
    }
    const auto fingerprint = keystead::x509::Fingerprint(certificate.get());
    FUZZ_CHECK(!fingerprint.ok() || *keystead::x509::Fingerprint(certificate.get()) == *fingerprint);
    const auto serial = keystead::x509::SerialHex(certificate.get());
    FUZZ_CHECK(!serial.ok() || serial->find_first_not_of("0123456789abcdef") == std::string::npos);
    keystead::x509::IsCa(certificate.get());
    keystead::x509::ToTime(X509_get0_notAfter(certificate.get())).IgnoreError();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 1 << 16) return 0;
  const ByteView input(data + 1, size - 1);
  CheckCertificates(data[0] % 2 == 0 ? ToPem(input) : std::string(AsChars(input)));
  return 0;
}
