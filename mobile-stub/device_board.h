// What the owner wants to see: for each device its newest values and what may be believed of them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "mobile-stub/watch_session.h"

namespace keystead::mobile {

struct ChannelValue {
  std::string unit;  // UCUM
  double value = 0;  // may be NaN where the quality is bad
  v1::Quality quality = v1::QUALITY_UNSPECIFIED;
  int64_t taken_unix_us = 0;         // by the device's clock: shown, not trusted
  bool confirmed = false;            // its sender has signed for it
  bool current = false;              // from the stream in which its sender writes now
  std::string liveness = "history";  // of the stream it came in, and of no other
  // Where it stands, for who looks at the same record elsewhere.
  Topic topic;
  StreamId stream;
  uint64_t epoch = 0;
  uint64_t sequence = 0;
  bool operator==(const ChannelValue&) const = default;
};

struct DeviceRow {
  MemberId member;
  std::string device_id;
  std::string kind;
  std::map<std::string, ChannelValue> channels;
  std::string liveness = "history";  // the best of its streams: says that it is there, nothing about a value
  uint64_t received = 0;             // records of the streams in which it writes now
  uint64_t pending = 0;
  bool removed = false;            // belongs no longer
  std::vector<std::string> flags;  // "stale", "missing 4..9", "conflict", …
  bool operator==(const DeviceRow&) const = default;
};

// An observer to be called by another one, or by a session. Not thread-safe beyond that.
class DeviceBoard final : public WatchObserver {
 public:
  explicit DeviceBoard(std::map<MemberId, std::string> kinds) : kinds_(std::move(kinds)) {}

  void OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) override;
  void OnConfirmed(const StreamPlace& place, const SequenceRange& range) override;
  void OnAlarm(const SecurityEvent& event) override;
  void OnMembership(const MembershipChain& chain) override;
  void OnState(const std::vector<StreamStatus>& streams) override;
  void OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) override;

  // What each device said it is, as far as that is known by now; before OnMembership().
  void LearnKinds(std::map<MemberId, std::string> kinds) { kinds_ = std::move(kinds); }

  std::vector<DeviceRow> Rows() const;  // by device id
  std::optional<DeviceRow> Row(const MemberId& member) const;

 private:
  struct Device {
    DeviceRow row;
    bool provider_rolled_back = false;
    bool waited_for = false;
    bool writes = false;
  };
  static void Take(ChannelValue& value, bool is_new, const ReadRecord& record, const v1::Channel& channel,
                   const v1::Reading& reading, int64_t taken, bool current);
  std::map<MemberId, std::string> kinds_;
  std::map<MemberId, Device> devices_;
};

// The words for what is wrong with a stream, empty when nothing is.
std::vector<std::string> FlagsOf(const StreamStatus& stream);

}  // namespace keystead::mobile
