// PostgreSQL as StateStore and SubmitStore: one committer thread with one connection.
//
// The committer drains what is waiting, at most `group_rows` submissions or `group_bytes`, and a
// controller's changes if there are any, without a timer, into one transaction. Its connection
// holds the leader's lock, so a second leader cannot begin while it can still commit. When the
// connection is lost it connects again with back-off, and answers what was in doubt from what is
// stored. A second thread, the herald, tells the observers and answers, in the order of commits.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kezek/cipher.h"
#include "kezek/meter.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "kezek/time.h"

namespace kezek::postgres {

struct StoreOptions {
  std::string conninfo;                    // libpq's, as kezek_app
  std::size_t group_rows = 512;            // submissions in one transaction; a batch is not cut
  std::size_t group_bytes = 2U << 20;      // likewise
  std::size_t queue_rows = 16'384;         // waiting; beyond it RESOURCE_EXHAUSTED
  std::size_t queue_bytes = 256U << 20;    // likewise
  DurationMs idempotency_ms = 7 * kDayMs;  // how long a key is known
  DurationMs usage_horizon_ms = 41 * 7 * kDayMs;  // 41 half-lives: older is loaded until settled
  std::string host;                               // this one, for the record of epochs
  std::string address;  // where this daemon's API answers, told to standbys while it leads
  // Seals environments; without it they lie as they are. Its keys are checked by Lead.
  std::shared_ptr<const Cipher> cipher;
  // The highest number of a job that was ever handed over, as is known beside the database: one
  // that was restored has forgotten some, and theirs are not given again. Asked for when it begins
  // to lead, with the leader's lock held: it must not hang. Empty: there is none. On an error the
  // lock is let go.
  std::function<Result<JobId>()> highest_job;
  DurationMs patience_ms = 2'000;  // without a database, before what waits is UNAVAILABLE
  Meter* meter = nullptr;          // told of every transaction; outlives the store; null: nobody
};

class PostgresStore : public StateStore, public SubmitStore {
 public:
  // `observers` are told in their order; they and `clock` outlive the store.
  PostgresStore(StoreOptions options, Clock& clock, std::vector<CommitObserver*> observers);
  // Writes what is waiting if there is a database, else answers UNAVAILABLE.
  ~PostgresStore() override;
  PostgresStore(const PostgresStore&) = delete;
  PostgresStore& operator=(const PostgresStore&) = delete;

  Result<Snapshot> Lead() override;
  // Of no changes it only says whether this store leads still: submissions alone may have shown
  // that it does not.
  Result<void> Commit(const Changes& changes) override;
  // Both on the caller's thread, with a connection of its own. Payloads: DATA_LOSS or NOT_FOUND
  // means that the environment of one of them cannot be opened, and says whose; asked for by
  // themselves the others are there.
  Result<std::vector<JobPayload>> LoadPayloads(const std::vector<JobId>& jobs) override;
  Result<std::vector<Job>> LoadJobs(const std::vector<JobRef>& jobs) override;

  // UNAVAILABLE before the first Lead and when nothing was stored; ABORTED when another leads.
  void Submit(std::vector<Submission> submissions, Done done) override;

 private:
  class Committer;
  std::unique_ptr<Committer> committer_;
};

}  // namespace kezek::postgres
