#include "backend/retention.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/observe/log.h"

namespace keystead::backend {
namespace {

constexpr size_t kLogsAtATime = 64;

}  // namespace

void Retention::Run() {
  parts_.tenants->ForEach([this](const TenantView& tenant) {
    const absl::Status status = Apply(tenant);
    if (status.ok()) return;
    Log(LogLevel::kWarning, "retention_failed",
        {{"tenant", tenant.name().str()}, {"reason", Std(status.message())}});
  });
}

template <class Visit>
absl::Status Retention::ForEachPage(const TenantView& tenant, const Visit& visit) const {
  std::optional<TopicPlace> after;
  while (true) {
    KS_ASSIGN_OR_RETURN(const std::vector<RecordLog::OwnedLog> page,
                        parts_.log->Logs(tenant.number(), after, kLogsAtATime));
    if (page.empty()) return absl::OkStatus();
    std::vector<storage::LogRef> logs;
    for (const RecordLog::OwnedLog& owned : page) {
      if (owned.key.topic.kind() != TopicKind::kKeyring) logs.push_back(owned.log.ref);
    }
    KS_RETURN_IF_ERROR(visit(logs));
    after = page.back().key;
  }
}

absl::Status Retention::Apply(const TenantView& tenant) {
  const TenantLimits limits = tenant.account().limits();
  absl::Duration max_age = limits.retention_age;
  if (limits.retention_bytes > 0 && tenant.account().stored().bytes > limits.retention_bytes) {
    KS_ASSIGN_OR_RETURN(const absl::Duration age, AgeFor(tenant, limits.retention_bytes));
    max_age = std::min(max_age, age);
  }
  if (max_age == absl::InfiniteDuration()) return absl::OkStatus();
  return ForEachPage(tenant, [&](const std::vector<storage::LogRef>& logs) {
    return trim_.RemoveOld(tenant, logs, max_age);
  });
}

absl::StatusOr<absl::Duration> Retention::AgeFor(const TenantView& tenant, uint64_t bytes) const {
  std::vector<RecordLog::Segment> segments;
  KS_RETURN_IF_ERROR(ForEachPage(tenant, [&](const std::vector<storage::LogRef>& logs) -> absl::Status {
    for (const storage::LogRef& log : logs) {
      KS_ASSIGN_OR_RETURN(const std::vector<RecordLog::Segment> of_log, parts_.log->SegmentsOf(log));
      segments.insert(segments.end(), of_log.begin(), of_log.end());
    }
    return absl::OkStatus();
  }));
  std::sort(segments.begin(), segments.end(), [](const auto& a, const auto& b) { return a.ended < b.ended; });
  uint64_t stored = tenant.account().stored().bytes;
  absl::Time oldest_kept = absl::InfinitePast();
  for (const RecordLog::Segment& segment : segments) {
    if (stored <= bytes) break;
    stored -= std::min(stored, segment.bytes);
    oldest_kept = segment.ended + absl::Milliseconds(1);
  }
  return parts_.clock->Now() - oldest_kept;
}

}  // namespace keystead::backend
