// A record log on a store of its own that can be restarted and fail.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "core/storage/fault_injection_fs.h"
#include "core/transport/record_log.h"
#include "core/transport/record_log_rows.h"
#include "tests/unit/transport/test_groups.h"

namespace keystead::testing {

inline constexpr uint32_t kTenant = 5;

class RecordLogTest : public ::testing::Test {
 protected:
  RecordLogTest() {
    path_ = std::filesystem::path(::testing::TempDir()) /
            ("record_log_" + RandomSource::System().NewId<LogId>().ToHex());
    options_.checkpoint_groups = 4;
    options_.clock = &clock_;
    Open();
  }
  ~RecordLogTest() override {
    log_.reset();
    store_.reset();
    std::filesystem::remove_all(path_);
  }

  void Open() {
    log_.reset();
    store_.reset();
    storage::Options options;
    options.path = path_;
    options.format_name = "record-log-test";
    options.file_system = faults_;
    auto store = storage::LogStore::Open(options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    log_ = std::make_unique<RecordLog>(store_.get(), options_);
  }

  // All groups in one task.
  absl::StatusOr<std::vector<AppendOutcome>> AppendAll(const std::vector<Payload>& groups,
                                                       absl::Status after = absl::OkStatus()) {
    std::vector<AppendOutcome> outcomes;
    RecordLogChanges changes;
    absl::Mutex mutex;
    bool done = false;
    absl::Status result;
    const absl::Status submitted = store_->Submit(storage::MakeTask(
        1000,
        [&](storage::Transaction& transaction) -> absl::Status {
          absl::Status status;
          for (const Payload& group : groups) {
            GroupHeaderCache cache;
            auto view = GroupView::Parse(*group, cache);
            if (!view.ok()) return view.status();
            auto outcome = log_->Append(transaction, kTenant, *view, group, source_, changes);
            status = outcome.status();
            if (!status.ok()) break;
            outcomes.push_back(*std::move(outcome));
          }
          if (status.ok()) status = after;
          if (!status.ok()) log_->Finish(changes, status);
          return status;
        },
        [&](const absl::Status& status) {
          log_->Finish(changes, status);
          absl::MutexLock lock(&mutex);
          result = status;
          done = true;
        }));
    if (!submitted.ok()) return submitted;
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(&done));
    if (!result.ok()) return result;
    return outcomes;
  }
  AppendOutcome Append(const Payload& group) {
    auto outcomes = AppendAll({group});
    EXPECT_TRUE(outcomes.ok()) << outcomes.status();
    return outcomes.ok() ? outcomes->front() : AppendOutcome();
  }
  AppendOutcome Append(const GroupHeader& header, const TestRecords& records) {
    return Append(TestGroup(header, records));
  }

  // Runs on the writer's thread.
  void OnWriter(std::function<absl::Status(storage::Transaction&, RecordLogChanges&)> what) {
    RecordLogChanges changes;
    const absl::Status status = store_->Commit([&](storage::Transaction& t) {
      const absl::Status done = what(t, changes);
      log_->Finish(changes, done);  // nobody else writes in these tests
      return done;
    });
    EXPECT_TRUE(status.ok()) << status;
  }

  // What the log of a device's topic holds: device's records in order of the log.
  std::vector<std::pair<uint64_t, std::string>> Records(int device) {
    std::vector<std::pair<uint64_t, std::string>> out;
    const auto topic = log_->FindTopic({kTenant, TestInstantiation(), TestTopic(device)});
    if (!topic.ok() || !topic->has_value()) return out;
    const storage::Bounds bounds = *store_->GetBounds((*topic)->ref);
    for (uint64_t next = bounds.first; next < bounds.end;) {
      const auto entries = store_->Read((*topic)->ref, next, 1 << 20);
      EXPECT_TRUE(entries.ok()) << entries.status();
      if (!entries.ok()) break;
      for (const storage::Entry& entry : *entries) {
        GroupHeaderCache cache;
        const auto view = GroupView::Parse(*entry.bytes, cache);
        EXPECT_TRUE(view.ok());
        for (const RecordView& record : view->records())
          out.emplace_back(record.sequence, ToString(record.cose));
      }
      next = entries->back().offset + 1;
    }
    return out;
  }

  // The courier with that number sends what comes next.
  void ComesFrom(int courier) {
    source_ = RecordSource::Of("spiffe://acme.keystead.example/gateway/" + std::to_string(courier));
  }

  RecordSource source_;
  std::filesystem::path path_;
  ManualClock clock_;
  RecordLog::Options options_;
  std::shared_ptr<storage::FaultInjectionFs> faults_ = std::make_shared<storage::FaultInjectionFs>();
  std::unique_ptr<storage::LogStore> store_;
  std::unique_ptr<RecordLog> log_;
};

}  // namespace keystead::testing
