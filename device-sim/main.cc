// keystead-device-sim: one simulated device, or thousands. README.md says how to run one by hand.

#include <utility>
#include <vector>

#include "core/program/certificate_metrics.h"
#include "core/program/program.h"
#include "device-sim/alone.h"
#include "device-sim/fleet.h"
#include "device-sim/options.h"

namespace keystead::device_sim {
namespace {

absl::Status Run(const Options& options, Program& program) {
  if (options.alone) return RunAlone(options, program);
  KS_ASSIGN_OR_RETURN(const std::unique_ptr<Fleet> fleet, Fleet::Create(options));
  KS_RETURN_IF_ERROR(fleet->Start());
  std::vector<CertificateMetrics::Chain> chains;
  for (const std::string& id : options.Ids()) {
    chains.push_back({"own", CertificatesOf(options, id).chain});
    if (Enrolls(options)) chains.push_back({"factory", FactoryCertificatesOf(options, id).chain});
  }
  const CertificateMetrics certificates(std::move(chains));
  KS_RETURN_IF_ERROR(program.AnnouncePorts({}));
  if (options.duration_seconds > 0) {
    program.termination().WaitFor(absl::Seconds(options.duration_seconds));
  } else {
    program.termination().Wait();
  }
  fleet->Stop(absl::Seconds(options.stop_seconds));
  return absl::OkStatus();
}

}  // namespace
}  // namespace keystead::device_sim

int main(int argc, char** argv) {
  keystead::Program program("keystead-device-sim",
                            "Simulated devices, each with an identity and a connection of its own",
                            "KEYSTEAD_DEVICE");
  program.OfferMetrics();
  keystead::device_sim::Options options;
  keystead::device_sim::AddOptions(program.app(), options);
  return program.Run(argc, argv, [&] { return keystead::device_sim::Run(options, program); });
}
