#include "core/storage/log_store.h"

#include "absl/synchronization/notification.h"

namespace keystead::storage {
namespace {

class FunctionTask final : public Task {
 public:
  FunctionTask(size_t bytes, std::function<absl::Status(Transaction&)> prepare,
               std::function<void(const absl::Status&)> done, Durability durability)
      : bytes_(bytes), prepare_(std::move(prepare)), done_(std::move(done)), durability_(durability) {}
  absl::Status Prepare(Transaction& transaction) override { return prepare_(transaction); }
  void Done(const absl::Status& status) override { done_(status); }
  size_t bytes() const override { return bytes_; }
  Durability durability() const override { return durability_; }

 private:
  const size_t bytes_;
  const std::function<absl::Status(Transaction&)> prepare_;
  const std::function<void(const absl::Status&)> done_;
  const Durability durability_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TenantSnapshot>> LogStore::SnapshotTenant(uint32_t) {
  return absl::UnimplementedError("this store does not show tenants as a whole");
}

absl::StatusOr<std::unique_ptr<TenantReplacement>> LogStore::BeginReplacement(uint32_t,
                                                                              std::vector<RowRange>) {
  return absl::UnimplementedError("this store does not exchange tenants as a whole");
}

std::unique_ptr<Task> MakeTask(size_t bytes, std::function<absl::Status(Transaction&)> prepare,
                               std::function<void(const absl::Status&)> done, Durability durability) {
  return std::make_unique<FunctionTask>(bytes, std::move(prepare), std::move(done), durability);
}

absl::Status RunTask(LogStore& store, std::function<absl::Status(Transaction&)> prepare,
                     const std::function<void(const absl::Status&)>& done, Durability durability) {
  absl::Notification finished;
  absl::Status result;
  const absl::Status submitted = store.Submit(MakeTask(
      0, std::move(prepare),
      [&](const absl::Status& status) {
        done(status);
        result = status;
        finished.Notify();
      },
      durability));
  if (!submitted.ok()) return submitted;
  finished.WaitForNotification();
  return result;
}

absl::Status LogStore::Commit(std::function<absl::Status(Transaction&)> prepare, Durability durability) {
  return RunTask(
      *this, std::move(prepare), [](const absl::Status&) {}, durability);
}

}  // namespace keystead::storage
