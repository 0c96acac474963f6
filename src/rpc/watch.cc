#include "rpc/watch.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "kezek/names.h"
#include "rpc/job_convert.h"
#include "rpc/job_lookup.h"

namespace kezek::rpc {
namespace {

constexpr std::string_view kMethod = "/kezek.v1.JobService/Watch";
constexpr std::size_t kEventsAtOnce = 256;
constexpr std::int64_t kBehindMost = 100'000;

bool IsFinalName(std::string_view name) {
  const auto state = FromName<JobState>(name);
  return state && IsFinal(*state);
}

// Nothing of it waits or runs any more.
bool IsOver(const JobRecord& record) {
  if (!IsArrayRow(record.job)) return IsFinal(record.job.state);
  return record.job.pending.empty() && IsFinal(StateOf(record));
}

class WatchStream final : public Stream<v1::WatchResponse> {
 public:
  WatchStream(std::shared_ptr<Streams> streams, Listener listener, WatchFilter filter,
              const v1::WatchRequest& request)
      : Stream(std::move(streams), std::move(listener)),
        filter_(std::move(filter)),
        from_now_(!request.has_after_seq()),
        seq_(request.after_seq()),
        snapshots_(request.snapshots()),
        until_final_(request.until_final()),
        last_write_(std::chrono::steady_clock::now()) {}

 protected:
  void StepLocked() override {
    if (!begun_) {
      begun_ = true;
      CallAfter(streams_->times.heartbeat_ms, &WatchStream::Beat);
      return WorkLocked([this](Reader& reader) { Begin(reader); });
    }
    while (IdleLocked() && GoOn()) {
    }
  }

 private:
  // What the stream begins with: where the events are, and which jobs are over already. On the
  // read pool, as all that takes a Reader: no step runs meanwhile.
  void Begin(Reader& reader) {
    const auto last = reader.LastEventSeq();
    if (!last) return End(last.error());
    if (!from_now_ && seq_ > *last && seq_ > streams_->ring.last_seq()) {
      return End(FieldProblem(
          Code::kOutOfRange,
          {"after_seq",
           "SEQ_AHEAD",
           "is beyond the last event, " + std::to_string(*last) + ": begin anew without it",
           {{"seq", std::to_string(*last)}}}));
    }
    if (!from_now_ && seq_ < *last - kBehindMost) {
      const std::string first = std::to_string(*last - kBehindMost);
      return End(FieldProblem(
          Code::kOutOfRange,
          {"after_seq",
           "SEQ_TOO_OLD",
           "is too long ago: list the jobs and begin after that, or after " + first + " or later",
           {{"seq", first}}}));
    }
    LookAt(reader, {filter_.jobs.begin(), filter_.jobs.end()});
    const std::lock_guard lock(mutex_);
    if (from_now_) seq_ = *last;
  }

  // Which of these jobs are not over yet. The events that the rows include are seen before the end.
  void LookAt(Reader& reader, const std::vector<JobRef>& jobs) {
    const auto records = LoadJobs(reader, caller(), jobs);
    if (!records) return End(records.error());
    const auto last = reader.LastEventSeq();
    if (!last) return End(last.error());
    const std::lock_guard lock(mutex_);
    looked_at_ = *last;
    unfinished_.clear();
    for (const auto& record : *records) {
      if (!IsOver(record)) unfinished_.insert(record.job.ref);
    }
  }

  // One piece further, under the mutex; false: nothing to do until something wakes the stream.
  bool GoOn() {
    if (ready_) {
      Deliver();
      return false;
    }
    if (look_again_) {
      look_again_ = false;
      WorkLocked([this](Reader& reader) {
        LookAt(reader, {unfinished_.begin(), unfinished_.end()});
      });
      return false;
    }
    if (until_final_ && unfinished_.empty() && seq_ >= looked_at_) {
      EndLocked({});
      return false;
    }
    const Ring::Piece piece = streams_->ring.After(seq_, kEventsAtOnce);
    if (!piece.events.empty()) {
      live_ = true;
      Take(piece.events);
      return true;
    }
    if (piece.place == Ring::Place::kBehind && !(store_is_done_ && piece.last_seq == 0)) {
      FallBack();
      return false;
    }
    if (waiting_) return false;
    waiting_ = streams_->ring.Wait(seq_, [weak = weak_from_this()] {
      if (const auto stream = weak.lock()) static_cast<WatchStream&>(*stream).Wake();
    });
    return !waiting_;
  }

  void Wake() {
    {
      const std::lock_guard lock(mutex_);
      waiting_ = false;
    }
    Step();
  }

  // The ring does not have what follows: the store does, unless the reader fell behind.
  void FallBack() {
    if (live_) {
      return EndLocked(FieldProblem(
          Code::kOutOfRange,
          {"",
           "READER_TOO_SLOW",
           "events come faster than they are read: go on after " + std::to_string(seq_),
           {{"seq", std::to_string(seq_)}}}));
    }
    WorkLocked([this](Reader& reader) {
      const auto events = reader.Events(seq_, static_cast<std::int32_t>(kEventsAtOnce));
      if (!events) return End(events.error());
      std::vector<std::shared_ptr<const Event>> shared;
      for (const auto& event : *events) shared.push_back(std::make_shared<const Event>(event));
      const std::lock_guard lock(mutex_);
      store_is_done_ = shared.empty();
      Take(shared);
    });
  }

  // Looks at events in order; what passes becomes the next message.
  void Take(const std::vector<std::shared_ptr<const Event>>& events) {
    v1::WatchResponse response;
    subjects_.clear();
    for (const auto& event : events) {
      seq_ = event->seq;
      if (until_final_ && IsFinalName(event->to)) HasEnded(event->job);
      if (!Passes(filter_, caller(), *event)) continue;
      FillEvent(*event, streams_->settings.cluster, response.add_events());
      subjects_.push_back(event->job);
    }
    if (response.events().empty()) return;
    response.set_seq(seq_);
    ready_ = std::move(response);
    with_jobs_ = false;
  }

  void HasEnded(const JobRef& job) {
    unfinished_.erase(job);
    // An array is over with its last element; elements without a row end with the array's.
    for (const auto& ref : unfinished_) look_again_ = look_again_ || ref.id == job.id;
  }

  void Deliver() {
    if (snapshots_ && !with_jobs_) {
      return WorkLocked([this](Reader& reader) { AddJobs(reader); });
    }
    v1::WatchResponse response = std::move(*ready_);
    ready_.reset();
    last_write_ = std::chrono::steady_clock::now();
    SendLocked(std::move(response));
  }

  void AddJobs(Reader& reader) {
    const JobWriter writer{caller(), *streams_->parts.desk, streams_->settings,
                           streams_->parts.clock->Now()};
    for (int i = 0; i < ready_->events_size(); ++i) {
      auto record = LoadJob(reader, subjects_[static_cast<std::size_t>(i)]);
      if (!record && record.error().code == Code::kNotFound) continue;
      if (!record) return End(record.error());
      if (record->attempts.size() > 1) {
        record->attempts.erase(record->attempts.begin(), record->attempts.end() - 1);
      }
      writer.Fill(*record, ready_->mutable_events(i)->mutable_job());
    }
    const std::lock_guard lock(mutex_);
    with_jobs_ = true;
  }

  // A sign of life if nothing was sent for so long.
  void Beat() {
    const std::lock_guard lock(mutex_);
    if (OverLocked()) return;
    const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::steady_clock::now() - last_write_)
                            .count();
    const DurationMs left = streams_->times.heartbeat_ms - silent;
    CallAfter(left > 0 ? left : streams_->times.heartbeat_ms, &WatchStream::Beat);
    if (left > 0 || !IdleLocked()) return;
    v1::WatchResponse response;
    response.set_seq(seq_);
    last_write_ = std::chrono::steady_clock::now();
    SendLocked(std::move(response));
  }

  const WatchFilter filter_;
  const bool from_now_;
  std::int64_t seq_;  // looked at, this one included
  const bool snapshots_;
  const bool until_final_;
  bool begun_ = false;
  bool live_ = false;           // has read from the ring
  bool store_is_done_ = false;  // the last look into the store found nothing behind seq_
  bool waiting_ = false;        // the ring will call Wake
  bool look_again_ = false;
  std::set<JobRef> unfinished_;
  std::int64_t looked_at_ = 0;  // last event when the jobs were last looked at
  std::optional<v1::WatchResponse> ready_;
  std::vector<JobRef> subjects_;  // of its events
  bool with_jobs_ = false;        // its snapshots are filled in
  std::chrono::steady_clock::time_point last_write_;
};

}  // namespace

grpc::ServerWriteReactor<v1::WatchResponse>* OpenWatch(const std::shared_ptr<Streams>& streams,
                                                       grpc::CallbackServerContext* context,
                                                       const v1::WatchRequest& request) {
  using Failed = FailedStream<v1::WatchResponse>;
  auto listener = Listen(*streams, *context, kMethod, request);
  if (!listener) return new Failed(listener.error());
  auto filter = ReadWatchFilter(request, listener->caller);
  if (!filter) return new Failed(filter.error());
  const auto stream =
      std::make_shared<WatchStream>(streams, *std::move(listener), *std::move(filter), request);
  stream->Open();
  return stream.get();
}

}  // namespace kezek::rpc
