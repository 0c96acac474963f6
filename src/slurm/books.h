// The books port on slurmdbd, through slurmrestd.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kezek/cluster_books.h"
#include "kezek/meter.h"
#include "kezek/time.h"

namespace kezek::slurm {

struct BooksOptions {
  std::string url;
  std::string token_file;
  std::string jwt_key_file;
  std::string user;     // SlurmUser or root: may change slurmdbd's records
  std::string cluster;  // which one is meant, where slurmdbd knows several
  DurationMs request_timeout_ms = 30 * kSecondMs;
  Meter* meter = nullptr;  // outlives this; null: nobody is told
};

// On a connection of its own, one request at a time.
class SlurmBooks : public ClusterBooks {
 public:
  // The clock outlives this.
  SlurmBooks(BooksOptions options, Clock& clock);
  ~SlurmBooks() override;
  SlurmBooks(const SlurmBooks&) = delete;
  SlurmBooks& operator=(const SlurmBooks&) = delete;

  Result<ClusterAccounts> ReadAccounts() override;
  Result<void> AddAccount(const std::string& account, const std::string& description) override;
  Result<void> AddUser(const std::string& unix_account, const std::string& account) override;
  Result<void> AddMember(const std::string& unix_account, const std::string& account) override;
  Result<std::vector<BookedRun>> EndedRuns(TimeMs since_ms, TimeMs until_ms) override;
  Result<std::vector<BookedRun>> RunsOf(std::int64_t cluster_job_id) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kezek::slurm
