// PostgreSQL as ReadStore: a few threads, each with a read-only connection of its own.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "kezek/store.h"
#include "kezek/time.h"

namespace kezek::postgres {

struct ReadOptions {
  std::string conninfo;  // libpq's, as kezek_app
  std::size_t threads = 8;
  DurationMs idempotency_ms = 7 * kDayMs;    // as the committer's
  DurationMs statement_timeout_ms = 20'000;  // less than clients wait for an answer
};

// Works need no leader. A read whose connection was lost is tried once more on a new one; without
// a database it answers UNAVAILABLE; what takes longer than statement_timeout is DEADLINE_EXCEEDED
// READ_TOO_LONG. Beyond what Reader says: JobEvents of an array's row are its
// own, without its elements'; Ledger of an array's row are all its elements'.
class ReadPool : public ReadStore {
 public:
  // `clock` outlives the pool.
  ReadPool(ReadOptions options, Clock& clock);
  // Runs what is waiting first.
  ~ReadPool() override;
  ReadPool(const ReadPool&) = delete;
  ReadPool& operator=(const ReadPool&) = delete;

  void Read(std::function<void(Reader&)> work) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kezek::postgres
