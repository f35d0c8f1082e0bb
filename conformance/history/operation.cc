// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/operation.h"

#include "base/strings.h"

namespace jetd::conformance::history {
namespace {

std::string Span(KeyId first, KeyId last) {
  return first == last ? Cat("k", first) : Cat("k", first, "..k", last);
}

std::string Text(const Compare& compare) {
  constexpr const char* kTargets[] = {"mod", "value", "version", "create"};
  return Cat(kTargets[static_cast<size_t>(compare.target)], "(k", compare.key, ")",
             compare.equal ? "==" : "!=", Text(compare.expected));
}

std::string Text(const Action& action) {
  const std::string keys = Span(action.first, action.last);
  switch (action.kind) {
    case Action::Kind::kGet:
      return Cat("get ", keys);
    case Action::Kind::kPut:
      return Cat("put ", keys, "=", ValueText(action.value));
    case Action::Kind::kDelete:
      return Cat("delete ", keys);
  }
  return "";
}

template <typename List>
std::string Join(const List& list) {
  std::string text;
  for (const auto& item : list) CatTo(text, text.empty() ? "" : ", ", Text(item));
  return text;
}

}  // namespace

std::string ValueText(ValueId value) {
  if (value == kAbsent) return "nothing";
  if (value == kStrange) return "strange bytes";
  return Cat("c", (value >> 44U) - 1, ".", (value >> 8U) & ((uint64_t{1} << 36U) - 1), ".",
             value & 0xffU);
}

std::string Text(const KeyState& state) {
  if (state.value == kAbsent) return "nothing";
  return Cat(ValueText(state.value), "@", state.mod, "/", state.create, "v", state.version);
}

std::string Text(const ActionAnswer& answer) {
  std::string text;
  for (const auto& [key, state] : answer.kvs) {
    CatTo(text, text.empty() ? "" : " ", "k", key, "=", Text(state));
  }
  if (answer.deleted > 0) CatTo(text, " deleted ", answer.deleted);
  return text.empty() ? "nothing" : text;
}

std::string Text(const Operation& operation) {
  const Request& request = operation.request;
  std::string text = Cat("c", operation.client, ".", operation.number, " [");
  if (!request.compares.empty()) CatTo(text, "if ", Join(request.compares), ": ");
  text += Join(request.success);
  if (!request.failure.empty()) CatTo(text, " else ", Join(request.failure));
  if (request.serializable) text += ", serializable";
  if (request.at_revision != 0) CatTo(text, ", at ", request.at_revision);
  CatTo(text, "] from ", operation.call_ns, " to ", operation.return_ns, ": ");
  switch (operation.fate) {
    case Fate::kAnswered:
      CatTo(text, "revision ", operation.revision, operation.succeeded ? "" : ", failed", ", ",
            Join(operation.answers));
      break;
    case Fate::kRefused:
      CatTo(text, "refused (", operation.error, ")");
      break;
    case Fate::kUnknown:
      CatTo(text, "unknown (", operation.error, ")");
      break;
  }
  return text;
}

std::string Text(const Transaction& transaction) {
  std::string text = Cat("revision ", transaction.revision, ":");
  for (const Change& change : transaction.changes) {
    CatTo(text, " k", change.key, "=", Text(change.state));
  }
  return text;
}

}  // namespace jetd::conformance::history
