// Searching what passes for planted texts: raw, in hex (both cases) and in base64 (both alphabets, at each of
// the three alignments a text can have inside a longer one).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace keystead::infra {

struct CanaryHit {
  size_t canary;          // its index in the constructor's list
  std::string_view form;  // "raw", "hex", "base64"
};

// Immutable; thread-safe. A canary should have 8 bytes or more: shorter ones turn up by chance.
class CanarySearch {
 public:
  explicit CanarySearch(const std::vector<std::string>& canaries = {});
  bool empty() const { return needles_.empty(); }
  // Each (canary, form) at most once.
  std::vector<CanaryHit> Find(std::string_view haystack) const;

 private:
  struct Needle {
    size_t canary;
    std::string_view form;
    std::string text;
  };
  std::vector<Needle> needles_;
};

}  // namespace keystead::infra
