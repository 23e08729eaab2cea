// A keystore in a PKCS #11 token: the keys of tenants are made in it, are marked so that they cannot be taken
// out, and are used there, with HMAC-SHA-256 (PKCS #11 v2.40, CKM_SHA256_HMAC). Only the salts of
// compartments are files. How to start one with SoftHSM2: README.md.
#pragma once

#include <memory>
#include <string>

#include "backend/at_rest/keystore.h"
#include "core/base/random.h"

namespace keystead::backend::at_rest {

struct Pkcs11Options {
  std::string module;       // the shared library of the token's maker
  std::string token;        // its label
  std::string pin_file;     // holds the user's PIN; mode 0600
  std::string salt_folder;  // made where it is missing
};

// One session, one call at a time. THREAD: Derive waits for the token; the backend asks it once for each
// segment of each tenant and open, not for each record.
class Pkcs11KeyStore final : public KeyStore {
 public:
  // UNAVAILABLE: no such module or token. PERMISSION_DENIED: the PIN is wrong, or its file is open to others.
  // The message names what.
  static absl::StatusOr<std::unique_ptr<Pkcs11KeyStore>> Open(const Pkcs11Options& options,
                                                              RandomSource& random = RandomSource::System());
  ~Pkcs11KeyStore() override;

  absl::Status Create(uint32_t tenant) override;
  absl::StatusOr<uint32_t> CurrentVersion(uint32_t tenant) const override;
  absl::StatusOr<uint32_t> Rotate(uint32_t tenant) override;
  absl::StatusOr<SecretBytes> Derive(uint32_t tenant, uint32_t version, ByteView info) const override;
  absl::Status Destroy(uint32_t tenant) override;
  absl::StatusOr<SecretBytes> Salt(uint32_t tenant, const CompartmentId& compartment, bool create) override;
  absl::Status DestroySalt(uint32_t tenant, const CompartmentId& compartment) override;

 private:
  class Token;
  explicit Pkcs11KeyStore(std::unique_ptr<Token> token);
  const std::unique_ptr<Token> token_;
};

}  // namespace keystead::backend::at_rest
