// What each tenant uses, as metrics: the provider's own view. A tenant asks TenantAdmin for its own.
//
// Tenants have series of their own as far as there are places, which go to who does something first; what all
// others do is added up under the name "(others)", which is no tenant's. A series never goes back while its
// tenant is there, and neither does the sum of the others.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "backend/fair_queue.h"
#include "backend/tenant_account.h"
#include "core/observe/metrics.h"

namespace keystead::backend {

inline constexpr size_t kDefaultTenantsWithMetrics = 1000;

struct TenantNumbers {
  std::string name;
  uint32_t number = 0;  // never given twice: who is created anew under a name begins at zero
  TenantUsage usage;
  FairQueue::Usage queue;
};

class TenantMetrics {
 public:
  using Visit = std::function<void(const TenantNumbers&)>;
  using EachTenant = std::function<void(const Visit&)>;
  // `each` is asked at every scrape, on its thread.
  TenantMetrics(size_t places, EachTenant each);

 private:
  static constexpr size_t kCounters = 7;
  struct Sums {
    std::array<double, kCounters> counters{};
    std::map<std::string, double> refused;  // by limit
    void Raise(const Sums& to);             // each to the greater of both
    void Add(const Sums& other);
    bool empty() const;
  };
  struct Known {
    Sums served;
    bool has_place = false;
    bool seen = false;  // in this scrape
  };
  static Sums SumsOf(const TenantNumbers& tenant);
  static void WriteSums(const Sums& sums, std::string_view name, MetricWriter& out);
  void Collect(MetricWriter& out);
  void DropGone();

  const size_t places_;
  const EachTenant each_;
  // THREAD: the one that scrapes.
  std::map<uint32_t, Known> known_;  // by number
  size_t taken_ = 0;                 // places
  Sums gone_;                        // of tenants without a place that are there no more
  const MetricSource source_;
};

}  // namespace keystead::backend
