// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_TRANSACTION_TEXT_H_
#define JETD_REPLICATION_TRANSACTION_TEXT_H_

#include <string>

#include "replication/transaction_reader.h"

namespace jetd::replication {

enum class ShowValues { kNo, kYes };

// One line for people, without the line's end:
//   revision 12 term 1 at 1700000000.123456789: put /a (version 3, created 7) 5 bytes; delete /b
// Bytes of a key that are not printable ASCII stand as \xNN. " void" follows the term of one that
// does not count. With values, a put's bytes follow in the same spelling.
[[nodiscard]] std::string ToText(const StreamTransaction& transaction, ShowValues values);

// One JSON object on one line. Bytes are base64, as etcdctl has them; "name" is the key for people,
// with U+FFFD for what is not UTF-8.
[[nodiscard]] std::string ToJson(const StreamTransaction& transaction, ShowValues values);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_TRANSACTION_TEXT_H_
