// Several observers of one session: each is told the same, one after the other.
#pragma once

#include <utility>
#include <vector>

#include "mobile-stub/watch_session.h"

namespace keystead::mobile {

// None is owned. As thread-safe as they are.
class ObserverList final : public WatchObserver {
 public:
  explicit ObserverList(std::vector<WatchObserver*> all) : all_(std::move(all)) {}
  void OnReadings(const ReadRecord& record, const v1::ReadingBatch& batch, bool current) override {
    for (auto* one : all_) one->OnReadings(record, batch, current);
  }
  void OnRecord(const ReadRecord& record) override {
    for (auto* one : all_) one->OnRecord(record);
  }
  void OnConfirmed(const StreamPlace& place, const SequenceRange& range) override {
    for (auto* one : all_) one->OnConfirmed(place, range);
  }
  void OnMissing(const StreamPlace& place, const SequenceRange& range) override {
    for (auto* one : all_) one->OnMissing(place, range);
  }
  void OnDuplicate(const StreamPlace& place, uint64_t sequence) override {
    for (auto* one : all_) one->OnDuplicate(place, sequence);
  }
  void OnAlarm(const SecurityEvent& event) override {
    for (auto* one : all_) one->OnAlarm(event);
  }
  void OnMembership(const MembershipChain& chain) override {
    for (auto* one : all_) one->OnMembership(chain);
  }
  void OnState(const std::vector<StreamStatus>& streams) override {
    for (auto* one : all_) one->OnState(streams);
  }
  void OnWaiting(uint64_t epoch, const std::vector<MemberId>& members) override {
    for (auto* one : all_) one->OnWaiting(epoch, members);
  }
  void OnConnection(bool connected, std::string_view why) override {
    for (auto* one : all_) one->OnConnection(connected, why);
  }

 private:
  const std::vector<WatchObserver*> all_;
};

}  // namespace keystead::mobile
