#include "slurm/node_switch.h"

#include <mutex>
#include <utility>
#include <vector>

#include "slurm/api_version.h"
#include "slurm/codec.h"
#include "slurm/credential.h"
#include "slurm/http.h"
#include "slurm/json_fields.h"

namespace kezek::slurm {

struct NodeSwitch::State {
  State(NodeSwitchOptions with, Clock& clock)
      : options(std::move(with)),
        credential({options.token_file, options.jwt_key_file, options.user}, clock),
        client({.url = options.url, .meter = options.meter}, credential) {}

  // Asked anew each time: another release may be there since.
  Result<const Codec*> FindCodec() {
    const auto api = FindApi(client, options.user, options.request_timeout_ms);
    if (!api) return api.error();
    for (const Codec& one : Codecs()) {
      if (one.version() == *api) return &one;
    }
    KEZEK_CHECK(false, "a version was found that nothing speaks");
  }

  Result<void> Post(const std::string& host, const Json& body, const std::string& about) {
    if (codec == nullptr) {
      const auto found = FindCodec();
      if (!found) return found.error();
      codec = *found;
    }
    HttpRequest request;
    request.method = "POST";
    request.path = codec->Path("/node/") + host;
    request.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    request.user = options.user;
    request.about = about;
    request.timeout_ms = options.request_timeout_ms;
    const HttpOutcome outcome = client.Do(request);
    if (outcome.kind != HttpOutcome::Kind::kAnswered) {
      codec = nullptr;
      return NoAnswer(outcome);
    }
    const Verdict verdict = ParseVerdict(outcome.status, outcome.body);
    if (verdict.kind == Verdict::Kind::kDone) return {};
    return Error{Code::kFailedPrecondition, "Slurm refuses: " + verdict.text, {}};
  }

  NodeSwitchOptions options;
  Credential credential;
  HttpClient client;
  std::mutex mutex;
  const Codec* codec = nullptr;  // null: not known
};

NodeSwitch::NodeSwitch(NodeSwitchOptions options, Clock& clock)
    : state_(std::make_unique<State>(std::move(options), clock)) {}

NodeSwitch::~NodeSwitch() = default;

Result<bool> NodeSwitch::TakesOrders() {
  const std::scoped_lock lock(state_->mutex);
  const auto found = state_->FindCodec();
  if (!found) return found.error();
  state_->codec = *found;
  return state_->codec->can().changes_nodes;
}

Result<std::set<std::string>> NodeSwitch::Drained() {
  const std::scoped_lock lock(state_->mutex);
  const auto found = state_->FindCodec();
  if (!found) return found.error();
  state_->codec = *found;
  HttpRequest request;
  request.path = (*found)->Path("/nodes");
  request.user = state_->options.user;
  request.timeout_ms = state_->options.request_timeout_ms;
  const HttpOutcome outcome = state_->client.Do(request);
  if (outcome.kind != HttpOutcome::Kind::kAnswered) return NoAnswer(outcome);
  const auto nodes = ParseNodes(outcome.status, outcome.body);
  if (!nodes) return nodes.error();
  std::set<std::string> drained;
  for (const Node& node : nodes->value_or(std::vector<Node>())) {
    if (node.health == NodeHealth::kDraining) drained.insert(node.name);
  }
  return drained;
}

Result<void> NodeSwitch::Drain(const std::string& host, const std::string& reason) {
  const std::scoped_lock lock(state_->mutex);
  return state_->Post(host, Json::object({{"state", Json::array({"DRAIN"})}, {"reason", reason}}),
                      "drain of " + host);
}

Result<void> NodeSwitch::Resume(const std::string& host) {
  const std::scoped_lock lock(state_->mutex);
  return state_->Post(host, Json::object({{"state", Json::array({"RESUME"})}}),
                      "resumption of " + host);
}

}  // namespace kezek::slurm
