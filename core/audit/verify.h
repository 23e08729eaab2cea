// Whether an export is what the provider's log held, and whether it continues an older export. Needs nothing
// but the files and the provider's CA.
//
// What it shows: nobody but the holder of the provider's audit key has edited, removed, added or reordered an
// entry, and of two exports with the same signer the provider has not done so either in between. What it does
// not: that the provider recorded everything, or shows everybody the same log; keep old exports, and compare.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/audit/entry.h"
#include "core/audit/export.h"
#include "core/audit/head.h"

namespace keystead::audit {

struct VerifiedExport {
  Head head;
  SpiffeId signer;
  std::vector<Entry> entries;  // without holes, the last is the head
  std::vector<Digest> hashes;  // of each

  // The sequence of the first entry here; after head.first only in a part of an export.
  uint64_t begin() const { return head.end() - entries.size(); }
};

enum class Extent {
  kWhole,  // every entry that the head says is kept
  kPart,   // from a later one on: Extends then has to show what is before it
};

// INVALID_ARGUMENT: no export. UNAUTHENTICATED: not what the provider signed; says where.
absl::StatusOr<VerifiedExport> VerifyExport(ByteView file, std::string_view provider_ca_pem,
                                            Extent extent = Extent::kWhole);

struct Continuation {
  uint64_t added = 0;    // entries after the older export's last
  uint64_t trimmed = 0;  // entries of the older export that the provider says it keeps no longer
};
// That `newer` is the same log, later: every entry that both have is the same, and what `newer` leaves out at
// its beginning is either in `older` or declared. UNAUTHENTICATED says what was rewritten or cut.
absl::StatusOr<Continuation> Extends(const VerifiedExport& newer, const VerifiedExport& older);

}  // namespace keystead::audit
