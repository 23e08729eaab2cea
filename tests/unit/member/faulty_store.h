// A store that refuses, fails or dies on demand, in front of a real one.
#pragma once

#include <atomic>
#include <memory>

#include "core/storage/log_store.h"

namespace keystead::testing {

class FaultyStore final : public storage::LogStore {
 public:
  explicit FaultyStore(storage::LogStore& real) : real_(real) {}

  std::atomic<int> refuse{0};     // that many Submits answer RESOURCE_EXHAUSTED
  std::atomic<int> fail{0};       // that many tasks fail to commit
  std::atomic<bool> dead{false};  // from now on nothing gets through, as after kill -9

  absl::Status Submit(std::unique_ptr<storage::Task> task) override {
    if (dead) return absl::UnavailableError("dead");
    if (refuse > 0) {
      --refuse;
      return absl::ResourceExhaustedError("full");
    }
    if (fail > 0) {
      --fail;
      return real_.Submit(std::make_unique<Failing>(std::move(task)));
    }
    return real_.Submit(std::move(task));
  }
  absl::StatusOr<std::vector<storage::Entry>> Read(storage::LogRef log, uint64_t from,
                                                   size_t max_bytes) const override {
    return real_.Read(log, from, max_bytes);
  }
  absl::StatusOr<storage::Bounds> GetBounds(storage::LogRef log) const override {
    return real_.GetBounds(log);
  }
  std::unique_ptr<storage::Watcher> Watch(storage::LogRef log,
                                          std::function<void(uint64_t end)> on_commit) override {
    return real_.Watch(log, std::move(on_commit));
  }
  absl::StatusOr<std::optional<std::string>> Get(uint32_t tenant, storage::Table table,
                                                 std::string_view key) const override {
    return real_.Get(tenant, table, key);
  }
  absl::StatusOr<std::vector<storage::Row>> Scan(uint32_t tenant, storage::Table table,
                                                 const storage::ScanRange& range) const override {
    return real_.Scan(tenant, table, range);
  }
  absl::Status Reclaim(uint32_t tenant) override { return real_.Reclaim(tenant); }
  storage::Stats GetStats() const override { return real_.GetStats(); }
  absl::Status Health() const override { return real_.Health(); }

 private:
  class Failing final : public storage::Task {
   public:
    explicit Failing(std::unique_ptr<storage::Task> task) : task_(std::move(task)) {}
    absl::Status Prepare(storage::Transaction&) override { return absl::ResourceExhaustedError("disk full"); }
    void Done(const absl::Status& status) override { task_->Done(status); }
    size_t bytes() const override { return task_->bytes(); }
    storage::Durability durability() const override { return task_->durability(); }

   private:
    const std::unique_ptr<storage::Task> task_;
  };
  storage::LogStore& real_;
};

}  // namespace keystead::testing
