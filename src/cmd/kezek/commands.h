// The commands. Each function adds one to the parser and sets Session::action when it is chosen.
#pragma once

#include <string>
#include <vector>

#include "cmd/kezek/session.h"

namespace kezek::cli {

void AddQueue(CLI::App& app, Session& session);
void AddShow(CLI::App& app, Session& session);
void AddLogs(CLI::App& app, Session& session);
void AddCancel(CLI::App& app, Session& session);
void AddRequeue(CLI::App& app, Session& session);
void AddHold(CLI::App& app, Session& session);
void AddRelease(CLI::App& app, Session& session);
void AddUpdate(CLI::App& app, Session& session);
void AddCheckpoint(CLI::App& app, Session& session);
void AddWait(CLI::App& app, Session& session);
void AddWhy(CLI::App& app, Session& session);
void AddNodes(CLI::App& app, Session& session);
void AddUsage(CLI::App& app, Session& session);
void AddQuota(CLI::App& app, Session& session);
void AddWhoAmI(CLI::App& app, Session& session);
void AddLogin(CLI::App& app, Session& session);
void AddToken(CLI::App& app, Session& session);
void AddJob(CLI::App& app, Session& session);
void AddConfig(CLI::App& app, Session& session);
void AddCompletion(CLI::App& app, Session& session);
void AddManual(CLI::App& app, Session& session);
void AddAdminAccount(CLI::App& admin, Session& session);
void AddAdminApply(CLI::App& admin, Session& session);
void AddAdminExport(CLI::App& admin, Session& session);
void AddAdminHistory(CLI::App& admin, Session& session);
void AddAdminRevert(CLI::App& admin, Session& session);
void AddAdminCorrection(CLI::App& admin, Session& session);
void AddAdminUser(CLI::App& admin, Session& session);
void AddAdminToken(CLI::App& admin, Session& session);
void AddAdminSync(CLI::App& admin, Session& session);
void AddAdminNode(CLI::App& admin, Session& session);
void AddAdminReservation(CLI::App& admin, Session& session);
void AddAdminResume(CLI::App& admin, Session& session);
void AddAdminSnapshot(CLI::App& admin, Session& session);
void AddAdminSlurm(CLI::App& admin, Session& session);
void AddAdminDoctor(CLI::App& admin, Session& session);
void AddAdminEvents(CLI::App& admin, Session& session);

// `kezek submit` and `kezek run`, whose arguments are read with the option table of batch scripts
// and not by the common parser: what comes after the script's name is the script's. The parser only
// knows the commands and their options for help. `run` is submit --follow.
void AddSubmit(CLI::App& app);
void AddRun(CLI::App& app);
Result<int> RunSubmit(Session& session, const CLI::App& command,
                      const std::vector<std::string>& arguments);

// The same where the arguments name a job file: submits all its jobs.
Result<int> SubmitJobFile(Session& session, const std::vector<std::string>& arguments);

// The hidden `kezek __complete`, which the shells call with the words so far.
Result<int> RunComplete(Session& session, const CLI::App& app,
                        const std::vector<std::string>& words);

}  // namespace kezek::cli
