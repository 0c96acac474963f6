#include "rpc/logs.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "kezek/output_path.h"
#include "rpc/field_checks.h"
#include "rpc/job_convert.h"
#include "rpc/job_lookup.h"
#include "rpc/job_refs.h"

namespace kezek::rpc {
namespace {

constexpr std::string_view kMethod = "/kezek.v1.JobService/Logs";
constexpr std::int64_t kChunk = 64 * 1024;
constexpr std::int32_t kTailMax = 1'000'000;

bool IsReason(const Error& error, std::string_view reason) {
  return !error.details.empty() && error.details.front().reason == reason;
}

Error LogNotYet(const JobRef& job) {
  return NotFound("LOG_NOT_YET", "job", "job " + ToText(job) + " has written nothing yet");
}

class LogStream final : public Stream<v1::LogsResponse> {
 public:
  LogStream(std::shared_ptr<Streams> streams, Caller caller, const v1::LogsRequest& request,
            const JobRef& job)
      : Stream(std::move(streams), caller.user),
        caller_(std::move(caller)),
        request_(request),
        job_(job),
        offset_(request.offset()),
        left_(request.max_bytes() == 0 ? INT64_MAX : request.max_bytes()) {}

 protected:
  void Step() override {
    const std::lock_guard lock(mutex_);
    if (!IdleLocked()) return;
    if (ready_) {
      v1::LogsResponse response = std::move(*ready_);
      ready_.reset();
      return SendLocked(std::move(response));
    }
    if (left_ <= 0) return EndLocked({});
    if (std::exchange(pause_, false)) return StepAfter(streams_->times.poll_ms);
    WorkLocked([this](Reader& reader) { Look(reader); });
  }

 private:
  // One look, on the read pool: at the job if something may have changed, then at the file.
  void Look(Reader& reader) {
    if ((number_ == 0 || request_.follow()) && !over_ && NewsOfJob()) {
      const auto looked = LookAtJob(reader);
      if (!looked) return End(looked.error());
    }
    if (number_ == 0) return Nothing();
    OutputReader& output = *streams_->parts.output;
    if (!placed_ && request_.has_tail_lines()) {
      const auto offset = output.TailOffset(path_, request_.tail_lines());
      if (!offset) return Failed(offset.error());
      offset_ = *offset;
    }
    placed_ = true;
    auto piece = output.Read(path_, offset_, std::min(kChunk, left_));
    if (!piece) return Failed(piece.error());
    if (piece->bytes.empty()) return Nothing();
    v1::LogsResponse response;
    response.set_offset(piece->offset);
    response.set_attempt(number_);
    response.set_path(path_);
    offset_ = piece->offset + static_cast<std::int64_t>(piece->bytes.size());
    left_ -= static_cast<std::int64_t>(piece->bytes.size());
    seen_ = true;
    last_look_ = false;
    response.set_data(std::move(piece->bytes));
    ready_ = std::move(response);
  }

  void Failed(const Error& error) {
    if (error.code == Code::kNotFound && request_.follow()) return Nothing();
    End(IsReason(error, "LOG_NOT_YET") ? LogNotYet(job_) : error);
  }

  // No more for now. Over a network file system the last bytes may show a moment after the end.
  void Nothing() {
    if (!request_.follow() || (over_ && last_look_)) {
      return End(seen_ || placed_ ? Result<void>() : Result<void>(LogNotYet(job_)));
    }
    last_look_ = over_;
    pause_ = true;
  }

  // Whether an event about the job has come since the last look, or may have been missed.
  bool NewsOfJob() {
    bool news = std::exchange(first_look_, false);
    for (;;) {
      const Ring::Piece piece = streams_->ring.After(ring_seq_, 4096);
      if (piece.place == Ring::Place::kBehind) {
        ring_seq_ = piece.last_seq;
        return true;
      }
      if (piece.events.empty()) return news;
      for (const auto& event : piece.events) {
        news = news || (event->subject == Subject::kJob && event->job.id == job_.id);
      }
      ring_seq_ = piece.events.back()->seq;
    }
  }

  Result<void> LookAtJob(Reader& reader) {
    const auto record = LoadJob(reader, job_);
    if (!record && record.error().code != Code::kNotFound) return record.error();
    if (!record || !caller_.Reaches(record->job.user, record->job.spec->project)) {
      return JobNotFound(job_, "job");
    }
    if (IsArrayRow(record->job)) {
      return FieldProblem(Code::kInvalidArgument,
                          {"job",
                           "ELEMENT_NEEDED",
                           ToText(job_) + " is an array: name one element, such as " +
                               ToText({job_.id, record->job.spec->array->indices.front().first}),
                           {}});
    }
    const std::int32_t wanted = number_ != 0 ? number_ : request_.attempt();
    const Attempt* attempt = nullptr;
    for (const auto& one : record->attempts) {
      if (wanted == 0 || one.ref.number == wanted) attempt = &one;
    }
    if (attempt == nullptr) return NoAttempt(*record);
    number_ = attempt->ref.number;
    over_ = attempt->state == AttemptState::kEnded;
    return Place(record->job, *attempt);
  }

  Result<void> NoAttempt(const JobRecord& record) {
    over_ = IsFinal(record.job.state);
    if (request_.attempt() == 0 && !over_) {
      return request_.follow() ? Result<void>() : Result<void>(LogNotYet(job_));
    }
    return FieldProblem(
        Code::kNotFound,
        {request_.attempt() == 0 ? "job" : "attempt",
         "ATTEMPT_NOT_FOUND",
         "job " + ToText(job_) + " has " + std::to_string(record.job.attempts) + " attempts" +
             (request_.attempt() == 0
                  ? ""
                  : ", and none of number " + std::to_string(request_.attempt())),
         {{"attempts", std::to_string(record.job.attempts)}}});
  }

  // Where the output is, and whether Kezek may read it.
  Result<void> Place(const Job& job, const Attempt& attempt) {
    const auto owner = caller_.directory().users.find(job.user);
    const std::string first = attempt.placement.empty() ? "" : attempt.placement.front().node;
    if (!request_.node().empty() && request_.node() != first) {
      return NotYet("node", "output of nodes other than the first");
    }
    const OutputNames names{.attempt = attempt.ref,
                            .job_name = job.spec->name,
                            .unix_account = owner == caller_.directory().users.end()
                                                ? std::string_view()
                                                : owner->second.unix_account,
                            .first_node = first};
    const std::string& root = streams_->settings.output_root;
    path_ = OutputPathOf(*job.spec, names, root, request_.stream() == v1::LOG_STREAM_STDERR);
    if (InOwnFolder(path_, root, attempt.ref)) return {};
    return FieldProblem(Code::kFailedPrecondition,
                        {"",
                         "LOG_ELSEWHERE",
                         "its output is where the script put it, and only its user can read it "
                         "there: " +
                             path_,
                         {{"path", path_}}});
  }

  const Caller caller_;
  const v1::LogsRequest request_;
  const JobRef job_;
  // All below: steps and looks take turns.
  std::int32_t number_ = 0;  // of the attempt; 0: there is none yet
  std::string path_;
  std::int64_t offset_ = 0;
  std::int64_t left_ = 0;
  std::int64_t ring_seq_ = 0;
  bool first_look_ = true;
  bool placed_ = false;     // offset_ is where the file is read next
  bool seen_ = false;       // something has been sent
  bool over_ = false;       // the attempt has ended, or no attempt will come
  bool last_look_ = false;  // looked once more since
  bool pause_ = false;      // wait before the next look
  std::optional<v1::LogsResponse> ready_;
};

}  // namespace

Result<void> CheckLogs(const v1::LogsRequest& request) {
  FieldChecks checks;
  checks.Missing(request.backwards(), "backwards", "reading towards the beginning");
  checks.Range("attempt", request.attempt(), 0, INT32_MAX);
  checks.Range("stream", request.stream(), 0, v1::LOG_STREAM_STDERR);
  checks.Range("max_bytes", request.max_bytes(), 0, INT64_MAX);
  if (request.has_offset()) checks.Range("offset", request.offset(), 0, INT64_MAX);
  if (request.has_tail_lines()) checks.Range("tail_lines", request.tail_lines(), 0, kTailMax);
  checks.Line("node", request.node(), 255);
  return checks.result();
}

bool InOwnFolder(const std::string& path, const std::string& root, const AttemptRef& attempt) {
  const std::string folder = root + "/" + OutputFolderOf(attempt) + "/";
  return path.starts_with(folder) && path.find("/../") == std::string::npos &&
         path.find("/./") == std::string::npos && path.find("//", 1) == std::string::npos &&
         !path.ends_with("/..");
}

grpc::ServerWriteReactor<v1::LogsResponse>* OpenLogs(const std::shared_ptr<Streams>& streams,
                                                     grpc::CallbackServerContext* context,
                                                     const v1::LogsRequest& request) {
  using Failed = FailedStream<v1::LogsResponse>;
  const Parts& parts = streams->parts;
  auto caller = Enter(parts, kMethod, Authorization(*context));
  if (!caller) return new Failed(caller.error());
  const auto cluster = CheckCluster(streams->settings, request.cluster());
  if (!cluster) return new Failed(cluster.error());
  const auto checked = CheckLogs(request);
  if (!checked) return new Failed(checked.error());
  const auto job = ParseJob(request.job(), "job");
  if (!job) return new Failed(job.error());
  const auto stream = std::make_shared<LogStream>(streams, std::move(*caller), request, *job);
  stream->Open();
  return stream.get();
}

}  // namespace kezek::rpc
