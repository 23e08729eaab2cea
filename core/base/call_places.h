// Places for calls under way: so many in all, so many of one group of callers (a tenant), so many of one
// caller.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace keystead {

// Thread-safe. Places may outlive it.
class CallPlaces {
 public:
  struct Limits {
    size_t total = 512;
    size_t of_group = 64;
    size_t of_caller = 16;
    // While fewer than half of all places are taken: a balancer is one caller for everybody behind it.
    size_t of_caller_alone = 0;
  };
  explicit CallPlaces(const Limits& limits) : state_(std::make_shared<State>(limits)) {}

  // Given back when its last holder lets it go. Null: there is none left.
  using Place = std::shared_ptr<const void>;
  Place Enter(std::string_view group, std::string_view caller) {
    if (!state_->Take(std::string(group), std::string(caller))) return nullptr;
    return std::make_shared<Taken>(state_, std::string(group), std::string(caller));
  }

 private:
  struct State {
    explicit State(const Limits& of) : limits(of) {}
    bool Take(const std::string& group, const std::string& caller) {
      absl::MutexLock lock(&mutex);
      const size_t room =
          2 * total < limits.total ? std::max(limits.of_caller, limits.of_caller_alone) : limits.of_caller;
      if (total >= limits.total || CountOf(groups, group) >= limits.of_group ||
          CountOf(callers, caller) >= room)
        return false;
      ++total, ++groups[group], ++callers[caller];
      return true;
    }
    void Give(const std::string& group, const std::string& caller) {
      absl::MutexLock lock(&mutex);
      --total;
      if (--groups[group] == 0) groups.erase(group);
      if (--callers[caller] == 0) callers.erase(caller);
    }
    using Counts = absl::flat_hash_map<std::string, size_t>;
    static size_t CountOf(const Counts& counts, const std::string& name) {
      const auto found = counts.find(name);
      return found == counts.end() ? 0 : found->second;
    }

    const Limits limits;
    absl::Mutex mutex;
    size_t total ABSL_GUARDED_BY(mutex) = 0;
    Counts groups ABSL_GUARDED_BY(mutex);
    Counts callers ABSL_GUARDED_BY(mutex);
  };
  struct Taken {
    Taken(std::shared_ptr<State> s, std::string g, std::string c)
        : state(std::move(s)), group(std::move(g)), caller(std::move(c)) {}
    ~Taken() { state->Give(group, caller); }
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;

    const std::shared_ptr<State> state;
    const std::string group;
    const std::string caller;
  };

  const std::shared_ptr<State> state_;
};

}  // namespace keystead
