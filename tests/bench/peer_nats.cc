// keystead-bench-nats: readings of a given size through NATS JetStream (file store) with mutual TLS 1.3, from
// N connections with asynchronous publishes and a window of pending acknowledgements, to one push subscriber.
// Prints one JSON object.

#include <nats/nats.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace {

struct Options {
  int port = 0;
  std::string roots;
  std::string chain;
  std::string key;
  int connections = 16;
  int window = 64;
  size_t bytes = 256;
  double seconds = 5;
};

int Fail(const char* what, natsStatus status) {
  std::fprintf(stderr, "keystead-bench-nats: %s: %s %s\n", what, natsStatus_GetText(status),
               nats_GetLastError(nullptr));
  return 1;
}

natsStatus Connect(const Options& o, natsConnection** connection) {
  natsOptions* options = nullptr;
  natsStatus s = natsOptions_Create(&options);
  const std::string url = "tls://127.0.0.1:" + std::to_string(o.port);
  if (s == NATS_OK) s = natsOptions_SetURL(options, url.c_str());
  if (s == NATS_OK) s = natsOptions_SetSecure(options, true);
  if (s == NATS_OK) s = natsOptions_LoadCATrustedCertificates(options, o.roots.c_str());
  if (s == NATS_OK) s = natsOptions_LoadCertificatesChain(options, o.chain.c_str(), o.key.c_str());
  if (s == NATS_OK) s = natsConnection_Connect(connection, options);
  natsOptions_Destroy(options);
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Readings through NATS JetStream", "keystead-bench-nats");
  app.add_option("--port", o.port)->required();
  app.add_option("--roots", o.roots)->required();
  app.add_option("--chain", o.chain)->required();
  app.add_option("--key", o.key)->required();
  app.add_option("--connections", o.connections)->capture_default_str();
  app.add_option("--window", o.window)->capture_default_str();
  app.add_option("--bytes", o.bytes)->capture_default_str();
  app.add_option("--seconds", o.seconds)->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  natsConnection* reader = nullptr;
  if (natsStatus s = Connect(o, &reader); s != NATS_OK) return Fail("cannot connect", s);
  jsCtx* admin = nullptr;
  if (natsStatus s = natsConnection_JetStream(&admin, reader, nullptr); s != NATS_OK)
    return Fail("no JetStream", s);
  jsStreamConfig config;
  jsStreamConfig_Init(&config);
  const char* subjects[] = {"bench.>"};
  config.Name = "bench";
  config.Subjects = subjects;
  config.SubjectsLen = 1;
  config.Storage = js_FileStorage;
  if (natsStatus s = js_AddStream(nullptr, admin, &config, nullptr, nullptr); s != NATS_OK)
    return Fail("no stream", s);
  std::atomic<uint64_t> received{0};
  natsSubscription* subscription = nullptr;
  natsStatus s = js_Subscribe(
      &subscription, admin, "bench.>",
      [](natsConnection*, natsSubscription*, natsMsg* msg, void* context) {
        static_cast<std::atomic<uint64_t>*>(context)->fetch_add(1);
        natsMsg_Ack(msg, nullptr);
        natsMsg_Destroy(msg);
      },
      &received, nullptr, nullptr, nullptr);
  if (s != NATS_OK) return Fail("no subscription", s);

  std::atomic<uint64_t> failed{0};
  std::vector<natsConnection*> connections(static_cast<size_t>(o.connections), nullptr);
  std::vector<jsCtx*> contexts(static_cast<size_t>(o.connections), nullptr);
  for (size_t i = 0; i < connections.size(); ++i) {
    if (s = Connect(o, &connections[i]); s != NATS_OK) return Fail("cannot connect", s);
    jsOptions options;
    jsOptions_Init(&options);
    options.PublishAsync.MaxPending = o.window;
    options.PublishAsync.ErrHandler = [](jsCtx*, jsPubAckErr*, void* count) {
      static_cast<std::atomic<uint64_t>*>(count)->fetch_add(1);
    };
    options.PublishAsync.ErrHandlerClosure = &failed;
    if (s = natsConnection_JetStream(&contexts[i], connections[i], &options); s != NATS_OK)
      return Fail("no JetStream", s);
  }
  const std::string payload(o.bytes, 'x');
  const absl::Time began = absl::Now();
  const absl::Time end = began + absl::Seconds(o.seconds);
  uint64_t published = 0;
  while (absl::Now() < end) {
    for (size_t i = 0; i < connections.size(); ++i) {
      const std::string subject = "bench." + std::to_string(i);
      for (int k = 0; k < 16; ++k) {
        if (js_PublishAsync(contexts[i], subject.c_str(), payload.data(), static_cast<int>(payload.size()),
                            nullptr) == NATS_OK) {
          ++published;
        }
      }
    }
  }
  jsPubOptions wait;
  jsPubOptions_Init(&wait);
  wait.MaxWait = 10000;
  for (jsCtx* context : contexts) {
    if (s = js_PublishAsyncComplete(context, &wait); s != NATS_OK) return Fail("not all acknowledged", s);
  }
  if (failed.load() > 0) return Fail("publishes were refused", NATS_ERR);
  const double seconds = absl::ToDoubleSeconds(absl::Now() - began);
  const nlohmann::json out = {{"connections", o.connections},
                              {"acknowledged_per_second", static_cast<double>(published) / seconds},
                              {"received_per_second", static_cast<double>(received.load()) / seconds}};
  std::printf("%s\n", out.dump().c_str());
  natsSubscription_Destroy(subscription);
  for (size_t i = 0; i < connections.size(); ++i) {
    jsCtx_Destroy(contexts[i]);
    natsConnection_Destroy(connections[i]);
  }
  jsCtx_Destroy(admin);
  natsConnection_Destroy(reader);
  nats_Close();
  return 0;
}
