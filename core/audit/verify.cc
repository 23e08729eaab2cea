#include "core/audit/verify.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace keystead::audit {
namespace {

absl::Status Wrong(const auto&... words) { return absl::UnauthenticatedError(absl::StrCat(words...)); }

// The entries as a chain of their own that ends in the head.
absl::Status ReadChain(const ExportView& view, VerifiedExport& out) {
  const Head& head = out.head;
  const uint64_t begin = head.end() - view.entries.size();
  for (const ByteView bytes : view.entries) {
    const uint64_t sequence = begin + out.entries.size();
    absl::StatusOr<Entry> entry = ParseEntry(bytes);
    if (!entry.ok()) return Wrong("entry ", sequence, " is malformed: the export was changed");
    if (entry->sequence != sequence) {
      return Wrong("entry ", entry->sequence, " stands where entry ", sequence,
                   " belongs: entries were removed, added or reordered");
    }
    const bool is_first_kept = sequence == head.first;
    if ((is_first_kept && entry->previous != head.before) ||
        (!out.hashes.empty() && entry->previous != out.hashes.back())) {
      return Wrong("entry ", sequence, " does not follow the one before it: one of the two was changed");
    }
    out.hashes.push_back(HashEntry(head.tenant, bytes));
    out.entries.push_back(*std::move(entry));
  }
  if (!out.hashes.empty() && out.hashes.back() != head.head)
    return Wrong("the last entry is not the one that the provider signed: it was changed");
  return absl::OkStatus();
}

// The hash of the entry `sequence` as far as the export shows it, also of the one just before its first.
const Digest* HashAt(const VerifiedExport& log, uint64_t sequence) {
  const uint64_t begin = log.begin();
  if (sequence >= begin && sequence - begin < log.hashes.size()) return &log.hashes[sequence - begin];
  if (sequence + 1 == begin && !log.entries.empty()) return &log.entries.front().previous;
  if (sequence + 1 == log.head.first) return &log.head.before;
  if (sequence + 1 == log.head.end()) return &log.head.head;
  return nullptr;
}

}  // namespace

absl::StatusOr<VerifiedExport> VerifyExport(ByteView file, std::string_view provider_ca_pem, Extent extent) {
  KS_ASSIGN_OR_RETURN(const ExportView view, ParseExport(file));
  KS_ASSIGN_OR_RETURN(VerifiedHead verified, VerifyHead(view.signed_head, view.chain_pem, provider_ca_pem));
  VerifiedExport out;
  out.head = std::move(verified.head);
  out.signer = std::move(verified.signer);
  const size_t there = view.entries.size();
  if (there > out.head.count || (extent == Extent::kWhole && there != out.head.count)) {
    return Wrong("the provider signed ", out.head.count, " entries from ", out.head.first,
                 " on, and here are ", there, ": entries were removed or added");
  }
  out.entries.reserve(there);
  out.hashes.reserve(there);
  KS_RETURN_IF_ERROR(ReadChain(view, out));
  return out;
}

absl::StatusOr<Continuation> Extends(const VerifiedExport& newer, const VerifiedExport& older) {
  if (newer.head.tenant != older.head.tenant) {
    return Wrong("the older export is of ", older.head.tenant.str(), ", this one of ",
                 newer.head.tenant.str());
  }
  if (newer.signer.tenant() != older.signer.tenant())
    return Wrong("the two exports are of different providers");
  if (newer.head.end() < older.head.end() || newer.head.first < older.head.first) {
    return Wrong("the older export has entries ", older.head.first, " to before ", older.head.end(),
                 ", this one ", newer.head.first, " to before ", newer.head.end(),
                 ": entries were cut, or the older one is not the older");
  }
  if (newer.begin() > older.head.end()) {
    return Wrong("the older export ends before entry ", older.head.end(), " and this one begins with entry ",
                 newer.begin(), ": nothing shows what was between");
  }
  // Equal hashes at one place mean equal entries up to there; each place that both show is looked at to say
  // where they part. What was just checked leaves one at least, unless the older log was empty.
  const uint64_t from = std::max<uint64_t>(newer.begin(), 1) - 1;
  for (uint64_t sequence = from; sequence < older.head.end(); ++sequence) {
    const Digest* const now = HashAt(newer, sequence);
    const Digest* const then = HashAt(older, sequence);
    if (now == nullptr || then == nullptr || *now != *then)
      return Wrong("entry ", sequence, " is not the one of the older export: it was rewritten");
  }
  const uint64_t kept_from = std::clamp(newer.head.first, older.head.first, older.head.end());
  return Continuation{newer.head.end() - older.head.end(), kept_from - older.head.first};
}

}  // namespace keystead::audit
