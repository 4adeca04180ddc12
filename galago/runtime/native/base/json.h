// A small, strict JSON reader (RFC 8259): whole text, bounded depth, valid UTF-8, no duplicate
// keys.
#ifndef GALAGO_NATIVE_BASE_JSON_H_
#define GALAGO_NATIVE_BASE_JSON_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace galago {

struct Json {
  enum class Type { kNull, kBool, kNumber, kString, kArray, kObject };
  static constexpr int kMaxDepth = 32;

  // Throws Error(GALAGO_E_CORRUPT, "NAME: line 3: expected ','"); `name` is the file's, for
  // messages.
  static Json parse(std::string_view text, const std::string& name);

  // The member of that name; nullptr if this is no object or has none.
  const Json* find(std::string_view key) const;

  // Compact JSON text of this value.
  std::string to_text() const;

  Type type = Type::kNull;
  bool boolean = false;
  double number = 0.0;
  std::string string;  // UTF-8
  std::vector<Json> array;
  std::vector<std::pair<std::string, Json>> object;  // in the order of the text
};

const char* type_name(Json::Type type);

}  // namespace galago

#endif  // GALAGO_NATIVE_BASE_JSON_H_
