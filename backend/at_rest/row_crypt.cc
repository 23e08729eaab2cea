#include "backend/at_rest/row_crypt.h"

#include "absl/strings/str_cat.h"
#include "backend/at_rest/key_shapes.h"
#include "backend/rows.h"
#include "core/base/big_endian.h"
#include "core/base/status.h"

namespace keystead::backend::at_rest {
namespace {

using storage::Table;

constexpr size_t kLengthBytes = 4;
constexpr size_t kCompartmentAt = 3;  // behind format and version

std::string RowAad(uint32_t tenant, Table table, std::string_view masked) {
  std::string out = "r";
  PutNumber(out, tenant, 4);
  out.push_back(static_cast<char>(table));
  out.append(masked);
  return out;
}

absl::Status Damaged(uint32_t tenant, Table table) {
  const std::string whose = tenant == kOwnTenant ? "the backend's own" : absl::StrCat("tenant ", tenant);
  return absl::DataLossError(absl::StrCat("a row of ", whose, " in table ", static_cast<int>(table),
                                          " is not what was written there: restore the store from a backup"));
}

}  // namespace

std::string EntryAad(storage::LogRef log, uint64_t offset) {
  std::string out = "e";
  PutNumber(out, log.tenant, 4);
  PutNumber(out, log.log);
  PutNumber(out, offset);
  return out;
}

// A name is masked together with all that is before it: the same topic of two instantiations looks different.
absl::StatusOr<MaskedKey> Masked(const TenantCipher& cipher, Table table, std::string_view key) {
  MaskedKey out;
  size_t at = 0;
  for (const KeySegment& segment : ShapeOf(table, key)) {
    if (at == key.size()) break;
    const size_t size = segment.bytes == 0 ? key.size() - at : segment.bytes;
    const std::string_view part = key.substr(at, size);
    at += part.size();
    if (segment.kind == KeySegment::Kind::kClear) {
      out.bytes.append(part);
      continue;
    }
    if (part.size() != size) return absl::InternalError("a key of a row ends inside of a name");
    if (segment.kind == KeySegment::Kind::kInstantiation) {
      KS_ASSIGN_OR_RETURN(out.instantiation, InstantiationId::FromBytes(part));
    }
    std::string named(1, static_cast<char>(table));
    named.append(key.substr(0, at));
    out.bytes += cipher.Mask(AsBytes(named));
  }
  return out;
}

CompartmentId CompartmentOf(const TenantCipher& cipher, const std::optional<InstantiationId>& id) {
  return id.has_value() ? cipher.CompartmentOf(*id) : CompartmentId();
}

std::optional<CompartmentId> CompartmentOfSealed(std::string_view sealed) {
  if (sealed.size() < kSealedOverhead) return std::nullopt;
  return *CompartmentId::FromBytes(sealed.substr(kCompartmentAt, CompartmentId::kSize));
}

absl::StatusOr<std::string> SealRow(TenantCipher& cipher, uint32_t tenant, Table table,
                                    const MaskedKey& masked, std::string_view key, std::string_view value) {
  std::string plain;
  plain.reserve(kLengthBytes + key.size() + value.size());
  PutNumber(plain, key.size(), kLengthBytes);
  plain.append(key).append(value);
  return cipher.Seal(CompartmentOf(cipher, masked.instantiation),
                     AsBytes(RowAad(tenant, table, masked.bytes)), plain);
}

absl::StatusOr<storage::Row> UnsealRow(TenantCipher& cipher, uint32_t tenant, Table table,
                                       std::string_view masked, std::string_view sealed) {
  const absl::StatusOr<std::string> plain = cipher.Unseal(AsBytes(RowAad(tenant, table, masked)), sealed);
  if (absl::IsDataLoss(plain.status())) return Damaged(tenant, table);
  if (!plain.ok()) return plain.status();
  if (plain->size() < kLengthBytes) return Damaged(tenant, table);
  const size_t length = GetNumber(std::string_view(*plain).substr(0, kLengthBytes));
  if (length > plain->size() - kLengthBytes) return Damaged(tenant, table);
  return storage::Row{plain->substr(kLengthBytes, length), plain->substr(kLengthBytes + length)};
}

}  // namespace keystead::backend::at_rest
