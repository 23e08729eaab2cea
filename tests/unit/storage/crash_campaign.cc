// Cuts the power at random points under a store that is being written, and checks what is left against what
// was acknowledged: nothing whose Done(OK) was reported is lost, no offset is given out twice, nothing is
// there twice, and every task is there whole or not at all. Exit code 0: held; 1: broken; 2: wrong usage.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "core/base/bytes.h"
#include "core/base/random.h"
#include "core/storage/fault_injection_fs.h"
#include "core/storage/log_store.h"

namespace keystead::storage {
namespace {

constexpr uint32_t kTenant = 7;
constexpr Table kTasks{1};
constexpr uint64_t kLogs = 5;
constexpr uint64_t kRoundsPerStore = 20;

uint64_t Draw(RandomSource& random, uint64_t below) {
  std::array<uint8_t, 4> bytes{};
  random.Fill(bytes);
  uint64_t value = 0;
  for (const uint8_t byte : bytes) value = value << 8 | byte;
  return value % below;
}

enum class Fate { kOpen, kAcked, kFailed };

// One task of the campaign and what became of it.
struct Plan {
  uint64_t id = 0;
  bool synced = true;
  std::vector<std::pair<uint64_t, std::string>> appends;  // log, bytes
  std::vector<uint64_t> offsets;                          // as handed out
  std::optional<std::pair<uint64_t, uint64_t>> trim;      // log, how many to keep
  uint64_t trimmed_to = 0;
  Fate fate = Fate::kOpen;
};

class PlanTask final : public Task {
 public:
  explicit PlanTask(std::shared_ptr<Plan> plan) : plan_(std::move(plan)) {}
  absl::Status Prepare(Transaction& transaction) override {
    for (const auto& [log, bytes] : plan_->appends) {
      const auto offset = transaction.Append({kTenant, log}, std::make_shared<const std::string>(bytes));
      if (!offset.ok()) return offset.status();
      plan_->offsets.push_back(*offset);
    }
    if (plan_->trim) {
      const LogRef log{kTenant, plan_->trim->first};
      const auto bounds = transaction.GetBounds(log);
      if (!bounds.ok()) return bounds.status();
      plan_->trimmed_to = bounds->end - std::min(bounds->end, plan_->trim->second);
      if (const absl::Status status = transaction.Trim(log, plan_->trimmed_to); !status.ok()) return status;
    }
    transaction.Put(kTenant, kTasks, absl::StrCat(plan_->id), "done");
    return absl::OkStatus();
  }
  void Done(const absl::Status& status) override { plan_->fate = status.ok() ? Fate::kAcked : Fate::kFailed; }
  size_t bytes() const override { return 1000; }
  Durability durability() const override {
    return plan_->synced ? Durability::kSynced : Durability::kBuffered;
  }

 private:
  const std::shared_ptr<Plan> plan_;
};

class Campaign {
 public:
  Campaign(std::string path, uint64_t seed) : path_(std::move(path)), random_(seed) {}

  bool Round(uint64_t round) {
    round_ = round;
    if (round % kRoundsPerStore == 0) {
      std::filesystem::remove_all(path_);
      plans_.clear();
    }
    fs_->PowerOffAfter(1 + Draw(random_, 120));
    std::vector<std::shared_ptr<Plan>> plans = Work();
    if (const char* at = std::getenv("KEYSTEAD_CRASH_TRACE"); at != nullptr) {
      std::printf("round %lu: %zu tasks, power %s\n", static_cast<unsigned long>(round), plans.size(),
                  fs_->powered_off() ? "off" : "on");
    }
    fs_->DropUnsynced(random_);
    for (auto& plan : plans) plans_.push_back(std::move(plan));
    return Check();
  }

 private:
  absl::StatusOr<std::unique_ptr<LogStore>> Open() {
    Options options;
    options.path = path_;
    options.format_name = "crash";
    options.write_buffer_bytes = 32 << 10;  // many flushes and compactions in a short life
    options.tail_cache_bytes = 4 << 10;
    options.block_cache_bytes = 1 << 20;
    options.retry_interval = absl::ZeroDuration();
    options.file_system = fs_;
    return LogStore::Open(options);
  }

  std::shared_ptr<Plan> NewPlan() {
    auto plan = std::make_shared<Plan>();
    plan->id = next_id_++;
    plan->synced = Draw(random_, 4) != 0;
    const uint64_t appends = 1 + Draw(random_, 4);
    for (uint64_t i = 0; i < appends; ++i) {
      const size_t size = Draw(random_, 6) == 0 ? 6000 : Draw(random_, 300);  // some go to blob files
      plan->appends.emplace_back(Draw(random_, kLogs),
                                 absl::StrCat(plan->id, ".", i, ".", std::string(size, 'x')));
    }
    if (Draw(random_, 5) == 0) plan->trim = {Draw(random_, kLogs), Draw(random_, 30)};
    return plan;
  }

  // Submits bursts of tasks until the power is off or there were enough of them.
  std::vector<std::shared_ptr<Plan>> Work() {
    std::vector<std::shared_ptr<Plan>> plans;
    auto store = Open();
    if (!store.ok()) return plans;  // the power went off while opening
    for (uint64_t burst = 0; burst < 60 && !fs_->powered_off(); ++burst) {
      const uint64_t count = 1 + Draw(random_, 6);
      for (uint64_t i = 0; i < count; ++i) {
        plans.push_back(NewPlan());
        if (!(*store)->Submit(std::make_unique<PlanTask>(plans.back())).ok()) plans.pop_back();
      }
      (void)(*store)->Commit([](Transaction&) { return absl::OkStatus(); }, Durability::kBuffered).ok();
    }
    return plans;
  }

  bool Fail(const std::string& what) {
    std::printf("round %lu: %s\n", static_cast<unsigned long>(round_), what.c_str());
    return false;
  }

  bool Check() {
    const auto store = Open();
    if (!store.ok()) return Fail(absl::StrCat("does not open: ", store.status().ToString()));
    std::map<uint64_t, Bounds> bounds;
    std::map<std::pair<uint64_t, uint64_t>, std::string> found;
    std::set<std::string> seen;
    for (uint64_t log = 0; log < kLogs; ++log) {
      const auto b = (*store)->GetBounds({kTenant, log});
      if (!b.ok()) return Fail(b.status().ToString());
      bounds[log] = *b;
      for (uint64_t at = b->first; at < b->end;) {
        const auto entries = (*store)->Read({kTenant, log}, at, 4096);
        if (!entries.ok()) return Fail(absl::StrCat("log ", log, ": ", entries.status().ToString()));
        if (entries->empty()) return Fail(absl::StrCat("log ", log, " ends at ", at, " before its bounds"));
        for (const Entry& entry : *entries) {
          if (entry.offset != at) return Fail(absl::StrCat("log ", log, ": hole at ", at));
          if (!seen.insert(*entry.bytes).second)
            return Fail(absl::StrCat("there twice: ", entry.bytes->substr(0, 20)));
          found[{log, at++}] = *entry.bytes;
        }
      }
    }
    return CheckPlans(**store, bounds, found);
  }

  bool CheckPlans(LogStore& store, const std::map<uint64_t, Bounds>& bounds,
                  const std::map<std::pair<uint64_t, uint64_t>, std::string>& found) {
    size_t last_synced = 0;  // everything acknowledged up to it has to be there
    for (size_t i = 0; i < plans_.size(); ++i) {
      if (plans_[i]->synced && plans_[i]->fate == Fate::kAcked) last_synced = i + 1;
    }
    std::map<uint64_t, uint64_t> trimmed;
    std::vector<std::shared_ptr<Plan>> kept;
    size_t explained = 0;
    for (size_t i = 0; i < plans_.size(); ++i) {
      Plan& plan = *plans_[i];
      const auto row = store.Get(kTenant, kTasks, absl::StrCat(plan.id));
      if (!row.ok()) return Fail(row.status().ToString());
      const bool there = row->has_value();
      if (!there) {
        if (plan.fate == Fate::kAcked && i < last_synced) {
          return Fail(absl::StrCat("task ", plan.id, " was acknowledged and is lost"));
        }
        continue;
      }
      if (plan.trim) trimmed[plan.trim->first] = std::max(trimmed[plan.trim->first], plan.trimmed_to);
      plan.synced = true;  // survived a power failure: has to survive the next
      plan.fate = Fate::kAcked;
      kept.push_back(plans_[i]);
    }
    for (const auto& plan : kept) {
      for (size_t i = 0; i < plan->appends.size(); ++i) {
        const auto& [log, bytes] = plan->appends[i];
        const uint64_t offset = plan->offsets[i];
        if (offset >= bounds.at(log).end)
          return Fail(absl::StrCat("task ", plan->id, ": an offset can come again"));
        const auto it = found.find({log, offset});
        if (it == found.end() && offset >= trimmed[log])
          return Fail(absl::StrCat("task ", plan->id, ": entry lost"));
        if (it == found.end()) continue;
        if (it->second != bytes) return Fail(absl::StrCat("task ", plan->id, ": other bytes at its offset"));
        ++explained;
      }
    }
    if (explained != found.size()) return Fail("entries of a task that is not there");
    for (const auto& [log, b] : bounds) {
      if (b.first != trimmed[log]) return Fail(absl::StrCat("log ", log, " begins at ", b.first));
    }
    plans_ = std::move(kept);
    return true;
  }

  const std::string path_;
  SeededRandom random_;
  const std::shared_ptr<FaultInjectionFs> fs_ = std::make_shared<FaultInjectionFs>();
  std::vector<std::shared_ptr<Plan>> plans_;  // in order of submission, which is that of commitment
  uint64_t next_id_ = 1;
  uint64_t round_ = 0;
};

}  // namespace
}  // namespace keystead::storage

constexpr uint64_t kCampaigns = 8;

int main(int argc, char** argv) {
  uint64_t seed = 1;
  uint64_t rounds = 200;
  bool expect_loss = false;
  std::string directory;
  CLI::App app{"Power failures at random points under the store"};
  app.add_option("--seed", seed, "of everything random")->envname("KEYSTEAD_CRASH_SEED");
  app.add_option("--rounds", rounds, "power failures")->envname("KEYSTEAD_CRASH_ROUNDS");
  app.add_option("--directory", directory, "where to work; a temporary one by default");
  app.add_flag("--expect-loss", expect_loss, "exit code 0 only when the campaign finds a loss");
  CLI11_PARSE(app, argc, argv);
  std::string path = directory;
  if (path.empty()) {
    std::string name = (std::filesystem::temp_directory_path() / "keystead-crash-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) return 2;
    path = name;
  }
  // RocksDB sleeps for a second after a failed flush, so several campaigns run side by side.
  std::atomic<bool> held = true;
  std::atomic<uint64_t> done = 0;
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < kCampaigns; ++i) {
    threads.emplace_back([&, i] {
      keystead::storage::Campaign campaign(path + "/store" + std::to_string(i), seed * kCampaigns + i);
      for (uint64_t round = 0; held && round * kCampaigns + i < rounds; ++round, ++done) {
        if (!campaign.Round(round)) held = false;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("seed %lu: %lu of %lu power failures, %s\n", static_cast<unsigned long>(seed),
              static_cast<unsigned long>(done), static_cast<unsigned long>(rounds),
              held ? "nothing acknowledged was lost" : "BROKEN");
  if (held || expect_loss) std::filesystem::remove_all(path);
  return held == expect_loss ? 1 : 0;
}
