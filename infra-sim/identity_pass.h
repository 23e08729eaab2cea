// Enrollment and Revocation through a balancer. The proof of a request and the chain of its answer are shown
// to the attacks as records of two pseudo-topics, so that a courier who lies can be played.
#pragma once

#include <deque>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "infra-sim/hop.h"

namespace keystead::infra {

// A request is one record of "enrollment/request": CBOR ["enroll", proof], whose sender stands for the
// factory chain beside it (the first 16 bytes of its SHA-256): a record seen earlier brings its own chain
// along, and a sender that nobody has a chain of damages the one that came. An answer is one record of
// "enrollment/chain": the chain in PEM; the last one there goes to the caller, none is an empty answer.
// ACK_AND_DROP answers a request with an empty chain.
class EnrollmentPass final : public v1::Enrollment::CallbackService {
 public:
  explicit EnrollmentPass(const Hop& hop) : hop_(hop) {}
  grpc::ServerUnaryReactor* Enroll(grpc::CallbackServerContext* context, const v1::EnrollRequest* request,
                                   v1::EnrollResponse* response) override;

 private:
  std::string Remember(const std::string& factory_chain);  // the sender that stands for it
  std::string ChainOf(const std::string& sender, const std::string& came) const;

  const Hop& hop_;
  mutable absl::Mutex mutex_;
  std::deque<std::pair<std::string, std::string>> chains_ ABSL_GUARDED_BY(mutex_);  // by sender, oldest first
};

// Objects are records of the pseudo-topic "revocations", as CBOR ["revocations", object]. ACK_AND_DROP
// answers a Put with number 0, a Fetch with nothing.
class RevocationPass final : public v1::Revocation::CallbackService {
 public:
  explicit RevocationPass(const Hop& hop) : hop_(hop) {}
  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context,
                                const v1::PutRevocationsRequest* request,
                                v1::PutRevocationsResponse* response) override;
  grpc::ServerUnaryReactor* Fetch(grpc::CallbackServerContext* context,
                                  const v1::FetchRevocationsRequest* request,
                                  v1::FetchRevocationsResponse* response) override;

 private:
  const Hop& hop_;
};

}  // namespace keystead::infra
