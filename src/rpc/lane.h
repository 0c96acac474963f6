// A part of the read pool for work that may be long, or wait for others than the database: however
// much of it there is, the pool's other threads stay free for single calls.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "kezek/ids.h"
#include "kezek/store.h"

namespace kezek::rpc {

// Thread-safe. Shared, since work may outlast whoever gave it.
class Lane : public std::enable_shared_from_this<Lane> {
 public:
  // At most `most` pieces of work at a time, on the pool of `read`, which outlives all work.
  Lane(ReadStore* read, int most) : read_(read), most_(most) {}

  // Runs it on the pool: the users' work in turn, each user's in order.
  void Work(UserId user, std::function<void(Reader&)> work);

 private:
  void Start(std::function<void(Reader&)> work);
  void StartNext();

  ReadStore* const read_;
  const int most_;
  std::mutex mutex_;
  std::map<UserId, std::deque<std::function<void(Reader&)>>> waiting_;  // none is empty
  UserId served_;                                                       // last
  int under_way_ = 0;
};

}  // namespace kezek::rpc
