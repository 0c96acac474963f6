#include "rpc/logs.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "kezek/node_parts.h"
#include "kezek/output_path.h"
#include "rpc/caller.h"
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

Error LogNotYet(const JobRef& job, bool over) {
  return NotFound(
      "LOG_NOT_YET", "job",
      "job " + ToText(job) + (over ? " has written nothing" : " has written nothing yet"));
}

// The output was there once: the folder is made before a job starts and removed long after its end.
Error LogRemoved(const JobRef& job) {
  return NotFound("LOG_REMOVED", "job",
                  "the output of job " + ToText(job) + " was kept for its time and is removed");
}

std::int64_t First(const v1::LogsRequest& request) {
  return request.backwards() && !request.has_offset() ? INT64_MAX : request.offset();
}

class LogStream final : public Stream<v1::LogsResponse> {
 public:
  LogStream(std::shared_ptr<Streams> streams, Listener listener, const v1::LogsRequest& request,
            const JobRef& job)
      : Stream(std::move(streams), std::move(listener)),
        request_(request),
        job_(job),
        offset_(First(request)),
        left_(request.max_bytes() == 0 ? INT64_MAX : request.max_bytes()) {}

 protected:
  void StepLocked() override {
    if (ready_) {
      v1::LogsResponse response = std::move(*ready_);
      ready_.reset();
      return SendLocked(std::move(response));
    }
    if (left_ <= 0) return EndLocked({});
    if (std::exchange(pause_, false)) {
      return CallAfter(streams_->times.poll_ms, &LogStream::Step);
    }
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
    auto piece = NextPiece();
    if (!piece) return Failed(piece.error());
    placed_ = true;
    if (piece->bytes.empty()) return Nothing();
    v1::LogsResponse response;
    response.set_offset(piece->offset);
    response.set_attempt(number_);
    response.set_path(path_);
    left_ -= static_cast<std::int64_t>(piece->bytes.size());
    seen_ = true;
    last_look_ = false;
    response.set_data(std::move(piece->bytes));
    ready_ = std::move(response);
  }

  Result<OutputPiece> NextPiece() {
    OutputReader& output = *streams_->parts.output;
    const std::int64_t most = std::min(kChunk, left_);
    if (request_.backwards()) {
      if (!placed_) {
        const auto end = output.Read(path_, offset_, 0);
        if (!end) return end.error();
        offset_ = std::min(offset_, end->file_size);
      }
      const std::int64_t size = std::min(most, offset_);
      offset_ -= size;
      return output.Read(path_, offset_, size);
    }
    if (!placed_ && request_.has_tail_lines()) {
      const auto offset = output.TailOffset(path_, request_.tail_lines());
      if (!offset) return offset.error();
      offset_ = *offset;
    }
    auto piece = output.Read(path_, offset_, most);
    if (piece) offset_ = piece->offset + static_cast<std::int64_t>(piece->bytes.size());
    return piece;
  }

  void Failed(const Error& error) {
    const bool removed = ran_ && over_ && IsReason(error, "LOG_NO_FOLDER");
    if (removed) return End(LogRemoved(job_));
    if (error.code == Code::kNotFound && request_.follow()) return Nothing();
    const bool nothing = IsReason(error, "LOG_NOT_YET") || IsReason(error, "LOG_NO_FOLDER");
    End(nothing ? LogNotYet(job_, over_) : error);
  }

  // No more for now. Over a network file system the last bytes may show a moment after the end.
  void Nothing() {
    if (!request_.follow() || (over_ && last_look_)) {
      return End(seen_ || placed_ ? Result<void>() : Result<void>(LogNotYet(job_, over_)));
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
    if (!record || !caller().Reaches(record->job.user, record->job.spec->project)) {
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
    ran_ = attempt->start_ms != 0;
    return Place(record->job, *attempt);
  }

  Result<void> NoAttempt(const JobRecord& record) {
    over_ = IsFinal(record.job.state);
    if (request_.attempt() == 0 && !over_) {
      return request_.follow() ? Result<void>() : Result<void>(LogNotYet(job_, false));
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
    const auto owner = caller().directory().users.find(job.user);
    OutputNames names{.attempt = attempt.ref,
                      .job_name = job.spec->name,
                      .unix_account = owner == caller().directory().users.end()
                                          ? std::string_view()
                                          : owner->second.unix_account};
    if (!attempt.placement.empty()) names.node = HostOf(attempt.placement.front().node);
    const std::string& root = streams_->settings.output_root;
    const bool standard_error = request_.stream() == v1::LOG_STREAM_STDERR;
    const bool by_node = !request_.node().empty();
    if (by_node || request_.has_task()) {
      const auto named = NameTask(*job.spec, attempt, &names);
      if (!named) return named;
      path_ = TaskOutputPathOf(*job.spec, names, root, standard_error, by_node);
    } else {
      path_ = OutputPathOf(*job.spec, names, root, standard_error);
    }
    if (InOwnFolder(path_, root, attempt.ref)) return {};
    return FieldProblem(Code::kFailedPrecondition,
                        {"",
                         "LOG_ELSEWHERE",
                         "its output is where the script put it, and only its user can read it "
                         "there: " +
                             path_,
                         {{"path", path_}, {"attempt", std::to_string(attempt.ref.number)}}});
  }

  // The task that is asked for, or the first on the node, as Slurm usually spreads them: each node
  // gets its tasks before the next one does.
  Result<void> NameTask(const JobSpec& spec, const Attempt& attempt, OutputNames* names) const {
    const std::int32_t each = std::max(spec.ntasks_per_node, 1);
    if (request_.has_task()) {
      if (request_.task() >= std::max(spec.ntasks, 1)) {
        return Invalid("task", "job " + ToText(job_) + " has tasks 0 to " +
                                   std::to_string(std::max(spec.ntasks, 1) - 1));
      }
      names->task = request_.task();
      names->node_index = request_.task() / each;
      const auto at = static_cast<std::size_t>(names->node_index);
      if (at < attempt.placement.size()) names->node = HostOf(attempt.placement[at].node);
      return {};
    }
    const auto found = std::find_if(
        attempt.placement.begin(), attempt.placement.end(),
        [this](const NodeGrant& grant) { return HostOf(grant.node) == HostOf(request_.node()); });
    if (found == attempt.placement.end()) {
      return NotFound("NODE_NOT_OF_JOB", "node",
                      "attempt " + std::to_string(attempt.ref.number) + " of job " + ToText(job_) +
                          " does not run on '" + request_.node() + "'");
    }
    names->node = HostOf(found->node);
    names->node_index = static_cast<std::int32_t>(found - attempt.placement.begin());
    names->task = names->node_index * each;
    return {};
  }

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
  bool ran_ = false;        // the attempt has begun
  bool over_ = false;       // the attempt has ended, or no attempt will come
  bool last_look_ = false;  // looked once more since
  bool pause_ = false;      // wait before the next look
  std::optional<v1::LogsResponse> ready_;
};

}  // namespace

Result<void> CheckLogs(const v1::LogsRequest& request) {
  FieldChecks checks;
  checks.Require(!request.backwards() || (!request.follow() && !request.has_tail_lines()),
                 "backwards", "goes with neither follow nor tail_lines");
  checks.Require(request.node().empty() || !request.has_task(), "task", "goes not with node");
  if (request.has_task()) checks.Range("task", request.task(), 0, INT32_MAX);
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
  auto listener = Listen(*streams, *context, kMethod, request);
  if (!listener) return new Failed(listener.error());
  const auto checked = CheckLogs(request);
  if (!checked) return new Failed(checked.error());
  const auto job = ParseJob(request.job(), "job");
  if (!job) return new Failed(job.error());
  const auto stream = std::make_shared<LogStream>(streams, *std::move(listener), request, *job);
  stream->Open();
  return stream.get();
}

}  // namespace kezek::rpc
