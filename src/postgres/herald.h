// Says what became of written groups, in the order of their commits, on a thread of its own: the
// next group is being written meanwhile. Private to src/postgres.
#pragma once

#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kezek/store.h"
#include "postgres/session.h"

namespace kezek::postgres {

// A caller's write and whom to answer.
struct Item {
  Write write;
  SubmitStore::Done done;                // of a batch
  std::promise<Result<void>> committed;  // of changes

  // Once, when `write` has its answer.
  void Answer();
};
using ItemPtr = std::unique_ptr<Item>;
using Items = std::vector<ItemPtr>;

class Herald {
 public:
  // The observers outlive it.
  explicit Herald(std::vector<CommitObserver*> observers);
  ~Herald();  // after all has been said
  Herald(const Herald&) = delete;
  Herald& operator=(const Herald&) = delete;

  // Observers are told of `committed`, then the items are answered. Does not wait. One thread.
  void Say(std::vector<Committed> committed, Items items);
  // Returns when nothing is left to say.
  void Finish();

 private:
  struct News {
    std::vector<Committed> committed;
    Items items;
  };

  void Loop();
  void Tell(News news);

  const std::vector<CommitObserver*> observers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable silent_;
  std::deque<News> waiting_;
  bool speaking_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kezek::postgres
