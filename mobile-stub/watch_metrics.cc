#include "mobile-stub/watch_metrics.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

namespace keystead::mobile {
namespace {

constexpr MetricType kCounter = MetricType::kCounter;
constexpr MetricType kGauge = MetricType::kGauge;

constexpr Metric kRecords = {"keystead_reader_records_total",
                             "Records of sealed topics that opened and verified, and those that did not.",
                             kCounter,
                             {"outcome"}};
constexpr Metric kReadings = {"keystead_reader_readings_total", "Readings in records that opened.", kCounter};
constexpr Metric kConfirmed = {"keystead_reader_confirmed_records_total",
                               "Records that their sender has signed for afterwards.", kCounter};
constexpr Metric kMissing = {"keystead_reader_missing_records_total",
                             "Records that were sent and did not come within their grace.", kCounter};
constexpr Metric kDuplicates = {"keystead_reader_duplicate_records_total",
                                "Records that came again: ordinary delivery, or a replay.", kCounter};
constexpr Metric kPending = {"keystead_reader_pending_records",
                             "Records that opened and that their sender has not signed for yet.", kGauge};
constexpr Metric kStreams = {"keystead_reader_streams",
                             "Streams by the worst that is known of them; ended ones are well and over.",
                             kGauge,
                             {"state"}};
constexpr Metric kOldestWord = {"keystead_reader_oldest_word_seconds",
                                "Of the streams that their senders still write: since when the quietest has "
                                "given no signed checkpoint.",
                                kGauge};
constexpr Metric kConnected = {"keystead_reader_connections",
                               "Whether the next hop serves this app (1) or not (0).", kGauge};

constexpr std::array<std::string_view, 9> kStates = {"broken",       "cloned", "awaited", "ended",  "stale",
                                                     "tail_unknown", "live",   "late",    "history"};

std::string_view StateOf(const StreamStatus& stream) {
  if (stream.broken) return "broken";
  if (stream.cloned) return "cloned";
  if (stream.awaited) return "awaited";
  if (stream.ended) return "ended";
  if (stream.stale) return "stale";
  if (stream.tail_unknown) return "tail_unknown";
  return LivenessName(stream.liveness);
}

}  // namespace

void WriteWatchMetrics(const Reader::Totals& reader, const WatchCounts& counts,
                       const std::vector<StreamStatus>& streams, absl::Duration uptime, bool connected,
                       MetricWriter& out) {
  out.Value(kRecords, reader.opened, {"opened"});
  out.Value(kRecords, reader.failed, {"failed"});
  out.Value(kReadings, counts.readings);
  out.Value(kConfirmed, counts.confirmed);
  out.Value(kMissing, counts.missing);
  out.Value(kDuplicates, counts.duplicates);
  for (const std::string_view state : kStates) out.Value(kStreams, 0, {state});
  uint64_t pending = 0;
  absl::Duration oldest;
  for (const StreamStatus& stream : streams) {
    out.Value(kStreams, 1, {StateOf(stream)});
    pending += stream.pending;
    if (stream.current && !stream.ended && stream.last_word.has_value())
      oldest = std::max(oldest, uptime - stream.last_word_at);
  }
  out.Value(kPending, pending);
  out.Value(kOldestWord, absl::ToDoubleSeconds(oldest));
  out.Value(kConnected, connected);
}

}  // namespace keystead::mobile
