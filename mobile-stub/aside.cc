#include "mobile-stub/aside.h"

namespace keystead::mobile {
namespace {

constexpr uint64_t kShown = 20;

}  // namespace

Aside::~Aside() {
  if (!as_json_ && alarms_ > kShown) {
    std::fprintf(stderr, "ALARM and %llu more: 'watch' shows them\n",
                 static_cast<unsigned long long>(alarms_ - kShown));
  }
}

void Aside::OnMembership(const MembershipChain& chain) { events_.Learn(chain); }

// In text the alarm that comes with a gap says it all.
void Aside::OnMissing(const StreamPlace& place, const SequenceRange& range) {
  if (as_json_) events_.OnMissing(place, range);
}

void Aside::OnAlarm(const SecurityEvent& event) {
  if (as_json_) return events_.OnAlarm(event);
  if (++alarms_ <= kShown) std::fprintf(stderr, "ALARM %s\n", AlarmText(event).c_str());
}

}  // namespace keystead::mobile
