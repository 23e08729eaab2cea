#include "backend/backup/restoration.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "backend/backup/copy_key.h"
#include "backend/backup/store_id.h"
#include "core/base/secret_bytes.h"
#include "core/base/status.h"
#include "core/observe/log.h"
#include "core/transport/record_log_rows.h"

namespace keystead::backend {
namespace {

using storage::TenantItem;

constexpr std::string_view kPendingKey = "pending";
constexpr char kActorEnd = '\n';  // in no SPIFFE id

absl::Status ErasedMeanwhile() { return absl::AbortedError("something was erased meanwhile"); }

// What was sealed otherwise, or elsewhere, is a backup that is not good; all else is the machine's.
bool SaysDamaged(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsInvalidArgument(status) || absl::IsNotFound(status);
}

}  // namespace

// Committed alone, between two tasks of others.
class Restoration::Switch final : public storage::Task {
 public:
  Switch(const Restoration& of, std::unique_ptr<storage::TenantReplacement> with, absl::Notification* done,
         absl::Status* result)
      : of_(of), with_(std::move(with)), done_(done), result_(result) {}
  absl::Status Prepare(storage::Transaction&) override {
    const absl::Status wanted = of_.StillWanted();
    tried_ = wanted.ok();
    return wanted;
  }
  void Done(const absl::Status& status) override {
    if (tried_) of_.parts_.forget(of_.tenant_);  // also where it failed: only the disk knows
    *result_ = status;
    done_->Notify();
  }
  size_t bytes() const override { return 0; }
  const storage::TenantReplacement* replacement() const override { return with_.get(); }

 private:
  const Restoration& of_;
  const std::unique_ptr<storage::TenantReplacement> with_;
  bool tried_ = false;
  absl::Notification* const done_;
  absl::Status* const result_;
};

Restoration::Restoration(const Parts& parts, const TenantView& tenant, std::string actor,
                         Undisturbed undisturbed)
    : parts_(parts), tenant_(tenant), actor_(std::move(actor)), undisturbed_(std::move(undisturbed)) {}
Restoration::~Restoration() = default;

absl::Status Restoration::Refuse(v1::RestoreOutcome why, std::string_view detail) {
  response_.set_outcome(why);
  replacement_.reset();
  Log(LogLevel::kWarning, "restore_refused",
      {{"tenant", tenant_.name().str()}, {"outcome", v1::RestoreOutcome_Name(why)}, {"reason", detail}});
  return absl::OkStatus();
}

absl::Status Restoration::Feed(std::string_view bytes) {
  reader_.Feed(bytes);
  while (!refused()) {
    const absl::StatusOr<std::optional<copies::Frame>> frame = reader_.Next();
    if (!frame.ok()) return Refuse(v1::RESTORE_OUTCOME_DAMAGED, Std(frame.status().message()));
    if (!frame->has_value()) return absl::OkStatus();
    if (!header_.has_value()) {
      KS_RETURN_IF_ERROR(TakeHeader(**frame));
    } else if ((*frame)->kind == copies::kTrailerKind) {
      KS_RETURN_IF_ERROR(TakeTrailer(**frame));
    } else {
      KS_RETURN_IF_ERROR(TakeItem(**frame));
    }
  }
  return absl::OkStatus();
}

absl::Status Restoration::TakeHeader(const copies::Frame& frame) {
  const absl::StatusOr<copies::BackupHeader> header = copies::DecodeBackupHeader(frame);
  if (!header.ok()) return Refuse(v1::RESTORE_OUTCOME_DAMAGED, "it does not begin like a backup");
  header_ = *header;
  KS_RETURN_IF_ERROR(Choose(*header));
  return refused() ? absl::OkStatus() : Begin(*header);
}

absl::StatusOr<bool> Restoration::HoldsNothing() const {
  for (const storage::Table table : {kTopicTable, kCommitTable}) {
    const std::string_view prefix = table == kTopicTable ? "t" : "";
    KS_ASSIGN_OR_RETURN(const auto rows,
                        parts_.store->Scan(tenant_.number(), table, {.prefix = prefix, .max_rows = 1}));
    if (!rows.empty()) return false;
  }
  return true;
}

// A number belongs to a tenant for as long as its keys are there: another number in the same store means that
// the tenant was erased since.
absl::Status Restoration::Choose(const copies::BackupHeader& header) {
  if (header.tenant != tenant_.name()) return Refuse(v1::RESTORE_OUTCOME_OTHER_TENANT, header.tenant.str());
  const absl::StatusOr<uint32_t> version = parts_.ciphers->keys().CurrentVersion(header.number);
  if (absl::IsNotFound(version.status()))
    return Refuse(v1::RESTORE_OUTCOME_KEY_GONE, "no key of that number");
  if (!version.ok()) return version.status();
  if (*version < header.key_version)
    return Refuse(v1::RESTORE_OUTCOME_KEYS_OLDER, absl::StrCat("version ", header.key_version));
  const bool same_store = header.store == parts_.store_id;
  if (same_store) {
    return header.number == tenant_.number()
               ? absl::OkStatus()
               : Refuse(v1::RESTORE_OUTCOME_KEY_GONE, "of an earlier tenant of this name");
  }
  KS_ASSIGN_OR_RETURN(const bool nothing, HoldsNothing());
  if (!nothing) return Refuse(v1::RESTORE_OUTCOME_OTHER_STORE, "the tenant holds data here");
  adopts_ = header.number != tenant_.number();
  if (adopts_ && parts_.tenants->HasNumber(header.number))
    return Refuse(v1::RESTORE_OUTCOME_NUMBER_TAKEN, absl::StrCat("number ", header.number));
  return absl::OkStatus();
}

absl::Status Restoration::Begin(const copies::BackupHeader& header) {
  RestoredRows::Options options{.tenant = header.number, .in_place = !adopts_};
  if (!adopts_ && header.store == parts_.store_id) {
    KS_ASSIGN_OR_RETURN(const auto next, parts_.store->Get(header.number, kTopicTable, rows::kNextLogKey));
    options.keep_next_log = next.has_value();
  } else {
    options.keep_next_log = false;
  }
  KS_ASSIGN_OR_RETURN(cipher_, parts_.ciphers->Of(header.number));
  rows_ = std::make_unique<RestoredRows>(options, cipher_.get(), &parts_.ciphers->keys());
  KS_ASSIGN_OR_RETURN(replacement_,
                      parts_.disk->BeginReplacement(header.number, RestoredRows::Staying(options)));
  return absl::OkStatus();
}

absl::Status Restoration::TakeItem(const copies::Frame& frame) {
  absl::StatusOr<TenantItem> item = copies::DecodeItem(frame);
  if (!item.ok()) return Refuse(v1::RESTORE_OUTCOME_DAMAGED, Std(item.status().message()));
  const absl::StatusOr<std::optional<TenantItem>> kept = rows_->Take(*std::move(item));
  absl::Status status = kept.status();
  if (status.ok() && kept->has_value()) status = replacement_->Add(**kept);
  if (!SaysDamaged(status)) return status;
  if (!undisturbed_()) return ErasedMeanwhile();  // its keys went while it was looked at
  return Refuse(v1::RESTORE_OUTCOME_DAMAGED, Std(status.message()));
}

absl::Status Restoration::TakeTrailer(const copies::Frame& frame) {
  const absl::StatusOr<copies::BackupTrailer> trailer = copies::DecodeBackupTrailer(frame);
  if (!trailer.ok() || trailer->frames != reader_.frames() || trailer->digest != reader_.digest())
    return Refuse(v1::RESTORE_OUTCOME_DAMAGED, "its end does not fit it");
  KS_ASSIGN_OR_RETURN(const Digest mac,
                      MacOfBackup(parts_.ciphers->keys(), header_->number, trailer->digest));
  if (!ConstantTimeEquals(mac.view(), trailer->mac.view()))
    return Refuse(v1::RESTORE_OUTCOME_DAMAGED, "the holder of its keys has not made it");
  return absl::OkStatus();
}

// THREAD: the store's writer.
absl::Status Restoration::StillWanted() const {
  const std::optional<TenantView> now = parts_.tenants->Known(tenant_.name());
  if (!now.has_value() || now->number() != tenant_.number())
    return absl::AbortedError("the tenant was erased meanwhile");
  if (!undisturbed_()) return ErasedMeanwhile();
  return absl::OkStatus();
}

std::string Restoration::Detail() const {
  return absl::StrCat("as of ", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", header_->taken, absl::UTCTimeZone()),
                      ", groups ", rows_->usage().groups, ", instantiations ", rows_->instantiations(),
                      ", left out ", rows_->left_out());
}

absl::Status Restoration::Exchange() {
  KS_ASSIGN_OR_RETURN(const TenantItem pending, rows_->Pending(actor_ + kActorEnd + Detail()));
  KS_RETURN_IF_ERROR(replacement_->Add(pending));
  KS_RETURN_IF_ERROR(replacement_->Finish());
  absl::Notification done;
  absl::Status result;
  KS_RETURN_IF_ERROR(
      parts_.disk->Submit(std::make_unique<Switch>(*this, std::move(replacement_), &done, &result)));
  done.WaitForNotification();
  return result;
}

absl::Status Restoration::Finish() {
  if (refused()) return absl::OkStatus();
  if (const absl::Status whole = reader_.Finish(); !whole.ok())
    return Refuse(v1::RESTORE_OUTCOME_DAMAGED, Std(whole.message()));
  KS_RETURN_IF_ERROR(Exchange());
  TenantView tenant = tenant_;
  if (adopts_) {
    KS_ASSIGN_OR_RETURN(
        const Tenants::Adopted adopted,
        parts_.tenants->Adopt(tenant_, header_->number, *parts_.ciphers, [this] { parts_.forget(tenant_); }));
    tenant = adopted.tenant;
    if (!adopted.revocations.empty()) KS_RETURN_IF_ERROR(parts_.revoke(adopted.revocations));
    KS_RETURN_IF_ERROR(parts_.ciphers->keys().Destroy(tenant_.number()));
  }
  KS_RETURN_IF_ERROR(RecordRestored(*parts_.store, *parts_.audit, tenant));
  response_.set_outcome(v1::RESTORE_OUTCOME_RESTORED);
  response_.set_taken_us(absl::ToUnixMicros(header_->taken));
  response_.set_groups(rows_->usage().groups);
  response_.set_bytes(rows_->usage().bytes);
  response_.set_instantiations(rows_->instantiations());
  response_.set_left_out(rows_->left_out());
  Log(LogLevel::kInfo, "tenant_restored", {{"tenant", tenant.name().str()}, {"peer", actor_}});
  return absl::OkStatus();
}

absl::Status RecordRestored(storage::LogStore& store, const AuditLog& audit, const TenantView& tenant) {
  KS_ASSIGN_OR_RETURN(const auto there, store.Get(tenant.number(), kRestoreTable, kPendingKey));
  if (!there.has_value()) return absl::OkStatus();
  return store.Commit([&](storage::Transaction& transaction) -> absl::Status {
    KS_ASSIGN_OR_RETURN(const auto row, transaction.Get(tenant.number(), kRestoreTable, kPendingKey));
    if (!row.has_value()) return absl::OkStatus();
    const size_t end = row->find(kActorEnd);
    const audit::Event event{row->substr(0, end), "tenant_restored", tenant.name().str(),
                             end == std::string::npos ? "" : row->substr(end + 1)};
    KS_RETURN_IF_ERROR(audit.AppendForProvider(transaction, event));
    KS_RETURN_IF_ERROR(audit.Append(transaction, AuditBook(tenant), event));
    transaction.Delete(tenant.number(), kRestoreTable, kPendingKey);
    return absl::OkStatus();
  });
}

}  // namespace keystead::backend
