#include "mobile-stub/keyring_publisher.h"

#include "core/observe/log.h"

namespace keystead::mobile {

KeyringPublisher::KeyringPublisher(const std::shared_ptr<grpc::Channel>& channel, RandomSource* random,
                                   const BackoffOptions& backoff)
    : random_(random) {
  PublisherCallbacks on;
  on.on_refused = [](uint64_t, const GroupRefusal& refusal) {
    Log(LogLevel::kInfo, "keyring_refused", {{"reason", Std(refusal.status.message())}});
  };
  PublisherOptions options;
  options.max_buffer_bytes = 64 << 10;  // old probes are of no use to anybody
  options.backoff = backoff;
  publisher_ = std::make_unique<Publisher>(channel, std::move(on), options);
  publisher_->Start();
}

SignedPlace KeyringPublisher::NextPlace(const Member& member) {
  const uint64_t epoch = member.chain().epoch();
  if (epoch_ != epoch) {
    epoch_ = epoch;
    stream_ = random_->NewId<StreamId>();
    next_ = 0;
  }
  SignedPlace place;
  place.tenant = member.identity().tenant;
  place.id = member.identity().id;
  place.topic = Topic::Keyring();
  place.sender = member.identity().self;
  place.stream = stream_;
  place.epoch = epoch;
  place.sequence = next_;
  return place;
}

absl::Status KeyringPublisher::Send(const Member& member, std::string_view kind, const SignedPlace& place,
                                    ByteView object) {
  GroupBuilder group(GroupHeader{.tenant = member.identity().tenant,
                                 .instantiation = member.identity().id,
                                 .topic = Topic::Keyring(),
                                 .sender = member.identity().self,
                                 .epoch = *place.epoch,
                                 .stream = *place.stream});
  KS_RETURN_IF_ERROR(group.Append(*place.sequence, EncodeContent(kind, object)));
  KS_RETURN_IF_ERROR(publisher_->Enqueue(group.Take()).status());
  ++next_;
  return absl::OkStatus();
}

absl::Status KeyringPublisher::SendProbe(const Member& member, const Probe& probe) {
  const SignedPlace place = NextPlace(member);
  KS_ASSIGN_OR_RETURN(const Bytes object, SignProbe(member.identity().ik, place, probe));
  return Send(member, kinds::kProbe, place, object);
}

absl::Status KeyringPublisher::SendHead(const Member& member, uint64_t hseq, int64_t time) {
  const SignedPlace place = NextPlace(member);
  const Head head{member.chain().epoch(), member.chain().head().hash, hseq, time};
  KS_ASSIGN_OR_RETURN(const Bytes object, SignHead(member.identity().ik, place, head));
  return Send(member, kinds::kHead, place, object);
}

}  // namespace keystead::mobile
