// A device of an owner's instantiation that writes into one topic through a real hop.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/member/stream_sender.h"
#include "tests/unit/member/faulty_store.h"
#include "tests/unit/member/test_owner.h"

namespace keystead::testing {

class StreamSenderTest : public ::testing::Test {
 protected:
  StreamSenderTest() : device_("sensor", "spiffe://acme.keystead.example/device/device-1") {
    owner_.Commit({}, nullptr);
    self_ = owner_.Pair(*device_.responder, device_.label(), device_.boot, absl::Seconds(1), nullptr);
    topic_ = Topic::Of(TopicKind::kTelemetry, self_);
    channel_ = hop_.DialAs(Role::kDevice);
    options_.publisher = QuickPublisherOptions();
    options_.refusal_retry = absl::Milliseconds(1);
    options_.gather_bytes = 1;  // each flush its own group, however busy the journal is
    OpenStore();
  }
  ~StreamSenderTest() override {
    sender_.reset();
    faulty_.reset();
    store_.reset();
    std::filesystem::remove_all(path_);
  }

  void OpenStore() {
    storage::Options options;
    options.path = path_;
    options.format_name = "sender-test";
    store_ = Must(storage::LogStore::Open(options));
    faulty_ = std::make_unique<FaultyStore>(*store_);
  }

  StreamSender& Start() {
    options_.store = faulty_.get();
    options_.journal = {1, 5};
    StreamSender::Callbacks callbacks;
    callbacks.keys = [this]() -> absl::StatusOr<StreamSender::Keys> {
      if (!has_keys_) return absl::UnavailableError("no keys");
      StreamSender::Keys keys;
      keys.config.tenant = TestTenant();
      keys.config.id = owner_.id();
      keys.config.topic = topic_;
      keys.config.sender = self_;
      keys.config.epoch = owner_.member().chain().epoch();
      KS_ASSIGN_OR_RETURN(keys.key, owner_.member().ring().SenderKeyFor(keys.config.epoch, topic_, self_));
      keys.ik = &device_.ik;
      return keys;
    };
    callbacks.freshness = [this] {
      return owner_.member().MakeFreshness(device_.boot, options_.clock->Uptime(), std::nullopt);
    };
    sender_ = Must(StreamSender::Create(options_, callbacks, channel_));
    return *sender_;
  }

  // What a process does that is killed: nothing more reaches the journal. Then a new one.
  StreamSender& Restart(bool killed) {
    faulty_->dead = killed;
    sender_.reset();
    faulty_.reset();
    store_.reset();
    OpenStore();
    return Start();
  }

  void Say(int count, size_t size = 20, bool flush_each = true) {
    for (int i = 0; i < count; ++i) {
      std::string body = std::to_string(said_.size()) + ":";
      body.resize(std::max(size, body.size()), '.');
      ASSERT_TRUE(sender_->Send(kinds::kReadings, AsBytes(body)).ok());
      said_.push_back(body);
      if (!flush_each) continue;
      ASSERT_TRUE(sender_->Flush().ok());
    }
  }

  void AwaitDurable() {
    ASSERT_TRUE(Eventually([&] {
      EXPECT_TRUE(sender_->Tick().ok());
      return sender_->AllDurable();
    }));
  }

  std::unique_ptr<OwnerReader> ReadAll() { return owner_.Read(hop_, {topic_}); }

  MemberHop hop_;
  TestOwner owner_;
  TestDevice device_;
  MemberId self_;
  Topic topic_;
  std::shared_ptr<grpc::Channel> channel_;
  StreamSender::Options options_;
  std::string path_ = ::testing::TempDir() + "/sender_" + RandomSource::System().NewId<LogId>().ToHex();
  std::unique_ptr<storage::LogStore> store_;
  std::unique_ptr<FaultyStore> faulty_;
  std::unique_ptr<StreamSender> sender_;
  std::vector<std::string> said_;
  std::atomic<bool> has_keys_ = true;
};

}  // namespace keystead::testing
