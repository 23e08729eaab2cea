// serve: the owner's console in a browser.

#include <unistd.h>

#include <cstdio>

#include "core/base/listen_address.h"
#include "core/observe/log.h"
#include "core/program/files.h"
#include "mobile-stub/console/console.h"
#include "mobile-stub/recovery_output.h"
#include "mobile-stub/verbs.h"
#include "mobile-stub/views.h"

namespace keystead::mobile {
namespace {

constexpr absl::Duration kTaskPatience = absl::Seconds(3);  // at the end, for what is under way

absl::StatusOr<ListenAddress> EndpointOf(const ServeOptions& options) {
  const absl::StatusOr<ListenAddress> endpoint = ParseListenAddress(options.listen);
  if (!endpoint.ok())
    return absl::InvalidArgumentError(absl::StrCat("--listen ", endpoint.status().message()));
  if (!endpoint->is_loopback && !options.reachable_by_others_without_tls) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--listen ", options.listen,
        " can be reached from other machines, and what is said there is not encrypted. In a container whose "
        "port is published on the host's loopback only, add --reachable-by-others-without-tls"));
  }
  return endpoint;
}

// Of a SPIFFE id that was found well-formed: only its role stands between two slashes.
const char* HopInWords(const std::string& next_hop_id) {
  return next_hop_id.find("/gateway/") != std::string::npos ? "gateway" : "cloud";
}

std::string InUrl(const std::string& address) {
  return address.find(':') == std::string::npos ? address : absl::StrCat("[", address, "]");
}

// Where the browser is to go. In a container that listens on all addresses: on the host, through the
// published port.
SecretBytes UrlOf(const ListenAddress& endpoint, const std::string& public_address, int port,
                  const SecretBytes& token) {
  std::string address = public_address;
  if (address.empty()) {
    address = absl::StrCat(endpoint.is_loopback ? InUrl(endpoint.address) : "127.0.0.1", ":", port);
  }
  const std::string start = absl::StrCat("http://", address, "/#token=");
  SecretBytes url(start.size() + token.size());
  const std::span<uint8_t> out = url.MutableSecret();
  std::ranges::copy(start, out.begin());
  std::ranges::copy(token.ExposeSecret(), out.begin() + static_cast<std::ptrdiff_t>(start.size()));
  return url;
}

absl::Status TellUrl(const CommonOptions& common, const ServeOptions& options, const SecretBytes& url,
                     int port) {
  if (!options.url_out.empty()) {
    KS_RETURN_IF_ERROR(
        WriteFileAtomically(options.url_out, absl::StrCat(Absl(AsChars(url.ExposeSecret())), "\n")));
    if (common.json) {
      PrintJson({{"event", "serving"}, {"port", port}, {"url_file", options.url_out}});
    } else {
      std::printf("The owner's console runs. Its address is in %s\n", options.url_out.c_str());
    }
  } else if (common.json) {
    PrintJson({{"event", "serving"}, {"port", port}, {"url", AsChars(url.ExposeSecret())}});
  } else {
    std::printf(
        "The owner's console runs. Open this address; whoever has it may do what you may:\n\n  %.*s\n\n",
        static_cast<int>(url.size()), AsChars(url.ExposeSecret()).data());
  }
  std::fflush(stdout);
  return absl::OkStatus();
}

// Until it is asked to end, or nobody has used it for too long: whoever left it open has left nothing open.
void AwaitEnd(const ServeOptions& options, const console::Console& console, Program& program) {
  if (options.idle_seconds <= 0) return program.termination().Wait();
  const absl::Duration idle = absl::Seconds(options.idle_seconds);
  while (true) {
    const absl::Duration left = idle - console.UnusedFor();
    if (left <= absl::ZeroDuration()) break;
    if (program.termination().WaitFor(left)) return;
  }
  Log(LogLevel::kInfo, "session_ended", {{"reason", "nobody used it"}, {"seconds", options.idle_seconds}});
  std::fprintf(stderr, "nobody used this console for %g s: it has ended\n", options.idle_seconds);
}

}  // namespace

absl::Status RunServe(const CommonOptions& common, const ServeOptions& options, Program& program) {
  KS_ASSIGN_OR_RETURN(const ListenAddress endpoint, EndpointOf(options));
  KS_ASSIGN_OR_RETURN(const auto engine, Engine::Open(common.engine));
  KS_RETURN_IF_ERROR(engine->RequireHop());
  SecretBytes token_text;
  auto token =
      options.token_file.empty()
          ? absl::StatusOr<console::SessionToken>(console::SessionToken::Make(engine->random(), token_text))
          : console::SessionToken::FromFile(options.token_file, engine->random(), token_text);
  KS_RETURN_IF_ERROR(token.status());
  console::ConsoleOptions settings;
  settings.address = endpoint.address;
  settings.port = endpoint.port;
  settings.host_names = options.host_names;
  settings.next_hop = HopInWords(common.engine.next_hop_id);
  if (endpoint.is_loopback) settings.host_names.push_back(InUrl(endpoint.address));
  KS_ASSIGN_OR_RETURN(settings.observed, console::ParseRemotes("--observe", options.observed));
  KS_ASSIGN_OR_RETURN(settings.infra, console::ParseRemotes("--infra", options.infra));
  JsonEvents events;
  if (common.json && !options.no_events) settings.also = &events;
  if (!options.recovery_out.empty() || isatty(STDERR_FILENO) == 1) {
    settings.recovery = RecoveryOutput(options.recovery_out);
    settings.recovery_place = options.recovery_out.empty() ? "the terminal in which this console runs"
                                                           : absl::StrCat("the file ", options.recovery_out);
  }
  KS_ASSIGN_OR_RETURN(const auto console,
                      console::Console::Start(*engine, std::move(settings), *std::move(token)));
  KS_RETURN_IF_ERROR(TellUrl(common, options,
                             UrlOf(endpoint, options.public_address, console->port(), token_text),
                             console->port()));
  token_text.Wipe();
  KS_RETURN_IF_ERROR(program.AnnouncePorts({{"console", console->port()}}));
  Log(LogLevel::kInfo, "ready", {{"port", console->port()}});
  AwaitEnd(options, *console, program);
  KS_ASSIGN_OR_RETURN(const bool finished, console->Stop(kTaskPatience));
  if (finished) return absl::OkStatus();
  // What is under way cannot be called back: it ends as a verb does (docs/decisions/0011), while this waits
  // for it.
  Interrupter interrupter(&program.termination(), program.name());
  interrupter.Say(
      "what was under way is kept, and a change that was made is handed over again by a running 'serve' or "
      "'watch'");
  return console->Stop(absl::InfiniteDuration()).status();
}

}  // namespace keystead::mobile
