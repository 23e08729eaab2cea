// The owner's small signed words in `keyring`: probes and heads. Public, so not sealed; each is bound by its
// signature to the record it stands in.
#pragma once

#include <memory>

#include "core/sealing/member.h"
#include "core/transport/publisher.h"

namespace keystead::mobile {

// Not thread-safe.
class KeyringPublisher {
 public:
  KeyringPublisher(const std::shared_ptr<grpc::Channel>& channel, RandomSource* random,
                   const BackoffOptions& backoff);

  // Under the newest epoch of `member`, in a stream of its own. RESOURCE_EXHAUSTED: too much is unsent.
  absl::Status SendProbe(const Member& member, const Probe& probe);
  absl::Status SendHead(const Member& member, uint64_t hseq, int64_t time);
  Publisher::Stats GetStats() const { return publisher_->GetStats(); }
  void Stop() { publisher_->Stop(); }

 private:
  SignedPlace NextPlace(const Member& member);
  absl::Status Send(const Member& member, std::string_view kind, const SignedPlace& place, ByteView object);

  RandomSource* const random_;
  std::unique_ptr<Publisher> publisher_;
  std::optional<uint64_t> epoch_;
  StreamId stream_;
  uint64_t next_ = 0;
};

}  // namespace keystead::mobile
