#include "core/base/random.h"

#include <errno.h>
#include <sys/random.h>

#include <cstdlib>

namespace keystead {
namespace {

class SystemRandom final : public RandomSource {
 public:
  void Fill(std::span<uint8_t> out) override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t got = getrandom(out.data() + done, out.size() - done, 0);
      if (got < 0) {
        if (errno == EINTR) continue;
        std::abort();  // A key that is not random is worse than no process.
      }
      done += static_cast<size_t>(got);
    }
  }
};

}  // namespace

RandomSource& RandomSource::System() {
  static SystemRandom* const source = new SystemRandom;
  return *source;
}

void SeededRandom::Fill(std::span<uint8_t> out) {
  for (uint8_t& byte : out) {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    byte = static_cast<uint8_t>(z ^ (z >> 31));
  }
}

}  // namespace keystead
