// An export as it is sent: the tenant's commits and groups as they were handed in, opened from their
// encryption at rest and sealed as their senders sealed them.
#pragma once

#include <functional>
#include <memory>

#include "backend/at_rest/encrypted_store.h"
#include "backend/backup/copy_source.h"
#include "core/copies/export_file.h"
#include "core/identity/signer.h"
#include "core/storage/log_store.h"

namespace keystead::backend {

class ExportStream final : public CopySource {
 public:
  using Signer = std::function<absl::StatusOr<SigningIdentity>()>;  // FAILED_PRECONDITION: there is none
  // `disk` is the store below the encryption; it outlives the stream. Errors are its and the keystore's.
  static absl::StatusOr<std::unique_ptr<ExportStream>> Begin(storage::LogStore& disk,
                                                             at_rest::Ciphers& ciphers, uint32_t tenant,
                                                             copies::ExportHeader header, Signer signer);
  absl::StatusOr<std::string> Next() override;

 private:
  ExportStream(std::unique_ptr<storage::TenantSnapshot> snapshot,
               std::shared_ptr<at_rest::TenantCipher> cipher, uint32_t tenant, copies::ExportHeader header,
               Signer signer)
      : snapshot_(std::move(snapshot)),
        cipher_(std::move(cipher)),
        tenant_(tenant),
        header_(std::move(header)),
        signer_(std::move(signer)) {}
  absl::Status Append(std::string& out, const storage::TenantItem& item);
  absl::Status AppendTrailer(std::string& out);

  std::unique_ptr<storage::TenantSnapshot> snapshot_;  // null behind the end
  const std::shared_ptr<at_rest::TenantCipher> cipher_;
  const uint32_t tenant_;
  const copies::ExportHeader header_;
  const Signer signer_;
  copies::FrameWriter frames_;
};

}  // namespace keystead::backend
