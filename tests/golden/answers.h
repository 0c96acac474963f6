// How canned answers are made: from text format, and handed out.
#pragma once

#include <google/protobuf/text_format.h>
#include <grpcpp/support/status.h>

#include <string>
#include <utility>

#include "kezek/check.h"

namespace kezek::golden {

template <class Message>
Message Parse(const std::string& text) {
  Message message;
  KEZEK_CHECK(google::protobuf::TextFormat::ParseFromString(text, &message), text);
  return message;
}

template <class Message>
grpc::Status Answer(Message* response, Message answer) {
  *response = std::move(answer);
  return grpc::Status::OK;
}

}  // namespace kezek::golden
