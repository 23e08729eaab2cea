// The reactors of TenantCopies. One job or one read or write is under way at any time, and each ends in the
// next or in Finish: a peer that does not read, or sends slowly, costs one piece of memory.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "backend/backup/tenant_copies.h"

namespace keystead::backend {

// Sends what a CopySource makes.
class TenantCopies::SourceCall final : public TenantCopies::Writer {
 public:
  SourceCall(Executor& executor, std::shared_ptr<const Principal> caller, Open open, CallPlaces::Place place)
      : executor_(executor), caller_(std::move(caller)), open_(std::move(open)), place_(std::move(place)) {}
  void Start();
  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  absl::Status Fill();
  void Send();
  void End(const absl::Status& status);

  Executor& executor_;
  const std::shared_ptr<const Principal> caller_;
  const Open open_;
  CallPlaces::Place place_;
  std::unique_ptr<CopySource> source_;
  v1::CopyChunk chunk_;
};

// Takes what a Restoration is to be made of.
class TenantCopies::RestoreCall final : public TenantCopies::Reader {
 public:
  RestoreCall(TenantCopies& copies, std::shared_ptr<const Principal> caller, Find find,
              v1::RestoreResponse* response, CallPlaces::Place place)
      : copies_(copies),
        caller_(std::move(caller)),
        find_(std::move(find)),
        response_(response),
        place_(std::move(place)) {}
  void Start() { StartRead(&request_); }
  void OnReadDone(bool ok) override;
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { delete this; }

 private:
  absl::Status Take();
  void End(const absl::Status& status);

  TenantCopies& copies_;
  const std::shared_ptr<const Principal> caller_;
  const Find find_;
  v1::RestoreResponse* const response_;
  CallPlaces::Place place_;
  std::atomic<bool> cancelled_ = false;
  std::unique_ptr<Restoration> restoration_;
  v1::RestoreRequest request_;
};

}  // namespace keystead::backend
