#include "core/program/program.h"
#include "gateway/gateway.h"

int main(int argc, char** argv) {
  keystead::Program program(
      "keystead-gateway",
      "Stores what its LAN publishes, forwards it to the next hop, and serves it locally.",
      "KEYSTEAD_GATEWAY");
  program.OfferMetrics();
  keystead::gateway::GatewayOptions options;
  keystead::gateway::AddOptions(program.app(), options);
  return program.Run(argc, argv, [&] { return RunGateway(options, program); });
}
