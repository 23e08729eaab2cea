#include "core/program/certificate_metrics.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "core/identity/certificate_files.h"
#include "core/program/files.h"

namespace keystead {
namespace {

constexpr Metric kRemaining = {"keystead_certificate_remaining_seconds",
                               "Until what ends first of the program's own chain of certificates is no "
                               "longer good; below zero: since then.",
                               MetricType::kGauge,
                               {"use"}};
constexpr Metric kUnreadable = {"keystead_certificate_unreadable_files",
                                "Chains of its own that cannot be read, or are none.", MetricType::kGauge};
constexpr size_t kMaxChainBytes = 1 << 20;
constexpr absl::Duration kReadAgain = absl::Seconds(10);

}  // namespace

CertificateMetrics::CertificateMetrics(std::vector<Chain> chains, const Clock* clock)
    : chains_(std::move(chains)), clock_(clock), source_([this](MetricWriter& out) { Collect(out); }) {}

void CertificateMetrics::Read() {
  ends_.clear();
  unreadable_ = 0;
  for (const Chain& chain : chains_) {
    if (chain.file.empty()) continue;
    const absl::StatusOr<std::string> pem = ReadFile(chain.file, kMaxChainBytes);
    const absl::StatusOr<absl::Time> end = pem.ok() ? EarliestExpiry(*pem) : pem.status();
    if (!end.ok()) {
      ++unreadable_;
      continue;
    }
    const auto [known, is_new] = ends_.try_emplace(chain.use, *end);
    if (!is_new) known->second = std::min(known->second, *end);
  }
}

void CertificateMetrics::Collect(MetricWriter& out) {
  if (!read_at_.has_value() || clock_->Uptime() - *read_at_ >= kReadAgain) {
    Read();
    read_at_ = clock_->Uptime();
  }
  out.Declare(kRemaining);
  for (const auto& [use, end] : ends_)
    out.Value(kRemaining, absl::ToDoubleSeconds(end - clock_->Now()), {use});
  out.Value(kUnreadable, unreadable_);
}

}  // namespace keystead
