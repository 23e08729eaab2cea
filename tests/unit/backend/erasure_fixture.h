// A backend that can sign receipts, a furnished home of acme with one record, and a home of globex.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "backend/at_rest/encrypted_store.h"
#include "backend/at_rest/file_keystore.h"
#include "backend/erasure.h"
#include "core/cose/sign1.h"
#include "core/storage/log_store.h"
#include "keystead/v1/admin.grpc.pb.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {

inline constexpr char kCanary[] = "canary-sealed-elsewhere";

class ErasureTest : public BackendTest {
 protected:
  ErasureTest() {
    options_.sign = [this](std::string_view typ, ByteView payload) {
      return cose::SignSign1(signer_, typ, payload, {});
    };
    Restart();
    Furnish(home_);
    their_home_.emplace(kGlobex, Uri(kGlobex, Role::kApp, "spy"));
    const std::string founded = their_home_->Make();
    EXPECT_TRUE(Spy().Submit(*their_home_, founded).ok());
    their_home_->Take(founded);
    EXPECT_TRUE(Bulb().Publish(FromBulb(0)).status.ok());
  }
  std::string FromBulb(uint64_t sequence, std::string_view cose = kCanary) const {
    return Group(home_, bulb_.entry.member, telemetry_, 1, stream_, sequence, cose);
  }
  template <class Request>
  static grpc::Status Call(Peer& peer,
                           grpc::Status (v1::TenantAdmin::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                         v1::EraseResponse*),
                           const Request& request, std::string* receipt) {
    v1::TenantAdmin::Stub stub(peer.channel());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    v1::EraseResponse response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    *receipt = response.receipt();
    return status;
  }
  grpc::Status EraseTenant(Peer& peer, std::string_view tenant, std::string* receipt) {
    v1::EraseTenantRequest request;
    request.set_tenant(std::string(tenant));
    return Call(peer, &v1::TenantAdmin::Stub::EraseTenant, request, receipt);
  }
  grpc::Status EraseHome(Peer& peer, const InstantiationId& id, std::string* receipt) {
    v1::EraseInstantiationRequest request;
    request.set_tenant(kAcme);
    request.set_instantiation(id.ToString());
    return Call(peer, &v1::TenantAdmin::Stub::EraseInstantiation, request, receipt);
  }
  // The store of a backend that is stopped, or a copy of it, with the keys there are now.
  struct Offline {
    Offline(const std::string& path, const std::string& keys_folder)
        : keys(*backend::at_rest::FileKeyStore::Open(keys_folder)), disk(OpenDisk(path)) {}
    static std::unique_ptr<storage::LogStore> OpenDisk(const std::string& path) {
      storage::Options options;
      options.path = path;
      options.format_name = "keystead-backend";
      options.format_version = 4;
      return *storage::LogStore::Open(options);
    }
    const std::unique_ptr<backend::at_rest::KeyStore> keys;
    backend::at_rest::Ciphers ciphers{keys.get()};
    const std::unique_ptr<storage::LogStore> disk;
    backend::at_rest::EncryptedStore store{disk.get(), &ciphers};
  };
  std::string KeysFolder() const { return options_.store.path + ".keys"; }
  // What is stored of a tenant in a copy of the store: every entry and row that opens with the keys there are
  // now.
  struct Found {
    size_t readable = 0;
    size_t there = 0;
  };
  Found Open(const std::string& path, uint32_t number) const {
    const Offline offline(path, KeysFolder());
    Found found;
    for (uint64_t log = 0; log < 16; ++log) {
      const auto raw = offline.disk->Read({number, log}, 0, 1 << 20);
      if (!raw.ok() || raw->empty()) continue;
      found.there += raw->size();
      const auto opened = offline.store.Read({number, log}, 0, 1 << 20);
      if (opened.ok()) found.readable += opened->size();
    }
    return found;
  }
  static std::string CopyOf(const std::string& folder, const std::string& name) {
    std::filesystem::copy(folder, folder + name, std::filesystem::copy_options::recursive);
    return folder + name;
  }
  static bool OnDisk(const std::string& folder, std::string_view needle) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file() && ReadAll(entry.path().string()).find(needle) != std::string::npos)
        return true;
    }
    return false;
  }

  const crypto::EcdsaKeyPair signer_ = *crypto::EcdsaKeyPair::Generate(RandomSource::System());
  Home home_{kAcme, Uri(kAcme, Role::kApp, "phone")};
  std::optional<Home> their_home_;
  const StreamId stream_ = NewStream();
  const Topic telemetry_ = Topic::Of(TopicKind::kTelemetry, bulb_.entry.member);
};

}  // namespace keystead::testing
