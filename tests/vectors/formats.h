// The formats that are read, one function and one source file each. A function judges every vector of a file.
#pragma once

#include "tests/vectors/json_fields.h"
#include "tests/vectors/verdict.h"

namespace keystead::vectors {

// C2SP Wycheproof, testvectors_v1 and the older shape: AEAD, HKDF, HMAC, ECDH, ECDSA in DER and in P1363
// form.
bool IsWycheproof(const Json& root);
Report CheckWycheproof(const Json& root);

// test-vectors.json of RFC 9180 (draft-irtf-cfrg-hpke): an array of set-ups with encryptions and exports.
bool IsHpke(const Json& root);
Report CheckHpke(const Json& root);

// cose-wg/Examples: one message per file.
bool IsCoseExample(const Json& root);
Report CheckCoseExample(const Json& root);

// Messages of draft-ietf-cose-hpke, as JSON or as the draft's own testvectors.txt, which becomes that JSON.
bool IsCoseHpke(const Json& root);
Report CheckCoseHpke(const Json& root);
bool IsCoseHpkeText(std::string_view text);
absl::StatusOr<Json> CoseHpkeFromText(std::string_view text);

// The "fail" of a COSE example or COSE-HPKE message; absent is false.
absl::StatusOr<bool> MustFail(const Json& vector);

}  // namespace keystead::vectors
