#include "rpc/snapshot.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "kezek/index_ranges.h"
#include "kezek/names.h"
#include "kezek/reason_text.h"
#include "rpc/status.h"

namespace kezek::rpc {
namespace {

constexpr std::string_view kMethod = "/kezek.v1.ClusterService/Snapshot";
constexpr std::int32_t kPage = 1000;       // jobs read at a time
constexpr std::size_t kMessage = 1 << 20;  // bytes, or little more

std::string Seconds(DurationMs time_ms) { return std::to_string(time_ms / kSecondMs); }

// What the job has done that it need not do again, once it has ended; none: it has not.
std::optional<DurationMs> Worked(const JobRecord& record) {
  if (!IsFinal(record.job.state)) return std::nullopt;
  DurationMs worked = 0;
  for (std::size_t i = 0; i < record.attempts.size(); ++i) {
    const Attempt& attempt = record.attempts[i];
    const bool last = i + 1 == record.attempts.size();
    const TimeMs until = last ? attempt.end_ms : attempt.last_checkpoint_ms;
    if (attempt.start_ms != 0) worked += std::max<DurationMs>(0, until - attempt.start_ms);
  }
  return worked;
}

// A field as CSV: what holds commas or quotes is quoted.
std::string Field(const std::string& text) {
  if (text.find_first_of(",\"") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

// The one with the most GPUs.
std::string UsualType(const View& view) {
  std::map<std::string, std::int64_t> gpus;
  for (const auto& [name, node] : view.nodes) gpus[node.gpu_type] += node.gpus;
  const auto most = std::max_element(
      gpus.begin(), gpus.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == gpus.end() ? "" : most->first;
}

class SnapshotStream final : public Stream<v1::SnapshotResponse> {
 public:
  SnapshotStream(std::shared_ptr<Streams> streams, Listener listener,
                 const v1::SnapshotRequest& request, std::string gpu_type)
      : Stream(std::move(streams), std::move(listener)), gpu_type_(std::move(gpu_type)) {
    query_.submitted_since_ms = request.history().since_ms();
    query_.submitted_until_ms = request.history().until_ms();
    query_.all_attempts = true;
    query_.limit = kPage;
    text_ = TraceHeader(*caller().view, streams_->settings.cluster, gpu_type_);
  }

 private:
  void StepLocked() override {
    for (; text_.size() < kMessage && next_ < records_.size(); ++next_) AddRows(records_[next_]);
    if (!text_.empty()) {
      v1::SnapshotResponse response;
      response.set_data(std::exchange(text_, {}));
      return SendLocked(std::move(response));
    }
    if (done_) return EndLocked({});
    WorkLocked([this](Reader& reader) { Read(reader); });
  }

  void Read(Reader& reader) {
    auto records = reader.ListJobs(query_);
    if (!records) return End(records.error());
    if (!records->empty()) query_.after = records->back().job.ref;
    const std::lock_guard lock(mutex_);
    done_ = std::ssize(*records) < kPage;
    records_ = *std::move(records);
    next_ = 0;
  }

  // An element that got a row of its own since its array's row was read has been told with that.
  void AddRows(const JobRecord& record) {
    const Job& job = record.job;
    if (job.spec->shape.gpu_type != gpu_type_) return;
    if (IsArrayRow(job)) array_ = {job.ref.id, job.pending};
    const bool told = !IsArrayRow(job) && job.ref.id == array_.first &&
                      ContainsIndex(array_.second, job.ref.element);
    if (!told) text_ += TraceRows(record, *caller().view->directory);
  }

  const std::string gpu_type_;
  JobQuery query_;
  std::vector<JobRecord> records_;
  std::size_t next_ = 0;                             // of them
  std::pair<JobId, std::vector<IndexRange>> array_;  // the last one, and what was told of it
  std::string text_;                                 // to be sent
  bool done_ = false;
};

// "" where none is asked for and there is no node.
Result<std::string> TypeOf(const v1::SnapshotRequest& request, const View& view) {
  if (request.gpu_type().empty()) return UsualType(view);
  const bool known = std::any_of(view.nodes.begin(), view.nodes.end(), [&](const auto& one) {
    return one.second.gpu_type == request.gpu_type();
  });
  if (known) return request.gpu_type();
  return NotFound("NO_SUCH_GPU_TYPE", "gpu_type", "no node has '" + request.gpu_type() + "'");
}

}  // namespace

std::string TraceHeader(const View& view, const std::string& cluster, const std::string& gpu_type) {
  std::int64_t gpus = 0;
  std::map<std::int32_t, std::int64_t> sizes;  // how many nodes have so many
  for (const auto& [name, node] : view.nodes) {
    if (node.gpu_type != gpu_type) continue;
    gpus += node.gpus;
    ++sizes[node.gpus];
  }
  const auto usual = std::max_element(
      sizes.begin(), sizes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::string text = "# cluster: " + cluster + "\n# taken: " + reason_text::UtcText(view.now_ms) +
                     "\n# gpu_type: " + gpu_type + "\n# gpus: " + std::to_string(gpus) + "\n";
  if (usual != sizes.end()) text += "# gpus_per_node: " + std::to_string(usual->first) + "\n";
  return text +
         "job_id,submit_s,duration_s,gpus,nodes,user,vc,queue_delay_s,req_walltime_s,class,state\n";
}

std::string TraceRows(const JobRecord& record, const Directory& directory) {
  const Job& job = record.job;
  const JobSpec& spec = *job.spec;
  const std::optional<DurationMs> worked = Worked(record);
  const TimeMs submitted = std::max(job.submitted_ms, spec.begin_ms);
  std::string waited;
  if (worked) {
    if (*worked == 0) return "";
    const DurationMs took = record.attempts.back().end_ms - submitted;
    waited = Seconds(std::max<DurationMs>(0, took - *worked));
  }
  const std::string rest =
      "," + Seconds(submitted) + "," + (worked ? Seconds(*worked) : "") + "," +
      std::to_string(std::int64_t{spec.shape.nodes} * spec.shape.gpus_per_node) + "," +
      std::to_string(spec.shape.nodes) + ",u" + std::to_string(job.user.value) + "," +
      Field(PathOf(directory, spec.project)) + "," + waited + "," + Seconds(spec.time_limit_ms) +
      "," + Field(spec.job_class) + "," + std::string(NameOf(job.state)) + "\n";
  if (!IsArrayRow(job)) return ToText(job.ref) + rest;
  std::string rows;
  for (const std::int32_t index :
       FirstIndices(job.pending, std::numeric_limits<std::int64_t>::max())) {
    rows += ToText({job.ref.id, index}) + rest;
  }
  return rows;
}

grpc::ServerWriteReactor<v1::SnapshotResponse>* OpenSnapshot(
    const std::shared_ptr<Streams>& streams, grpc::CallbackServerContext* context,
    const v1::SnapshotRequest& request) {
  using Failed = FailedStream<v1::SnapshotResponse>;
  auto listener = Listen(*streams, *context, kMethod, request);
  if (!listener) return new Failed(listener.error());
  const v1::TimeRange& time = request.history();
  if (time.since_ms() < 0 || time.until_ms() < 0 ||
      (time.until_ms() != 0 && time.since_ms() >= time.until_ms())) {
    return new Failed(Invalid("history", "ends before it begins"));
  }
  auto type = TypeOf(request, *listener->caller.view);
  if (!type) return new Failed(type.error());
  const auto stream =
      std::make_shared<SnapshotStream>(streams, *std::move(listener), request, *std::move(type));
  stream->Open();
  return stream.get();
}

}  // namespace kezek::rpc
