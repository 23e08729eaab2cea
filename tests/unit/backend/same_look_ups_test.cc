// "Not yours" and "not there" cost the same look-ups in the store, so that the time of an answer has nothing
// to tell.
#include <gmock/gmock.h>

#include "absl/synchronization/notification.h"
#include "backend/commit_intake.h"
#include "backend/hop.h"
#include "tests/unit/backend/backend_fixture.h"
#include "tests/unit/backend/counting_store.h"

namespace keystead::testing {
namespace {

using ::testing::ElementsAre;

using Operations = std::vector<std::string>;

// One household of acme in memory, its owner's; who asks is stranger to it.
class SameLookUpsTest : public ::testing::Test {
 protected:
  SameLookUpsTest()
      : directory_(MakeDirectory()),
        inner_(OpenStore()),
        tenants_(backend::Tenants::Open(*inner_, *directory_).value()),
        resolver_(directory_.get(), &deny_list_),
        store_(inner_.get()),
        executor_(1),
        log_(&store_),
        instantiations_(&store_, &executor_, {}),
        queue_(&store_, {}),
        hop_(&resolver_, tenants_.get(), &instantiations_, &store_, &queue_),
        intake_({&store_, &log_, &executor_, &instantiations_, &hop_, &queue_}, {}) {
    const std::string bundle = home_.Make();
    EXPECT_EQ(Submit(Caller(kAcme, "phone"), kAcme, home_.id(), bundle), absl::StatusCode::kOk);
    home_.Take(bundle);
    absent_.Take(absent_.Make());
    forged_ = absent_.Make();
    store_.TakeOperations();
  }

  // What was answered may still hold a place of the intake's.
  ~SameLookUpsTest() override {
    executor_.Drain();
    queue_.Drain();
    executor_.Drain();
  }

  static std::unique_ptr<TenantDirectory> MakeDirectory() {
    auto out = std::make_unique<TenantDirectory>();
    EXPECT_TRUE(out->LoadFolder(TestPki::Shared().folder() + "/tenants").ok());
    return out;
  }
  static std::unique_ptr<storage::LogStore> OpenStore() {
    storage::Options options;
    options.path = TestPki::Shared().NewFolder() + "/store";
    options.format_name = "test";
    return storage::LogStore::Open(options).value();
  }
  static std::shared_ptr<const Principal> Caller(std::string_view tenant, std::string_view name) {
    return std::make_shared<const Principal>(Principal::ForTesting(Id(Uri(tenant, Role::kApp, name))));
  }

  // Runs `prepare` in the writer's order.
  absl::StatusCode InWriter(const std::function<absl::Status(storage::Transaction&)>& prepare) {
    return store_.Commit(prepare, storage::Durability::kBuffered).code();
  }
  absl::StatusCode Publish(const Principal& caller, std::string_view tenant, const InstantiationId& id) {
    GroupHeader header;
    header.tenant = Tenant(tenant);
    header.instantiation = id;
    header.topic = Topic::Of(TopicKind::kTelemetry, home_.owner());
    header.sender = home_.owner();
    header.stream = NewStream();
    GroupBuilder builder(header);
    EXPECT_TRUE(builder.Append(0, AsBytes("sealed")).ok());
    const Payload bytes = builder.Take();
    GroupHeaderCache headers;
    const GroupView view = GroupView::Parse(*bytes, headers).value();
    return InWriter(
        [&](storage::Transaction& transaction) { return hop_.Admit(transaction, caller, view).status(); });
  }
  absl::StatusCode Subscribe(const Principal& caller, std::string_view tenant, const InstantiationId& id) {
    return InWriter([&](storage::Transaction& transaction) {
      return hop_.AdmitSubscribe(transaction, caller, {Tenant(tenant), id, {Topic::Keyring()}}).status();
    });
  }
  backend::CommitIntake::Target TargetOf(const std::shared_ptr<const Principal>& caller,
                                         std::string_view tenant, const InstantiationId& id) {
    const bool elsewhere = !tenants_->For(*caller, Tenant(tenant)).ok();
    return {caller, tenants_->Of(*caller).value(), Tenant(tenant), id, elsewhere};
  }
  absl::StatusCode Submit(const std::shared_ptr<const Principal>& caller, std::string_view tenant,
                          const InstantiationId& id, const std::string& bundle) {
    absl::Notification answered;
    absl::Status status;
    intake_.Submit(TargetOf(caller, tenant, id), bundle, [&](const auto& accepted) {
      status = accepted.status();
      answered.Notify();
    });
    answered.WaitForNotification();
    return status.code();
  }
  absl::StatusCode Fetch(const std::shared_ptr<const Principal>& caller, std::string_view tenant,
                         const InstantiationId& id) {
    absl::Notification answered;
    absl::Status status;
    intake_.Fetch(TargetOf(caller, tenant, id), 0, [&](const auto& fetched) {
      status = fetched.status();
      answered.Notify();
    });
    answered.WaitForNotification();
    return status.code();
  }

  // By an app of acme: a household of acme that it is not a member of, and one that is not there. By an app
  // of globex: the same household, one that is not there, of a tenant that is not there, and one of its own
  // tenant that is not there. Every one with this answer, at one look at the caller's own rows.
  void ExpectOnePrice(const std::function<absl::StatusCode(const std::shared_ptr<const Principal>&,
                                                           std::string_view, const InstantiationId&)>& ask,
                      absl::StatusCode own, absl::StatusCode foreign) {
    const auto costs = [&](const char* who, std::string_view tenant, const InstantiationId& id,
                           absl::StatusCode answer) {
      const auto caller = Caller(who, "stranger");
      EXPECT_EQ(ask(caller, tenant, id), answer) << who << " asks for one of " << tenant;
      Operations operations = store_.TakeOperations();
      // The same, whoever asks, but for whose rows they are.
      const std::string whose = absl::StrCat(" of ", tenants_->Of(*caller)->number());
      for (std::string& operation : operations) {
        EXPECT_TRUE(operation.ends_with(whose)) << operation << " is a look at another tenant's rows";
        operation.erase(operation.find(" of "));
      }
      return operations;
    };
    const Operations one_look = costs(kAcme, kAcme, absent_.id(), own);
    EXPECT_THAT(one_look, ElementsAre("get 17"));
    EXPECT_EQ(costs(kAcme, kAcme, home_.id(), own), one_look);
    EXPECT_EQ(costs(kGlobex, kAcme, home_.id(), foreign), one_look);
    EXPECT_EQ(costs(kGlobex, kAcme, absent_.id(), foreign), one_look);
    EXPECT_EQ(costs(kGlobex, "none.keystead.example", home_.id(), foreign), one_look);
    EXPECT_EQ(costs(kGlobex, kGlobex, absent_.id(), own), one_look);
  }

  const std::unique_ptr<TenantDirectory> directory_;
  const std::unique_ptr<storage::LogStore> inner_;
  const std::unique_ptr<backend::Tenants> tenants_;
  DenyList deny_list_;
  PrincipalResolver resolver_;
  CountingStore store_;
  Executor executor_;
  RecordLog log_;
  backend::Instantiations instantiations_;
  backend::FairQueue queue_;
  backend::BackendHop hop_;
  backend::CommitIntake intake_;
  Home home_{kAcme, Uri(kAcme, Role::kApp, "phone")};
  Home absent_{kAcme, Uri(kAcme, Role::kApp, "stranger")};
  std::string forged_;  // a proper commit, of another household
};

TEST_F(SameLookUpsTest, Publish) {
  ExpectOnePrice([&](const auto& caller, auto tenant, auto& id) { return Publish(*caller, tenant, id); },
                 absl::StatusCode::kNotFound, absl::StatusCode::kNotFound);
}

TEST_F(SameLookUpsTest, Subscribe) {
  ExpectOnePrice([&](const auto& caller, auto tenant, auto& id) { return Subscribe(*caller, tenant, id); },
                 absl::StatusCode::kNotFound, absl::StatusCode::kNotFound);
}

TEST_F(SameLookUpsTest, Fetch) {
  ExpectOnePrice([&](const auto& caller, auto tenant, auto& id) { return Fetch(caller, tenant, id); },
                 absl::StatusCode::kNotFound, absl::StatusCode::kNotFound);
}

TEST_F(SameLookUpsTest, Submit) {
  ExpectOnePrice(
      [&](const auto& caller, auto tenant, auto& id) { return Submit(caller, tenant, id, forged_); },
      absl::StatusCode::kInvalidArgument, absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace keystead::testing
