// A small HTTP/1.1 server with every limit it needs: what a peer sends or leaves undone costs a bounded
// number of threads, bytes and seconds. On cpp-httplib, which parses and frames; connections, threads and
// limits are ours. Knows nothing of what is served.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/secret_bytes.h"

namespace keystead::console {

struct HttpLimits {
  size_t connections = 64;     // at a time, each on a thread of its own; one more is answered 503 and closed
  size_t head_bytes = 16384;   // request line and headers; more is answered 431 and closed
  size_t head_lines = 64;      // likewise
  size_t target_bytes = 1024;  // path and query; more is answered 414
  size_t body_bytes = 65536;   // more is answered 413 and closed
  absl::Duration request = absl::Seconds(10);  // from a request's first byte to its last
  absl::Duration idle = absl::Seconds(5);      // between two requests on one connection
  absl::Duration write = absl::Seconds(10);    // without a byte taken by the peer
};

struct HttpRequest {
  std::string method;
  std::string path;                                             // percent-decoded, without the query
  std::vector<std::pair<std::string, std::string>> headers;     // names in lower case
  std::vector<std::pair<std::string, std::string>> parameters;  // of the query
  SecretBytes body;  // a label may be in it: wiped with the request

  // The first of that name (lower case); empty when there is none.
  std::string_view Header(std::string_view name) const;
  size_t CountHeader(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;

  // When set, the body is what it appends, piece by piece, for as long as it answers true. Blocks for a
  // second at most: between two calls the server looks whether the peer is still there and whether it is to
  // end itself.
  std::function<bool(std::string& piece)> stream;
};

// Called on the connection's thread, several at a time.
using HttpHandler = std::function<HttpResponse(HttpRequest& request)>;

// Thread-safe.
class HttpServer {
 public:
  // Listens on the numeric address; port 0 is any free one. UNAVAILABLE: it cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(const std::string& address, int port,
                                                            const HttpLimits& limits, HttpHandler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  // No new connection is taken, those there are end at once; returns when all of them have. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace keystead::console
