#include "tests/unit/gateway/test_upstream.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "core/transport/tls_credentials.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

template <class T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "test_upstream: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

// What a call ends with.
grpc::ServerUnaryReactor* Ended(grpc::CallbackServerContext& context, const std::atomic<bool>& tells) {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  if (tells) {
    context.AddTrailingMetadata("next-hop", kNextHopsWords);
    reactor->Finish({grpc::StatusCode::ABORTED, kNextHopsWords, kNextHopsWords});
  } else {
    reactor->Finish(grpc::Status::OK);
  }
  return reactor;
}

}  // namespace

class TestUpstream::Rendezvous final : public v1::Rendezvous::CallbackService {
 public:
  explicit Rendezvous(const std::atomic<bool>* tells) : tells_(tells) {}
  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context, const v1::PutRequest* request,
                                v1::PutResponse*) override {
    Add(request->box(), request->message());
    return Ended(*context, *tells_);
  }
  grpc::ServerUnaryReactor* Await(grpc::CallbackServerContext* context, const v1::AwaitRequest* request,
                                  v1::AwaitResponse* response) override {
    if (*tells_) return Ended(*context, *tells_);
    auto* const waiting = new Waiting(this, *request, response);
    waiting->Look();
    return waiting;
  }
  void Add(const std::string& box, const std::string& message) {
    std::vector<Waiting*> woken;
    {
      absl::MutexLock lock(&mutex_);
      boxes_[box].push_back(message);
      for (Waiting* const one : waiting_) {
        if (one->request_.box() == box) woken.push_back(one);
      }
      for (Waiting* const one : woken) waiting_.erase(one);
    }
    for (Waiting* const one : woken) one->Look();
  }
  std::vector<std::string> AwaitAll(const std::string& box, size_t at_least) {
    const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return boxes_[box].size() >= at_least; };
    absl::MutexLock lock(&mutex_);
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), kPatience)) << "an empty mailbox";
    return boxes_[box];
  }

 private:
  struct Waiting final : grpc::ServerUnaryReactor {
    Waiting(Rendezvous* owner, const v1::AwaitRequest& request, v1::AwaitResponse* response)
        : owner_(owner), request_(request), response_(response) {}
    void Look() {
      {
        absl::MutexLock lock(&owner_->mutex_);
        const auto& box = owner_->boxes_[request_.box()];
        if (!cancelled_ && box.size() <= request_.after()) {
          owner_->waiting_.insert(this);
          return;
        }
        for (size_t i = request_.after(); i < box.size(); ++i) response_->add_messages(box[i]);
      }
      Finish(grpc::Status::OK);
    }
    void OnCancel() override {
      {
        absl::MutexLock lock(&owner_->mutex_);
        cancelled_ = true;
        if (owner_->waiting_.erase(this) == 0) return;
      }
      Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

    Rendezvous* const owner_;
    const v1::AwaitRequest request_;
    v1::AwaitResponse* const response_;
    bool cancelled_ = false;
  };
  absl::Mutex mutex_;
  std::map<std::string, std::vector<std::string>> boxes_ ABSL_GUARDED_BY(mutex_);
  std::set<Waiting*> waiting_ ABSL_GUARDED_BY(mutex_);
  const std::atomic<bool>* const tells_;
};

// Answers with what it was asked.
class TestUpstream::Enrollment final : public v1::Enrollment::CallbackService {
 public:
  Enrollment(std::atomic<uint64_t>* enrolled, const std::atomic<bool>* tells)
      : enrolled_(enrolled), tells_(tells) {}
  grpc::ServerUnaryReactor* Enroll(grpc::CallbackServerContext* context, const v1::EnrollRequest* request,
                                   v1::EnrollResponse* response) override {
    ++*enrolled_;
    response->set_chain(request->factory_chain() + request->proof());
    return Ended(*context, *tells_);
  }

 private:
  std::atomic<uint64_t>* const enrolled_;
  const std::atomic<bool>* const tells_;
};

class TestUpstream::Registry final : public v1::Registry::CallbackService {
 public:
  Registry(std::atomic<uint64_t>* commits, std::atomic<uint64_t>* fetches, const std::atomic<bool>* tells)
      : commits_(commits), fetches_(fetches), tells_(tells) {}
  void SetBundle(uint64_t epoch, const std::string& bundle) {
    absl::MutexLock lock(&mutex_);
    bundles_[epoch] = bundle;
  }
  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context,
                                   const v1::SubmitCommitRequest* request,
                                   v1::SubmitCommitResponse* response) override {
    response->set_epoch(++*commits_);
    response->set_head(request->bundle());
    return Ended(*context, *tells_);
  }
  grpc::ServerUnaryReactor* Fetch(grpc::CallbackServerContext* context,
                                  const v1::FetchCommitsRequest* request,
                                  v1::FetchCommitsResponse* response) override {
    ++*fetches_;
    if (*tells_) return Ended(*context, *tells_);
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    absl::MutexLock lock(&mutex_);
    for (auto it = bundles_.lower_bound(request->from_epoch()); it != bundles_.end(); ++it)
      response->add_bundles(it->second);
    reactor->Finish(bundles_.empty() ? grpc::Status(grpc::StatusCode::NOT_FOUND, kNextHopsWords)
                                     : grpc::Status::OK);
    return reactor;
  }

 private:
  absl::Mutex mutex_;
  std::map<uint64_t, std::string> bundles_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t>* const commits_;
  std::atomic<uint64_t>* const fetches_;
  const std::atomic<bool>* const tells_;
};

TestUpstream::TestUpstream()
    : path_(std::filesystem::path(::testing::TempDir()) /
            ("upstream_" + RandomSource::System().NewId<LogId>().ToHex())),
      resolver_(std::make_shared<PrincipalResolver>(&directory_, &deny_list_)),
      rendezvous_(std::make_unique<Rendezvous>(&tells)),
      registry_(std::make_unique<Registry>(&commits, &fetches, &tells)),
      enrollment_(std::make_unique<Enrollment>(&enrolled, &tells)) {
  if (!directory_.LoadFolder(TestPki::Shared().folder() + "/tenants").ok()) std::abort();
  Start();
}

TestUpstream::~TestUpstream() {
  Stop();
  std::filesystem::remove_all(path_);
}

void TestUpstream::Start() {
  storage::Options store;
  store.path = path_;
  store.format_name = "upstream";
  store_ = Must(storage::LogStore::Open(store));
  log_ = std::make_unique<RecordLog>(store_.get());
  executor_ = std::make_unique<Executor>(1);
  service_ = std::make_unique<TransportService>(this, log_.get(), executor_.get());
  ServerOptions options;
  options.listen_address = "127.0.0.1:" + std::to_string(port_);
  options.credentials = Must(MakeServerCredentials({.files = TestPki::Shared().Backend()}));
  options.resolver = resolver_;
  const RoleSet all = RoleSet::Operational();
  options.policy = {{"/keystead.v1.Transport/Publish", all}, {"/keystead.v1.Transport/Subscribe", all},
                    {"/keystead.v1.Rendezvous/Put", all},    {"/keystead.v1.Rendezvous/Await", all},
                    {"/keystead.v1.Registry/Submit", all},   {"/keystead.v1.Registry/Fetch", all},
                    {"/keystead.v1.Enrollment/Enroll", all}};
  options.services = {service_->service(), rendezvous_.get(), registry_.get(), enrollment_.get()};
  server_ = std::make_unique<RunningServer>(Must(StartServer(options)));
  port_ = server_->port();
}

void TestUpstream::Stop() {
  if (server_ == nullptr) return;
  service_->Stop();
  server_->Shutdown(absl::ZeroDuration());
  server_.reset();
  executor_.reset();
  store_.reset();
  service_.reset();
  log_.reset();
}

void TestUpstream::Replace() {
  Stop();
  std::filesystem::remove_all(path_);
  Start();
}

void TestUpstream::SetBundle(uint64_t epoch, const std::string& bundle) {
  registry_->SetBundle(epoch, bundle);
}

std::string TestUpstream::address() const { return "127.0.0.1:" + std::to_string(port_); }

MailboxAccess TestUpstream::Mailboxes() {
  return {
      .put = [this](const MailboxName& box,
                    const std::string& message) { rendezvous_->Add(box.ToString(), message); },
      .await = [this](const MailboxName& box, size_t n) { return rendezvous_->AwaitAll(box.ToString(), n); }};
}

void TestUpstream::Place(const std::vector<Payload>& groups) {
  const auto changes = std::make_shared<RecordLogChanges>();
  absl::Mutex mutex;
  absl::Status status;
  bool done = false;
  const absl::Status submitted = store_->Submit(storage::MakeTask(
      0,
      [&](storage::Transaction& transaction) -> absl::Status {
        for (const Payload& group : groups) {
          GroupHeaderCache headers;
          const GroupView view = Must(GroupView::Parse(*group, headers));
          if (auto stored = log_->Append(transaction, 1, view, group, *changes); !stored.ok())
            return stored.status();
        }
        return absl::OkStatus();
      },
      [&](const absl::Status& result) {
        log_->Finish(*changes, result);
        absl::MutexLock lock(&mutex);
        status = result;
        done = true;
      }));
  ASSERT_TRUE(submitted.ok());
  absl::MutexLock lock(&mutex);
  mutex.Await(absl::Condition(&done));
  EXPECT_TRUE(status.ok()) << status;
}

TestUpstream::Records TestUpstream::In(const InstantiationId& id, const Topic& topic) {
  Records out;
  const auto log = Must(log_->FindTopic({1, id, topic}));
  if (!log.has_value()) return out;
  const storage::Bounds bounds = Must(store_->GetBounds(log->ref));
  for (uint64_t next = bounds.first; next < bounds.end;) {
    const auto entries = Must(store_->Read(log->ref, next, 1 << 20));
    for (const storage::Entry& entry : entries) {
      GroupHeaderCache headers;
      const GroupView view = Must(GroupView::Parse(*entry.bytes, headers));
      for (const RecordView& record : view.records())
        out.emplace_back(record.sequence, ToString(record.cose));
    }
    next = entries.back().offset + 1;
  }
  return out;
}

void TestUpstream::AwaitRecords(const InstantiationId& id, const Topic& topic, size_t count) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (true) {
    uint64_t seen = 0;
    {
      absl::MutexLock lock(&mutex_);
      seen = commits_done_;
    }
    const size_t there = In(id, topic).size();
    if (there >= count) return;
    const auto more = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return commits_done_ != seen; };
    absl::MutexLock lock(&mutex_);
    if (!mutex_.AwaitWithDeadline(absl::Condition(&more), deadline)) {
      FAIL() << "waited in vain for " << count << " records in " << topic.str() << ", there are " << there;
    }
  }
}

void TestUpstream::Refuse(const std::string& content, absl::StatusCode code) {
  absl::MutexLock lock(&mutex_);
  refuse_[content] = code;
}
void TestUpstream::Accept(const std::string& content) {
  absl::MutexLock lock(&mutex_);
  refuse_.erase(content);
}
int TestUpstream::refusals(const std::string& content) {
  absl::MutexLock lock(&mutex_);
  return refused_[content];
}
std::string TestUpstream::last_caller() const {
  absl::MutexLock lock(&mutex_);
  return last_caller_;
}

absl::StatusOr<std::shared_ptr<const Principal>> TestUpstream::Authenticate(
    const grpc::ServerContextBase& context) {
  return PrincipalOf(context, *resolver_);
}
absl::Status TestUpstream::Submit(const Principal& principal, std::unique_ptr<storage::Task> task,
                                  const TaskLoad&) {
  {
    absl::MutexLock lock(&mutex_);
    last_caller_ = principal.uri();
  }
  return store_->Submit(std::move(task));
}
absl::StatusOr<uint32_t> TestUpstream::Admit(storage::Transaction&, const Principal&,
                                             const GroupView& group) {
  if (busy) return absl::ResourceExhaustedError("busy");
  const std::string content = ToString(group.records().front().cose);
  absl::MutexLock lock(&mutex_);
  const auto found = refuse_.find(content);
  if (found == refuse_.end()) return 1;
  ++refused_[content];
  return absl::Status(found->second, "refused by the test");
}
absl::Status TestUpstream::Stored(storage::Transaction&, const Principal&,
                                  std::span<const StoredGroup> groups) {
  for (const StoredGroup& group : groups) duplicates += group.outcome.duplicates;
  return absl::OkStatus();
}
void TestUpstream::Committed(const Principal&, std::span<const StoredGroup>, const absl::Status&) {
  absl::MutexLock lock(&mutex_);
  ++commits_done_;
}

}  // namespace keystead::testing
