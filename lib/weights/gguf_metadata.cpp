#include "weights/gguf_metadata.h"

#include <limits>

namespace abyssal {

namespace {

// Far above every published file.
constexpr std::uint64_t kMostEntries = 1 << 16;
constexpr std::uint64_t kMostKey = (1 << 16) - 1; // the format's own limit
constexpr std::uint64_t kMostText = std::uint64_t{1} << 28;

enum Type : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kText = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12
};

constexpr const char *kTypeNames[] = {"u8",   "i8",   "u16",   "i16", "u32", "i32", "f32",
                                      "bool", "text", "array", "u64", "i64", "f64"};

// 0 for texts and arrays, which say their size themselves.
std::uint64_t size_of(std::uint32_t type) noexcept {
  switch (type) {
  case kU8:
  case kI8:
  case kBool:
    return 1;
  case kU16:
  case kI16:
    return 2;
  case kU32:
  case kI32:
  case kF32:
    return 4;
  case kU64:
  case kI64:
  case kF64:
    return 8;
  default:
    return 0;
  }
}

template <typename Number> Number load(const std::byte *data) noexcept {
  Number value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

std::string_view text_at(const std::byte *data) noexcept {
  return {reinterpret_cast<const char *>(data) + sizeof(std::uint64_t),
          static_cast<std::size_t>(load<std::uint64_t>(data))};
}

void check_booleans(const GgufCursor &cursor, const std::byte *data, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    if (std::to_integer<unsigned>(data[i]) > 1)
      cursor.refuse(cursor.offset() - count + i, "a boolean is ", std::to_integer<unsigned>(data[i]),
                    "; expected 0 or 1");
  }
}

} // namespace

GgufMetadata::GgufMetadata(GgufCursor &cursor, std::uint64_t count, std::string path) : path_(std::move(path)) {
  if (count > kMostEntries)
    cursor.refuse(cursor.offset() - sizeof count, "the file says that it has ", count,
                  " metadata entries; expected at most ", kMostEntries);
  for (std::uint64_t i = 0; i < count; ++i) {
    cursor.set_subject(concat("metadata entry ", i));
    const std::uint64_t offset = cursor.offset();
    const std::string key(cursor.text("a key", kMostKey));
    cursor.set_subject("key " + key);
    Value value = read_value(cursor);
    value.offset = offset;
    if (!values_.try_emplace(key, value).second)
      cursor.refuse(offset, "the key occurs twice");
  }
  cursor.set_subject("");
}

GgufMetadata::Value GgufMetadata::read_value(GgufCursor &cursor) {
  Value value;
  value.type = cursor.number<std::uint32_t>("the type of a value");
  if (value.type == kArray) {
    value.array = true;
    value.type = cursor.number<std::uint32_t>("the type of an array's elements");
    value.count = cursor.number<std::uint64_t>("the length of an array");
    if (value.type == kArray)
      cursor.refuse(cursor.offset(), "is an array of arrays, which no key that is read here has");
  }
  if (value.type > kF64)
    cursor.refuse(cursor.offset(), "the type of its value is number ", value.type, ", which the format does not have");
  value.data = cursor.take(0, "a value");
  if (value.type == kText) { // each takes 8 bytes at least, so that a damaged count ends at the end of the file
    for (std::uint64_t i = 0; i < value.count; ++i)
      cursor.text("a text", kMostText);
    return value;
  }
  const std::uint64_t size = size_of(value.type);
  if (value.count > cursor.left() / size)
    cursor.refuse(cursor.offset(), "an array has ", value.count, " elements of ", size, " bytes; ", cursor.left(),
                  " bytes are left of the file");
  cursor.take(value.count * size, "a value");
  if (value.type == kBool)
    check_booleans(cursor, value.data, value.count);
  return value;
}

GgufMetadata::Kind GgufMetadata::kind_of(const Value &value) noexcept {
  if (value.array)
    return Kind::kArray;
  switch (value.type) {
  case kF32:
  case kF64:
    return Kind::kReal;
  case kBool:
    return Kind::kBoolean;
  case kText:
    return Kind::kText;
  default:
    return Kind::kInteger;
  }
}

bool GgufMetadata::kind_is(const std::string &key, Kind kind) const {
  const auto found = values_.find(key);
  return found != values_.end() && kind_of(found->second) == kind;
}

void GgufMetadata::refuse(const std::string &key, const std::string &reason) const {
  const auto found = values_.find(key);
  if (found == values_.end())
    fail(ABY_ERROR_FORMAT, path_, ": key ", key, " is missing; ", reason);
  fail(ABY_ERROR_FORMAT, path_, ": key ", key, " (offset ", found->second.offset, ") ", reason);
}

const GgufMetadata::Value *GgufMetadata::find(const std::string &key, Kind kind, const char *expected) const {
  const auto found = values_.find(key);
  if (found == values_.end())
    return nullptr;
  const Value &value = found->second;
  if (kind_of(value) != kind)
    refuse(key,
           concat("has the type ", value.array ? "array of " : "", kTypeNames[value.type], "; expected ", expected));
  return &value;
}

std::int64_t GgufMetadata::integer_at(const std::string &key, const Value &value, const std::byte *data) const {
  switch (value.type) {
  case kU8:
    return load<std::uint8_t>(data);
  case kI8:
    return load<std::int8_t>(data);
  case kU16:
    return load<std::uint16_t>(data);
  case kI16:
    return load<std::int16_t>(data);
  case kU32:
    return load<std::uint32_t>(data);
  case kI32:
    return load<std::int32_t>(data);
  case kI64:
    return load<std::int64_t>(data);
  default:
    break;
  }
  const auto wide = load<std::uint64_t>(data);
  if (wide > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    refuse(key, concat("is ", wide, "; expected at most 2^63 - 1"));
  return static_cast<std::int64_t>(wide);
}

std::optional<std::int64_t> GgufMetadata::integer(const std::string &key) const {
  const Value *value = find(key, Kind::kInteger, "a whole number");
  return value == nullptr ? std::nullopt : std::optional(integer_at(key, *value, value->data));
}

std::optional<double> GgufMetadata::number(const std::string &key) const {
  if (is_integer(key))
    return static_cast<double>(*integer(key));
  const Value *value = find(key, Kind::kReal, "a number");
  if (value == nullptr)
    return std::nullopt;
  return value->type == kF32 ? static_cast<double>(load<float>(value->data)) : load<double>(value->data);
}

std::optional<bool> GgufMetadata::boolean(const std::string &key) const {
  const Value *value = find(key, Kind::kBoolean, "a boolean");
  return value == nullptr ? std::nullopt : std::optional(std::to_integer<int>(*value->data) != 0);
}

std::optional<std::string_view> GgufMetadata::text(const std::string &key) const {
  const Value *value = find(key, Kind::kText, "a text");
  return value == nullptr ? std::nullopt : std::optional(text_at(value->data));
}

std::optional<std::vector<std::string_view>> GgufMetadata::texts(const std::string &key) const {
  constexpr const char *kExpected = "an array of texts";
  const Value *value = find(key, Kind::kArray, kExpected);
  if (value == nullptr)
    return std::nullopt;
  if (value->type != kText)
    refuse(key, concat("is an array of ", kTypeNames[value->type], "; expected ", kExpected));
  std::vector<std::string_view> texts;
  texts.reserve(static_cast<std::size_t>(value->count)); // all of them were seen when the file was opened
  const std::byte *at = value->data;
  for (std::uint64_t i = 0; i < value->count; ++i) {
    texts.push_back(text_at(at));
    at += sizeof(std::uint64_t) + texts.back().size();
  }
  return texts;
}

std::optional<std::vector<std::int64_t>> GgufMetadata::integers(const std::string &key) const {
  constexpr const char *kExpected = "an array of whole numbers";
  const Value *value = find(key, Kind::kArray, kExpected);
  if (value == nullptr)
    return std::nullopt;
  if (value->type == kText || value->type == kBool || value->type == kF32 || value->type == kF64)
    refuse(key, concat("is an array of ", kTypeNames[value->type], "; expected ", kExpected));
  std::vector<std::int64_t> numbers;
  numbers.reserve(static_cast<std::size_t>(value->count));
  for (std::uint64_t i = 0; i < value->count; ++i)
    numbers.push_back(integer_at(key, *value, value->data + i * size_of(value->type)));
  return numbers;
}

} // namespace abyssal
