// What the store's tests share: a database with the schema, a recording observer, submissions.
#pragma once

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kezek/store.h"
#include "postgres/postgres_store.h"
#include "tests/support/postgres_server.h"

namespace kezek::postgres {

class Recorder : public CommitObserver {
 public:
  void OnCommitted(const Committed& committed) override {
    const std::lock_guard lock(mutex_);
    all_.push_back(committed);
    count_ += committed.events.size();
    told_.notify_all();
  }
  // Waits until so many more events have been told of.
  void WaitForMore(std::size_t more) {
    std::unique_lock lock(mutex_);
    told_.wait(lock, [this, enough = count_ + more] { return count_ >= enough; });
  }
  std::vector<Committed> all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }
  std::vector<Event> events() const {
    std::vector<Event> events;
    for (const Committed& one : all()) {
      events.insert(events.end(), one.events.begin(), one.events.end());
    }
    return events;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable told_;
  std::vector<Committed> all_;
  std::size_t count_ = 0;
};

inline Submission MakeSubmission(const std::string& key, std::uint8_t content = 1) {
  JobSpec spec;
  spec.name = "train";
  spec.project = AccountId{7};
  spec.shape.gpu_type = "h200";
  Submission submission;
  submission.user = UserId{3};
  submission.user_name = "aizhan@kaznu";
  submission.spec = std::make_shared<const JobSpec>(spec);
  submission.script = "#!/bin/bash\necho " + key + "\n";
  submission.environment = {{"LANG", "kk_KZ.UTF-8"}};
  submission.idempotency_key = key;
  submission.request_hash[0] = content;
  return submission;
}

using Answer = Result<std::vector<Submitted>>;

inline std::future<Answer> SubmitLater(SubmitStore& store, std::vector<Submission> submissions) {
  auto promise = std::make_shared<std::promise<Answer>>();
  auto future = promise->get_future();
  store.Submit(std::move(submissions),
               [promise](Answer answer) { promise->set_value(std::move(answer)); });
  return future;
}

inline Answer SubmitNow(SubmitStore& store, std::vector<Submission> submissions) {
  return SubmitLater(store, std::move(submissions)).get();
}

inline std::string ReasonOf(const Error& error) {
  return error.details.empty() ? "" : error.details[0].reason;
}

// Empty if the numbers of the stored events are 1, 2, 3… in the order of their times.
inline std::string GapsInEvents(const test::Database& database) {
  const auto found = test::Sql(database.admin,
                               "select format('%s after %s', seq, before) from (select seq,"
                               " lag(seq, 1, 0::bigint) over w as before, time_ms,"
                               " lag(time_ms, 1, 0::bigint) over w as time_before from events"
                               " window w as (order by seq)) t"
                               " where seq <> before + 1 or time_ms < time_before");
  return found.empty() ? "" : found[0];
}

}  // namespace kezek::postgres
