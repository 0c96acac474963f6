// Submissions as rows of one statement that does all of a group's work. Private to src/postgres.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kezek/cipher.h"
#include "kezek/job.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "postgres/bulk.h"

namespace kezek::postgres {

using SubmissionKey = std::pair<UserId, std::string>;

// What one caller submits, all or nothing, ready to be written.
struct Batch {
  std::vector<Submission> rows;     // without repeated keys; their payloads are in `values` only
  std::vector<std::size_t> row_of;  // of each submission
  std::vector<bool> repeated;       // of each submission: an earlier one had its key
  Bulk values{0};                   // of `rows`
};

// INVALID_ARGUMENT: a text cannot be stored, or a key is empty. ALREADY_EXISTS: two of them have
// one key and different content. Pure; any thread.
Result<Batch> EncodeBatch(const std::vector<Submission>& submissions, const Cipher* cipher);

Error KeyMismatch(const std::string& key);

// $1 epoch, $2 time, $3 keys older than this are forgotten, $4 first job id, $5 first event number,
// $6 the batch each row belongs to, $7… the values. Answers (0, epoch, …), and for each row
// (from 1) whose key is known (row, job id, same content, time of the key). Rows that are not
// known, of batches without a mismatch, are stored, and numbered in their order; if the epoch is
// another, none.
std::string SubmitSql();

// The same parameters, for rows without warnings. Answers (epoch, whether a key is known). Only if
// none is known are the rows stored, all of them. It costs the server a fifth less.
std::string SubmitNewSql();

}  // namespace kezek::postgres
