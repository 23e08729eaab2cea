#include "backend/at_rest/pkcs11_keystore.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <sys/stat.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "backend/at_rest/salt_folder.h"
#include "core/base/status.h"
#include "core/program/files.h"

namespace keystead::backend::at_rest {
namespace {

constexpr size_t kMaxPinFile = 1024;
constexpr CK_ULONG kKeyBytes = 32;
constexpr size_t kIdBytes = 4;  // of a version, in CKA_ID

absl::Status Failed(std::string_view what, CK_RV result) {
  const absl::StatusCode code = result == CKR_PIN_INCORRECT || result == CKR_PIN_LOCKED
                                    ? absl::StatusCode::kPermissionDenied
                                    : absl::StatusCode::kUnavailable;
  return {code, absl::StrFormat("PKCS #11: %s failed with 0x%x", Absl(what), result)};
}

absl::Status NoKey(uint32_t tenant) {
  return absl::NotFoundError(absl::StrCat("tenant ", tenant, " has no key in the token"));
}

CK_ATTRIBUTE Attribute(CK_ATTRIBUTE_TYPE type, std::span<const uint8_t> value) {
  return {type, const_cast<uint8_t*>(value.data()), value.size()};  // the interface is older than const
}
template <class T>
CK_ATTRIBUTE Attribute(CK_ATTRIBUTE_TYPE type, const T& value) {
  return Attribute(type, std::span(reinterpret_cast<const uint8_t*>(&value), sizeof value));
}

std::string LabelOf(uint32_t tenant) { return absl::StrFormat("keystead-tenant-%08x", tenant); }

std::array<uint8_t, kIdBytes> IdOf(uint32_t version) {
  return {static_cast<uint8_t>(version >> 24), static_cast<uint8_t>(version >> 16),
          static_cast<uint8_t>(version >> 8), static_cast<uint8_t>(version)};
}

absl::StatusOr<SecretBytes> ReadPin(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return absl::ErrnoToStatus(errno, path);
  if ((info.st_mode & 077) != 0)
    return absl::PermissionDeniedError(absl::StrCat(path, " is open to others: chmod 600 it"));
  KS_ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxPinFile));
  const size_t size = std::min(text.find_first_of("\r\n"), text.size());
  SecretBytes pin = SecretBytes::CopyOf(AsBytes(text).first(size));
  SecureWipe(text.data(), text.size());
  return pin;
}

}  // namespace

class Pkcs11KeyStore::Token {
 public:
  Token(SaltFolders files) : salts(std::move(files)) {}
  ~Token() {
    if (functions == nullptr) return;
    absl::MutexLock lock(&mutex);
    if (session != 0) functions->C_CloseSession(session);
    if (initialized) functions->C_Finalize(nullptr);
  }

  absl::Status Load(const std::string& module) {
    void* const library =
        dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);  // never unloaded: it may have threads
    if (library == nullptr) return absl::UnavailableError(absl::StrCat("--pkcs11-module: ", dlerror()));
    const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
    if (get == nullptr || get(&functions) != CKR_OK || functions == nullptr)
      return absl::UnavailableError(absl::StrCat(module, " is no PKCS #11 module"));
    CK_C_INITIALIZE_ARGS arguments{};
    arguments.flags = CKF_OS_LOCKING_OK;
    const CK_RV result = functions->C_Initialize(&arguments);
    initialized = result == CKR_OK;
    if (result != CKR_OK && result != CKR_CRYPTOKI_ALREADY_INITIALIZED) return Failed("C_Initialize", result);
    return absl::OkStatus();
  }

  absl::Status LogIn(const std::string& label, const SecretBytes& pin) {
    absl::MutexLock lock(&mutex);
    KS_ASSIGN_OR_RETURN(const CK_SLOT_ID slot, FindSlot(label));
    CK_RV result =
        functions->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session);
    if (result != CKR_OK) return Failed("C_OpenSession", result);
    result =
        functions->C_Login(session, CKU_USER, const_cast<uint8_t*>(pin.ExposeSecret().data()), pin.size());
    if (result != CKR_OK && result != CKR_USER_ALREADY_LOGGED_IN) return Failed("C_Login", result);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<CK_OBJECT_HANDLE>> Find(uint32_t tenant) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    const std::string label = LabelOf(tenant);
    const CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    CK_ATTRIBUTE wanted[] = {Attribute(CKA_CLASS, secret), Attribute(CKA_LABEL, AsBytes(label))};
    if (const CK_RV result = functions->C_FindObjectsInit(session, wanted, std::size(wanted));
        result != CKR_OK)
      return Failed("C_FindObjectsInit", result);
    std::vector<CK_OBJECT_HANDLE> handles;
    CK_OBJECT_HANDLE batch[16];
    CK_ULONG count = 0;
    CK_RV result = CKR_OK;
    while ((result = functions->C_FindObjects(session, batch, std::size(batch), &count)) == CKR_OK &&
           count > 0)
      handles.insert(handles.end(), batch, batch + count);
    functions->C_FindObjectsFinal(session);
    if (result != CKR_OK) return Failed("C_FindObjects", result);
    return handles;
  }

  // The keys of a tenant by version, from 1.
  absl::StatusOr<std::vector<CK_OBJECT_HANDLE>> Versions(uint32_t tenant)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (const auto found = known.find(tenant); found != known.end()) return found->second;
    const std::string label = LabelOf(tenant);
    KS_ASSIGN_OR_RETURN(const std::vector<CK_OBJECT_HANDLE> handles, Find(tenant));
    if (handles.empty()) return NoKey(tenant);
    std::vector<std::pair<std::string, CK_OBJECT_HANDLE>> by_id;
    for (const CK_OBJECT_HANDLE handle : handles) {
      uint8_t id[kIdBytes] = {};
      CK_ATTRIBUTE attribute{CKA_ID, id, sizeof id};
      if (const CK_RV read = functions->C_GetAttributeValue(session, handle, &attribute, 1); read != CKR_OK)
        return Failed("C_GetAttributeValue", read);
      by_id.emplace_back(std::string(AsChars(ByteView(id))), handle);
    }
    std::sort(by_id.begin(), by_id.end());
    std::vector<CK_OBJECT_HANDLE> versions;
    for (const auto& [id, handle] : by_id) {
      if (AsBytes(id).size() != kIdBytes ||
          !std::ranges::equal(AsBytes(id), IdOf(static_cast<uint32_t>(versions.size() + 1))))
        return absl::DataLossError(absl::StrCat("the token has not every version of ", label));
      versions.push_back(handle);
    }
    known[tenant] = versions;
    return versions;
  }

  absl::Status Generate(uint32_t tenant, uint32_t version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    const std::string label = LabelOf(tenant);
    const auto id = IdOf(version);
    const CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    const CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    const CK_BBOOL yes = CK_TRUE;
    const CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE made[] = {
        Attribute(CKA_CLASS, secret),         Attribute(CKA_KEY_TYPE, generic),
        Attribute(CKA_LABEL, AsBytes(label)), Attribute(CKA_ID, std::span<const uint8_t>(id)),
        Attribute(CKA_VALUE_LEN, kKeyBytes),  Attribute(CKA_TOKEN, yes),
        Attribute(CKA_PRIVATE, yes),          Attribute(CKA_SENSITIVE, yes),
        Attribute(CKA_EXTRACTABLE, no),       Attribute(CKA_SIGN, yes)};
    CK_MECHANISM mechanism{CKM_GENERIC_SECRET_KEY_GEN, nullptr, 0};
    CK_OBJECT_HANDLE handle = 0;
    const CK_RV result = functions->C_GenerateKey(session, &mechanism, made, std::size(made), &handle);
    if (result != CKR_OK) return Failed("C_GenerateKey", result);
    known.erase(tenant);
    return absl::OkStatus();
  }

  absl::StatusOr<SecretBytes> Hmac(CK_OBJECT_HANDLE key, Bytes input) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    CK_MECHANISM mechanism{CKM_SHA256_HMAC, nullptr, 0};
    if (const CK_RV result = functions->C_SignInit(session, &mechanism, key); result != CKR_OK)
      return Failed("C_SignInit", result);
    SecretBytes out(kDerivedKeyBytes);
    CK_ULONG size = out.size();
    const CK_RV result =
        functions->C_Sign(session, input.data(), input.size(), out.MutableSecret().data(), &size);
    if (result != CKR_OK || size != kDerivedKeyBytes) return Failed("C_Sign", result);
    return out;
  }

  absl::Mutex mutex;  // the session is one conversation
  CK_FUNCTION_LIST* functions = nullptr;
  bool initialized = false;
  CK_SESSION_HANDLE session ABSL_GUARDED_BY(mutex) = 0;
  absl::flat_hash_map<uint32_t, std::vector<CK_OBJECT_HANDLE>> known ABSL_GUARDED_BY(mutex);
  const SaltFolders salts;

 private:
  absl::StatusOr<CK_SLOT_ID> FindSlot(const std::string& label) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    CK_ULONG count = 0;
    if (const CK_RV result = functions->C_GetSlotList(CK_TRUE, nullptr, &count); result != CKR_OK)
      return Failed("C_GetSlotList", result);
    std::vector<CK_SLOT_ID> slots(count);
    if (const CK_RV result = functions->C_GetSlotList(CK_TRUE, slots.data(), &count); result != CKR_OK)
      return Failed("C_GetSlotList", result);
    for (const CK_SLOT_ID slot : slots) {
      CK_TOKEN_INFO info{};
      if (functions->C_GetTokenInfo(slot, &info) != CKR_OK) continue;
      std::string_view name(reinterpret_cast<const char*>(info.label), sizeof info.label);
      name = name.substr(0, name.find_last_not_of(' ') + 1);  // padded with blanks
      if (name == label) return slot;
    }
    return absl::UnavailableError(absl::StrCat("there is no PKCS #11 token named ", label));
  }
};

absl::StatusOr<std::unique_ptr<Pkcs11KeyStore>> Pkcs11KeyStore::Open(const Pkcs11Options& options,
                                                                     RandomSource& random) {
  KS_ASSIGN_OR_RETURN(const StateFolder folder, StateFolder::Open(options.salt_folder));
  KS_ASSIGN_OR_RETURN(const SecretBytes pin, ReadPin(options.pin_file));
  auto token = std::make_unique<Token>(SaltFolders(folder, random));
  KS_RETURN_IF_ERROR(token->Load(options.module));
  KS_RETURN_IF_ERROR(token->LogIn(options.token, pin));
  return std::unique_ptr<Pkcs11KeyStore>(new Pkcs11KeyStore(std::move(token)));
}

Pkcs11KeyStore::Pkcs11KeyStore(std::unique_ptr<Token> token) : token_(std::move(token)) {}
Pkcs11KeyStore::~Pkcs11KeyStore() = default;

absl::Status Pkcs11KeyStore::Create(uint32_t tenant) {
  absl::MutexLock lock(&token_->mutex);
  KS_RETURN_IF_ERROR(token_->salts.CheckNothingOf(tenant));
  KS_ASSIGN_OR_RETURN(const std::vector<CK_OBJECT_HANDLE> there, token_->Find(tenant));
  if (!there.empty())
    return absl::AlreadyExistsError(absl::StrCat("the token has a key of the number ", tenant));
  KS_RETURN_IF_ERROR(token_->salts.MakeFolderOf(tenant).status());
  return token_->Generate(tenant, 1);
}

absl::StatusOr<uint32_t> Pkcs11KeyStore::CurrentVersion(uint32_t tenant) const {
  absl::MutexLock lock(&token_->mutex);
  KS_ASSIGN_OR_RETURN(const auto versions, token_->Versions(tenant));
  return static_cast<uint32_t>(versions.size());
}

absl::StatusOr<uint32_t> Pkcs11KeyStore::Rotate(uint32_t tenant) {
  absl::MutexLock lock(&token_->mutex);
  KS_ASSIGN_OR_RETURN(const auto versions, token_->Versions(tenant));
  if (versions.size() >= kMaxKeyVersions)
    return absl::ResourceExhaustedError("the versions of a tenant's key are used up");
  const auto next = static_cast<uint32_t>(versions.size() + 1);
  KS_RETURN_IF_ERROR(token_->Generate(tenant, next));
  return next;
}

absl::StatusOr<SecretBytes> Pkcs11KeyStore::Derive(uint32_t tenant, uint32_t version, ByteView info) const {
  absl::MutexLock lock(&token_->mutex);
  KS_ASSIGN_OR_RETURN(const auto versions, token_->Versions(tenant));
  if (version == 0 || version > versions.size()) return NoKey(tenant);
  return token_->Hmac(versions[version - 1], DerivationInput(info));
}

absl::Status Pkcs11KeyStore::Destroy(uint32_t tenant) {
  absl::MutexLock lock(&token_->mutex);
  token_->known.erase(tenant);
  // Whatever is there of it: an earlier attempt may have been cut short.
  KS_ASSIGN_OR_RETURN(const std::vector<CK_OBJECT_HANDLE> handles, token_->Find(tenant));
  for (const CK_OBJECT_HANDLE handle : handles) {
    const CK_RV result = token_->functions->C_DestroyObject(token_->session, handle);
    if (result != CKR_OK && result != CKR_OBJECT_HANDLE_INVALID) return Failed("C_DestroyObject", result);
  }
  return token_->salts.DestroyAll(tenant);
}

absl::StatusOr<SecretBytes> Pkcs11KeyStore::Salt(uint32_t tenant, const CompartmentId& compartment,
                                                 bool create) {
  absl::MutexLock lock(&token_->mutex);
  return token_->salts.Get(tenant, compartment, create);
}

absl::Status Pkcs11KeyStore::DestroySalt(uint32_t tenant, const CompartmentId& compartment) {
  absl::MutexLock lock(&token_->mutex);
  return token_->salts.Destroy(tenant, compartment);
}

}  // namespace keystead::backend::at_rest
