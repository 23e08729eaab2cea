// Down and sideways: local readers, commands, who is let in, pairing and commits through the gateway.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "core/identity/enrollment.h"
#include "core/program/deny_file.h"
#include "core/transport/limit_status.h"
#include "core/transport/status_mapping.h"
#include "gateway/policy.h"
#include "tests/unit/gateway/gateway_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::unique_ptr<grpc::ClientContext> Soon() {
  auto out = std::make_unique<grpc::ClientContext>();
  out->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
  return out;
}

TEST_F(GatewayTest, LocalReadersAreServedWhileTheNextHopIsAway) {
  StartInHome();
  upstream_.Stop();
  ReadWitness reader;
  const auto phone = Subscribe(Role::kApp, "phone", reader, {Telemetry(1), Topic::Keyring()});
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(Send(*device, 1, 0, 99));
  reader.AwaitRecords(101);  // and the commit
  ExpectWhole(reader.records()[Telemetry(1).str()], 100);
  // A restart does not need the next hop either.
  Stop();
  Start();
  AwaitBelonging();
  witness.AwaitDurable(Send(*device, 1, 100, 199));
  reader.AwaitRecords(201);
}

TEST_F(GatewayTest, CommandsComeDownAndWhatWasPublishedHereComesNotTwice) {
  StartInHome();
  const Topic topic = Topic::Of(TopicKind::kCommand, devices_[0]);
  ReadWitness reader;
  const auto device = Subscribe(Role::kDevice, "device-1", reader, {topic, Topic::Keyring()});
  GroupHeader from_afar = Header(home_.owner(), TopicKind::kTelemetry, 5);
  from_afar.topic = topic;
  upstream_.Place({Group(from_afar, 0, "on")});
  reader.AwaitRecords(2);

  PublishWitness app;
  const auto phone = Publish(Role::kApp, "phone", app);
  GroupHeader from_here = Header(home_.owner(), TopicKind::kTelemetry, 6);
  from_here.topic = topic;
  ASSERT_TRUE(phone->Enqueue(Group(from_here, 0, "off")).ok());
  const GroupHeader notices = Header(home_.owner(), TopicKind::kKeyring, 7);
  ASSERT_TRUE(phone->Enqueue(home_.HeadNotice(notices.stream, 0)).ok());
  app.AwaitDurable(2);
  upstream_.AwaitRecords(home_.id(), topic, 2);
  upstream_.AwaitRecords(home_.id(), Topic::Keyring(), 2);
  upstream_.Place({Group(from_afar, 1, "dim")});
  reader.AwaitRecords(5);
  Await([&] { return gateway_->GetStats().down.groups >= 5; }, "all came down");
  EXPECT_EQ(reader.count(), 5u);
  EXPECT_EQ(upstream_.In(home_.id(), topic).size(), 3u);
  EXPECT_EQ(upstream_.duplicates, 0u);  // nothing that came down went up
  Await([&] { return gateway_->GetStats().up.outbox.entries == 0; }, "an empty queue");

  // A restart resumes: nothing is brought or sent again.
  Stop();
  Start();
  AwaitBelonging();
  upstream_.Place({Group(from_afar, 2, "bright")});
  reader.AwaitRecords(6);
  EXPECT_EQ(upstream_.duplicates, 0u);
  EXPECT_EQ(gateway_->GetStats().down.groups, 1u);
  EXPECT_EQ(upstream_.In(home_.id(), topic).size(), 4u);
}

TEST_F(GatewayTest, AGroupOfAnotherPlaceFromTheNextHopIsNotStored) {
  StartInHome();
  const Topic topic = Topic::Of(TopicKind::kCommand, devices_[0]);
  GroupHeader commit_like = Header(home_.owner());
  commit_like.topic = topic;
  commit_like.stream = StreamId();
  GroupHeader good = Header(home_.owner());
  good.topic = topic;
  upstream_.Place({Group(commit_like, 0, "junk"), Group(good, 0, "on")});
  ReadWitness reader;
  const auto device = Subscribe(Role::kDevice, "device-1", reader, {topic});
  reader.AwaitRecords(1);
  EXPECT_EQ(reader.records()[topic.str()][0].second, "on");
  EXPECT_EQ(gateway_->GetStats().down.malformed, 1u);
}

// Who is let in
// -----------------------------------------------------------------------------------------------------

TEST_F(GatewayTest, AnotherTenantsDeviceDoesNotGetThroughTls) {
  StartInHome();
  const auto stub = v1::Rendezvous::NewStub(Dial(Role::kDevice, "spy", kGlobex));
  v1::PutRequest request;
  request.set_box(std::string(16, 'b'));
  request.set_message("hello");
  v1::PutResponse response;
  auto context = Soon();
  EXPECT_EQ(stub->Put(context.get(), request, &response).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(GatewayTest, ADeviceThatTheRosterDoesNotNameIsRefused) {
  StartInHome();
  PublishWitness stranger;
  const auto publisher = Publish(Role::kDevice, "stranger", stranger);
  ASSERT_TRUE(publisher->Enqueue(Group(Header(devices_[0]), 0, "r0")).ok());
  stranger.AwaitDurable(1);
  ASSERT_EQ(stranger.refusals().size(), 1u);
  EXPECT_EQ(stranger.refusals()[0].second.status.code(), absl::StatusCode::kNotFound);
  // A member may not speak for another either.
  PublishWitness member;
  const auto device = Publish(Role::kDevice, "device-2", member);
  ASSERT_TRUE(device->Enqueue(Group(Header(devices_[0]), 0, "r0")).ok());
  member.AwaitDurable(1);
  ASSERT_EQ(member.refusals().size(), 1u);
  EXPECT_EQ(member.refusals()[0].second.status.code(), absl::StatusCode::kPermissionDenied);
  ReadWitness reader;
  const auto subscriber = Subscribe(Role::kDevice, "stranger", reader, {Topic::Keyring()});
  reader.AwaitDisconnects(1);
  EXPECT_EQ(reader.disconnects()[0].code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(gateway_->GetStats().lan.refused, 2u);
  // Nor is there another instantiation here.
  SubscriberOptions elsewhere = QuickSubscriber();
  elsewhere.tenant = home_.tenant();
  ReadWitness nothing;
  Subscriber other(Dial(Role::kDevice, "device-1"), nothing.Callbacks(), elsewhere);
  ASSERT_TRUE(other.Add({{.topic = Topic::Keyring()}}).ok());
  other.Start();
  nothing.AwaitDisconnects(1);
  EXPECT_EQ(nothing.disconnects()[0].code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(upstream_.In(home_.id(), Telemetry(1)).empty());
}

TEST_F(GatewayTest, ARemovedDeviceLosesItsOpenCalls) {
  StartInHome();
  ReadWitness reader;
  const auto subscriber = Subscribe(Role::kDevice, "device-1", reader, {Topic::Keyring()});
  reader.AwaitRecords(1);
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(Send(*device, 1, 0, 4));
  home_.Remove(devices_[0]);
  upstream_.Place({home_.Commit()});
  reader.AwaitDisconnects(1);
  EXPECT_EQ(reader.disconnects()[0].code(), absl::StatusCode::kNotFound);
  witness.AwaitDisconnects(1);
  const auto ticket = device->Enqueue(Group(Header(devices_[0]), 5, "late"));
  witness.AwaitDurable(*ticket);
  EXPECT_EQ(witness.refusals().size(), 1u);
  // The one that stays goes on in the new epoch.
  PublishWitness other;
  const auto stays = Publish(Role::kDevice, "device-2", other);
  other.AwaitDurable(Send(*stays, 2, 0, 4));
  EXPECT_THAT(other.refusals(), IsEmpty());
}

TEST_F(GatewayTest, ARemovedGatewayServesNobody) {
  StartInHome();
  home_.Remove(self_);
  upstream_.Place({home_.Commit()});
  AwaitBelonging(false);
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  Send(*device, 1, 0, 0);
  witness.AwaitDisconnects(1);
  EXPECT_EQ(witness.durable(), 0u);
}

TEST_F(GatewayTest, ADeniedCertificateIsRefusedFromTheNextLookOn) {
  const std::string deny = folder_ + "/deny";
  std::ofstream(deny) << "# nobody yet\n";
  options_.deny_list = deny;
  StartInHome();
  PublishWitness witness;
  const auto device = Publish(Role::kDevice, "device-1", witness);
  witness.AwaitDurable(Send(*device, 1, 0, 4));
  const auto info =
      ValidateCertificateFiles(TestPki::Shared().Leaf(kAcme, Role::kDevice, "device-1"), absl::Now());
  ASSERT_TRUE(info.ok());
  // Also a call on which nothing moves ends.
  ReadWitness reader;
  const auto quiet =
      Subscribe(Role::kDevice, "device-1", reader, {Topic::Of(TopicKind::kCommand, devices_[0])});
  reader.AwaitCaughtUp(1);
  std::ofstream(deny) << "sha256 " << info->fingerprint.ToHex() << "  # stolen\n";
  Await(
      [&] {
        Send(*device, 1, 5, 5);
        return witness.disconnects() > 0;
      },
      "the open call ends");
  reader.AwaitDisconnects(1);
  EXPECT_EQ(reader.disconnects()[0].code(), absl::StatusCode::kUnauthenticated);
}

TEST(DenyFileTest, NamesTheLineThatIsWrong) {
  const std::string path = ::testing::TempDir() + "/deny_" + RandomSource::System().NewId<LogId>().ToHex();
  const TenantName own = *TenantName::Parse(kAcme);
  const TenantName other = *TenantName::Parse(kGlobex);
  const std::string lines = "serial 00aB\n\nsha256 " + std::string(64, 'c') + "\n";
  std::ofstream(path) << lines << "tenant " << kGlobex << "\nserial 1\n";
  auto good = ReadDenyFile(path, own);
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_TRUE(good->at(own).serials.contains("ab"));
  EXPECT_EQ(good->at(own).fingerprints.size(), 1u);
  EXPECT_TRUE(good->at(other).serials.contains("1"));
  EXPECT_EQ(good->at(other).fingerprints.size(), 0u);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadDenyFile(path, std::nullopt).status()));  // whose are they?
  for (const std::string wrong :
       {"serial xyz", "sha256 abcd", "serial", "serial 1 2", "name 12", "tenant UPPER"}) {
    std::ofstream(path) << "\n" << wrong << "\n";
    const auto bad = ReadDenyFile(path, own);
    EXPECT_TRUE(absl::IsInvalidArgument(bad.status())) << wrong;
    EXPECT_THAT(std::string(bad.status().message()), HasSubstr(":2:"));
  }
}

TEST(PolicyTest, EveryServedRpcHasARow) {
  const auto services = gateway::ServedServices();
  EXPECT_THAT(gateway::MakePolicy().MethodsWithoutRow(services), IsEmpty());
  const AuthorizationPolicy policy = gateway::MakePolicy();
  EXPECT_FALSE(policy.Allows("/keystead.v1.Registry/Submit", Role::kDevice));
  EXPECT_FALSE(policy.Allows("/keystead.v1.Transport/Publish", Role::kAdmin));
  EXPECT_TRUE(policy.Allows("/keystead.v1.Transport/Publish", Role::kDevice));
}

// Proxies
// -----------------------------------------------------------------------------------------------------------

TEST_F(GatewayTest, AFactoryIdentityBehindItEnrollsAtTheNextHopAndMayDoNothingElse) {
  Start();  // also before it belongs to anybody
  const auto channel = Dial(Role::kFactory, "device.newcomer");
  const auto stub = v1::Enrollment::NewStub(channel);
  v1::EnrollRequest request;
  request.set_factory_chain("chain");
  request.set_proof(" and proof");
  v1::EnrollResponse response;
  auto context = Soon();
  ASSERT_TRUE(stub->Enroll(context.get(), request, &response).ok());
  EXPECT_EQ(response.chain(), "chain and proof");
  request.set_proof(std::string(kMaxEnrollmentProofBytes + 1, 'x'));
  auto large = Soon();
  EXPECT_EQ(stub->Enroll(large.get(), request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(upstream_.enrolled, 1u) << "that did not go on";
  v1::PutRequest put;
  put.set_box(RandomSource::System().NewId<MailboxName>().ToString());
  put.set_message("announcement");
  v1::PutResponse none;
  auto other = Soon();
  EXPECT_EQ(v1::Rendezvous::NewStub(channel)->Put(other.get(), put, &none).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(GatewayTest, ADeviceBehindItMeetsAnAppAtTheNextHopsRendezvous) {
  Start();  // also before it belongs to anybody
  const auto stub = v1::Rendezvous::NewStub(Dial(Role::kDevice, "newcomer"));
  const MailboxName box = RandomSource::System().NewId<MailboxName>();
  v1::PutRequest put;
  put.set_box(box.ToString());
  put.set_message("announcement");
  v1::PutResponse none;
  auto context = Soon();
  ASSERT_TRUE(stub->Put(context.get(), put, &none).ok());
  EXPECT_THAT(upstream_.Mailboxes().await(box, 1), ::testing::ElementsAre("announcement"));

  const MailboxName answer = RandomSource::System().NewId<MailboxName>();
  v1::AwaitRequest await;
  await.set_box(answer.ToString());
  v1::AwaitResponse messages;
  auto brief = std::make_unique<grpc::ClientContext>();
  brief->set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(300)));
  EXPECT_EQ(stub->Await(brief.get(), await, &messages).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  upstream_.Mailboxes().put(answer, "m1");
  auto again = Soon();
  ASSERT_TRUE(stub->Await(again.get(), await, &messages).ok());
  ASSERT_EQ(messages.messages_size(), 1);
  EXPECT_EQ(messages.messages(0), "m1");

  put.set_message(std::string(limits::kMailboxBytes + 1, 'x'));
  auto large = Soon();
  EXPECT_EQ(stub->Put(large.get(), put, &none).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  upstream_.Stop();
  put.set_message("x");
  auto away = Soon();
  EXPECT_EQ(stub->Put(away.get(), put, &none).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(GatewayTest, AnAppBehindItCommitsToItsOwnInstantiationOnly) {
  StartInHome();
  const auto stub = v1::Registry::NewStub(Dial(Role::kApp, "phone"));
  v1::SubmitCommitRequest request;
  request.set_tenant(kAcme);
  request.set_instantiation(home_.id().ToString());
  request.set_bundle("bundle");
  v1::SubmitCommitResponse response;
  auto good = Soon();
  ASSERT_TRUE(stub->Submit(good.get(), request, &response).ok());
  EXPECT_EQ(response.head(), "bundle");
  request.set_instantiation(NumberedId<InstantiationId>(4).ToString());
  auto other = Soon();
  EXPECT_EQ(stub->Submit(other.get(), request, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  request.set_instantiation(home_.id().ToString());
  request.set_tenant(kGlobex);
  auto foreign = Soon();
  EXPECT_EQ(stub->Submit(foreign.get(), request, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  request.set_tenant(kAcme);
  request.set_bundle(std::string(limits::kMaxCommitBytes + 1, 'x'));
  auto large = Soon();
  EXPECT_EQ(stub->Submit(large.get(), request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(upstream_.commits, 1u);
  // A device may not commit; and what the next hop says in detail stays there.
  const auto device = v1::Registry::NewStub(Dial(Role::kDevice, "device-1"));
  request.set_bundle("bundle");
  auto denied = Soon();
  EXPECT_EQ(device->Submit(denied.get(), request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  v1::FetchCommitsRequest fetch;
  fetch.set_tenant(kAcme);
  fetch.set_instantiation(home_.id().ToString());
  v1::FetchCommitsResponse bundles;
  auto missing = Soon();
  const grpc::Status status = device->Fetch(missing.get(), fetch, &bundles);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message().find("secret detail"), std::string::npos);
}

// The next hop answers the gateway, which is a member. Who asks through it need not be one.
TEST_F(GatewayTest, CommitsAreFetchedForMembersOnly) {
  Start();
  v1::FetchCommitsRequest fetch;
  fetch.set_tenant(kAcme);
  fetch.set_instantiation(home_.id().ToString());
  const auto ask = [&](Role role, const std::string& id) {
    v1::FetchCommitsResponse bundles;
    const auto context = Soon();
    const auto stub = v1::Registry::NewStub(Dial(role, id));
    const grpc::StatusCode code = stub->Fetch(context.get(), fetch, &bundles).error_code();
    EXPECT_EQ(bundles.bundles_size(), code == grpc::StatusCode::OK ? 1 : 0);
    return code;
  };
  upstream_.SetBundle(0, "bundle");
  EXPECT_EQ(ask(Role::kDevice, "device-1"), grpc::StatusCode::UNAVAILABLE);  // it belongs nowhere yet
  JoinHome();
  EXPECT_EQ(ask(Role::kDevice, "device-1"), grpc::StatusCode::OK);
  EXPECT_EQ(ask(Role::kApp, "phone"), grpc::StatusCode::OK);
  const uint64_t before = upstream_.fetches;
  EXPECT_EQ(ask(Role::kDevice, "stranger"), grpc::StatusCode::NOT_FOUND);
  home_.Remove(devices_[0]);
  upstream_.Place({home_.Commit()});
  Await([&] { return gateway_->GetStats().lan.epoch == 1; }, "the epoch");
  EXPECT_EQ(ask(Role::kDevice, "device-1"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(upstream_.fetches, before);
}

TEST_F(GatewayTest, OneCallerDoesNotUseUpTheRendezvousForAll) {
  Start();
  const auto channel = Dial(Role::kDevice, "stranger");
  const auto stub = v1::Rendezvous::NewStub(channel);
  v1::AwaitRequest await;
  await.set_box(std::string(16, 'q'));
  grpc::CompletionQueue queue;
  struct Waiting {
    std::unique_ptr<grpc::ClientContext> context = Soon();
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::AwaitResponse>> call;
    v1::AwaitResponse response;
    grpc::Status status;
  };
  std::vector<Waiting> waiting(40);
  for (Waiting& one : waiting) {
    one.call = stub->AsyncAwait(one.context.get(), await, &queue);
    one.call->Finish(&one.response, &one.status, &one);
  }
  for (int i = 0; i < 12; ++i) {  // alone it has half of the 56 places; all above are refused at once
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
    EXPECT_EQ(static_cast<Waiting*>(tag)->status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  }
  const auto other = v1::Rendezvous::NewStub(Dial(Role::kDevice, "device-1"));
  await.set_box(std::string(16, 'r'));
  upstream_.Mailboxes().put(*MailboxName::FromBytes(std::string_view("rrrrrrrrrrrrrrrr")), "m1");
  v1::AwaitResponse messages;
  const auto context = Soon();
  EXPECT_TRUE(other->Await(context.get(), await, &messages).ok());
  // And calls come at a rate, of each caller its own.
  v1::PutRequest put;
  put.set_box(std::string(16, 's'));
  put.set_message("x");
  grpc::Status status;
  for (int i = 0; i < 200 && status.ok(); ++i) {
    v1::PutResponse none;
    status = stub->Put(Soon().get(), put, &none);
  }
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(LimitNameOf(FromGrpc(status)), "gateway_calls");
  EXPECT_GT(RetryDelayOf(FromGrpc(status)), absl::ZeroDuration());
  v1::PutResponse none;
  EXPECT_TRUE(other->Put(Soon().get(), put, &none).ok());
  EXPECT_GE(Events(SecurityEventKind::kLimitExceeded), 7u);
  for (Waiting& one : waiting) one.context->TryCancel();
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  size_t ended = 0;
  while (queue.Next(&tag, &ok)) ++ended;
  EXPECT_EQ(ended, waiting.size() - 12);
}

TEST_F(GatewayTest, StopsWhileCallsWait) {
  Start();
  const auto stub = v1::Rendezvous::NewStub(Dial(Role::kDevice, "newcomer"));
  v1::AwaitRequest await;
  await.set_box(std::string(16, 'q'));
  v1::AwaitResponse messages;
  auto context = Soon();
  grpc::CompletionQueue queue;
  const auto call = stub->AsyncAwait(context.get(), await, &queue);
  grpc::Status status;
  call->Finish(&messages, &status, nullptr);
  const absl::Time begun = absl::Now();
  Stop();
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_FALSE(status.ok());
  EXPECT_LT(absl::Now() - begun, absl::Seconds(5));
  queue.Shutdown();
}

// Starting
// ----------------------------------------------------------------------------------------------------------

TEST_F(GatewayTest, SaysInOneLineWhyItDoesNotStart) {
  const auto expect = [&](const gateway::GatewayOptions& changed, const std::string& what) {
    const gateway::GatewayOptions before = std::exchange(options_, changed);
    const absl::Status status = TryStart();
    options_ = before;
    EXPECT_FALSE(status.ok()) << what;
    EXPECT_THAT(std::string(status.message()), HasSubstr(what));
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
  };
  auto changed = options_;
  changed.files.key = folder_ + "/none.pem";
  expect(changed, "none.pem");
  changed = options_;
  changed.files = TestPki::Shared().Leaf(kAcme, Role::kDevice, "device-1");
  expect(changed, "gateway");
  changed = options_;
  changed.upstream_id = "https://example.org";
  expect(changed, "--upstream-id");
  changed = options_;
  changed.upstream_roots = folder_ + "/no-roots.pem";
  expect(changed, "no-roots.pem");
  changed = options_;
  changed.files.roots = options_.files.key;
  expect(changed, "key.pem");
  changed = options_;
  changed.deny_list = folder_ + "/no-deny";
  expect(changed, "no-deny");
  std::ofstream(folder_ + "/other-label") << "KS1:OTHER\n";
  changed = options_;
  changed.label_out = folder_ + "/other-label";
  expect(changed, "other-label");

  Start();
  changed = options_;
  expect(changed, "another gateway uses");
  changed.state = folder_ + "/second";
  changed.label_out.clear();
  expect(changed, "the port is taken");
}

}  // namespace
}  // namespace keystead::testing
