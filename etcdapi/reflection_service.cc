// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/reflection_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "etcdapi/answer.h"
#include "etcdapi/pb/reflection_v1.pb.h"
#include "etcdapi/pb/reflection_v1alpha.pb.h"
#include "etcdapi/request_decoder.h"
#include "etcdapi/stream_call.h"
#include "google/protobuf/descriptor.pb.h"

namespace jetd::etcdapi {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;

// A file and what it imports, each before those that need it.
void AddFiles(const FileDescriptor* file, std::vector<const FileDescriptor*>* files) {
  if (std::find(files->begin(), files->end(), file) != files->end()) return;
  for (int i = 0; i < file->dependency_count(); ++i) AddFiles(file->dependency(i), files);
  files->push_back(file);
}

// `Request` and `Response` are those of v1 or of v1alpha.
template <typename Request, typename Response>
class ReflectionCall final : public StreamCall {
 public:
  using Names = std::shared_ptr<const std::vector<std::string>>;
  ReflectionCall(CallHost* host, Names names) : StreamCall(host), names_(std::move(names)) {}

 private:
  void OnOpen() override { Read(); }
  void OnMessage(const rpc::Message& message) override {
    Request request;
    if (const rpc::Status status = ParseRequest(message, &request); !status.ok()) {
      Finish(status);
      return;
    }
    Response response;
    response.set_valid_host(request.host());
    *response.mutable_original_request() = request;
    Answer(request, &response);
    Write(EncodeMessage(response));
  }
  void OnHalfClosed() override { Finish(rpc::Status()); }
  void OnWritten() override { Read(); }

  void Answer(const Request& request, Response* response) {
    const DescriptorPool* pool = DescriptorPool::generated_pool();
    switch (request.message_request_case()) {
      case Request::kListServices:
        for (const std::string& name : *names_) {
          response->mutable_list_services_response()->add_service()->set_name(name);
        }
        return;
      case Request::kFileByFilename:
        AnswerFile(pool->FindFileByName(request.file_by_filename()), response);
        return;
      case Request::kFileContainingSymbol:
        AnswerFile(pool->FindFileContainingSymbol(request.file_containing_symbol()), response);
        return;
      default:  // etcd's messages have no extensions
        NotFound(response);
    }
  }
  static void AnswerFile(const FileDescriptor* file, Response* response) {
    if (file == nullptr) {
      NotFound(response);
      return;
    }
    std::vector<const FileDescriptor*> files;
    AddFiles(file, &files);
    // The one that was asked for comes first.
    for (auto it = files.rbegin(); it != files.rend(); ++it) {
      google::protobuf::FileDescriptorProto proto;
      (*it)->CopyTo(&proto);
      response->mutable_file_descriptor_response()->add_file_descriptor_proto(
          proto.SerializeAsString());
    }
  }
  static void NotFound(Response* response) {
    response->mutable_error_response()->set_error_code(static_cast<int>(rpc::Code::kNotFound));
    response->mutable_error_response()->set_error_message("not found");
  }

  const Names names_;
};

template <typename Request, typename Response>
void Bind(Server* server) {
  const auto* service = Request::descriptor()->file()->FindServiceByName("ServerReflection");
  server->AddService(service);
  auto names = std::make_shared<const std::vector<std::string>>(server->ServiceNames());
  server->BindStream(service, "ServerReflectionInfo", [names](CallHost* host) {
    return std::make_unique<ReflectionCall<Request, Response>>(host, names);
  });
}

}  // namespace

void BindReflection(Server* server) {
  Bind<grpc::reflection::v1::ServerReflectionRequest,
       grpc::reflection::v1::ServerReflectionResponse>(server);
  Bind<grpc::reflection::v1alpha::ServerReflectionRequest,
       grpc::reflection::v1alpha::ServerReflectionResponse>(server);
}

}  // namespace jetd::etcdapi
