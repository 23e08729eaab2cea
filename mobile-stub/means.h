// The mean of what several members measure: what a member beside a base station makes of the topics that it
// was granted. Nothing goes in that its sender has not signed for.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "mobile-stub/watch_session.h"

namespace keystead::mobile {

struct Mean {
  std::string channel;
  std::string unit;  // UCUM
  double value = 0;
  size_t members = 0;  // whose newest confirmed reading is in it
  size_t left_out =
      0;  // who has measured this too, but is not live, or says itself that its reading is not good
  uint64_t alarms = 0;  // of the session so far: what was refused, and never goes in
};

// Tells every channel's mean about once a second, when anybody is in it. As any WatchObserver.
class Means final : public WatchObserver {
 public:
  explicit Means(std::function<void(const Mean&)> tell) : tell_(std::move(tell)) {}

  void OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) override;
  void OnConfirmed(const StreamPlace& place, const SequenceRange& range) override;
  void OnAlarm(const SecurityEvent&) override { ++alarms_; }
  void OnMembership(const MembershipChain& chain) override;
  void OnState(const std::vector<StreamStatus>& streams) override;

  static constexpr size_t kMaxPending = 4096;  // records of a stream; older ones go in with their successors

 private:
  struct Value {
    StreamId stream;
    uint64_t sequence = 0;
    double value = 0;
    bool good = false;
  };
  using Channel = std::pair<std::string, std::string>;  // name, unit
  using Values = std::map<Channel, Value>;
  void Note(const MemberId& member, const Values& values);

  const std::function<void(const Mean&)> tell_;
  std::map<StreamId, std::map<uint64_t, Values>> pending_;
  std::map<MemberId, Values> confirmed_;
  uint64_t alarms_ = 0;
};

}  // namespace keystead::mobile
