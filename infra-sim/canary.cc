#include "infra-sim/canary.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "core/base/bytes.h"

namespace keystead::infra {
namespace {

// The characters of base64(prefix ‖ text ‖ suffix) that depend on `text` alone, for a prefix of `offset`
// bytes.
std::string Base64Core(std::string_view text, size_t offset, bool web_safe) {
  const std::string padded = std::string(offset, '\0') + std::string(text);
  const std::string encoded =
      web_safe ? absl::WebSafeBase64Escape(Absl(padded)) : absl::Base64Escape(Absl(padded));
  const size_t first = (offset * 8 + 5) / 6;
  const size_t last = padded.size() * 8 / 6;
  return last > first ? encoded.substr(first, last - first) : std::string();
}

}  // namespace

CanarySearch::CanarySearch(const std::vector<std::string>& canaries) {
  for (size_t i = 0; i < canaries.size(); ++i) {
    const auto add = [&](std::string_view form, std::string text) {
      const auto same = [&](const Needle& n) { return n.canary == i && n.text == text; };
      if (!text.empty() && std::none_of(needles_.begin(), needles_.end(), same)) {
        needles_.push_back({i, form, std::move(text)});
      }
    };
    add("raw", canaries[i]);
    const std::string hex = ToHex(AsBytes(canaries[i]));
    add("hex", hex);
    add("hex", absl::AsciiStrToUpper(Absl(hex)));
    for (size_t offset = 0; offset < 3; ++offset) {
      add("base64", Base64Core(canaries[i], offset, false));
      add("base64", Base64Core(canaries[i], offset, true));
    }
  }
}

std::vector<CanaryHit> CanarySearch::Find(std::string_view haystack) const {
  std::vector<CanaryHit> hits;
  for (const Needle& needle : needles_) {
    const auto known = [&](const CanaryHit& h) { return h.canary == needle.canary && h.form == needle.form; };
    if (std::any_of(hits.begin(), hits.end(), known)) continue;
    if (haystack.find(needle.text) != std::string_view::npos) hits.push_back({needle.canary, needle.form});
  }
  return hits;
}

}  // namespace keystead::infra
