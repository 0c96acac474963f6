#include "http/server.h"

#include <openssl/ssl.h>

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <chrono>
#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "http/serialise.h"

namespace kezek::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

constexpr std::size_t kReadBytes = std::size_t{16} << 10;
constexpr milliseconds kAcceptAgain{100};
constexpr milliseconds kLinger{1'000};
constexpr std::size_t kLingerBytes = std::size_t{64} << 10;

auto Into(error_code& code) { return asio::redirect_error(asio::use_awaitable, code); }

// The way onto the server's thread from any other, as long as there is one.
struct Gate {
  std::mutex mutex;
  asio::io_context* io = nullptr;  // null: the server has ended
};

// An answer that a handler owes. The server's thread only.
class Pending : public std::enable_shared_from_this<Pending> {
 public:
  explicit Pending(asio::io_context& io) : timer_(io) {}

  // For the handler: any thread. The last copy that goes without an answer gives one.
  Respond Responder(std::shared_ptr<Gate> gate) {
    struct Once {
      std::shared_ptr<Gate> gate;
      std::weak_ptr<Pending> pending;
      std::atomic<bool> done = false;
      void Give(Response response) {
        if (done.exchange(true)) return;
        const std::lock_guard lock(gate->mutex);
        if (gate->io == nullptr) return;
        asio::post(*gate->io, [waits = pending, response = std::move(response)]() mutable {
          if (const auto owed = waits.lock()) owed->Take(std::move(response));
        });
      }
      ~Once() { Give(TextResponse(500, "there is no answer")); }
    };
    auto once = std::make_shared<Once>();
    once->gate = std::move(gate);
    once->pending = weak_from_this();
    return [once](Response response) { once->Give(std::move(response)); };
  }

  asio::awaitable<Response> Wait(const Route& route) {
    error_code code;
    timer_.expires_after(milliseconds(route.patience_ms));
    if (!answer_) co_await timer_.async_wait(Into(code));
    if (answer_) co_return std::move(*answer_);
    if (route.late) co_return route.late();
    co_return TextResponse(503, "there is no answer in time");
  }

 private:
  void Take(Response response) {
    answer_ = std::move(response);
    timer_.cancel();
  }

  asio::steady_timer timer_;
  std::optional<Response> answer_;
};

// A connection that waits for a request, whole or begun.
struct Idler {
  asio::ip::address address;
  beast::tcp_stream* stream;
};
using Idlers = std::list<Idler>;  // who has waited longest first

// In the list as long as it lives.
class Idling {
 public:
  Idling(Idlers& all, beast::tcp_stream& stream) : all_(all) {
    error_code code;
    at_ = all_.insert(all_.end(), {stream.socket().remote_endpoint(code).address(), &stream});
  }
  ~Idling() { all_.erase(at_); }
  Idling(const Idling&) = delete;
  Idling& operator=(const Idling&) = delete;

 private:
  Idlers& all_;
  Idlers::iterator at_;
};

// Closes one, if there is one. Its conversation ends soon after.
bool CloseOne(const Idlers& idlers) {
  std::map<asio::ip::address, std::size_t> count;
  for (const Idler& idler : idlers) ++count[idler.address];
  const Idler* chosen = nullptr;
  for (const Idler& idler : idlers) {
    if (!idler.stream->socket().is_open()) continue;
    if (chosen == nullptr || count[idler.address] > count[chosen->address]) chosen = &idler;
  }
  if (chosen == nullptr) return false;
  chosen->stream->close();
  return true;
}

}  // namespace

struct Server::State {
  State(ServerOptions options_in, std::vector<Route> routes_in)
      : options(std::move(options_in)), routes(std::move(routes_in)), io(1), acceptor(io) {
    gate->io = &io;
  }

  Result<void> Listen(const Address& address);
  asio::awaitable<void> Accept();
  asio::awaitable<void> Greet(tcp::socket socket);
  template <class Stream>
  asio::awaitable<void> Converse(Stream& stream);
  template <class Stream>
  asio::awaitable<bool> ReadRequest(Stream& stream, RequestReader& reader, DurationMs idle_ms);
  asio::awaitable<Response> Answer(const Request& request);
  template <class Stream>
  asio::awaitable<bool> Send(Stream& stream, std::string text);

  // What conversations use outlives `io`, which owns them.
  const ServerOptions options;
  const Routes routes;
  const std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  std::atomic<std::size_t> open = 0;
  Idlers idlers;
  int port = 0;
  asio::io_context io;
  tcp::acceptor acceptor;
  std::thread thread;
};

Result<void> Server::State::Listen(const Address& address) {
  error_code code;
  const tcp::endpoint endpoint(asio::ip::make_address(address.host), address.port);
  acceptor.open(endpoint.protocol(), code);
  if (!code) acceptor.set_option(tcp::acceptor::reuse_address(true), code);
  if (!code) acceptor.bind(endpoint, code);
  if (!code) acceptor.listen(asio::socket_base::max_listen_connections, code);
  if (code) {
    return Error{Code::kUnavailable,
                 "http.listen: cannot listen on " + options.listen + ": " + code.message(),
                 {}};
  }
  port = acceptor.local_endpoint().port();
  return {};
}

asio::awaitable<void> Server::State::Accept() {
  asio::steady_timer pause(io);
  while (acceptor.is_open()) {
    error_code code;
    tcp::socket socket = co_await acceptor.async_accept(Into(code));
    if (!code) {
      asio::co_spawn(io, Greet(std::move(socket)), asio::detached);
    } else if (code != asio::error::operation_aborted) {  // no descriptors left, most likely
      pause.expires_after(kAcceptAgain);
      co_await pause.async_wait(Into(code));
    }
  }
}

asio::awaitable<void> Server::State::Greet(tcp::socket socket) {
  struct Place {
    std::atomic<std::size_t>& open;
    explicit Place(std::atomic<std::size_t>& open_in) : open(open_in) { ++open; }
    ~Place() { --open; }
  };
  const Place place(open);
  beast::tcp_stream stream(std::move(socket));
  if (open > options.connections && !CloseOne(idlers)) {
    co_await Send(stream, Serialise(TextResponse(503, "too many connections"), {}));
    co_return;
  }
  if (!options.tls) {
    co_await Converse(stream);
    co_return;
  }
  const std::shared_ptr<ssl_ctx_st> shared = options.tls();
  if (shared == nullptr) co_return;
  SSL_CTX_up_ref(shared.get());
  asio::ssl::context context(shared.get());  // takes one reference over
  asio::ssl::stream<beast::tcp_stream> secure(std::move(stream), context);
  error_code code;
  secure.next_layer().expires_after(milliseconds(options.request_ms));
  {
    const Idling idling(idlers, secure.next_layer());
    co_await secure.async_handshake(asio::ssl::stream_base::server, Into(code));
  }
  if (!code) co_await Converse(secure);
}

// Until the request is ready or refused. False: nothing more is to be answered.
template <class Stream>
asio::awaitable<bool> Server::State::ReadRequest(Stream& stream, RequestReader& reader,
                                                 DurationMs idle_ms) {
  auto& socket = beast::get_lowest_layer(stream);
  const Idling idling(idlers, socket);
  std::array<char, kReadBytes> bytes{};
  bool begun = reader.begun();
  error_code code;
  socket.expires_after(milliseconds(begun ? options.request_ms : idle_ms));
  while (!reader.ready() && !reader.problem()) {
    if (!begun && reader.begun()) {
      begun = true;
      socket.expires_after(milliseconds(options.request_ms));
    }
    if (reader.TakeContinue()) {
      const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      co_await asio::async_write(stream, asio::buffer(go_on), Into(code));
      if (code) co_return false;
    }
    const std::size_t count = co_await stream.async_read_some(asio::buffer(bytes), Into(code));
    if (code) co_return false;
    reader.Feed({bytes.data(), count});
  }
  co_return true;
}

template <class Stream>
asio::awaitable<bool> Server::State::Send(Stream& stream, std::string text) {
  error_code code;
  beast::get_lowest_layer(stream).expires_after(milliseconds(options.write_ms));
  co_await asio::async_write(stream, asio::buffer(text), Into(code));
  co_return !code;
}

asio::awaitable<Response> Server::State::Answer(const Request& request) {
  const Found found = routes.Find(request.method, request.path);
  Response response = found.refusal;
  if (found.route != nullptr) {
    const auto pending = std::make_shared<Pending>(io);
    bool threw = false;
    try {
      found.route->handle(request, pending->Responder(gate));
    } catch (const std::exception&) {
      threw = true;
    }
    // Apart from the rest: gcc 12 takes both branches of a condition with co_await in it.
    if (threw) {
      response = TextResponse(500, "the request could not be answered");
    } else {
      response = co_await pending->Wait(*found.route);
    }
  }
  if (options.answered) {
    options.answered(found.route == nullptr ? "other" : found.route->path, response.status);
  }
  co_return response;
}

template <class Stream>
asio::awaitable<void> Server::State::Converse(Stream& stream) {
  RequestReader reader(options.limits);
  bool more = true;
  DurationMs idle_ms = options.request_ms;
  while (more) {
    const bool read = co_await ReadRequest(stream, reader, std::exchange(idle_ms, options.idle_ms));
    if (!read) break;
    if (reader.problem()) {
      if (options.answered) options.answered("other", reader.problem()->status);
      co_await Send(stream, Serialise(*reader.problem(), {}));
      break;
    }
    const Request request = reader.Take();
    more = reader.keep_alive();
    beast::get_lowest_layer(stream).expires_never();
    const Response response = co_await Answer(request);
    const Form form{.head = request.method == "HEAD", .keep_alive = more};
    const bool sent = co_await Send(stream, Serialise(response, form));
    more = more && sent;
  }
  // Says that it is over, and lets the peer read the answer before the connection is gone.
  auto& socket = beast::get_lowest_layer(stream);
  error_code code;
  socket.socket().shutdown(tcp::socket::shutdown_send, code);
  std::array<char, kReadBytes> bytes{};
  socket.expires_after(kLinger);
  for (std::size_t dropped = 0; !code && dropped < kLingerBytes;) {
    dropped += co_await socket.async_read_some(asio::buffer(bytes), Into(code));
  }
}

Result<Address> ParseAddress(const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  const Error bad{Code::kInvalidArgument,
                  "'" + listen + "' is not an address with a port, such as 127.0.0.1:7480",
                  {}};
  if (colon == std::string::npos || colon + 1 == listen.size() || listen.size() - colon > 6) {
    return bad;
  }
  Address address{listen.substr(0, colon), 0};
  if (address.host.starts_with('[') && address.host.ends_with(']')) {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  unsigned port = 0;
  for (const char digit : listen.substr(colon + 1)) {
    if (digit < '0' || digit > '9') return bad;
    port = port * 10 + static_cast<unsigned>(digit - '0');
  }
  error_code code;
  asio::ip::make_address(address.host, code);
  if (code || port > 65'535) return bad;
  address.port = static_cast<std::uint16_t>(port);
  return address;
}

Result<std::unique_ptr<Server>> Server::Start(ServerOptions options, std::vector<Route> routes) {
  const auto address = ParseAddress(options.listen);
  if (!address) return address.error();
  auto state = std::make_unique<State>(std::move(options), std::move(routes));
  if (auto listening = state->Listen(*address); !listening) return listening.error();
  asio::co_spawn(state->io, state->Accept(), asio::detached);
  state->thread = std::thread([io = &state->io] { io->run(); });
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() { Stop(); }

int Server::port() const { return state_->port; }

std::size_t Server::connections() const { return state_->open; }

void Server::Stop() {
  {
    const std::lock_guard lock(state_->gate->mutex);
    state_->gate->io = nullptr;
  }
  state_->io.stop();
  if (state_->thread.joinable()) state_->thread.join();
}

}  // namespace kezek::http
