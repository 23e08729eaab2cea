// What the owner sees, as one state with a version: a reader that has seen version n asks for what changed
// since and gets exactly that, however long it was away. So nothing is queued for anybody: a slow reader
// costs what the state costs, and is given fewer, larger steps.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "mobile-stub/command_sender.h"
#include "mobile-stub/device_board.h"

namespace keystead::console {

struct ModelLimits {
  size_t points_per_channel = 300;
  size_t points_in_snapshot = 60000;  // of all channels together: with many, each gets fewer
  size_t alarms = 200;
  size_t tasks = 50;
};

// Thread-safe. Everything it shows is public or the owner's plain readings: no key, no code of a label gets
// in.
class ConsoleModel final : public mobile::WatchObserver {
 public:
  // `kinds`: asked at every change of membership what each device said it is.
  using KindsFn = std::function<std::map<MemberId, std::string>()>;
  ConsoleModel(const ModelLimits& limits, KindsFn kinds, const Clock* clock);

  void OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) override;
  void OnRecord(const ReadRecord& record) override;
  void OnConfirmed(const StreamPlace& place, const SequenceRange& range) override;
  void OnAlarm(const SecurityEvent& event) override;
  void OnMembership(const MembershipChain& chain) override;
  void OnState(const std::vector<StreamStatus>& streams) override;
  void OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) override;
  void OnConnection(bool connected, std::string_view why) override;

  // Of the commands that go through the session that this observes.
  mobile::CommandAnswers& answers() { return answers_; }

  // `self`: this app among the members.
  void SetSelf(const MemberId& self);
  // What the page may do here, as facts: {"paired": …, "founding": …}; shown as it is.
  void SetHome(nlohmann::json facts);
  // A change of membership that nobody has confirmed yet.
  void SetChangePending(bool pending);
  // A task by its "id", as it stands now. The oldest finished ones are forgotten.
  void SetTask(const std::string& id, nlohmann::json task);

  struct Step {
    uint64_t version = 0;
    nlohmann::json content;
  };
  // Everything.
  Step Snapshot() const;
  // What changed after `version`; content is null when nothing did within `patience`.
  Step Since(uint64_t version, absl::Duration patience) const;

  // Names this state among those of other starts: a version belongs to one of them.
  const std::string& generation() const { return generation_; }
  bool Knows(const MemberId& member) const;
  // Its device id; empty when nobody of that id ever belonged.
  std::string DeviceOf(const MemberId& member) const;

 private:
  struct Point {
    uint64_t version = 0;
    int64_t taken_us = 0;
    double value = 0;
  };
  struct Device {
    mobile::DeviceRow shown;  // as of its version
    uint64_t version = 0;
    std::map<std::string, std::deque<Point>> history;  // by channel
  };
  struct Versioned {
    uint64_t version = 0;
    nlohmann::json content;
  };
  struct Alarm {
    uint64_t version = 0;
    uint64_t id = 0;
    SecurityEvent event;
    int64_t first_us = 0;
    int64_t last_us = 0;
    uint64_t count = 0;
  };

  int64_t NowMicros() const;
  void Touch(const MemberId& member) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TouchChanged() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Keep(Device& device, const std::string& channel, const Point& point)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetPart(Versioned& part, nlohmann::json content) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Heard() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  nlohmann::json Changes(uint64_t version, size_t points) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  nlohmann::json DeviceJson(const MemberId& member, uint64_t version, size_t points) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  nlohmann::json AlarmJson(const Alarm& alarm) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string NameOf(const MemberId& member) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ModelLimits limits_;
  const KindsFn load_kinds_;
  const Clock& clock_;
  const std::string generation_;
  mobile::CommandAnswers answers_;

  mutable absl::Mutex mutex_;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 1;
  mobile::DeviceBoard board_ ABSL_GUARDED_BY(mutex_);
  std::map<MemberId, Device> devices_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<uint64_t, MemberId>> by_version_
      ABSL_GUARDED_BY(mutex_);  // the devices, latest change last
  std::map<MemberId, std::string> names_ ABSL_GUARDED_BY(mutex_);
  std::deque<Alarm> alarms_ ABSL_GUARDED_BY(mutex_);
  uint64_t alarm_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Versioned> tasks_ ABSL_GUARDED_BY(mutex_);
  MemberId self_ ABSL_GUARDED_BY(mutex_);
  Versioned home_ ABSL_GUARDED_BY(mutex_);
  Versioned membership_ ABSL_GUARDED_BY(mutex_);
  Versioned waiting_ ABSL_GUARDED_BY(mutex_);
  Versioned connection_ ABSL_GUARDED_BY(mutex_);
  Versioned pending_ ABSL_GUARDED_BY(mutex_);
  int64_t last_word_us_ ABSL_GUARDED_BY(mutex_) = 0;  // something verified came from the hop
};

}  // namespace keystead::console
