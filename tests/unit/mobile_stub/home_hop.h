// The hop of a test home.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/impl/service_type.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/identity/spiffe_id.h"

namespace keystead::mobile::testing {

class HomeHop {
 public:
  HomeHop(const std::string& folder, const std::vector<grpc::Service*>& services);
  ~HomeHop();
  std::shared_ptr<grpc::Channel> Dial(Role role) const;  // a connection of its own
  void RefuseSender(const MemberId& sender);
  // Whether apps that come now are told to come again for keyring, and get everything else.
  void WithholdKeyring(bool withhold);
  // Forwards what the app publishes in this sender's name, and tells it that it was refused.
  void RefuseAfterStoring(const MemberId& sender);
  // How a program reaches it: options of the command line.
  std::vector<std::string> AppOptions() const;
  static SpiffeId AppId();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace keystead::mobile::testing
