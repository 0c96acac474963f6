#include "slurm/http.h"

#include <curl/curl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "kezek/check.h"

namespace kezek::slurm {
namespace {

constexpr std::string_view kUnixScheme = "unix:";
constexpr std::size_t kAnswerMax = std::size_t{512} << 20;  // 60,000 jobs of 8 kB
constexpr long kConnectTimeoutMs = 3000;
constexpr int kPollMs = 1000;

void InitialiseCurl() {
  static const CURLcode kCode = curl_global_init(CURL_GLOBAL_DEFAULT);
  KEZEK_CHECK(kCode == CURLE_OK, "libcurl does not start");
}

// The answer as it comes in: room for all of it is made at once where its length is told.
struct Incoming {
  CURL* easy = nullptr;
  std::string body;
  bool too_long = false;
};

std::size_t Append(char* data, std::size_t size, std::size_t count, void* out) {
  auto* incoming = static_cast<Incoming*>(out);
  std::string& body = incoming->body;
  curl_off_t length = -1;
  if (body.empty()) {
    curl_easy_getinfo(incoming->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  }
  const auto told = static_cast<std::size_t>(std::max<curl_off_t>(length, 0));
  incoming->too_long = std::max(told, body.size() + size * count) > kAnswerMax;
  if (incoming->too_long) return 0;
  if (told > 0) body.reserve(told);
  body.append(data, size * count);
  return size * count;
}

using Steady = std::chrono::steady_clock;

void Measure(Meter* meter, const HttpRequest& request, const HttpOutcome& outcome,
             Steady::duration took) {
  if (meter == nullptr) return;
  using enum ClusterCallMeasure::Outcome;
  ClusterCallMeasure measure;
  measure.call = CallName(request);
  measure.took_us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  if (outcome.kind == HttpOutcome::Kind::kNotSent) measure.outcome = kNotSent;
  if (outcome.kind == HttpOutcome::Kind::kLost) measure.outcome = kLost;
  if (outcome.kind == HttpOutcome::Kind::kAnswered && outcome.status >= 400) {
    measure.outcome = kError;
  }
  meter->OnClusterCall(measure);
}

// What was asked of Slurm, and in whose name: what changes something as information, reading as
// detail.
void Tell(const HttpRequest& request, const HttpOutcome& outcome) {
  const auto level = request.method == "GET" ? spdlog::level::debug : spdlog::level::info;
  if (!spdlog::should_log(level)) return;
  const bool answered = outcome.kind == HttpOutcome::Kind::kAnswered;
  spdlog::log(level, "slurm call={} user={} about={} answer='{}'", CallName(request), request.user,
              request.about.empty() ? request.path : request.about,
              answered ? std::to_string(outcome.status) : outcome.text);
}

// One request on an easy handle, which is used again and again.
class Transfer {
 public:
  Transfer() : easy_(curl_easy_init()) { KEZEK_CHECK(easy_ != nullptr, "curl_easy_init"); }
  ~Transfer() {
    curl_easy_cleanup(easy_);
    curl_slist_free_all(headers_);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  CURL* easy() { return easy_; }

  void Prepare(const HttpOptions& options, HttpRequest request, const std::string& token) {
    request_ = std::move(request);
    meter_ = options.meter;
    begun_ = Steady::now();
    answer_ = {easy_, {}, false};
    error_[0] = '\0';
    curl_easy_reset(easy_);
    curl_slist_free_all(headers_);
    headers_ = nullptr;
    AddHeader("X-SLURM-USER-NAME: " + request_.user);
    AddHeader("X-SLURM-USER-TOKEN: " + token);
    AddHeader("Content-Type: application/json");
    AddHeader("Expect:");
    std::string base = options.url;
    if (base.starts_with(kUnixScheme)) {
      Set(CURLOPT_UNIX_SOCKET_PATH, base.c_str() + kUnixScheme.size());
      base = "http://slurmrestd";
    }
    Set(CURLOPT_URL, (base + request_.path).c_str());
    Set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    if (!request_.body.empty()) {
      Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
      Set(CURLOPT_POSTFIELDS, request_.body.c_str());
    }
    Set(CURLOPT_HTTPHEADER, headers_);
    Set(CURLOPT_WRITEFUNCTION, &Append);
    Set(CURLOPT_WRITEDATA, static_cast<void*>(&answer_));
    Set(CURLOPT_ERRORBUFFER, error_.data());
    Set(CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout_ms));
    Set(CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_PROXY, "");
    Set(CURLOPT_FRESH_CONNECT, request_.once ? 1L : 0L);
  }

  HttpOutcome Outcome(CURLcode code) {
    HttpOutcome outcome = Read(code);
    Measure(meter_, request_, outcome, Steady::now() - begun_);
    Tell(request_, outcome);
    return outcome;
  }

 private:
  HttpOutcome Read(CURLcode code) {
    HttpOutcome outcome;
    if (code == CURLE_OK) {
      outcome.kind = HttpOutcome::Kind::kAnswered;
      curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &outcome.status);
      outcome.body = std::move(answer_.body);
      return outcome;
    }
    curl_off_t connected_us = 0;
    curl_easy_getinfo(easy_, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    const bool sent = connected_us > 0;
    outcome.kind = sent ? HttpOutcome::Kind::kLost : HttpOutcome::Kind::kNotSent;
    outcome.text = "slurmrestd: ";
    if (answer_.too_long) {
      outcome.text += "an answer of more than 512 MiB, which is not read";
    } else {
      outcome.text += error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
    }
    return outcome;
  }
  template <class Value>
  void Set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(easy_, option, value);
    KEZEK_CHECK(code == CURLE_OK, curl_easy_strerror(code));
  }
  void AddHeader(const std::string& header) {
    headers_ = curl_slist_append(headers_, header.c_str());
    KEZEK_CHECK(headers_ != nullptr, "curl_slist_append");
  }

  CURL* easy_;
  curl_slist* headers_ = nullptr;
  HttpRequest request_;
  Meter* meter_ = nullptr;
  Steady::time_point begun_;
  Incoming answer_;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

HttpOutcome NotSent(const HttpOptions& options, const HttpRequest& request, const Error& error) {
  HttpOutcome outcome;
  outcome.kind = HttpOutcome::Kind::kNotSent;
  outcome.text = error.message;
  Measure(options.meter, request, outcome, {});
  Tell(request, outcome);
  return outcome;
}

}  // namespace

std::string_view CallName(const HttpRequest& request) {
  const std::string_view path = std::string_view(request.path).substr(0, request.path.find('?'));
  if (path.starts_with("/slurmdb/")) return "accounting";
  if (path.ends_with("/job/submit")) return "submit";
  if (path.ends_with("/jobs/state")) return "states";
  for (const std::string_view list : {"jobs", "nodes", "ping", "diag"}) {
    if (path.ends_with(list)) return list;
  }
  if (path.find("/job/") == std::string_view::npos) return "other";
  if (request.method == "POST") return "update";
  if (request.method != "DELETE") return "job";
  return request.path.find("?signal=") == std::string::npos ? "cancel" : "signal";
}

struct HttpClient::State {
  HttpOptions options;
  Credential& credential;
  Transfer transfer;
};

HttpClient::HttpClient(HttpOptions options, Credential& credential) {
  InitialiseCurl();
  state_ = std::unique_ptr<State>(new State{std::move(options), credential, {}});
}

HttpClient::~HttpClient() = default;

HttpOutcome HttpClient::Do(const HttpRequest& request) {
  const auto token = state_->credential.Token();
  if (!token) return NotSent(state_->options, request, token.error());
  state_->transfer.Prepare(state_->options, request, *token);
  return state_->transfer.Outcome(curl_easy_perform(state_->transfer.easy()));
}

struct HttpPool::State {
  struct Waiting {
    HttpRequest request;
    Done done;
  };
  struct Active {
    std::unique_ptr<Transfer> transfer;
    Done done;
  };

  State(HttpOptions pool_options, Credential& pool_credential)
      : options(std::move(pool_options)), credential(pool_credential), multi(curl_multi_init()) {
    KEZEK_CHECK(multi != nullptr, "curl_multi_init");
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(options.connections));
  }
  ~State() {
    for (auto& entry : active) curl_multi_remove_handle(multi, entry.transfer->easy());
    curl_multi_cleanup(multi);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void Run();
  void Begin();
  void Finish();

  HttpOptions options;
  Credential& credential;
  CURLM* multi;
  std::mutex mutex;
  std::deque<Waiting> waiting;  // under mutex
  bool stopping = false;        // under mutex
  std::vector<Active> active;
  std::vector<std::unique_ptr<Transfer>> idle;
  std::thread thread;
};

// Moves what waits onto free connections.
void HttpPool::State::Begin() {
  while (active.size() < static_cast<std::size_t>(options.connections)) {
    Waiting next;
    {
      const std::scoped_lock lock(mutex);
      if (waiting.empty()) return;
      next = std::move(waiting.front());
      waiting.pop_front();
    }
    const auto token = credential.Token();
    if (!token) {
      next.done(NotSent(options, next.request, token.error()));
      continue;
    }
    std::unique_ptr<Transfer> transfer;
    if (idle.empty()) {
      transfer = std::make_unique<Transfer>();
    } else {
      transfer = std::move(idle.back());
      idle.pop_back();
    }
    transfer->Prepare(options, std::move(next.request), *token);
    curl_multi_add_handle(multi, transfer->easy());
    active.push_back({std::move(transfer), std::move(next.done)});
  }
}

// Answers those that have come to their end.
void HttpPool::State::Finish() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;
    for (std::size_t i = 0; i < active.size(); ++i) {
      if (active[i].transfer->easy() != easy) continue;
      Active ended = std::move(active[i]);
      active.erase(active.begin() + static_cast<std::ptrdiff_t>(i));
      HttpOutcome outcome = ended.transfer->Outcome(code);
      curl_multi_remove_handle(multi, easy);
      idle.push_back(std::move(ended.transfer));
      ended.done(std::move(outcome));
      break;
    }
  }
}

void HttpPool::State::Run() {
  while (true) {
    {
      const std::scoped_lock lock(mutex);
      if (stopping) return;
    }
    Begin();
    int running = 0;
    curl_multi_perform(multi, &running);
    Finish();
    bool more = false;
    {
      const std::scoped_lock lock(mutex);
      more = !waiting.empty() && active.size() < static_cast<std::size_t>(options.connections);
    }
    if (!more) curl_multi_poll(multi, nullptr, 0, kPollMs, nullptr);
  }
}

HttpPool::HttpPool(HttpOptions options, Credential& credential) {
  InitialiseCurl();
  KEZEK_CHECK(options.connections > 0, "a pool without connections");
  state_ = std::make_unique<State>(std::move(options), credential);
  state_->thread = std::thread([state = state_.get()] { state->Run(); });
}

HttpPool::~HttpPool() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stopping = true;
  }
  curl_multi_wakeup(state_->multi);
  state_->thread.join();
}

void HttpPool::Start(HttpRequest request, Done done) {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->waiting.push_back({std::move(request), std::move(done)});
  }
  curl_multi_wakeup(state_->multi);
}

}  // namespace kezek::slurm
