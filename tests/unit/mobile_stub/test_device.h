// A device as the protocol asks for one, made of the libraries: joins by its label, sends readings, echoes
// probes, obeys commands. Can be made to misbehave.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "core/member/keyring_link.h"
#include "core/membership/label.h"
#include "core/sealing/command.h"
#include "core/sealing/joining.h"
#include "core/sealing/reader.h"
#include "core/sealing/stream_writer.h"
#include "core/transport/publisher.h"

namespace keystead::mobile::testing {

class TestDevice final : private ReaderListener {
 public:
  TestDevice(const TenantName& tenant, const std::string& id, const std::string& kind,
             std::shared_ptr<grpc::Channel> channel);
  ~TestDevice() override;

  membership::Label Label() const;
  void Start();  // announces itself and joins whoever has the label
  void Stop();

  MemberId self() const;
  bool owned() const;
  // One record of one reading in telemetry; with a checkpoint when asked. The record's sequence.
  uint64_t SendReading(double value, bool checkpoint = false);
  // Seals a reading, and sends it never: a gap.
  uint64_t SkipReading(double value);
  void EndStream(bool with_end);  // the next record opens another
  Payload last_group() const;     // as it was sent
  void AwaitEpoch(uint64_t epoch);
  uint64_t commands_done() const { return commands_done_; }

  std::atomic<bool> reboot_on_command{false};  // once: is another boot when the command arrives
  std::atomic<int64_t> late_seconds{0};        // its uptime when judging, too high by so much
  std::atomic<bool> mute{false};               // neither echoes probes nor answers

 private:
  struct Lane {  // one topic
    Topic topic;
    std::unique_ptr<StreamWriter> writer;
    std::optional<PreviousStream> previous;
    Digest commit_hash;  // of the stream's epoch
  };
  void Join();
  void OnKeyring(KeyringEffect effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FollowCommands() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  StreamWriter& Open(Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Publish(const StreamWriter& writer, uint64_t sequence, ByteView record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SealCheckpoint(Lane& lane, bool end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t SealReading(double value, bool publish) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Obey(const ReadRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Freshness Word() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void OnRecord(const ReadRecord& record) override ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void OnConfirmed(const StreamPlace&, const SequenceRange&) override {}
  void OnMissing(const StreamPlace&, const SequenceRange&) override {}
  void OnDuplicate(const StreamPlace&, uint64_t) override {}
  void OnAlarm(SecurityEventKind, const StreamPlace&, uint64_t, std::string_view) override {}

  const TenantName tenant_;
  const std::string id_;
  const std::string kind_;
  const std::shared_ptr<grpc::Channel> channel_;
  crypto::EcdsaKeyPair ik_;
  SecretBytes setup_code_;

  mutable absl::Mutex mutex_;
  std::unique_ptr<JoinResponder> responder_;
  std::unique_ptr<Member> member_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Reader> reader_ ABSL_GUARDED_BY(mutex_);
  Lane telemetry_ ABSL_GUARDED_BY(mutex_);
  Lane state_ ABSL_GUARDED_BY(mutex_);
  BootId boot_ ABSL_GUARDED_BY(mutex_);
  std::optional<uint64_t> mark_ ABSL_GUARDED_BY(mutex_);
  Payload last_group_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> commands_done_{0};
  std::atomic<bool> stopping_{false};
  std::thread joining_;
  Executor executor_{1};
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<KeyringLink> keyring_;
  std::unique_ptr<Subscriber> commands_;
};

}  // namespace keystead::mobile::testing
