#include "mobile-stub/console/http_server.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "core/base/bytes.h"
#include "mobile-stub/console/connection.h"
#include "mobile-stub/console/connection_threads.h"

namespace keystead::console {
namespace {

std::string Lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

HttpRequest Translate(const httplib::Request& from, SecretBytes body) {
  HttpRequest out;
  out.method = from.method;
  out.path = from.path;
  for (const auto& [name, value] : from.headers) out.headers.emplace_back(Lower(name), value);
  for (const auto& [name, value] : from.params) out.parameters.emplace_back(name, value);
  out.body = std::move(body);
  return out;
}

void Translate(HttpResponse from, httplib::Response& to) {
  to.status = from.status;
  for (const auto& [name, value] : from.headers) to.set_header(name, value);
  if (from.stream == nullptr) return to.set_content(from.body, from.type);
  to.set_chunked_content_provider(from.type,
                                  [next = std::move(from.stream)](size_t, httplib::DataSink& sink) {
                                    if (!sink.is_writable())
                                      return false;  // the library does not look while nothing is written
                                    std::string piece;
                                    const bool more = next(piece);
                                    if (!piece.empty() && !sink.write(piece.data(), piece.size()))
                                      return false;
                                    if (!more) sink.done();
                                    return true;
                                  });
}

// What the library would do with these costs more than it is worth: unpack, pack, cut, and take forms apart.
void Simplify(httplib::Request& request) {
  for (const char* const name : {"Accept-Encoding", "Content-Encoding", "Range"}) request.headers.erase(name);
  if (request.get_header_value("Content-Type").starts_with("multipart/"))
    request.headers.erase("Content-Type");
}

thread_local bool turning_away = false;
thread_local Connection* serving = nullptr;  // whom this thread serves

}  // namespace

std::string_view HttpRequest::Header(std::string_view name) const {
  const auto at = std::ranges::find(headers, name, &std::pair<std::string, std::string>::first);
  return at == headers.end() ? std::string_view() : std::string_view(at->second);
}

size_t HttpRequest::CountHeader(std::string_view name) const {
  return static_cast<size_t>(std::ranges::count(headers, name, &std::pair<std::string, std::string>::first));
}

class HttpServer::Impl final : private httplib::Server {
 public:
  Impl(const HttpLimits& limits, HttpHandler handler)
      : limits_(limits), handler_(std::move(handler)), stop_fd_(eventfd(0, EFD_CLOEXEC)) {
    new_task_queue = [this] { return new Queue(limits_.connections); };
    // Not SO_REUSEPORT, the library's own choice: another process could take the port as well.
    set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    set_tcp_nodelay(true);
    set_payload_max_length(limits_.body_bytes);
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      return Serve(request, response);
    });
    Post(".*", [this](const httplib::Request& request, httplib::Response& response,
                      const httplib::ContentReader& reader) { ServeWithBody(request, response, reader); });
    set_exception_handler(
        [](const httplib::Request&, httplib::Response& response, const std::exception_ptr&) {
          response.status = 500;
          response.set_content("{\"error\":\"the console failed: see its log\"}", "application/json");
        });
  }
  ~Impl() override {
    Stop();
    close(stop_fd_);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  absl::Status Start(const std::string& address, int port) {
    port_ = port == 0 ? bind_to_any_port(address) : (bind_to_port(address, port) ? port : -1);
    if (port_ <= 0) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ":", port,
                                                 ": is another program there? Give --listen another port"));
    }
    listening_ = std::thread([this] { listen_after_bind(); });
    while (!is_running()) std::this_thread::yield();  // Stop() before would be lost; a few microseconds
    return absl::OkStatus();
  }

  void Stop() {
    if (!listening_.joinable()) return;
    eventfd_write(stop_fd_, 1);
    stop();
    listening_.join();
  }

  int port() const { return port_; }

 private:
  class Queue final : public httplib::TaskQueue {
   public:
    explicit Queue(size_t max) : threads_(max) {}
    // The library's job serves one connection. Where there is no place for it, it is run here all the same,
    // to be turned away.
    void enqueue(std::function<void()> job) override {
      if (threads_.Run(job)) return;
      turning_away = true;
      job();
      turning_away = false;
    }
    void shutdown() override { threads_.Shutdown(); }

   private:
    ConnectionThreads threads_;
  };

  bool process_and_close_socket(socket_t socket) override {
    Connection connection(socket, stop_fd_, limits_);
    if (turning_away) {
      connection.Refuse("503 Service Unavailable");
      return false;
    }
    serving = &connection;
    while (!connection.closes() && connection.AwaitRequest()) {
      bool closed = false;
      const bool served = process_request(connection, false, closed, [&](httplib::Request& request) {
        const bool reads_all = request.method == "POST" || !request.has_header("Content-Length");
        if (!reads_all || request.has_header("Transfer-Encoding")) connection.CloseAfterThis();
        Simplify(request);
      });
      if (!served || closed) return served;
    }
    return true;
  }

  HandlerResponse Serve(const httplib::Request& request, httplib::Response& response) {
    if (request.target.size() > limits_.target_bytes) {
      response.status = 414;
      return HandlerResponse::Handled;
    }
    if (request.method == "POST") return HandlerResponse::Unhandled;  // its body is to be read first
    HttpRequest translated = Translate(request, SecretBytes());
    Translate(handler_(translated), response);
    return HandlerResponse::Handled;
  }

  void ServeWithBody(const httplib::Request& request, httplib::Response& response,
                     const httplib::ContentReader& reader) {
    SecretBytes body(limits_.body_bytes);
    size_t size = 0;
    bool fits = true;
    const bool whole = reader([&](const char* data, size_t count) {
      fits = count <= limits_.body_bytes - size;
      if (fits) std::copy_n(data, count, body.MutableSecret().data() + size);
      size += fits ? count : 0;
      return fits;
    });
    if (!whole) {
      if (!fits) response.status = 413;
      serving->CloseAfterThis();  // the rest of it is no request
      return;
    }
    HttpRequest translated = Translate(request, body.Slice(0, size));
    Translate(handler_(translated), response);
  }

  const HttpLimits limits_;
  const HttpHandler handler_;
  const int stop_fd_;
  int port_ = -1;
  std::thread listening_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(const std::string& address, int port,
                                                               const HttpLimits& limits,
                                                               HttpHandler handler) {
  auto impl = std::make_unique<Impl>(limits, std::move(handler));
  if (absl::Status s = impl->Start(address, port); !s.ok()) return s;
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const { return impl_->port(); }
void HttpServer::Stop() { impl_->Stop(); }

}  // namespace keystead::console
