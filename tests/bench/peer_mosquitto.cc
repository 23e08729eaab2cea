// keystead-bench-mosquitto: readings of a given size through a mosquitto broker with QoS 1 and mutual
// TLS 1.3, from N connections, each with a window of unacknowledged messages, to one subscriber with QoS 1.
// Prints one JSON object.

#include <mosquitto.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"

namespace {

struct Options {
  std::string host = "127.0.0.1";
  int port = 0;
  std::string roots;
  std::string chain;
  std::string key;
  int connections = 16;
  int window = 64;
  size_t bytes = 256;
  double seconds = 5;
};

struct Counts {
  absl::Mutex mutex;
  uint64_t received = 0;
  int subscribed = 0;
};

struct Connection {
  absl::Mutex mutex;
  int in_flight = 0;
  bool connected = false;
  uint64_t acknowledged = 0;
};

mosquitto* Connect(const Options& options, void* context) {
  mosquitto* client = mosquitto_new(nullptr, true, context);
  if (client == nullptr) return nullptr;
  mosquitto_tls_set(client, options.roots.c_str(), nullptr, options.chain.c_str(), options.key.c_str(),
                    nullptr);
  mosquitto_tls_opts_set(client, 1, "tlsv1.3", nullptr);
  mosquitto_max_inflight_messages_set(client, static_cast<unsigned int>(options.window));
  return client;
}

int Fail(const char* what, int code) {
  std::fprintf(stderr, "keystead-bench-mosquitto: %s: %s\n", what, mosquitto_strerror(code));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Readings through mosquitto", "keystead-bench-mosquitto");
  app.add_option("--port", o.port)->required();
  app.add_option("--roots", o.roots)->required();
  app.add_option("--chain", o.chain)->required();
  app.add_option("--key", o.key)->required();
  app.add_option("--connections", o.connections)->capture_default_str();
  app.add_option("--window", o.window)->capture_default_str();
  app.add_option("--bytes", o.bytes)->capture_default_str();
  app.add_option("--seconds", o.seconds)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  mosquitto_lib_init();

  Counts counts;
  mosquitto* reader = Connect(o, &counts);
  mosquitto_subscribe_callback_set(reader, [](mosquitto*, void* p, int, int, const int*) {
    auto* c = static_cast<Counts*>(p);
    absl::MutexLock lock(&c->mutex);
    c->subscribed = 1;
  });
  mosquitto_message_callback_set(reader, [](mosquitto*, void* p, const mosquitto_message*) {
    auto* c = static_cast<Counts*>(p);
    absl::MutexLock lock(&c->mutex);
    ++c->received;
  });
  if (int code = mosquitto_connect(reader, o.host.c_str(), o.port, 60); code != 0)
    return Fail("cannot connect", code);
  mosquitto_subscribe(reader, nullptr, "bench/#", 1);
  mosquitto_loop_start(reader);
  {
    absl::MutexLock lock(&counts.mutex);
    const auto ready = [&] { return counts.subscribed != 0; };
    if (!counts.mutex.AwaitWithTimeout(absl::Condition(&ready), absl::Seconds(10)))
      return Fail("no subscription", 0);
  }

  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<mosquitto*> clients;
  for (int i = 0; i < o.connections; ++i) {
    connections.push_back(std::make_unique<Connection>());
    mosquitto* client = Connect(o, connections.back().get());
    mosquitto_publish_callback_set(client, [](mosquitto*, void* p, int) {
      auto* c = static_cast<Connection*>(p);
      absl::MutexLock lock(&c->mutex);
      --c->in_flight;
      ++c->acknowledged;
    });
    if (int code = mosquitto_connect(client, o.host.c_str(), o.port, 60); code != 0)
      return Fail("cannot connect", code);
    mosquitto_loop_start(client);
    clients.push_back(client);
  }

  const std::string payload(o.bytes, 'x');
  const absl::Time began = absl::Now();
  const absl::Time end = began + absl::Seconds(o.seconds);
  while (absl::Now() < end) {
    bool published = false;
    for (int i = 0; i < o.connections; ++i) {
      Connection& c = *connections[static_cast<size_t>(i)];
      int room = 0;
      {
        absl::MutexLock lock(&c.mutex);
        room = o.window - c.in_flight;
        c.in_flight += room;
      }
      const std::string topic = "bench/" + std::to_string(i);
      for (int k = 0; k < room; ++k) {
        mosquitto_publish(clients[static_cast<size_t>(i)], nullptr, topic.c_str(),
                          static_cast<int>(payload.size()), payload.data(), 1, false);
        published = true;
      }
    }
    if (!published) absl::SleepFor(absl::Microseconds(50));
  }
  const absl::Duration wall = absl::Now() - began;
  uint64_t acknowledged = 0;
  for (const auto& c : connections) {
    absl::MutexLock lock(&c->mutex);
    acknowledged += c->acknowledged;
  }
  uint64_t received = 0;
  {
    absl::MutexLock lock(&counts.mutex);
    received = counts.received;
  }
  for (mosquitto* client : clients) {
    mosquitto_disconnect(client);
    mosquitto_loop_stop(client, true);
    mosquitto_destroy(client);
  }
  mosquitto_disconnect(reader);
  mosquitto_loop_stop(reader, true);
  mosquitto_destroy(reader);
  const double seconds = absl::ToDoubleSeconds(wall);
  const nlohmann::json out = {{"connections", o.connections},
                              {"acknowledged_per_second", static_cast<double>(acknowledged) / seconds},
                              {"received_per_second", static_cast<double>(received) / seconds}};
  std::printf("%s\n", out.dump().c_str());
  return 0;
}
