// The metadata of a GGUF file: typed values by key, left where they are in the mapped file.
#pragma once

#include "weights/gguf_cursor.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace abyssal {

class GgufMetadata {
public:
  // Reads and checks `count` entries; the views are into the cursor's file, whose path is `path`.
  GgufMetadata(GgufCursor &cursor, std::uint64_t count, std::string path);

  const std::string &path() const noexcept { return path_; }
  bool has(const std::string &key) const { return values_.contains(key); }

  // Nothing when there is no such key. A value of another type throws FORMAT with file, key and offset.
  std::optional<std::int64_t> integer(const std::string &key) const; // of any width
  std::optional<double> number(const std::string &key) const;        // whole or not
  std::optional<bool> boolean(const std::string &key) const;
  std::optional<std::string_view> text(const std::string &key) const;
  std::optional<std::vector<std::string_view>> texts(const std::string &key) const; // an array of texts
  std::optional<std::vector<std::int64_t>> integers(const std::string &key) const;  // an array of whole numbers

  // For whoever copies values without knowing their type.
  bool is_text(const std::string &key) const { return kind_is(key, Kind::kText); }
  bool is_boolean(const std::string &key) const { return kind_is(key, Kind::kBoolean); }
  bool is_integer(const std::string &key) const { return kind_is(key, Kind::kInteger); }
  bool is_array(const std::string &key) const { return kind_is(key, Kind::kArray); }

  // Throws FORMAT: "FILE: key K (offset N) REASON".
  [[noreturn]] void refuse(const std::string &key, const std::string &reason) const;

private:
  enum class Kind { kInteger, kReal, kBoolean, kText, kArray };
  struct Value {
    std::uint32_t type = 0; // of the value, or of an array's elements
    bool array = false;
    std::uint64_t count = 1;         // elements of an array
    std::uint64_t offset = 0;        // of the entry
    const std::byte *data = nullptr; // the value, the text's length, or the first element
  };
  static Kind kind_of(const Value &value) noexcept;
  static Value read_value(GgufCursor &cursor);
  bool kind_is(const std::string &key, Kind kind) const;
  const Value *find(const std::string &key, Kind kind, const char *expected) const;
  std::int64_t integer_at(const std::string &key, const Value &value, const std::byte *data) const;

  std::string path_;
  std::map<std::string, Value, std::less<>> values_;
};

} // namespace abyssal
