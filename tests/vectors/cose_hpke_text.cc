// testvectors.txt of draft-ietf-cose-hpke: a key for each suite, then a title and a message for each vector.
// The title says which inputs are the empty ones and which the fixed strings that the draft's appendix on
// test vectors names, as it does payload and PSK.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"
#include "tests/vectors/formats.h"

namespace keystead::vectors {
namespace {

constexpr std::string_view kKeyMark = " COSE_Key:: ";
constexpr std::string_view kMessageMark = "Ciphertext: ";

// "external" before `what` stands for the fixed string, "default" for the empty one.
absl::StatusOr<std::string> Input(std::string_view title, const std::string& what, const char* value) {
  if (title.find("external " + what) != std::string_view::npos) return value;
  if (title.find("default " + what) != std::string_view::npos) return "";
  return absl::InvalidArgumentError("title does not say the " + what);
}

absl::StatusOr<Json> Vector(std::string_view title, const std::string& key, std::string_view message) {
  const size_t end = title.find(' ');
  const std::string alg(title.substr(0, end));
  const bool integrated = !alg.ends_with("-KE");
  KS_ASSIGN_OR_RETURN(const std::string aad, Input(title, "aad", "external-aad"));
  KS_ASSIGN_OR_RETURN(const std::string info, Input(title, "info", "external-info"));
  std::string hpke_aad;
  if (!integrated) {
    KS_ASSIGN_OR_RETURN(hpke_aad, Input(title, "hpke aad", "external-hpke-aad"));
  }
  return Json{{"title", title},
              {"alg", alg},
              {"mode", title.find("+PSK") != std::string_view::npos ? "psk" : "base"},
              {"structure", integrated ? "COSE_Encrypt0" : "COSE_Encrypt"},
              {"external_aad", aad},
              {"info", info},
              {"hpke_aad", hpke_aad},
              {"recipient_private_cose_key_hex", key},
              {"message_hex", message}};
}

}  // namespace

bool IsCoseHpkeText(std::string_view text) {
  return text.find("HPKE-") != std::string_view::npos && text.find(kKeyMark) != std::string_view::npos;
}

absl::StatusOr<Json> CoseHpkeFromText(std::string_view text) {
  Json vectors = Json::array();
  std::string suite;
  std::string key;
  std::string title;
  for (const absl::string_view raw : absl::StrSplit(Absl(text), '\n')) {
    std::string_view line(raw.data(), raw.size());
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (const size_t mark = line.find(kKeyMark); mark != std::string_view::npos) {
      suite = line.substr(0, mark);
      key = line.substr(mark + kKeyMark.size());
    } else if (line.starts_with(kMessageMark)) {
      if (!title.starts_with(suite + " ")) return absl::InvalidArgumentError("message without title or key");
      KS_ASSIGN_OR_RETURN(Json vector, Vector(title, key, line.substr(kMessageMark.size())));
      vectors.push_back(std::move(vector));
      title.clear();
    } else if (!line.empty()) {
      if (!title.empty()) return absl::InvalidArgumentError(absl::StrCat("no message after \"", title, "\""));
      title = line;
    }
  }
  if (!title.empty()) return absl::InvalidArgumentError(absl::StrCat("no message after \"", title, "\""));
  return Json{{"plaintext", "hpke test payload"},
              {"psk_hex", "0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82"},
              {"psk_id_hex", "456e6e796e20447572696e206172616e204d6f726961"},
              {"vectors", std::move(vectors)}};
}

}  // namespace keystead::vectors
