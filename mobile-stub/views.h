// How a session is shown on the command line: JSON lines for programs, plain lines, or a table that is
// redrawn.
#pragma once

#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "mobile-stub/device_board.h"
#include "mobile-stub/hop_contents.h"
#include "mobile-stub/throughput.h"

namespace keystead::mobile {

// One object, one line of ASCII, flushed. Numbers that JSON does not know (NaN) become null.
void PrintJson(const nlohmann::json& object);

nlohmann::json JsonOf(const StreamPlace& place);
nlohmann::json JsonOf(const StreamStatus& stream);
nlohmann::json JsonOf(const SecurityEvent& event);
nlohmann::json JsonOf(const RosterEntry& entry, const MembershipChain& chain);
nlohmann::json JsonOf(const Throughput& throughput);
nlohmann::json JsonOf(const HeldRecord& record);

// Everything as it happens; docs in README.md, "watch --json".
class JsonEvents final : public WatchObserver {
 public:
  void Learn(const MembershipChain& chain);  // names, without an event
  void OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) override;
  void OnRecord(const ReadRecord& record) override;
  void OnConfirmed(const StreamPlace& place, const SequenceRange& range) override;
  void OnMissing(const StreamPlace& place, const SequenceRange& range) override;
  void OnDuplicate(const StreamPlace& place, uint64_t sequence) override;
  void OnAlarm(const SecurityEvent& event) override;
  void OnMembership(const MembershipChain& chain) override;
  void OnState(const std::vector<StreamStatus>& streams) override;
  void OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) override;
  void OnConnection(bool connected, std::string_view why) override;

 private:
  void RangeEvent(const char* event, const StreamPlace& place, const SequenceRange& range);
  std::string DeviceOf(const MemberId& member) const;
  std::map<MemberId, std::string> devices_;
  std::map<StreamId, std::string> states_;  // as printed last
};

// Everything that happened in a line; for pipes.
class PlainLines final : public WatchObserver {
 public:
  void OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) override;
  void OnConfirmed(const StreamPlace& place, const SequenceRange& range) override;
  void OnMissing(const StreamPlace& place, const SequenceRange& range) override;
  void OnDuplicate(const StreamPlace& place, uint64_t sequence) override;
  void OnAlarm(const SecurityEvent& event) override;
  void OnMembership(const MembershipChain& chain) override;
  void OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) override;
  void OnConnection(bool connected, std::string_view why) override;

 private:
  std::string NameOf(const MemberId& member) const;
  std::map<MemberId, std::string> devices_;
  std::map<StreamId, uint64_t> pending_;  // the oldest sequence printed as pending
};

// A board drawn once a second, from the top of the terminal where it is one.
class LiveTable final : public WatchObserver {
 public:
  LiveTable(DeviceBoard* board, bool redraw) : board_(*board), redraw_(redraw) {}
  void OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) override;
  void OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) override;
  void OnConfirmed(const StreamPlace& place, const SequenceRange& range) override;
  void OnAlarm(const SecurityEvent& event) override;
  void OnMembership(const MembershipChain& chain) override;
  void OnState(const std::vector<StreamStatus>& streams) override;
  void OnConnection(bool connected, std::string_view why) override;
  void Draw() const;

 private:
  DeviceBoard& board_;
  const bool redraw_;
  uint64_t epoch_ = 0;
  bool connected_ = false;
  std::vector<std::string> alarms_;  // the last few
  uint64_t alarm_count_ = 0;
};

std::string AlarmText(const SecurityEvent& event);  // one line

// Text from a device or a peer: control characters and bytes beyond ASCII become '?'.
std::string Printable(std::string_view text);

}  // namespace keystead::mobile
