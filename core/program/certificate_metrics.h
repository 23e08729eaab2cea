// For how long a program's own certificates are still good, as metrics.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/observe/metrics.h"

namespace keystead {

// Reads the files anew every few seconds, since they are renewed in place. A chain counts as what of it ends
// first: a leaf is of no use when what leads to its root has expired.
class CertificateMetrics {
 public:
  struct Chain {
    std::string use;   // "own", "audit", …: a constant of the program
    std::string file;  // PEM; empty: passed over
  };
  // Of several chains with one use, the one that ends first.
  explicit CertificateMetrics(std::vector<Chain> chains, const Clock* clock = &Clock::System());

 private:
  void Collect(MetricWriter& out);
  void Read();

  const std::vector<Chain> chains_;
  const Clock* const clock_;
  // THREAD: the one that scrapes.
  std::optional<absl::Duration> read_at_;
  std::map<std::string, absl::Time> ends_;  // by use
  uint64_t unreadable_ = 0;
  const MetricSource source_;
};

}  // namespace keystead
