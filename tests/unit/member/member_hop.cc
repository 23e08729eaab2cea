#include "tests/unit/member/member_hop.h"

#include <gtest/gtest.h>

#include <future>

#include "tests/unit/transport/hop_server.h"
#include "tests/unit/transport/test_server.h"

namespace keystead::testing {
namespace {

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "member_hop: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

}  // namespace

struct MemberHop::Impl {
  explicit Impl(std::vector<grpc::Service*> more) : server(TransportServiceOptions(), std::move(more)) {}
  HopServer server;
};

MemberHop::MemberHop(std::vector<grpc::Service*> more) : impl_(std::make_unique<Impl>(std::move(more))) {}
MemberHop::~MemberHop() = default;

void MemberHop::Start() { impl_->server.Start(); }
void MemberHop::Stop() { impl_->server.Stop(); }
std::shared_ptr<grpc::Channel> MemberHop::DialAs(Role role) const { return impl_->server.DialAs(role); }
std::string MemberHop::address() const { return impl_->server.address(); }
const char* MemberHop::spiffe_id() { return kBackendId; }
void MemberHop::RefuseSender(const MemberId& sender) { impl_->server.hop().refused_sender = sender; }
void MemberHop::RefuseNobody() { impl_->server.hop().refused_sender = NumberedId<MemberId>(666); }
void MemberHop::Busy(int times) { impl_->server.hop().busy = times; }

size_t MemberHop::Subscriptions() const { return impl_->server.service().GetStats().subscribe_calls; }

void MemberHop::Append(const Payload& group) {
  HopServer& hop = impl_->server;
  auto changes = std::make_shared<RecordLogChanges>();
  auto result = std::make_shared<std::promise<absl::Status>>();
  auto prepare = [&hop, group, changes](storage::Transaction& t) {
    GroupHeaderCache headers;
    const GroupView view = OrDie(GroupView::Parse(*group, headers));
    return hop.log().Append(t, kTestTenantNumber, view, group, *changes).status();
  };
  auto done = [&hop, changes, result](const absl::Status& status) {
    hop.log().Finish(*changes, status);
    result->set_value(status);
  };
  ASSERT_TRUE(hop.store().Submit(storage::MakeTask(group->size(), std::move(prepare), std::move(done))).ok());
  const absl::Status status = result->get_future().get();
  ASSERT_TRUE(status.ok()) << status;
}

std::vector<Payload> MemberHop::Groups(const InstantiationId& id, const Topic& topic) const {
  HopServer& hop = impl_->server;
  std::vector<Payload> out;
  const auto log = OrDie(hop.log().FindTopic({kTestTenantNumber, id, topic}));
  if (!log.has_value()) return out;
  const storage::Bounds bounds = OrDie(hop.store().GetBounds(log->ref));
  for (uint64_t at = bounds.first; at < bounds.end;) {
    const std::vector<storage::Entry> entries = OrDie(hop.store().Read(log->ref, at, 1 << 20));
    for (const storage::Entry& entry : entries) out.push_back(entry.bytes);
    at = entries.back().offset + 1;
  }
  return out;
}

PublisherOptions QuickPublisherOptions() { return QuickPublisher(); }
BackoffOptions QuickBackoff() { return QuickPublisher().backoff; }

}  // namespace keystead::testing
