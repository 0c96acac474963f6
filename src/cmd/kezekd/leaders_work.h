// What the leader does beside the controller.
#pragma once

#include <string>
#include <utility>

#include "cmd/kezekd/checkpoint_watch.h"
#include "cmd/kezekd/foreign_watch.h"
#include "cmd/kezekd/output_sweep.h"
#include "config/config.h"
#include "kezek/desk.h"
#include "kezek/store.h"
#include "kezek/time.h"
#include "postgres/attempt_archive.h"
#include "scheduler/control/tag.h"
#include "slurm/books.h"

namespace kezek::kezekd {

// Each part on a thread of its own; with a connection to slurmdbd for
// which nobody else waits.
class LeadersWork {
 public:
  LeadersWork(const config::Config& config, slurm::BooksOptions books,
              const std::string& installation, const control::KeyedHash& keyed_hash, Desk& desk,
              ReadStore& readers, Clock& clock)
      : sweep_(readers, clock),
        checkpoints_(desk, readers, clock),
        books_(Quick(std::move(books), config.slurm.request_timeout_ms), clock),
        archive_(config.database.url),
        foreign_(desk, books_, archive_, clock,
                 {config.slurm.foreign_every_ms, installation, keyed_hash}) {}

  void Start(const config::Config& config) {
    sweep_.Start(config.output_root, config.output_keep_ms);
    checkpoints_.Start();
    if (!config.slurm.foreign_account.empty()) foreign_.Start();
  }
  void Stop() {
    sweep_.Stop();
    checkpoints_.Stop();
    foreign_.Stop();
  }

 private:
  // An end of the daemon waits for a request.
  static slurm::BooksOptions Quick(slurm::BooksOptions options, DurationMs timeout_ms) {
    options.request_timeout_ms = timeout_ms;
    return options;
  }

  OutputSweep sweep_;
  CheckpointWatch checkpoints_;
  slurm::SlurmBooks books_;
  postgres::PostgresArchive archive_;
  ForeignWatch foreign_;
};

}  // namespace kezek::kezekd
