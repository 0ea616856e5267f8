#include "weights/gguf_file.h"

#include "weights/gguf_type.h"

#include <algorithm>
#include <fstream>
#include <unordered_set>

namespace abyssal {

namespace {

constexpr char kMagic[4] = {'G', 'G', 'U', 'F'};
constexpr std::uint64_t kMostTensors = 1 << 20; // far above every published file
constexpr std::uint64_t kMostName = 1 << 10;
constexpr std::uint32_t kMostDims = 4;
constexpr std::int64_t kLeastAlignment = 8, kMostAlignment = 1 << 20; // the format asks for a multiple of 8

void check_version(GgufCursor &cursor, const std::string &path) {
  const auto version = cursor.number<std::uint32_t>("the version");
  if (version == 2 || version == 3)
    return;
  if (const std::uint32_t swapped = __builtin_bswap32(version); swapped >= 1 && swapped <= 0xffff)
    fail(ABY_ERROR_UNSUPPORTED, path, ": is a big-endian GGUF file of version ", swapped,
         "; supported are little-endian files of versions 2 and 3");
  fail(ABY_ERROR_UNSUPPORTED, path, ": is a GGUF file of version ", version, "; supported are versions 2 and 3");
}

std::uint64_t read_alignment(const GgufMetadata &metadata) {
  const std::int64_t alignment = metadata.integer("general.alignment").value_or(32);
  if (alignment < kLeastAlignment || alignment > kMostAlignment || (alignment & (alignment - 1)) != 0)
    metadata.refuse("general.alignment", concat("is ", alignment, "; expected a power of two from ", kLeastAlignment,
                                                " to ", kMostAlignment));
  return static_cast<std::uint64_t>(alignment);
}

// A tensor's entry. Its offset is within the data section as yet.
GgufTensor read_entry(GgufCursor &cursor, std::uint64_t index) {
  cursor.set_subject(concat("tensor ", index));
  const std::uint64_t begin = cursor.offset();
  GgufTensor tensor;
  tensor.name = cursor.text("a tensor's name", kMostName);
  cursor.set_subject("tensor " + tensor.name);
  const auto dims = cursor.number<std::uint32_t>("the number of dimensions");
  if (dims < 1 || dims > kMostDims)
    cursor.refuse(begin, "has ", dims, " dimensions; expected 1 to ", kMostDims);
  for (std::uint32_t i = 0; i < dims; ++i) {
    const auto dim = cursor.number<std::uint64_t>("a dimension");
    if (dim < 1 || dim > std::uint64_t{1} << 48)
      cursor.refuse(begin, "dimension ", i, " is ", dim, "; expected 1 to 2^48");
    tensor.view.shape.insert(tensor.view.shape.begin(), static_cast<std::int64_t>(dim));
  }
  const auto number = cursor.number<std::uint32_t>("the type");
  const GgufType *type = gguf_type(number);
  if (type == nullptr)
    fail(ABY_ERROR_UNSUPPORTED, cursor.path(), ": tensor ", tensor.name, ": offset ", begin, ": its type is number ",
         number, ", which is not known");
  tensor.stored = type->name;
  tensor.view.dtype = type->dtype;
  const std::int64_t row = tensor.view.shape.back();
  if (row % type->block.elements != 0)
    cursor.refuse(begin, "has rows of ", row, " elements; blocks of ", type->name, " hold ", type->block.elements);
  std::uint64_t bytes = static_cast<std::uint64_t>(row / type->block.elements * type->block.bytes);
  for (std::uint32_t i = 0; i + 1 < dims; ++i) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(tensor.view.shape[i]), &bytes))
      cursor.refuse(begin, "its shape ", shape_text(tensor.view.shape), " overflows");
  }
  tensor.view.bytes = bytes;
  tensor.offset = cursor.number<std::uint64_t>("the data's offset");
  return tensor;
}

// Makes offsets the file's own, and checks that the data lies inside it.
void place(const MappedFile &file, std::uint64_t data_begin, std::uint64_t alignment, GgufTensor &tensor) {
  const std::uint64_t size = file.bytes().size();
  const auto refuse = [&](const auto &...reason) {
    fail(ABY_ERROR_FORMAT, file.path(), ": tensor ", tensor.name, ": ", reason...);
  };
  if (tensor.offset % alignment != 0)
    refuse("its data at offset ", tensor.offset, " of the data section is not aligned to ", alignment);
  if (data_begin > size || tensor.offset > size - data_begin || tensor.view.bytes > size - data_begin - tensor.offset)
    refuse("its ", tensor.view.bytes, " bytes at offset ", tensor.offset,
           " of the data section, which begins at offset ", data_begin, ", exceed the file's ", size, " bytes");
  tensor.offset += data_begin;
  tensor.view.data = file.bytes().data() + tensor.offset;
}

void check_overlaps(const std::string &path, const std::vector<GgufTensor> &tensors) {
  std::vector<const GgufTensor *> order;
  order.reserve(tensors.size());
  for (const GgufTensor &tensor : tensors)
    order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const auto *a, const auto *b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const GgufTensor &before = *order[i - 1];
    if (order[i]->offset < before.offset + before.view.bytes)
      fail(ABY_ERROR_FORMAT, path, ": tensor ", order[i]->name, " at offset ", order[i]->offset, " overlaps tensor ",
           before.name, ", which ends at offset ", before.offset + before.view.bytes);
  }
}

} // namespace

std::shared_ptr<const GgufFile> GgufFile::open(const std::string &path) {
  std::shared_ptr<GgufFile> file(new GgufFile(MappedFile::open(path)));
  file->read();
  return file;
}

void GgufFile::read() {
  GgufCursor cursor(*file_);
  if (std::memcmp(cursor.take(sizeof kMagic, "the magic number"), kMagic, sizeof kMagic) != 0)
    cursor.refuse(0, "does not begin with \"GGUF\"");
  check_version(cursor, path());
  const auto tensors = cursor.number<std::uint64_t>("the number of tensors");
  if (tensors > kMostTensors)
    cursor.refuse(cursor.offset() - sizeof tensors, "the file says that it has ", tensors,
                  " tensors; expected at most ", kMostTensors);
  const auto entries = cursor.number<std::uint64_t>("the number of metadata entries");
  metadata_ = std::make_unique<const GgufMetadata>(cursor, entries, path());
  const std::uint64_t alignment = read_alignment(*metadata_);

  std::unordered_set<std::string> names;
  for (std::uint64_t i = 0; i < tensors; ++i) {
    const std::uint64_t begin = cursor.offset();
    tensors_.push_back(read_entry(cursor, i));
    if (!names.insert(tensors_.back().name).second)
      cursor.refuse(begin, "the name occurs twice");
  }
  data_begin_ = (cursor.offset() + alignment - 1) / alignment * alignment;
  for (GgufTensor &tensor : tensors_)
    place(*file_, data_begin_, alignment, tensor);
  check_overlaps(path(), tensors_);
}

bool looks_like_gguf(const std::string &path) {
  char begin[sizeof kMagic] = {};
  std::ifstream file(path, std::ios::binary);
  return file.read(begin, sizeof begin) && std::memcmp(begin, kMagic, sizeof kMagic) == 0;
}

} // namespace abyssal
