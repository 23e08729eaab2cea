#include "backend/rendezvous_service.h"

#include "core/base/status.h"
#include "core/transport/authorization.h"
#include "core/transport/status_mapping.h"

namespace keystead::backend {
namespace {

// Waits in the mailboxes, not in a thread. The answer may come from whoever puts the message, before or after
// the client gives up; Mailboxes calls it once.
class AwaitReactor final : public grpc::ServerUnaryReactor {
 public:
  AwaitReactor(Mailboxes* mailboxes, v1::AwaitResponse* response)
      : mailboxes_(mailboxes), response_(response) {}

  void Begin(const TenantView& tenant, const Principal& peer, const MailboxName& box, size_t after) {
    ticket_ = mailboxes_->Await(tenant, peer, box, after,
                                [this](absl::StatusOr<std::vector<std::string>> messages) {
                                  if (messages.ok()) {
                                    for (std::string& message : *messages)
                                      response_->add_messages(std::move(message));
                                  }
                                  Finish(ToPeer(messages.status(), "await_ended"));
                                });
  }
  void Refuse(const absl::Status& status) { Finish(ToPeer(status)); }

  // Neither runs before the handler has returned, so the ticket is there.
  void OnCancel() override { mailboxes_->Cancel(ticket_); }
  void OnDone() override { delete this; }

 private:
  Mailboxes* const mailboxes_;
  v1::AwaitResponse* const response_;
  uint64_t ticket_ = 0;
};

}  // namespace

grpc::ServerUnaryReactor* RendezvousService::Put(grpc::CallbackServerContext* context,
                                                 const v1::PutRequest* request, v1::PutResponse*) {
  const auto put = [&]() -> absl::Status {
    KS_ASSIGN_OR_RETURN(const auto principal, PrincipalOf(*context, *resolver_));
    KS_ASSIGN_OR_RETURN(const TenantView tenant, tenants_->Of(*principal));
    KS_ASSIGN_OR_RETURN(const MailboxName box, MailboxName::FromBytes(std::string_view(request->box())));
    return mailboxes_->Put(tenant, *principal, box, request->message());
  };
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToPeer(put(), "put_refused"));
  return reactor;
}

grpc::ServerUnaryReactor* RendezvousService::Await(grpc::CallbackServerContext* context,
                                                   const v1::AwaitRequest* request,
                                                   v1::AwaitResponse* response) {
  auto* const reactor = new AwaitReactor(mailboxes_, response);
  const auto begin = [&]() -> absl::Status {
    KS_ASSIGN_OR_RETURN(const auto principal, PrincipalOf(*context, *resolver_));
    KS_ASSIGN_OR_RETURN(const TenantView tenant, tenants_->Of(*principal));
    KS_ASSIGN_OR_RETURN(const MailboxName box, MailboxName::FromBytes(std::string_view(request->box())));
    reactor->Begin(tenant, *principal, box, request->after());
    return absl::OkStatus();
  };
  if (absl::Status status = begin(); !status.ok()) reactor->Refuse(status);
  return reactor;
}

}  // namespace keystead::backend
