// The hashes that published vectors name, beside SHA-256, which core/crypto has in its own right.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace keystead::vectors {

struct HashName {
  std::string_view published;  // "SHA-512/256" is looked up as "SHA512/256"
  const char* openssl;
  size_t xof_bytes;  // of SHAKE; otherwise 0
};

inline constexpr std::array<HashName, 14> kHashNames = {{
    {"SHA1", "SHA1", 0},
    {"SHA224", "SHA224", 0},
    {"SHA256", "SHA256", 0},
    {"SHA384", "SHA384", 0},
    {"SHA512", "SHA512", 0},
    {"SHA512/224", "SHA512-224", 0},
    {"SHA512/256", "SHA512-256", 0},
    {"SHA3-224", "SHA3-224", 0},
    {"SHA3-256", "SHA3-256", 0},
    {"SHA3-384", "SHA3-384", 0},
    {"SHA3-512", "SHA3-512", 0},
    {"SM3", "SM3", 0},
    {"SHAKE128", "SHAKE128", 32},
    {"SHAKE256", "SHAKE256", 64},
}};

// Null when the name is none of these.
inline const HashName* FindHash(std::string_view name) {
  std::string plain(name);
  if (plain.starts_with("SHA-")) plain.erase(3, 1);
  for (const HashName& hash : kHashNames) {
    if (hash.published == plain) return &hash;
  }
  return nullptr;
}

inline bool IsSha256(const HashName& hash) { return hash.published == "SHA256"; }

}  // namespace keystead::vectors
