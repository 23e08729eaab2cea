// One device: its connection, its Publish call, the records it has not been told about yet.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <deque>
#include <memory>
#include <string>

#include "core/transport/group_view.h"
#include "keystead/v1/transport.pb.h"
#include "tests/load/engine.h"

namespace keystead::load {

inline constexpr size_t kMaxRequestRecords = 512;

// Everything runs under the engine's lock.
class Device {
 public:
  Device(EngineCore* core, size_t tenant, std::shared_ptr<grpc::Channel> channel, GroupHeader header);
  ~Device();

  void Open();  // nothing when a call is open or being opened
  void Begin(const std::shared_ptr<const DeviceLoad>& load, uint64_t seed);
  void Hush(int64_t now_ns);    // nothing new is sent any more
  void GiveUp(int64_t now_ns);  // what is left is counted as what it is
  void Close();                 // cancels the call; opens none any more

  bool open() const;
  bool idle() const { return call_ == nullptr; }
  bool drained() const { return queue_.empty() && !may_arrive_; }
  const absl::Status& last_end() const { return last_end_; }
  void set_on_change(std::function<void()> on_change) { on_change_ = std::move(on_change); }

 private:
  struct Call;
  struct RefusedRange {
    uint64_t first = 0;
    uint64_t last = 0;
    int code = 0;
  };

  void ArrivalsDue(int64_t now_ns, uint64_t generation);
  void Arrive(int64_t intended_ns, int64_t now_ns);
  void Enqueue(int64_t intended_ns, int64_t now_ns);
  void Pump();
  size_t FillRequest(grpc::ByteBuffer& out);
  bool Take(const v1::PublishResponse& response);
  void Settle(uint64_t records, int64_t now_ns);
  void Ended(const grpc::Status& status);
  int64_t WaitNs(const grpc::Status& status);
  int RefusalOf(uint64_t sequence) const;  // its code; 0: none

  EngineCore* const core_;
  const size_t tenant_;
  const std::shared_ptr<grpc::Channel> channel_;
  GroupHeader header_;
  std::string header_bytes_;
  std::shared_ptr<const DeviceLoad> load_;
  std::unique_ptr<Arrivals> arrivals_;
  bool may_arrive_ = false;
  uint64_t generation_ = 0;  // of Begin: wakes of an earlier one do nothing

  // When each record that is not settled was meant to be sent; the first has the sequence first_sequence_.
  // The first sent_ of them went out on this call, the first ever_sent_ on any.
  std::deque<int64_t> queue_;
  uint64_t first_sequence_ = 0;
  size_t sent_ = 0;
  size_t ever_sent_ = 0;
  std::deque<size_t> in_flight_;                    // records of each request that is not acknowledged
  uint64_t first_request_ = 1;                      // the number of in_flight_.front()
  std::deque<std::vector<uint64_t>> group_firsts_;  // of each of them: first sequence of each group
  std::vector<RefusedRange> refused_;

  std::unique_ptr<Call> call_;
  bool closing_ = false;
  bool opening_again_ = false;
  int failures_ = 0;  // in a row
  SmallRandom random_{1};
  absl::Status last_end_;
  std::function<void()> on_change_;
};

}  // namespace keystead::load
