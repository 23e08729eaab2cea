// Reads a guarded member without its mutex. The test house.thread_safety asks the build for it, and is
// refused.

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace keystead {

class Unlocked {
 public:
  int count() const { return count_; }

 private:
  mutable absl::Mutex mutex_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

int Read(const Unlocked& unlocked) { return unlocked.count(); }

}  // namespace keystead
