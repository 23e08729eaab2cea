// What every process says of itself: security events by kind, and what the kernel counts for it.
#pragma once

#include "core/observe/metrics.h"

namespace keystead {

// Names that begin with process_ are those of the Prometheus client libraries.
class ProcessMetrics {
 public:
  ProcessMetrics();

 private:
  const MetricSource source_;
};

}  // namespace keystead
