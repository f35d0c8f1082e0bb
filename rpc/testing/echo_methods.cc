// SPDX-License-Identifier: Apache-2.0
#include "rpc/testing/echo_methods.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace jetd::rpc {

// Deletes itself at its end, and counts.
class EchoMethods::Handler : public CallHandler {
 public:
  Handler(EchoMethods* all, Call* call) : all_(all), call_(call) { ++all->heard_.opened; }

  void OnMessage(const Message& /*message*/) override {}
  void OnHalfClosed() override { call_->Finish({}); }
  void OnWritten() override { ++all_->heard_.written; }
  void OnOver(End end) override {
    ++(end.sent ? all_->heard_.over_sent : all_->heard_.over_unsent);
    all_->heard_.last_code = end.code;
    delete this;
  }

 protected:
  EchoMethods* const all_;
  Call* const call_;
};

namespace {

// Takes a number and a blank off the front.
size_t TakeNumber(std::string_view* text) {
  size_t number = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), number);
  text->remove_prefix(static_cast<size_t>(parsed.ptr - text->data()));
  if (parsed.ec == std::errc() && !text->empty()) text->remove_prefix(1);
  return number;
}

using Kind = Methods::Kind;

}  // namespace

class EchoMethods::Echo final : public Handler {
 public:
  Echo(EchoMethods* all, Call* call, Kind kind) : Handler(all, call), kind_(kind) { call_->Read(); }
  void OnMessage(const Message& message) override {
    if (kind_ == Kind::kUnary) {
      call_->FinishWith(message);
    } else {
      call_->Write(message);
    }
  }
  void OnWritten() override {
    Handler::OnWritten();
    call_->Read();
  }

 private:
  const Kind kind_;
};

class EchoMethods::Collect final : public Handler {
 public:
  Collect(EchoMethods* all, Call* call) : Handler(all, call) { call_->Read(); }
  void OnMessage(const Message& message) override {
    all_bytes_.append(message.whole());
    call_->Read();
  }
  void OnHalfClosed() override { call_->FinishWith(Message(Slice::Copy(all_bytes_))); }

 private:
  std::string all_bytes_;
};

class EchoMethods::Large final : public Handler {
 public:
  Large(EchoMethods* all, Call* call) : Handler(all, call) { call_->Read(); }
  void OnMessage(const Message& message) override {
    std::string_view text = message.whole();
    size_t bytes = std::min(TakeNumber(&text), all_->most_repeated_);
    const size_t piece = std::clamp<size_t>(TakeNumber(&text), 100, 1'000'000);
    Slice& memory = all_->memory_[piece];
    if (memory.size() == 0) memory = Slice::Copy(std::string(piece, 'x'));
    Message::Pieces pieces;
    for (; bytes > 0; bytes -= pieces.back().size()) {
      pieces.push_back(memory.Sub(0, std::min(bytes, piece)));
    }
    ++all_->heard_.large;
    call_->FinishWith(Message(std::move(pieces)));
  }
};

class EchoMethods::Repeat final : public Handler {
 public:
  Repeat(EchoMethods* all, Call* call) : Handler(all, call) { call_->Read(); }
  void OnMessage(const Message& message) override {
    std::string_view text = message.whole();
    left_ = TakeNumber(&text);
    const size_t bytes = std::min(TakeNumber(&text), all_->most_repeated_);
    left_ = std::min(left_, all_->most_repeated_ / std::max<size_t>(bytes, 1));
    const char letter = text.empty() ? 'x' : text.front();
    piece_ = Slice::Copy(bytes == 0 ? std::string(text) : std::string(bytes, letter));
    Next();
  }
  void OnWritten() override {
    Handler::OnWritten();
    Next();
  }

 private:
  void Next() {
    if (left_-- == 0) return call_->Finish({});
    call_->Write(Message(piece_));
  }

  size_t left_ = 0;
  Slice piece_;
};

class EchoMethods::Fail final : public Handler {
 public:
  Fail(EchoMethods* all, Call* call) : Handler(all, call) { call_->Read(); }
  void OnMessage(const Message& message) override {
    std::string_view text = message.whole();
    const size_t code = TakeNumber(&text) % 17;
    call_->Finish({static_cast<Code>(code), std::string(text)});
  }
};

class EchoMethods::Hold final : public Handler {
 public:
  Hold(EchoMethods* all, Call* call, size_t reads) : Handler(all, call) {
    all_->held_.insert(this);
    if (reads > 0) call_->Read();
  }
  ~Hold() override { all_->held_.erase(this); }
  void End() { call_->Finish({}); }
};

class EchoMethods::Who final : public Handler {
 public:
  Who(EchoMethods* all, Call* call) : Handler(all, call) {
    call_->FinishWith(Message(Slice::Copy(call_->metadata("who"))));
  }
};

EchoMethods::EchoMethods(size_t most_repeated_bytes) : most_repeated_(most_repeated_bytes) {
  methods_.Keep("who");
  methods_.Add("/test.Echo/Unary", Kind::kUnary,
               [this](Call* c) { return new Echo(this, c, Kind::kUnary); });
  methods_.Add("/test.Echo/Chat", Kind::kStream,
               [this](Call* c) { return new Echo(this, c, Kind::kStream); });
  methods_.Add("/test.Echo/Collect", Kind::kStream,
               [this](Call* c) { return new Collect(this, c); });
  methods_.Add("/test.Echo/Large", Kind::kUnary, [this](Call* c) { return new Large(this, c); });
  methods_.Add("/test.Echo/Repeat", Kind::kStream, [this](Call* c) { return new Repeat(this, c); });
  methods_.Add("/test.Echo/Fail", Kind::kStream, [this](Call* c) { return new Fail(this, c); });
  methods_.Add("/test.Echo/Hold", Kind::kStream, [this](Call* c) { return new Hold(this, c, 1); });
  methods_.Add("/test.Echo/Deaf", Kind::kStream, [this](Call* c) { return new Hold(this, c, 0); });
  methods_.Add("/test.Echo/Who", Kind::kStream, [this](Call* c) { return new Who(this, c); });
}

EchoMethods::~EchoMethods() = default;

void EchoMethods::Release() {
  // They go later, in OnOver.
  for (Hold* call : held_) call->End();
}

}  // namespace jetd::rpc
