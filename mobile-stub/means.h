// The mean of what several members measure: what a member beside a base station makes of the topics that it
// was granted. Nothing goes in that its sender has not signed for.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mobile-stub/watch_session.h"

namespace keystead::mobile {

// What is possible of a channel, declared by whoever averages: anything else a genuine sensor says is marked,
// and in no mean.
struct Plausible {
  std::string unit;  // UCUM
  double least = 0;
  double most = 0;

  // "NAME=LEAST..MOST UNIT". INVALID_ARGUMENT: not of that form, or not from less to more.
  static absl::StatusOr<std::pair<std::string, Plausible>> Parse(std::string_view text);
};

struct Mean {
  std::string channel;
  std::string unit;  // UCUM
  double value = 0;
  size_t members = 0;  // whose newest confirmed reading is in it
  size_t left_out =
      0;  // who has measured this too, but is not live, or says itself that its reading is not good
  std::vector<std::string> implausible;  // device ids whose newest confirmed reading is not possible
  uint64_t alarms = 0;                   // of the session so far: what was refused, and never goes in
};

// Tells every channel's mean about once a second, when anybody is in it. As any WatchObserver.
class Means final : public WatchObserver {
 public:
  explicit Means(std::function<void(const Mean&)> tell, std::map<std::string, Plausible> plausible = {})
      : tell_(std::move(tell)), plausible_(std::move(plausible)) {}

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
  const std::map<std::string, Plausible> plausible_;  // by channel
  std::map<MemberId, std::string> devices_;
  std::map<StreamId, std::map<uint64_t, Values>> pending_;
  std::map<MemberId, Values> confirmed_;
  uint64_t alarms_ = 0;
};

}  // namespace keystead::mobile
