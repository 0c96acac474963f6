// The leader's one connection: it holds the leader's lock, writes groups, and finds out what became
// of a group whose answer was lost. Private to src/postgres; the committer's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kezek/cipher.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "kezek/time.h"
#include "postgres/changes.h"
#include "postgres/snapshot.h"
#include "postgres/submissions.h"

namespace kezek::postgres {

// One caller's write: a batch of submissions or a controller's changes.
struct Write {
  std::optional<Batch> batch;
  std::vector<Call> calls;    // of changes
  std::vector<Event> events;  // of changes, numbered when written
  std::size_t bytes = 0;
  std::size_t rows = 0;
  // The answer.
  std::optional<Error> error;
  std::vector<Submitted> submitted;
};

// Answers each submission of a batch from its rows.
void AnswerRows(Write& write, const std::vector<Submitted>& rows);

struct SessionOptions {
  std::string conninfo;  // as kezek_app
  DurationMs idempotency_ms = 0;
  DurationMs usage_horizon_ms = 0;
  std::string host;     // this one, for the record of epochs
  std::string address;  // where the API answers, for standbys
  std::shared_ptr<const Cipher> cipher;
  std::function<Result<JobId>()> highest_job;  // as in StoreOptions
};

class Session {
 public:
  Session(SessionOptions options, Clock& clock) : options_(std::move(options)), clock_(clock) {}

  // Connects if need be, takes the lock and a new epoch, reads everything.
  Result<Snapshot> Lead();

  enum class State : std::uint8_t {
    kFollower,  // has not led, lost its connection before it did, or found an older database
    kLeads,
    kInDoubt,  // the connection was lost: call Recover until it is not
    kDeposed,  // another leads: for good
  };
  State state() const { return state_; }
  // Why nothing is written, while it does not lead.
  Error Refusal() const;

  // Writes all of them in one transaction, and answers each. What was committed, in order. After
  // it state() may be kInDoubt: then nothing is answered, and Recover has to be called with them.
  std::vector<Committed> WriteGroup(std::span<Write* const> group);

  // One attempt to connect and take the lock again. If it works, answers the writes in doubt from
  // what is stored, and gives what had been committed without our knowing. If what is stored lacks
  // what this leader has committed, the database is an older copy: it refuses them and is a
  // follower, for whoever leads has to begin from what is there.
  std::vector<Committed> Recover(std::span<Write* const> in_doubt);

 private:
  void Open();
  bool TakeLock();
  std::int64_t IssueEpoch();
  std::int64_t StoredEpoch(pqxx::transaction_base& work);
  TimeMs Now(const Counters& counters);
  void KeepPlans();
  Error GiveUp(const Error& error);
  struct KnownRow {
    std::int64_t id = 0;
    bool same = true;
    TimeMs time_ms = 0;
  };
  using Known = std::map<std::int64_t, KnownRow>;  // by row of the group, from 1
  Known RunSubmit(pqxx::transaction_base& work, std::span<Write* const> group,
                  const Counters& counters, TimeMs now_ms);
  void SubmitAll(pqxx::transaction_base& work, std::span<Write* const> group, Counters& counters,
                 Committed& committed);
  void RunCalls(pqxx::transaction_base& work, Write& write, Counters& counters,
                Committed& committed);
  std::vector<Committed> WriteTogether(std::span<Write* const> group);
  std::vector<Committed> WriteOneByOne(std::span<Write* const> group);
  Committed ReadMissed(pqxx::transaction_base& work, const Counters& before);
  void AnswerFromStore(pqxx::transaction_base& work, Write& write, const Counters& before);
  void Depose(std::span<Write* const> group);
  bool LacksCommitted(const Counters& stored) const;
  void RefuseOlderCopy(std::span<Write* const> group);

  SessionOptions options_;
  Clock& clock_;
  std::unique_ptr<pqxx::connection> connection_;
  State state_ = State::kFollower;
  bool locked_ = false;
  bool older_copy_ = false;
  int backend_pid_ = 0;
  std::int64_t epoch_ = 0;
  Counters counters_;
};

}  // namespace kezek::postgres
