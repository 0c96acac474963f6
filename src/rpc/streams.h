// What all streams of the API share: one write at a time, an end from any thread, a list to stop.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kezek/result.h"
#include "kezek/time.h"
#include "rpc/caller.h"
#include "rpc/lane.h"
#include "rpc/ring.h"
#include "rpc/status.h"
#include "rpc/unary.h"
#include "rpc/wakeups.h"

namespace kezek::rpc {

struct StreamTimes {
  DurationMs heartbeat_ms = 15 * kSecondMs;
  DurationMs poll_ms = 250;
  DurationMs recheck_ms = 2 * kSecondMs;  // whether the caller still may, while nothing happens
};

// Of one server: what streams stand on, and which there are. Shared by them, since work on the
// read pool may outlast a stream. Thread-safe.
class Streams {
 public:
  Streams(Parts parts, Settings settings, std::size_t ring_capacity, StreamTimes times);

  const Parts parts;
  const Settings settings;
  const StreamTimes times;
  Wakeups wakeups;
  Ring ring;
  const std::shared_ptr<Lane> lane;  // for what they read

  // Until Leave, Stop calls `end` once. UNAVAILABLE STOPPING, RESOURCE_EXHAUSTED TOO_MANY_STREAMS
  // (of this user): `end` is not kept.
  Result<std::int64_t> Enter(UserId user, std::function<void()> end);
  void Leave(std::int64_t number);
  // Ends all streams. Idempotent.
  void Stop();

 private:
  struct Entry {
    UserId user;
    std::function<void()> end;
  };

  std::mutex mutex_;
  std::map<std::int64_t, Entry> entries_;
  std::map<UserId, std::int64_t> of_user_;  // how many
  std::int64_t last_ = 0;
  bool stopped_ = false;
};

Error Stopping();

// Who listens to a stream, by which rpc and token.
struct Listener {
  std::string_view method;
  std::string authorization;
  Caller caller;
};

// What the opening of a stream begins with: who may listen, at the cluster that is meant.
template <class Request>
Result<Listener> Listen(const Streams& streams, const grpc::CallbackServerContext& context,
                        std::string_view method, const Request& request) {
  std::string authorization = Authorization(context);
  auto caller = Enter(streams.parts, method, authorization, request, context.peer());
  if (!caller) return caller.error();
  const auto cluster = CheckCluster(streams.settings, request.cluster());
  if (!cluster) return cluster.error();
  return Listener{method, std::move(authorization), *std::move(caller)};
}

// A stream that ends before it has begun.
template <class Response>
class FailedStream final : public grpc::ServerWriteReactor<Response> {
 public:
  explicit FailedStream(const Error& error) { this->Finish(ToGrpc(error)); }
  void OnDone() override { delete this; }
};

// A stream of answers. Lives until gRPC has done with it and no work holds it. Subclasses do their
// steps under `mutex_`; a step begins only when none is under way (Idle). It ends as soon as its
// caller could not open it any more, or reaches less than then: UNAUTHENTICATED, PERMISSION_DENIED.
// No step is taken on a view in which that is so; a stream in which nothing happens looks itself.
template <class Response>
class Stream : public grpc::ServerWriteReactor<Response>,
               public std::enable_shared_from_this<Stream<Response>> {
 public:
  Stream(std::shared_ptr<Streams> streams, Listener listener)
      : streams_(std::move(streams)), listener_(std::move(listener)) {}

  // Once, from the handler: keeps the stream alive until it is done and begins.
  void Open() {
    self_ = this->shared_from_this();
    const std::weak_ptr<Stream> weak = self_;
    const auto number = streams_->Enter(listener_.caller.user, [weak] {
      if (const auto stream = weak.lock()) stream->End(Stopping());
    });
    if (!number) return End(number.error());
    number_ = *number;
    Recheck();
    Step();
  }

  // Ends with this; the first end counts. Any thread, not under `mutex_`.
  void End(const Result<void>& result) {
    const std::lock_guard lock(mutex_);
    EndLocked(result);
  }

  void OnWriteDone(bool ok) override {
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      if (ending_) return FinishLocked();
      if (!ok) return EndLocked(Error{Code::kCancelled, "the client is gone", {}});
    }
    Step();
  }

  void OnCancel() override { End(Error{Code::kCancelled, "cancelled by the client", {}}); }

  void OnDone() override {
    streams_->Leave(number_);
    const auto self = std::move(self_);  // perhaps the last: released when this returns
  }

 protected:
  // Goes on; only if Idle.
  virtual void StepLocked() = 0;

  // Goes on, if Idle: called after a write, a wake-up or work on the pool. Not under `mutex_`.
  void Step() {
    const std::lock_guard lock(mutex_);
    if (IdleLocked() &&
        (listener_.caller.view == streams_->parts.desk->view() || StillMayLocked())) {
      StepLocked();
    }
  }

  // As of the last look whether it may; changes only between steps.
  const Caller& caller() const { return listener_.caller; }

  bool IdleLocked() const { return !writing_ && !working_ && !ending_ && !finished_; }

  bool OverLocked() const { return ending_ || finished_; }

  // Only if Idle.
  void SendLocked(Response response) {
    message_ = std::move(response);
    writing_ = true;
    this->StartWrite(&message_);
  }

  void EndLocked(const Result<void>& result) {
    if (ending_ || finished_) return;
    ending_ = result ? grpc::Status::OK : ToGrpc(result.error());
    if (!writing_) FinishLocked();
  }

  // Runs `work` on the read pool, then Step; not if the stream has ended meanwhile. Only if Idle.
  // `work` takes the mutex itself.
  void WorkLocked(std::function<void(Reader&)> work) {
    working_ = true;
    streams_->lane->Work(listener_.caller.user,
                         [self = this->shared_from_this(), work = std::move(work)](Reader& reader) {
                           if (!self->Over()) work(reader);
                           {
                             const std::lock_guard lock(self->mutex_);
                             self->working_ = false;
                           }
                           self->Step();
                         });
  }

  // Calls `what` after a time, if the stream is still there.
  template <class Derived>
  void CallAfter(DurationMs delay_ms, void (Derived::*what)()) {
    streams_->wakeups.After(delay_ms, [weak = this->weak_from_this(), what] {
      if (const auto stream = weak.lock()) (static_cast<Derived&>(*stream).*what)();
    });
  }

  const std::shared_ptr<Streams> streams_;
  std::mutex mutex_;

 private:
  bool Over() {
    const std::lock_guard lock(mutex_);
    return OverLocked();
  }

  // Looks who the caller is by now; ends, if it is nobody who may.
  bool StillMayLocked() {
    const Parts& parts = streams_->parts;
    auto now = Authorise(listener_.method, listener_.authorization, parts.desk->view(),
                         parts.clock->Now());
    if (!now) {
      EndLocked(now.error());
    } else if (!now->ReachesAllOf(listener_.caller)) {
      EndLocked(Denied("ROLE_MISSING", "a role that this was begun with is gone: begin anew"));
    } else if (IdleLocked()) {
      listener_.caller = std::move(*now);
    }
    return !OverLocked();
  }

  void Recheck() {
    const std::lock_guard lock(mutex_);
    if (!OverLocked() && StillMayLocked()) {
      CallAfter(streams_->times.recheck_ms, &Stream::Recheck);
    }
  }

  void FinishLocked() {
    finished_ = true;
    this->Finish(*ending_);
  }

  Listener listener_;
  std::shared_ptr<Stream> self_;
  std::int64_t number_ = 0;
  Response message_;
  bool writing_ = false;
  bool working_ = false;  // on the read pool
  bool finished_ = false;
  std::optional<grpc::Status> ending_;
};

}  // namespace kezek::rpc
