#include "core/crypto/hash.h"

#include <array>
#include <cstdlib>

#include "core/base/secret_bytes.h"
#include "core/crypto/openssl_ptr.h"

namespace keystead::crypto {
namespace {

constexpr size_t kBlockBytes = 64;

// Hashing memory fails only when OpenSSL itself is broken; going on without a hash would be worse.
void Require(bool ok) {
  if (!ok) std::abort();
}

const EVP_MD* Md() {
  static const EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);  // for ever
  Require(md != nullptr);
  return md;
}

EVP_MD_CTX* ThreadContext() {
  thread_local const MdCtxPtr context(EVP_MD_CTX_new());
  Require(context != nullptr);
  return context.get();
}

void Start(EVP_MD_CTX* context) { Require(EVP_DigestInit_ex2(context, Md(), nullptr) == 1); }

void Add(EVP_MD_CTX* context, ByteView data) {
  if (!data.empty()) Require(EVP_DigestUpdate(context, data.data(), data.size()) == 1);
}

Digest End(EVP_MD_CTX* context) {
  std::array<uint8_t, Digest::kSize> out{};
  unsigned int size = 0;
  Require(EVP_DigestFinal_ex(context, out.data(), &size) == 1 && size == out.size());
  return Digest(out);
}

}  // namespace

Digest Sha256(ByteView data) { return Sha256({data}); }

Digest Sha256(std::initializer_list<ByteView> parts) {
  EVP_MD_CTX* const context = ThreadContext();
  Start(context);
  for (const ByteView part : parts) Add(context, part);
  return End(context);
}

struct Sha256Hasher::Impl {
  MdCtxPtr context{EVP_MD_CTX_new()};
};

Sha256Hasher::Sha256Hasher() : impl_(std::make_unique<Impl>()) {
  Require(impl_->context != nullptr);
  Start(impl_->context.get());
}
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;
Sha256Hasher::~Sha256Hasher() = default;

void Sha256Hasher::Update(ByteView data) { Add(impl_->context.get(), data); }

Digest Sha256Hasher::Finish() {
  const Digest out = End(impl_->context.get());
  Start(impl_->context.get());
  return out;
}

// RFC 2104, section 2. Two plain hashes on the kept context cost less than OpenSSL's MAC objects.
Digest HmacSha256(ByteView key, ByteView data) {
  Digest hashed_key;
  if (key.size() > kBlockBytes) {
    hashed_key = Sha256(key);
    key = hashed_key.view();
  }
  std::array<uint8_t, kBlockBytes> inner_pad;
  std::array<uint8_t, kBlockBytes> outer_pad;
  for (size_t i = 0; i < kBlockBytes; ++i) {
    const uint8_t k = i < key.size() ? key[i] : uint8_t{0};
    inner_pad[i] = k ^ 0x36;
    outer_pad[i] = k ^ 0x5c;
  }
  Digest inner = Sha256({ByteView(inner_pad), data});
  const Digest out = Sha256({ByteView(outer_pad), inner.view()});
  SecureWipe(inner_pad.data(), inner_pad.size());
  SecureWipe(outer_pad.data(), outer_pad.size());
  SecureWipe(&inner, sizeof(inner));
  SecureWipe(&hashed_key, sizeof(hashed_key));
  return out;
}

}  // namespace keystead::crypto
