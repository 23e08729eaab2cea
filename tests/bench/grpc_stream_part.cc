#include "tests/bench/grpc_stream_part.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <sys/resource.h>

#include <memory>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/transport/tls_credentials.h"
#include "keystead/v1/transport.grpc.pb.h"

namespace keystead::bench {
namespace {

absl::Duration ProcessCpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

class AckReactor final : public grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse> {
 public:
  AckReactor() { StartRead(&request_); }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    response_.set_durable_requests(response_.durable_requests() + 1);
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    StartRead(&request_);
  }
  void OnDone() override { delete this; }

 private:
  v1::PublishRequest request_;
  v1::PublishResponse response_;
};

class AckService final : public v1::Transport::CallbackService {
 public:
  grpc::ServerBidiReactor<v1::PublishRequest, v1::PublishResponse>* Publish(
      grpc::CallbackServerContext*) override {
    return new AckReactor;
  }
};

class Client final : public grpc::ClientBidiReactor<v1::PublishRequest, v1::PublishResponse> {
 public:
  Client(v1::Transport::Stub* stub, const StreamPartOptions& options) : options_(options) {
    request_.add_groups(std::string(options.message_bytes, 'x'));
    stub->async()->Publish(&context_, this);
    AddHold();
    StartRead(&response_);
    StartCall();
    absl::MutexLock lock(&mutex_);
    WriteIfRoom();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    {
      absl::MutexLock lock(&mutex_);
      ++acked_;
      WriteIfRoom();
    }
    StartRead(&response_);
  }
  void OnWriteDone(bool) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    WriteIfRoom();
  }
  void OnDone(const grpc::Status&) override {
    absl::MutexLock lock(&mutex_);
    done_ = true;
  }
  uint64_t Stop() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
      const auto drained = [this] { return !writing_ && acked_ == sent_; };
      mutex_.AwaitWithTimeout(absl::Condition(&drained), absl::Seconds(10));
    }
    StartWritesDone();
    RemoveHold();
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&done_));
    return acked_;
  }

 private:
  void WriteIfRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || stopping_ || sent_ - acked_ >= static_cast<uint64_t>(options_.window)) return;
    writing_ = true;
    ++sent_;
    StartWrite(&request_);
  }

  const StreamPartOptions& options_;
  grpc::ClientContext context_;
  v1::PublishRequest request_;
  v1::PublishResponse response_;
  absl::Mutex mutex_;
  bool writing_ = false;
  bool stopping_ = false;
  bool done_ = false;
  uint64_t sent_ = 0;
  uint64_t acked_ = 0;
};

}  // namespace

absl::StatusOr<StreamPartResult> RunStreamPart(const StreamPartOptions& options) {
  const std::string tenant = options.pki + "/tenants/" + options.tenant;
  const auto files = [&](const std::string& role) {
    return CertificateFiles{tenant + "/" + role + "/bench/chain.pem", tenant + "/" + role + "/bench/key.pem",
                            tenant + "/ca.pem"};
  };
  KS_ASSIGN_OR_RETURN(auto server_credentials, MakeServerCredentials({.files = files("gateway")}));
  KS_ASSIGN_OR_RETURN(const PeerExpectation peer,
                      PeerExpectation::Parse("spiffe://" + options.tenant + "/gateway/*"));
  KS_ASSIGN_OR_RETURN(auto channel_credentials, MakeChannelCredentials({.files = files("device")}, peer));
  AckService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", server_credentials(nullptr), &port);
  builder.RegisterService(&service);
  builder.SetMaxReceiveMessageSize(static_cast<int>(limits::kMaxMessageBytes));
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::UnavailableError("cannot listen on loopback");
  auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port), channel_credentials);
  auto stub = v1::Transport::NewStub(channel);
  if (!channel->WaitForConnected(absl::ToChronoTime(absl::Now() + absl::Seconds(10)))) {
    return absl::UnavailableError("the bench server does not answer");
  }
  const absl::Time began = absl::Now();
  const absl::Duration cpu = ProcessCpu();
  Client client(stub.get(), options);
  absl::SleepFor(options.duration);  // the length of the measurement itself
  StreamPartResult result;
  result.messages = client.Stop();
  result.wall = absl::Now() - began;
  result.cpu = ProcessCpu() - cpu;
  server->Shutdown();
  return result;
}

}  // namespace keystead::bench
