// A store in a directory that goes away with the test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "core/storage/log_store.h"
#include "gtest/gtest.h"

namespace keystead::storage {

inline Payload Make(std::string_view text) { return std::make_shared<const std::string>(text); }

inline std::vector<std::string> Texts(const absl::StatusOr<std::vector<Entry>>& entries) {
  std::vector<std::string> texts;
  if (!entries.ok()) return {entries.status().ToString()};
  for (const Entry& entry : *entries) texts.push_back(*entry.bytes);
  return texts;
}

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    std::string name = (std::filesystem::temp_directory_path() / "keystead-storage-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    options_.path = directory_ + "/store";
    options_.format_name = "test";
    options_.retry_interval = absl::ZeroDuration();
  }
  ~StoreTest() override {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  void Open() {
    store_.reset();
    auto store = LogStore::Open(options_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  absl::Status Append(LogRef log, std::vector<std::string> texts,
                      Durability durability = Durability::kSynced) {
    return store_->Commit(
        [&](Transaction& transaction) {
          for (const std::string& text : texts) {
            if (auto offset = transaction.Append(log, Make(text)); !offset.ok()) return offset.status();
          }
          return absl::OkStatus();
        },
        durability);
  }
  absl::Status Trim(LogRef log, uint64_t first_kept) {
    return store_->Commit([&](Transaction& transaction) { return transaction.Trim(log, first_kept); });
  }
  // Holds the writer, so that what is submitted meanwhile becomes one commit.
  class Hold {
   public:
    explicit Hold(LogStore& store) {
      EXPECT_TRUE(store
                      .Submit(MakeTask(
                          0,
                          [state = state_](Transaction&) {
                            state->held.Notify();
                            state->go.WaitForNotification();
                            return absl::OkStatus();
                          },
                          [](const absl::Status&) {}, Durability::kBuffered))
                      .ok());
      state_->held.WaitForNotification();
    }
    ~Hold() {
      if (!state_->go.HasBeenNotified()) state_->go.Notify();
    }
    void Release() { state_->go.Notify(); }

   private:
    struct State {  // the writer may still look at it when this has gone
      absl::Notification held;
      absl::Notification go;
    };
    const std::shared_ptr<State> state_ = std::make_shared<State>();
  };

  std::string directory_;
  Options options_;
  std::unique_ptr<LogStore> store_;
};

}  // namespace keystead::storage
