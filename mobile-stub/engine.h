// What every part of the owner's app stands on: its state, its next hop, clock and randomness. The parts
// (membership.h, pairing.h, watch_session.h, command_sender.h, hop_contents.h) are functions and classes on
// an Engine. Nothing here prints: whoever shows things (command line, console page) observes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/identity/certificate_files.h"
#include "core/transport/grpc_names.h"
#include "mobile-stub/app_state.h"
#include "mobile-stub/hop_client.h"

namespace keystead::mobile {

struct EngineOptions {
  std::string state_folder;
  std::string next_hop;     // host:port; empty: only what the state itself can answer
  std::string next_hop_id;  // SPIFFE id expected there; its last element may be "*"
  CertificateFiles tls;
};

// What goes on, for people and programs that wait: "announced", "m1_sent", "committed", "waiting", "joined",
// …
struct Progress {
  std::string event;
  std::string who;  // device id
  std::string detail;
};
using ProgressFn = std::function<void(const Progress&)>;

// Thread-safe. `clock` and `random` must outlive it.
class Engine {
 public:
  // INVALID_ARGUMENT: an option is missing or malformed; otherwise certificate or state errors, in one line.
  static absl::StatusOr<std::unique_ptr<Engine>> Open(const EngineOptions& options);
  // On a channel that exists already. `transport` is the SPIFFE id of this app's certificate.
  static absl::StatusOr<std::unique_ptr<Engine>> Over(const std::string& state_folder,
                                                      std::shared_ptr<grpc::Channel> channel,
                                                      const SpiffeId& transport);

  const AppState& state() const { return state_; }
  bool has_hop() const { return channel_ != nullptr; }
  absl::Status RequireHop() const;  // INVALID_ARGUMENT, saying which option is missing
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  HopClient hop() const { return HopClient(channel_); }
  const SpiffeId& transport() const { return transport_; }  // only with a hop
  const Clock& clock() const { return Clock::System(); }
  RandomSource& random() const { return RandomSource::System(); }
  const BootId& boot() const { return boot_; }  // of this process, for its own streams

 private:
  Engine(AppState state, std::shared_ptr<grpc::Channel> channel, SpiffeId transport)
      : state_(std::move(state)), channel_(std::move(channel)), transport_(std::move(transport)) {}

  AppState state_;
  std::shared_ptr<grpc::Channel> channel_;
  SpiffeId transport_;
  BootId boot_ = RandomSource::System().NewId<BootId>();
};

}  // namespace keystead::mobile
