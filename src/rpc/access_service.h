// AccessService: users, roles and tokens.
#pragma once

#include "kezek/v1/access.grpc.pb.h"
#include "rpc/lane.h"
#include "rpc/sign_in.h"
#include "rpc/unary.h"

namespace kezek::rpc {

class AccessServiceImpl : public v1::AccessService::CallbackService {
 public:
  AccessServiceImpl(Parts parts, Settings settings)
      : parts_(parts),
        settings_(std::move(settings)),
        sign_in_(settings_.installation),
        sign_in_lane_(std::make_shared<Lane>(parts.read, 1)) {}

  grpc::ServerUnaryReactor* WhoAmI(grpc::CallbackServerContext* context,
                                   const v1::WhoAmIRequest* request,
                                   v1::WhoAmIResponse* response) override;
  grpc::ServerUnaryReactor* Login(grpc::CallbackServerContext* context,
                                  const v1::LoginRequest* request,
                                  v1::LoginResponse* response) override;
  grpc::ServerUnaryReactor* ListUsers(grpc::CallbackServerContext* context,
                                      const v1::ListUsersRequest* request,
                                      v1::ListUsersResponse* response) override;
  grpc::ServerUnaryReactor* CreateUser(grpc::CallbackServerContext* context,
                                       const v1::CreateUserRequest* request,
                                       v1::User* response) override;
  grpc::ServerUnaryReactor* UpdateUser(grpc::CallbackServerContext* context,
                                       const v1::UpdateUserRequest* request,
                                       v1::User* response) override;
  grpc::ServerUnaryReactor* SetUnixAccount(grpc::CallbackServerContext* context,
                                           const v1::SetUnixAccountRequest* request,
                                           v1::User* response) override;
  grpc::ServerUnaryReactor* ChangeRoles(grpc::CallbackServerContext* context,
                                        const v1::ChangeRolesRequest* request,
                                        v1::User* response) override;
  grpc::ServerUnaryReactor* CreateToken(grpc::CallbackServerContext* context,
                                        const v1::CreateTokenRequest* request,
                                        v1::CreateTokenResponse* response) override;
  grpc::ServerUnaryReactor* ListTokens(grpc::CallbackServerContext* context,
                                       const v1::ListTokensRequest* request,
                                       v1::ListTokensResponse* response) override;
  grpc::ServerUnaryReactor* RevokeToken(grpc::CallbackServerContext* context,
                                        const v1::RevokeTokenRequest* request,
                                        v1::RevokeTokenResponse* response) override;
  grpc::ServerUnaryReactor* SyncUsers(grpc::CallbackServerContext* context,
                                      const v1::SyncUsersRequest* request,
                                      v1::SyncUsersResponse* response) override;

 private:
  static std::string Method(std::string_view name) {
    return "/kezek.v1.AccessService/" + std::string(name);
  }

  // Commits one user and answers with it as it then is.
  void Put(const std::shared_ptr<const Caller>& caller, UserChange change,
           const std::string& reason, v1::User* response, const Reply& reply) const;

  Parts parts_;
  Settings settings_;
  SignIn sign_in_;
  std::shared_ptr<Lane> sign_in_lane_;
};

}  // namespace kezek::rpc
