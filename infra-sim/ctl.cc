#include "infra-sim/ctl.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/channel.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/transport/channel_options.h"
#include "core/transport/status_mapping.h"
#include "core/transport/tls_credentials.h"
#include "infra-sim/group_view.h"
#include "keystead/v1/infra.grpc.pb.h"

namespace keystead::infra {
namespace {

absl::StatusOr<int> ParseEnum(const google::protobuf::EnumDescriptor& type, std::string_view prefix,
                              const std::string& name) {
  const auto* value = type.FindValueByName(absl::StrCat(Absl(prefix), absl::AsciiStrToUpper(name)));
  if (value != nullptr && value->number() != 0) return value->number();
  std::string known;
  for (int i = 1; i < type.value_count(); ++i) {
    absl::StrAppend(&known, " ", absl::AsciiStrToLower(type.value(i)->name().substr(prefix.size())));
  }
  return absl::InvalidArgumentError(absl::StrCat("'", name, "' is none of", known));
}

std::string Lower(const std::string& enum_name) {
  return absl::AsciiStrToLower(enum_name.substr(enum_name.find('_') + 1));
}

std::string Hex(const std::string& bytes) { return ToHex(AsBytes(bytes)); }
std::string ShortHex(const std::string& bytes) { return Hex(bytes).substr(0, 8); }

void PrintJson(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  if (google::protobuf::util::MessageToJsonString(message, &text, options).ok()) std::cout << text << "\n";
}

void Print(const v1::InjectionsResponse& response) {
  for (const v1::Injection& i : response.injections()) {
    std::cout << "#" << i.attack() << " " << Lower(v1::AttackKind_Name(i.kind()));
    if (i.target() != v1::TARGET_UNSPECIFIED) std::cout << " " << Lower(v1::AttackTarget_Name(i.target()));
    std::cout << " " << i.listener() << " " << i.direction() << " " << i.topic() << " stream "
              << ShortHex(i.stream()) << " sequence " << i.sequence() << " " << ShortHex(i.original_sha256())
              << " -> " << (i.injected_sha256().empty() ? "nothing" : ShortHex(i.injected_sha256()));
    if (!i.detail().empty()) std::cout << " (" << i.detail() << ")";
    if (i.refused_code() != 0) std::cout << " refused: " << i.refused_reason();
    std::cout << "\n";
  }
}

void Print(const v1::SeenResponse& response) {
  std::cout << response.records() << " records, " << response.cose_bytes() << " bytes of COSE objects\n";
  for (const v1::Sighting& s : response.sightings()) {
    std::cout << "canary " << s.canary() << " as " << s.form() << ", " << s.times() << " times\n";
  }
  for (const std::string& bytes : response.groups()) {
    const auto group = ParseGroup(bytes);
    if (!group.has_value()) continue;
    const v1::StreamHeader& h = group->header();
    std::cout << h.tenant() << " " << ShortHex(h.instantiation()) << " " << h.topic() << " epoch "
              << h.epoch() << " stream " << ShortHex(h.stream()) << ", " << group->records_size()
              << " records\n";
  }
}

class Control {
 public:
  Control(const CtlArguments& arguments, const std::shared_ptr<grpc::Channel>& channel)
      : arguments_(arguments), stub_(v1::InfraControl::NewStub(channel)) {
    Prepare(context_);
  }

  absl::Status Run() {
    if (arguments_.verb == "arm") return Arm();
    if (arguments_.verb == "plan") return Plan();
    if (arguments_.verb == "session") return Session();
    if (arguments_.verb == "disarm") return Disarm();
    if (arguments_.verb == "injections") return Injections();
    return Seen();
  }

 private:
  static void Prepare(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    context.set_wait_for_ready(true);
  }
  // Many attacks over one connection.
  absl::Status Plan() {
    size_t number = 0;
    for (std::string line; std::getline(std::cin, line);) {
      ++number;
      v1::ArmRequest request;
      if (!google::protobuf::util::JsonStringToMessage(line, &request).ok()) {
        return absl::InvalidArgumentError(absl::StrCat("line ", number, " is no ArmRequest in JSON"));
      }
      grpc::ClientContext context;
      Prepare(context);
      v1::ArmResponse response;
      KS_RETURN_IF_ERROR(FromGrpc(stub_->Arm(&context, request, &response)));
      std::cout << response.attack() << "\n";
    }
    return absl::OkStatus();
  }
  // Many questions over one connection; each is answered by one line of JSON. A failed one does not end the
  // session.
  absl::Status Session() {
    for (std::string line; std::getline(std::cin, line);) {
      const size_t space = std::min(line.find(' '), line.size());
      const absl::Status status = Ask(line.substr(0, space), line.substr(std::min(space + 1, line.size())));
      if (!status.ok()) {
        std::cout << nlohmann::json{{"error", Std(status.message())}}.dump() << "\n";
      }
      std::cout.flush();
    }
    return absl::OkStatus();
  }
  absl::Status Ask(const std::string& verb, const std::string& rest) {
    grpc::ClientContext context;
    Prepare(context);
    uint64_t number = 0;
    if (verb == "arm") {
      v1::ArmRequest request;
      v1::ArmResponse response;
      if (!google::protobuf::util::JsonStringToMessage(rest, &request).ok())
        return absl::InvalidArgumentError("no ArmRequest in JSON");
      return Answer(stub_->Arm(&context, request, &response), response);
    }
    if (!absl::SimpleAtoi(rest, &number)) return absl::InvalidArgumentError("a verb and a number");
    if (verb == "disarm") {
      v1::DisarmRequest request;
      v1::DisarmResponse response;
      request.set_attack(number);
      return Answer(stub_->Disarm(&context, request, &response), response);
    }
    if (verb == "injections") {
      v1::InjectionsRequest request;
      v1::InjectionsResponse response;
      request.set_attack(number);
      return Answer(stub_->Injections(&context, request, &response), response);
    }
    if (verb != "seen") return absl::InvalidArgumentError("arm, disarm, injections or seen");
    v1::SeenRequest request;
    v1::SeenResponse response;
    request.set_last(static_cast<uint32_t>(std::min<uint64_t>(number, 1000)));
    return Answer(stub_->Seen(&context, request, &response), response);
  }
  static absl::Status Answer(const grpc::Status& status, const google::protobuf::Message& response) {
    KS_RETURN_IF_ERROR(FromGrpc(status));
    PrintJson(response);
    return absl::OkStatus();
  }
  absl::Status Arm() {
    v1::ArmRequest request = arguments_.arm;
    KS_ASSIGN_OR_RETURN(const v1::AttackKind kind, ParseAttackKind(arguments_.kind));
    request.set_kind(kind);
    if (!arguments_.target.empty()) {
      KS_ASSIGN_OR_RETURN(const v1::AttackTarget target, ParseAttackTarget(arguments_.target));
      request.set_target(target);
    }
    KS_ASSIGN_OR_RETURN(const Bytes instantiation, FromHex(arguments_.instantiation_hex));
    request.set_instantiation(ToString(instantiation));
    v1::ArmResponse response;
    KS_RETURN_IF_ERROR(FromGrpc(stub_->Arm(&context_, request, &response)));
    if (arguments_.json) {
      PrintJson(response);
    } else {
      std::cout << "attack " << response.attack() << "\n";
    }
    return absl::OkStatus();
  }
  absl::Status Disarm() {
    v1::DisarmRequest request;
    request.set_attack(arguments_.attack);
    v1::DisarmResponse response;
    return FromGrpc(stub_->Disarm(&context_, request, &response));
  }
  absl::Status Injections() {
    v1::InjectionsRequest request;
    request.set_attack(arguments_.attack);
    v1::InjectionsResponse response;
    KS_RETURN_IF_ERROR(FromGrpc(stub_->Injections(&context_, request, &response)));
    return Show(response);
  }
  absl::Status Seen() {
    v1::SeenRequest request;
    request.set_last(arguments_.last);
    v1::SeenResponse response;
    KS_RETURN_IF_ERROR(FromGrpc(stub_->Seen(&context_, request, &response)));
    return Show(response);
  }
  template <class Response>
  absl::Status Show(const Response& response) {
    if (arguments_.json) {
      PrintJson(response);
    } else {
      Print(response);
    }
    return absl::OkStatus();
  }

  const CtlArguments& arguments_;
  grpc::ClientContext context_;
  const std::unique_ptr<v1::InfraControl::Stub> stub_;
};

}  // namespace

absl::StatusOr<v1::AttackKind> ParseAttackKind(const std::string& name) {
  KS_ASSIGN_OR_RETURN(const int number, ParseEnum(*v1::AttackKind_descriptor(), "ATTACK_", name));
  return static_cast<v1::AttackKind>(number);
}

absl::StatusOr<v1::AttackTarget> ParseAttackTarget(const std::string& name) {
  KS_ASSIGN_OR_RETURN(const int number, ParseEnum(*v1::AttackTarget_descriptor(), "TARGET_", name));
  return static_cast<v1::AttackTarget>(number);
}

absl::Status RunCtl(const CtlArguments& arguments) {
  KS_ASSIGN_OR_RETURN(const PeerExpectation server, PeerExpectation::Parse(arguments.server));
  KS_ASSIGN_OR_RETURN(const auto credentials,
                      MakeChannelCredentials(TlsOptions{.files = arguments.files}, server));
  return Control(arguments, DialChannel(arguments.address, credentials)).Run();
}

}  // namespace keystead::infra
