// Every number of COSE, CWT and COSE-HPKE that Keystead uses, in one place. Numbers of registered documents
// are IANA's. Those of COSE-HPKE are the ones draft-ietf-cose-hpke-27 asks for ("assumed"); should the RFC
// differ, they change here, together with the profile's version.
#pragma once

#include <cstdint>

namespace keystead::cose {

inline constexpr char kCoseHpkeDraft[] = "draft-ietf-cose-hpke-27";

// CBOR tags (RFC 9052, section 2; RFC 8392). Inside Keystead objects stand untagged.
inline constexpr uint64_t kTagEncrypt0 = 16;
inline constexpr uint64_t kTagMac0 = 17;
inline constexpr uint64_t kTagSign1 = 18;
inline constexpr uint64_t kTagCwt = 61;
inline constexpr uint64_t kTagEncrypt = 96;
inline constexpr uint64_t kTagMac = 97;
inline constexpr uint64_t kTagSign = 98;

// Header parameters (RFC 9052, section 3.1; RFC 9596 for typ).
inline constexpr int64_t kHeaderAlg = 1;
inline constexpr int64_t kHeaderCrit = 2;
inline constexpr int64_t kHeaderContentType = 3;
inline constexpr int64_t kHeaderKid = 4;
inline constexpr int64_t kHeaderIv = 5;
inline constexpr int64_t kHeaderPartialIv = 6;
inline constexpr int64_t kHeaderTyp = 16;
inline constexpr int64_t kHeaderEk = -4;     // assumed: encapsulated key, unprotected
inline constexpr int64_t kHeaderPskId = -5;  // assumed: PSK identity, protected

// Algorithms (RFC 9053; RFC 9864 for ESP256).
inline constexpr int64_t kAlgA128Gcm = 1;
inline constexpr int64_t kAlgA192Gcm = 2;
inline constexpr int64_t kAlgA256Gcm = 3;
inline constexpr int64_t kAlgDirect = -6;
inline constexpr int64_t kAlgEs256 = -7;
inline constexpr int64_t kAlgEsp256 = -9;   // the same algorithm under its newer name: read, never written
inline constexpr int64_t kAlgHpke7 = 45;    // assumed: P-256, HKDF-SHA256, A256GCM, integrated
inline constexpr int64_t kAlgHpke7Ke = 53;  // assumed: the same as key encryption

// COSE_Key (RFC 9052, section 7; RFC 9053, section 7.1.1).
inline constexpr int64_t kKeyKty = 1;
inline constexpr int64_t kKeyKid = 2;
inline constexpr int64_t kKeyAlg = 3;
inline constexpr int64_t kKeyCrv = -1;
inline constexpr int64_t kKeyX = -2;
inline constexpr int64_t kKeyY = -3;
inline constexpr int64_t kKeyD = -4;
inline constexpr int64_t kKtyEc2 = 2;
inline constexpr int64_t kCrvP256 = 1;

}  // namespace keystead::cose
