// A store that writes down which look-ups were made, in their order: what kind, in which table, of whose
// rows.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "core/storage/log_store.h"

namespace keystead::testing {

// Wraps a store, which must outlive it. Thread-safe like it.
class CountingStore final : public storage::LogStore {
 public:
  explicit CountingStore(storage::LogStore* inner) : inner_(inner) {}

  // Since the last call: "get 17 of 1", with the table and the number of the tenant.
  std::vector<std::string> TakeOperations() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(operations_, {});
  }

  absl::Status Submit(std::unique_ptr<storage::Task> task) override {
    return inner_->Submit(std::make_unique<CountingTask>(*this, std::move(task)));
  }
  absl::StatusOr<std::vector<storage::Entry>> Read(storage::LogRef log, uint64_t from,
                                                   size_t max_bytes) const override {
    Note(absl::StrCat("read of ", log.tenant));
    return inner_->Read(log, from, max_bytes);
  }
  absl::StatusOr<storage::Bounds> GetBounds(storage::LogRef log) const override {
    Note(absl::StrCat("bounds of ", log.tenant));
    return inner_->GetBounds(log);
  }
  std::unique_ptr<storage::Watcher> Watch(storage::LogRef log,
                                          std::function<void(uint64_t)> on_commit) override {
    return inner_->Watch(log, std::move(on_commit));
  }
  absl::StatusOr<std::optional<std::string>> Get(uint32_t tenant, storage::Table table,
                                                 std::string_view key) const override {
    Note("get", tenant, table);
    return inner_->Get(tenant, table, key);
  }
  absl::StatusOr<std::vector<storage::Row>> Scan(uint32_t tenant, storage::Table table,
                                                 const storage::ScanRange& range) const override {
    Note("scan", tenant, table);
    return inner_->Scan(tenant, table, range);
  }
  absl::Status Reclaim(uint32_t tenant) override { return inner_->Reclaim(tenant); }
  storage::Stats GetStats() const override { return inner_->GetStats(); }
  absl::Status Health() const override { return inner_->Health(); }

 private:
  class CountingTransaction final : public storage::Transaction {
   public:
    CountingTransaction(CountingStore& store, storage::Transaction& inner) : store_(store), inner_(inner) {}
    absl::StatusOr<uint64_t> Append(storage::LogRef log, storage::Payload bytes) override {
      store_.Note(absl::StrCat("append to ", log.tenant));
      return inner_.Append(log, std::move(bytes));
    }
    absl::StatusOr<storage::Bounds> GetBounds(storage::LogRef log) override {
      store_.Note(absl::StrCat("bounds of ", log.tenant));
      return inner_.GetBounds(log);
    }
    absl::Status Trim(storage::LogRef log, uint64_t first_kept) override {
      store_.Note(absl::StrCat("trim of ", log.tenant));
      return inner_.Trim(log, first_kept);
    }
    absl::StatusOr<std::optional<std::string>> Get(uint32_t tenant, storage::Table table,
                                                   std::string_view key) override {
      store_.Note("get", tenant, table);
      return inner_.Get(tenant, table, key);
    }
    void Put(uint32_t tenant, storage::Table table, std::string_view key, std::string_view value) override {
      store_.Note("put", tenant, table);
      inner_.Put(tenant, table, key, value);
    }
    void Delete(uint32_t tenant, storage::Table table, std::string_view key) override {
      store_.Note("delete", tenant, table);
      inner_.Delete(tenant, table, key);
    }
    absl::StatusOr<std::vector<storage::Row>> Scan(uint32_t tenant, storage::Table table,
                                                   const storage::ScanRange& range) override {
      store_.Note("scan", tenant, table);
      return inner_.Scan(tenant, table, range);
    }
    void EraseTenant(uint32_t tenant) override {
      store_.Note(absl::StrCat("erase ", tenant));
      inner_.EraseTenant(tenant);
    }

   private:
    CountingStore& store_;
    storage::Transaction& inner_;
  };

  class CountingTask final : public storage::Task {
   public:
    CountingTask(CountingStore& store, std::unique_ptr<storage::Task> inner)
        : store_(store), inner_(std::move(inner)) {}
    absl::Status Prepare(storage::Transaction& transaction) override {
      CountingTransaction counting(store_, transaction);
      return inner_->Prepare(counting);
    }
    void Done(const absl::Status& status) override { inner_->Done(status); }
    size_t bytes() const override { return inner_->bytes(); }
    storage::Durability durability() const override { return inner_->durability(); }

   private:
    CountingStore& store_;
    const std::unique_ptr<storage::Task> inner_;
  };

  void Note(std::string operation) const {
    absl::MutexLock lock(&mutex_);
    operations_.push_back(std::move(operation));
  }
  void Note(std::string_view what, uint32_t tenant, storage::Table table) const {
    Note(absl::StrCat(Absl(what), " ", static_cast<int>(table), " of ", tenant));
  }

  storage::LogStore* const inner_;
  mutable absl::Mutex mutex_;
  mutable std::vector<std::string> operations_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead::testing
