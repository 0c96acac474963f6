#include "postgres/postgres_store.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "postgres/bulk.h"
#include "postgres/connection.h"
#include "postgres/environments.h"
#include "postgres/herald.h"
#include "postgres/rows.h"
#include "postgres/session.h"

namespace kezek::postgres {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstPause{20};
constexpr std::chrono::milliseconds kLongestPause{1'000};

Error NoDatabase() {
  return Error{Code::kUnavailable, "the database does not answer: try again with the same key", {}};
}

std::size_t BytesOf(const std::vector<Call>& calls) {
  std::size_t bytes = 0;
  for (const Call& call : calls) {
    for (const std::string& param : call.params) bytes += param.size();
  }
  return bytes;
}

Result<TextMap> ReadEnvironment(const Cipher* cipher, const Sealed& sealed, UserId user) {
  const auto json = OpenEnvironment(cipher, sealed, user);
  if (!json) return json.error();
  return Decode<TextMap>(*json);
}

}  // namespace

class PostgresStore::Committer {
 public:
  Committer(StoreOptions options, Clock& clock, std::vector<CommitObserver*> observers)
      : options_(std::move(options)),
        session_({.conninfo = options_.conninfo,
                  .idempotency_ms = options_.idempotency_ms,
                  .usage_horizon_ms = options_.usage_horizon_ms,
                  .host = options_.host,
                  .address = options_.address,
                  .cipher = options_.cipher,
                  .highest_job = options_.highest_job},
                 clock),
        herald_(std::move(observers)),
        thread_([this] { Loop(); }) {}

  ~Committer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  Result<Snapshot> Lead() {
    std::promise<Result<Snapshot>> promise;
    auto future = promise.get_future();
    {
      const std::lock_guard lock(mutex_);
      KEZEK_CHECK(lead_ == nullptr && changes_ == nullptr,
                  "one thread at a time may lead or commit");
      lead_ = &promise;
    }
    wake_.notify_all();
    return future.get();
  }

  Result<void> Commit(const Changes& changes) {
    if (changes.empty() && leads_) return {};
    auto item = std::make_unique<Item>();
    item->write.calls = EncodeChanges(changes);
    item->write.bytes = BytesOf(item->write.calls);
    item->write.events = changes.events;
    auto future = item->committed.get_future();
    {
      const std::lock_guard lock(mutex_);
      KEZEK_CHECK(lead_ == nullptr && changes_ == nullptr,
                  "one thread at a time may lead or commit");
      changes_ = std::move(item);
    }
    wake_.notify_all();
    return future.get();
  }

  void Submit(std::vector<Submission> submissions, Done done) {
    auto item = std::make_unique<Item>();
    item->done = std::move(done);
    auto batch = EncodeBatch(submissions, options_.cipher.get());
    if (batch) {
      item->write.rows = batch->rows.size();
      item->write.bytes = batch->values.bytes();
      item->write.batch = *std::move(batch);
    } else {
      item->write.error = batch.error();
    }
    {
      const std::lock_guard lock(mutex_);
      Enqueue(std::move(item));
    }
    wake_.notify_all();
  }

  // On the controller's thread.
  Result<std::vector<JobPayload>> LoadPayloads(const std::vector<JobId>& jobs);
  Result<std::vector<Job>> LoadJobs(const std::vector<JobRef>& jobs);

 private:
  void Enqueue(ItemPtr item) {
    if (!item->write.error && (waiting_rows_ + item->write.rows > options_.queue_rows ||
                               waiting_bytes_ + item->write.bytes > options_.queue_bytes)) {
      item->write.error =
          Error{Code::kResourceExhausted, "too many submissions are waiting: try again", {}};
    }
    if (item->write.error || item->write.rows == 0) {
      refused_.push_back(std::move(item));
      return;
    }
    waiting_rows_ += item->write.rows;
    waiting_bytes_ += item->write.bytes;
    waiting_.push_back(std::move(item));
  }

  bool HasWork() const {
    return stopping_ || lead_ != nullptr || changes_ != nullptr || !waiting_.empty() ||
           !refused_.empty();
  }

  // The next group. Equal keys never share one: the second is answered from what the first stored.
  Items TakeGroup() {
    Items group;
    std::size_t rows = 0;
    std::size_t bytes = 0;
    std::set<SubmissionKey> keys;
    while (!waiting_.empty()) {
      const Write& next = waiting_.front()->write;
      const bool full =
          rows + next.rows > options_.group_rows || bytes + next.bytes > options_.group_bytes;
      if (full && !group.empty()) break;
      std::vector<SubmissionKey> own;
      for (const Submission& row : next.batch->rows)
        own.emplace_back(row.user, row.idempotency_key);
      if (std::ranges::any_of(own, [&keys](const auto& key) { return keys.contains(key); })) break;
      keys.insert(own.begin(), own.end());
      rows += next.rows;
      bytes += next.bytes;
      waiting_rows_ -= next.rows;
      waiting_bytes_ -= next.bytes;
      group.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    if (changes_ != nullptr) group.push_back(std::move(changes_));
    return group;
  }

  void Loop();
  void Busy(bool busy) {
    if (options_.meter == nullptr) return;
    busy ? options_.meter->Begins(Worker::kCommitter) : options_.meter->Rests(Worker::kCommitter);
  }
  void Measure(std::span<Write* const> group, SteadyClock::time_point begun);
  void WriteItems(Items group);
  std::vector<Committed> Recover(std::span<Write* const> writes);
  void Refuse(Items items, const Error& error);
  Items TakeAll();  // under the lock

  const StoreOptions options_;
  std::atomic<bool> leads_{false};            // or waits for a database that is away
  Session session_;                           // the committer's thread only
  std::unique_ptr<pqxx::connection> loader_;  // the controller's thread only

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::promise<Result<Snapshot>>* lead_ = nullptr;
  ItemPtr changes_;
  std::deque<ItemPtr> waiting_;
  std::size_t waiting_rows_ = 0;
  std::size_t waiting_bytes_ = 0;
  Items refused_;
  Herald herald_;
  std::thread thread_;
};

void PostgresStore::Committer::Loop() {
  for (;;) {
    Items refused;
    Items group;
    std::promise<Result<Snapshot>>* lead = nullptr;
    bool last = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return HasWork(); });
      refused = std::exchange(refused_, {});
      lead = std::exchange(lead_, nullptr);
      if (lead == nullptr) group = TakeGroup();
      last = stopping_ && lead == nullptr && group.empty();
    }
    Busy(true);
    for (const ItemPtr& item : refused) item->Answer();
    if (lead != nullptr) {
      herald_.Finish();  // what the snapshot holds is not said after it
      auto led = session_.Lead();
      leads_ = led.has_value();
      lead->set_value(std::move(led));
    }
    if (!group.empty()) WriteItems(std::move(group));
    Busy(false);
    if (last) return;
  }
}

void PostgresStore::Committer::Measure(std::span<Write* const> group,
                                       SteadyClock::time_point begun) {
  if (options_.meter == nullptr) return;
  const auto took = SteadyClock::now() - begun;
  CommitMeasure measure;
  measure.stored = session_.state() == Session::State::kLeads;
  measure.took_us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  for (const Write* write : group) {
    measure.submissions += static_cast<std::int64_t>(write->rows);
    measure.bytes += static_cast<std::int64_t>(write->bytes);
  }
  {
    const std::lock_guard lock(mutex_);
    measure.waiting = static_cast<std::int64_t>(waiting_rows_);
  }
  options_.meter->OnCommit(measure);
}

void PostgresStore::Committer::Refuse(Items items, const Error& error) {
  for (const ItemPtr& item : items) {
    item->write.error = error;
    item->Answer();
  }
}

Items PostgresStore::Committer::TakeAll() {
  Items all = std::exchange(refused_, {});
  while (!waiting_.empty()) {
    all.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  waiting_rows_ = waiting_bytes_ = 0;
  if (changes_ != nullptr) all.push_back(std::move(changes_));
  return all;
}

void PostgresStore::Committer::WriteItems(Items group) {
  if (session_.state() != Session::State::kLeads) {
    return Refuse(std::move(group), session_.Refusal());
  }
  std::vector<Write*> writes;
  writes.reserve(group.size());
  for (const ItemPtr& item : group) writes.push_back(&item->write);
  const auto begun = SteadyClock::now();
  auto committed = session_.WriteGroup(writes);
  Measure(writes, begun);
  if (session_.state() == Session::State::kInDoubt) committed = Recover(writes);
  leads_ = session_.state() == Session::State::kLeads;
  herald_.Say(std::move(committed), std::move(group));
}

// Until the database is back, another leads, or the store ends.
std::vector<Committed> PostgresStore::Committer::Recover(std::span<Write* const> writes) {
  const auto patient_until = SteadyClock::now() + std::chrono::milliseconds(options_.patience_ms);
  for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    Busy(true);
    auto committed = session_.Recover(writes);
    if (session_.state() != Session::State::kInDoubt) return committed;
    Items all;
    std::promise<Result<Snapshot>>* lead = nullptr;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, pause, [this] { return stopping_; });
      if (stopping_) {
        for (Write* write : writes) write->error = NoDatabase();
        return {};
      }
      if (SteadyClock::now() < patient_until) continue;
      all = TakeAll();
      lead = std::exchange(lead_, nullptr);
    }
    for (const ItemPtr& item : all) {
      if (!item->write.error) item->write.error = NoDatabase();
      item->Answer();
    }
    if (lead != nullptr) lead->set_value(NoDatabase());
  }
}

Result<std::vector<JobPayload>> PostgresStore::Committer::LoadPayloads(
    const std::vector<JobId>& jobs) {
  try {
    if (loader_ == nullptr) loader_ = Connect(options_.conninfo, "kezekd-loader");
    ArrayLiteral ids;
    for (const JobId& job : jobs) ids.AddInt(job.value);
    pqxx::nontransaction work(*loader_);
    std::vector<JobPayload> payloads;
    for (const auto& row :
         work.exec_params("select p.job_id, p.script, j.user_id, p.environment_key, p.environment"
                          " from job_payloads p join jobs j on j.id = p.job_id and j.element = -1"
                          " where p.job_id = any($1::bigint[]) order by p.job_id",
                          ids.Text())) {
      RowCursor cursor(row);
      JobPayload payload{.id = JobId{cursor.Int()}, .script = cursor.String(), .environment = {}};
      const UserId user{cursor.Int()};
      std::string key = cursor.String();
      if (!cursor.IsNull()) {
        auto environment =
            ReadEnvironment(options_.cipher.get(), {std::move(key), cursor.Bytes()}, user);
        if (!environment) {
          return Error{environment.error().code,
                       "environment of job " + ToText({payload.id, kNoElement}) + " " +
                           environment.error().message,
                       {}};
        }
        payload.environment = *std::move(environment);
      }
      payloads.push_back(std::move(payload));
    }
    return payloads;
  } catch (const std::exception& problem) {
    loader_.reset();
    return ErrorOf(problem);
  }
}

Result<std::vector<Job>> PostgresStore::Committer::LoadJobs(const std::vector<JobRef>& jobs) {
  try {
    if (loader_ == nullptr) loader_ = Connect(options_.conninfo, "kezekd-loader");
    Bulk refs(2);
    for (const JobRef& job : jobs) refs.Int(job.id.value).Int(job.element);
    std::vector<std::string> params;
    refs.AddTo(params);
    pqxx::nontransaction work(*loader_);
    std::vector<Job> found;
    SpecCache specs;
    for (const auto& row :
         work.exec_params(std::string("select ") + kJobFields +
                              " from jobs j where (j.id, j.element) in (select r.id, r.element from"
                              " unnest($1::bigint[], $2::integer[]) as r(id, element))"
                              " order by j.id, j.element",
                          pqxx::prepare::make_dynamic_params(params))) {
      RowCursor cursor(row);
      found.push_back(ReadJob(cursor, specs));
    }
    return found;
  } catch (const std::exception& problem) {
    loader_.reset();
    return ErrorOf(problem);
  }
}

PostgresStore::PostgresStore(StoreOptions options, Clock& clock,
                             std::vector<CommitObserver*> observers)
    : committer_(std::make_unique<Committer>(std::move(options), clock, std::move(observers))) {}

PostgresStore::~PostgresStore() = default;

Result<Snapshot> PostgresStore::Lead() { return committer_->Lead(); }

Result<void> PostgresStore::Commit(const Changes& changes) { return committer_->Commit(changes); }

Result<std::vector<JobPayload>> PostgresStore::LoadPayloads(const std::vector<JobId>& jobs) {
  return committer_->LoadPayloads(jobs);
}

Result<std::vector<Job>> PostgresStore::LoadJobs(const std::vector<JobRef>& jobs) {
  return committer_->LoadJobs(jobs);
}

void PostgresStore::Submit(std::vector<Submission> submissions, Done done) {
  committer_->Submit(std::move(submissions), std::move(done));
}

}  // namespace kezek::postgres
