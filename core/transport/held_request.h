// What somebody asks of an Observer, checked, and the answer, which is one message and stays within its
// bounds.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/topic.h"
#include "core/transport/held_records.h"
#include "keystead/v1/observer.pb.h"

namespace keystead {

struct HeldDemand {
  TenantName tenant;
  InstantiationId instantiation;
  struct OfTopic {
    Topic topic;
    std::vector<PlaceInTopic> places;
  };
  std::vector<OfTopic> topics;  // each once; empty: the newest
  size_t last = 0;              // groups of each topic, when `topics` is empty
  std::string topic_prefix;
  std::string listener;
};

// INVALID_ARGUMENT: more places, groups or text than core/base/limits.h allows, neither places nor `last`, or
// a place that can be nobody's. Nothing is allocated before the counts are checked.
absl::StatusOr<HeldDemand> ParseHeldRequest(const v1::HeldRequest& request);

// Fills a response with as much as one message holds. One thread.
class HeldAnswer {
 public:
  HeldAnswer(v1::HeldResponse* response, v1::HolderKind holder);
  // False, and the response says that there is more: it does not fit beside what there is.
  bool Add(v1::HeldGroup group);
  bool Add(v1::PassedTls record);

 private:
  bool Fits(size_t bytes);

  v1::HeldResponse* const response_;
  size_t bytes_ = 0;
};

// Entry of a log, without what only a backend adds. `now`: no entry is younger.
v1::HeldGroup ToHeldGroup(const StoredEntry& entry, absl::Time now);

// All that `log` has of what is asked for, under the tenant's number in its store; `add` is called for each,
// and false ends it.
absl::Status ForEachHeld(const RecordLog& log, uint32_t tenant, const HeldDemand& demand,
                         const std::function<bool(const StoredEntry&)>& add);

}  // namespace keystead
