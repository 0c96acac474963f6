// An HTTP server of the test's own on a free port of 127.0.0.1.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

namespace kezek::slurm {

// An answer as it goes over the wire.
std::string HttpReply(int status, const std::string& body);

// Serves each connection on a thread of its own. The handler gets the request, from "GET /path …"
// on, and returns the reply; an empty one hangs up. It is called by several threads at once.
class Listener {
 public:
  using Handler = std::function<std::string(const std::string& request)>;

  explicit Listener(Handler handler);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int requests() const { return requests_; }
  int most_at_once() const { return most_; }

 private:
  void Accept();
  void Serve(int connection);

  Handler handler_;
  int socket_ = -1;
  int port_ = 0;
  std::atomic<int> requests_{0};
  std::atomic<int> at_once_{0};
  std::atomic<int> most_{0};
  std::thread thread_;
};

}  // namespace kezek::slurm
