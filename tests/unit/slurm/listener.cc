#include "tests/unit/slurm/listener.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

namespace kezek::slurm {
namespace {

void Must(bool done, const char* what) {
  if (done) return;
  std::perror(what);
  std::abort();
}

}  // namespace

std::string HttpReply(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

Listener::Listener(Handler handler) : handler_(std::move(handler)) {
  socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Must(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  Must(::listen(socket_, 64) == 0, "listen");
  socklen_t size = sizeof address;
  Must(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Accept(); });
}

Listener::~Listener() {
  ::shutdown(socket_, SHUT_RDWR);
  thread_.join();
  ::close(socket_);
}

void Listener::Accept() {
  std::vector<std::pair<int, std::thread>> served;
  while (true) {
    const int connection = ::accept(socket_, nullptr, nullptr);
    if (connection < 0) break;
    served.emplace_back(connection, [this, connection] { Serve(connection); });
  }
  for (auto& [connection, thread] : served) {
    ::shutdown(connection, SHUT_RDWR);
    thread.join();
    ::close(connection);
  }
}

void Listener::Serve(int connection) {
  std::string data(65536, '\0');
  while (true) {
    const auto size = ::recv(connection, data.data(), data.size(), 0);
    if (size <= 0) break;
    ++requests_;
    const int now = ++at_once_;
    for (int most = most_; now > most && !most_.compare_exchange_weak(most, now);) continue;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::string reply = handler_(data.substr(0, static_cast<std::size_t>(size)));
    --at_once_;
    if (reply.empty()) break;
    if (::send(connection, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) break;
  }
  ::shutdown(connection, SHUT_RDWR);
}

}  // namespace kezek::slurm
