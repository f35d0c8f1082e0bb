// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TESTING_GRPC_CLIENT_H_
#define JETD_RPC_TESTING_GRPC_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "grpcpp/channel.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/impl/codegen/client_unary_call.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/sync_stream.h"
#include "gtest/gtest.h"

namespace jetd::rpc {

// gRPC's own client with bytes for messages: what tests speak to a transport with. Blocks.

using ClientStream = grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

inline grpc::ByteBuffer BufferOf(const std::string& text) {
  const grpc::Slice slice(text);
  return grpc::ByteBuffer(&slice, 1);
}

inline std::string TextOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string text;
  for (const auto& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

// A connection of its own.
inline std::shared_ptr<grpc::Channel> ChannelTo(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials =
                                    grpc::InsecureChannelCredentials()) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt("grpc.use_local_subchannel_pool", 1);
  arguments.SetInt("grpc.initial_reconnect_backoff_ms", 50);
  arguments.SetInt("grpc.enable_retries", 0);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

inline grpc::Status Unary(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                          const std::string& request, std::string* answer = nullptr,
                          grpc::ClientContext* context = nullptr) {
  using grpc::internal::RpcMethod;
  grpc::ClientContext own;
  grpc::ByteBuffer response;
  const RpcMethod method(path.c_str(), RpcMethod::NORMAL_RPC);
  grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      channel.get(), method, context == nullptr ? &own : context, BufferOf(request), &response);
  if (status.ok() && answer != nullptr) *answer = TextOf(response);
  return status;
}

inline std::unique_ptr<ClientStream> OpenStream(const std::shared_ptr<grpc::Channel>& channel,
                                                const std::string& path,
                                                grpc::ClientContext* context) {
  using grpc::internal::RpcMethod;
  using Factory = grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>;
  return std::unique_ptr<ClientStream>(
      Factory::Create(channel.get(), RpcMethod(path.c_str(), RpcMethod::BIDI_STREAMING), context));
}

inline bool Say(ClientStream* stream, const std::string& text) {
  return stream->Write(BufferOf(text));
}

// "(end)": there is no more.
inline std::string Hear(ClientStream* stream) {
  grpc::ByteBuffer answer;
  return stream->Read(&answer) ? TextOf(answer) : "(end)";
}

}  // namespace jetd::rpc

#endif  // JETD_RPC_TESTING_GRPC_CLIENT_H_
