// A subscriber on the engine's queue: one that reads, one that does not, one that comes and goes.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <map>
#include <memory>
#include <string>

#include "tests/load/engine.h"
#include "tests/load/households.h"

namespace keystead::load {

enum class SubscriptionKind : uint8_t {
  kReads,       // from now on; every record's delivery is recorded
  kNeverReads,  // from the beginning, and takes nothing
  kChurns,      // from the beginning; ends after the first message and subscribes again
};

// Everything runs under the engine's lock. Must live until it is idle.
class Subscription {
 public:
  // To the telemetry of all devices of the household. After a call has ended, the next one comes after the
  // pause.
  Subscription(EngineCore* core, std::shared_ptr<grpc::Channel> channel, const Household& household,
               SubscriptionKind kind, int64_t pause_ns);
  ~Subscription();
  void Open();
  void Close();  // cancels; idle soon afterwards
  bool idle() const { return call_ == nullptr; }
  bool let_in() const;
  uint64_t opened() const { return opened_; }
  uint64_t times_let_in() const { return times_let_in_; }
  // Calls that the server ended, by status code.
  const std::map<int, uint64_t>& refused() const { return refused_; }

 private:
  struct Call;
  void Take(const grpc::ByteBuffer& message);
  void Ended(const grpc::Status& status);

  EngineCore* const core_;
  const std::shared_ptr<grpc::Channel> channel_;
  const SubscriptionKind kind_;
  const int64_t pause_ns_;
  std::string request_;
  std::unique_ptr<Call> call_;
  GroupHeaderCache headers_;
  bool closing_ = false;
  uint64_t opened_ = 0;
  uint64_t times_let_in_ = 0;
  std::map<int, uint64_t> refused_;
};

}  // namespace keystead::load
