#include "tests/isolation/requests.h"

#include <google/protobuf/message.h>

#include <memory>

#include "absl/strings/str_split.h"

namespace keystead::testing {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// As far as the message has a place for it.
void Fill(Message& message, const Filling& filling) {
  const auto* const reflection = message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* const field = message.GetDescriptor()->field(i);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Fill(field->is_repeated() ? *reflection->AddMessage(&message, field)
                                : *reflection->MutableMessage(&message, field),
           filling);
      continue;
    }
    const auto found = filling.find(field->name());
    if (found == filling.end() || field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) continue;
    if (field->is_repeated()) {
      reflection->AddString(&message, field, found->second);
    } else {
      reflection->SetString(&message, field, found->second);
    }
  }
}

}  // namespace

std::vector<std::string> RequestsTo(const std::string& method,
                                    std::span<const google::protobuf::ServiceDescriptor* const> services,
                                    std::span<const Filling> fillings) {
  std::vector<std::string> out = {"", "\xff\xff\xff", std::string(70000, '\x0a')};
  const std::vector<std::string> parts = absl::StrSplit(method, '/');
  for (const auto* const service : services) {
    if (service->full_name() != parts[1]) continue;
    const auto* const input = service->FindMethodByName(parts[2])->input_type();
    for (const Filling& filling : fillings) {
      const std::unique_ptr<Message> message(
          google::protobuf::MessageFactory::generated_factory()->GetPrototype(input)->New());
      Fill(*message, filling);
      out.push_back(message->SerializeAsString());
    }
  }
  return out;
}

}  // namespace keystead::testing
