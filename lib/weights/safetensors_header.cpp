#include "weights/safetensors_header.h"

#include "base/status.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

namespace abyssal {

namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMostHeader = 100'000'000; // the format's own limit
constexpr int kDeepest = 8;

struct StoredType {
  const char *name;
  aby_dtype dtype;
  std::uint64_t size; // of an element, or of a block
};
constexpr StoredType kTypes[] = {{"F32", ABY_DTYPE_F32, 4},
                                 {"F16", ABY_DTYPE_F16, 2},
                                 {"BF16", ABY_DTYPE_BF16, 2},
                                 {"F8_E4M3", ABY_DTYPE_F8_E4M3, 1},
                                 {"F8_E8M0", ABY_DTYPE_F8_E8M0, 1},
                                 {"I8", ABY_DTYPE_I8, 1},
                                 {"U8", ABY_DTYPE_U8, 1},
                                 {"I32", ABY_DTYPE_I32, 4},
                                 {"I64", ABY_DTYPE_I64, 8},
                                 {"F64", ABY_DTYPE_AUTO, 8},
                                 {"F8_E5M2", ABY_DTYPE_AUTO, 1},
                                 {"I16", ABY_DTYPE_AUTO, 2},
                                 {"U16", ABY_DTYPE_AUTO, 2},
                                 {"U32", ABY_DTYPE_AUTO, 4},
                                 {"U64", ABY_DTYPE_AUTO, 8},
                                 {"BOOL", ABY_DTYPE_AUTO, 1},
                                 // Not of the format: what aby_model_quantize writes. Rows are whole blocks.
                                 {"Q8_0", ABY_DTYPE_Q8_0, 34},
                                 {"Q4_0", ABY_DTYPE_Q4_0, 18}};

// Refuses what a plain parse would accept: deep nesting, and a name given twice.
class StrictParse {
public:
  explicit StrictParse(const std::string &path) : path_(path) {}

  bool operator()(int depth, Json::parse_event_t event, Json &parsed) {
    if (depth > kDeepest)
      fail(ABY_ERROR_FORMAT, path_, ": the header's JSON is nested deeper than ", kDeepest);
    if (event == Json::parse_event_t::key && depth == 1) {
      const auto &name = parsed.get_ref<const std::string &>();
      if (!names_.insert(name).second)
        fail(ABY_ERROR_FORMAT, path_, ": tensor ", name, " occurs twice in the header");
    }
    return true;
  }

private:
  const std::string &path_;
  std::set<std::string> names_;
};

Json parse_header(const MappedFile &file, std::uint64_t &data_begin) {
  const auto bytes = file.bytes();
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length)
    fail(ABY_ERROR_FORMAT, file.path(), ": has ", bytes.size(), " bytes; a header begins with 8 (offset 0)");
  std::memcpy(&length, bytes.data(), sizeof length); // little-endian, as every machine this runs on
  if (length > bytes.size() - sizeof length || length > kMostHeader)
    fail(ABY_ERROR_FORMAT, file.path(), ": the header length at offset 0 is ", length, "; the file has ", bytes.size(),
         " bytes, and a header at most ", kMostHeader);
  data_begin = sizeof length + length;
  const auto *text = reinterpret_cast<const char *>(bytes.data()) + sizeof length;
  Json header;
  try {
    header = Json::parse(text, text + length, StrictParse(file.path()));
  } catch (const Json::exception &error) {
    fail(ABY_ERROR_FORMAT, file.path(), ": the header at offset 8 is not valid JSON: ", error.what());
  }
  if (!header.is_object())
    fail(ABY_ERROR_FORMAT, file.path(), ": the header at offset 8 is not a JSON object");
  return header;
}

class EntryReader {
public:
  EntryReader(const MappedFile &file, std::uint64_t data_begin) : file_(file), data_begin_(data_begin) {}

  SafetensorsEntry read(const std::string &name, const Json &value) const {
    if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") || !value.contains("data_offsets"))
      refuse(name, "expected an object with dtype, shape and data_offsets");
    SafetensorsEntry entry;
    std::uint64_t bytes = read_dtype(name, value["dtype"], entry);
    const Json &shape = value["shape"];
    if (!shape.is_array() || shape.size() > 16)
      refuse(name, "its shape is not a list of at most 16 sizes");
    const auto block = static_cast<std::uint64_t>(std::max<std::int64_t>(dtype_block(entry.view.dtype).elements, 1));
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::uint64_t size = number(name, shape[i], "a size in its shape");
      const bool row = i + 1 == shape.size();
      if (row && size % block != 0)
        refuse(name, concat("has rows of ", size, " elements; blocks of ", entry.stored, " hold ", block));
      if (size > INT64_MAX || __builtin_mul_overflow(bytes, row ? size / block : size, &bytes))
        refuse(name, "its shape overflows");
      entry.view.shape.push_back(static_cast<std::int64_t>(size));
    }
    if (block > 1 && shape.empty())
      refuse(name, concat("is one element; blocks of ", entry.stored, " hold ", block));
    read_range(name, value["data_offsets"], bytes, entry);
    return entry;
  }

private:
  [[noreturn]] void refuse(const std::string &name, const std::string &reason) const {
    fail(ABY_ERROR_FORMAT, file_.path(), ": tensor ", name, ": ", reason);
  }

  std::uint64_t number(const std::string &name, const Json &value, const char *what) const {
    if (!value.is_number_unsigned())
      refuse(name, concat(what, " is ", value.dump(-1, ' ', false, Json::error_handler_t::replace),
                          "; expected a whole number of 0 or more"));
    return value.get<std::uint64_t>();
  }

  std::uint64_t read_dtype(const std::string &name, const Json &dtype, SafetensorsEntry &entry) const {
    if (!dtype.is_string())
      refuse(name, "its dtype is not a text");
    entry.stored = dtype.get<std::string>();
    for (const StoredType &type : kTypes) {
      if (entry.stored == type.name) {
        entry.view.dtype = type.dtype;
        return type.size;
      }
    }
    refuse(name, "its dtype is \"" + entry.stored + "\", which the format does not have");
  }

  void read_range(const std::string &name, const Json &offsets, std::uint64_t bytes, SafetensorsEntry &entry) const {
    if (!offsets.is_array() || offsets.size() != 2)
      refuse(name, "its data_offsets are not two numbers");
    const std::uint64_t begin = number(name, offsets[0], "data_offsets[0]");
    const std::uint64_t end = number(name, offsets[1], "data_offsets[1]");
    const std::uint64_t available = file_.bytes().size() - data_begin_;
    if (begin > end || end > available)
      refuse(name, concat("its data at offsets ", begin, " to ", end, " exceeds the file: ", available,
                          " bytes follow the header, which ends at offset ", data_begin_));
    if (end - begin != bytes)
      refuse(name, concat("its data at offset ", data_begin_ + begin, " has ", end - begin, " bytes; ", entry.stored,
                          " ", shape_text(entry.view.shape), " needs ", bytes));
    entry.offset = data_begin_ + begin;
    entry.view.data = file_.bytes().data() + entry.offset;
    entry.view.bytes = bytes;
  }

  const MappedFile &file_;
  std::uint64_t data_begin_;
};

// The tensors must cover the bytes after the header exactly.
void check_cover(const MappedFile &file, std::uint64_t data_begin,
                 const std::map<std::string, SafetensorsEntry> &entries) {
  std::vector<std::pair<const std::string *, const SafetensorsEntry *>> order;
  order.reserve(entries.size());
  for (const auto &[name, entry] : entries)
    order.emplace_back(&name, &entry);
  std::sort(order.begin(), order.end(), [](const auto &a, const auto &b) {
    return std::pair(a.second->offset, a.second->view.bytes) < std::pair(b.second->offset, b.second->view.bytes);
  });
  std::uint64_t at = data_begin;
  for (const auto &[name, entry] : order) {
    if (entry->offset < at)
      fail(ABY_ERROR_FORMAT, file.path(), ": tensor ", *name, " at offset ", entry->offset,
           " overlaps the tensor before it, which ends at offset ", at);
    if (entry->offset > at)
      fail(ABY_ERROR_FORMAT, file.path(), ": no tensor covers offsets ", at, " to ", entry->offset, ", before tensor ",
           *name);
    at += entry->view.bytes;
  }
  if (at != file.bytes().size())
    fail(ABY_ERROR_FORMAT, file.path(), ": the tensors end at offset ", at, "; the file has ", file.bytes().size(),
         " bytes");
}

} // namespace

std::map<std::string, SafetensorsEntry> read_safetensors_header(const MappedFile &file) {
  std::uint64_t data_begin = 0;
  const Json header = parse_header(file, data_begin);
  const EntryReader reader(file, data_begin);
  std::map<std::string, SafetensorsEntry> entries;
  for (const auto &[name, value] : header.items()) {
    if (name != "__metadata__")
      entries.emplace(name, reader.read(name, value));
  }
  check_cover(file, data_begin, entries);
  return entries;
}

} // namespace abyssal
