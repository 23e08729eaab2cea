// What a verb that shows something else meets on its way: alarms and gaps are never swallowed.
#pragma once

#include "mobile-stub/views.h"

namespace keystead::mobile {

// Lines on standard error, the first few of them; or the events of `watch --json`.
class Aside final : public WatchObserver {
 public:
  explicit Aside(bool as_json) : as_json_(as_json) {}
  ~Aside() override;  // says how many more there were
  void OnMembership(const MembershipChain& chain) override;
  void OnMissing(const StreamPlace& place, const SequenceRange& range) override;
  void OnAlarm(const SecurityEvent& event) override;

 private:
  const bool as_json_;
  JsonEvents events_;
  uint64_t alarms_ = 0;
};

}  // namespace keystead::mobile
