// Randomness as a dependency. Production draws from getrandom(2), which blocks only until the kernel's pool
// is ready and cannot return less than asked for these sizes.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "core/base/ids.h"
#include "core/base/secret_bytes.h"

namespace keystead {

// Thread-safe.
class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual void Fill(std::span<uint8_t> out) = 0;  // never fails: aborts the process when the kernel has none
  static RandomSource& System();

  SecretBytes Secret(size_t size) {
    SecretBytes out(size);
    Fill(out.MutableSecret());
    return out;
  }
  template <class Id>
  Id NewId() {
    std::array<uint8_t, Id::kSize> bytes{};
    Fill(bytes);
    return Id(bytes);
  }
};

// A fixed sequence from a seed (SplitMix64). For tests and worked examples; predictable, never for keys.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  void Fill(std::span<uint8_t> out) override;  // not thread-safe

 private:
  uint64_t state_;
};

}  // namespace keystead
