#include "backend/audit_notes.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/identity/spiffe_id.h"

namespace keystead::backend {
namespace {

constexpr char kRefused[] = "refused";
constexpr char kOfAnother[] = "(somebody of another tenant)";

}  // namespace

void AuditNotes::Observe(const SecurityEvent& event) {
  const absl::StatusOr<TenantName> name = TenantName::Parse(event.tenant);
  if (!name.ok()) return;
  const std::optional<TenantView> tenant = tenants_->Known(*name);
  if (!tenant.has_value()) return;
  const absl::StatusOr<SpiffeId> peer = SpiffeId::Parse(event.peer);
  const std::optional<AuditBook> provider = log_->Provider();
  const bool foreign =
      peer.ok() && peer->tenant() != *name && (!provider.has_value() || peer->tenant() != provider->name());
  const audit::Event refused{event.peer, kRefused, std::string(SecurityEventName(event.kind)), event.detail};
  audit::Event seen = refused;
  if (foreign) seen.actor = kOfAnother;
  Note(AuditBook(*tenant), seen, event.count);
  if (!foreign || !provider.has_value()) return;
  audit::Event whole = refused;
  whole.detail = absl::StrCat("tenant ", name->str(), ": ", event.detail);
  Note(*provider, whole, event.count);
}

void AuditNotes::Note(const AuditBook& book, const audit::Event& event, uint64_t count) {
  absl::MutexLock lock(&mutex_);
  const auto [at, is_new] = pending_.try_emplace(
      {book.number(), absl::StrCat(event.action, " ", event.object)}, Pending{event, 0, book});
  at->second.latest = event;
  at->second.count += count;
}

void AuditNotes::NoteForProvider(const Principal& caller, const audit::Event& event) {
  const std::optional<AuditBook> provider = log_->Provider();
  if (!provider.has_value()) return;
  if (caller.role() == Role::kOperator) {
    log_->Record(*provider, event);
  } else {
    Note(*provider, event);
  }
}

void AuditNotes::Forget(uint32_t tenant) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(pending_, [&](const auto& note) { return note.first.first == tenant; });
}

void AuditNotes::Flush(bool all) {
  std::vector<Pending> ready;
  {
    absl::MutexLock lock(&mutex_);
    for (auto at = pending_.begin(); at != pending_.end();) {
      const std::string ration = absl::StrCat(at->first.first, " ", at->first.second);
      if (!all && !rations_.Take(ration)) {
        ++at;
        continue;
      }
      ready.push_back(std::move(at->second));
      at = pending_.erase(at);
    }
  }
  for (Pending& note : ready) {
    note.latest.detail =
        absl::StrCat(note.count, note.count == 1 ? " time: " : " times, the latest: ", note.latest.detail);
    log_->Record(note.book, note.latest);
  }
}

}  // namespace keystead::backend
