// The desk's answer, waited for: for what runs on a pool that may wait.
#pragma once

#include <future>
#include <memory>
#include <utility>

#include "kezek/desk.h"
#include "kezek/result.h"

namespace kezek::rpc {

inline Result<CommandOutcome> Await(Desk& desk, Command command) {
  const auto answer = std::make_shared<std::promise<Result<CommandOutcome>>>();
  desk.Do(std::move(command), [answer](auto outcome) { answer->set_value(std::move(outcome)); });
  return answer->get_future().get();
}

}  // namespace kezek::rpc
