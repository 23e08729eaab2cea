#include "backend/backup/copy_key.h"

#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace keystead::backend {
namespace {

constexpr std::string_view kLabel{"ks-at-rest backup\0", 18};  // label, zero byte, no context
constexpr uint32_t kVersion = 1;

}  // namespace

absl::StatusOr<Digest> MacOfBackup(const at_rest::KeyStore& keys, uint32_t tenant, const Digest& digest) {
  KS_ASSIGN_OR_RETURN(const SecretBytes key, keys.Derive(tenant, kVersion, AsBytes(kLabel)));
  return crypto::HmacSha256(key.ExposeSecret(), digest.view());
}

}  // namespace keystead::backend
