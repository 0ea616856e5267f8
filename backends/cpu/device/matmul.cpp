#include "backends/cpu/device/matmul.h"

#include "base/status.h"

#include <omp.h>

namespace abyssal::cpu {

namespace {

constexpr std::size_t kMostEntries = 1024; // then the cache starts again

dnnl::memory::desc rows(std::int64_t rows, std::int64_t cols, std::int64_t stride, dnnl::memory::data_type type) {
  return {{rows, cols}, type, dnnl::memory::dims{stride, 1}};
}

} // namespace

Matmul::Entry &Matmul::entry(const MatmulShape &shape) {
  const auto found = entries_.find(shape);
  if (found != entries_.end())
    return found->second;
  if (entries_.size() >= kMostEntries)
    entries_.clear();
  const auto type = shape.dtype == ABY_DTYPE_BF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
  const auto x = rows(shape.m, shape.k, shape.ldx, type);
  const dnnl::memory::dims w_strides =
      shape.transposed ? dnnl::memory::dims{1, shape.ldw} : dnnl::memory::dims{shape.ldw, 1};
  const dnnl::memory::desc w({shape.k, shape.n}, type, w_strides);
  const auto out = rows(shape.m, shape.n, shape.ldo, dnnl::memory::data_type::f32);
  const dnnl::matmul::primitive_desc desc(engine_, x, w, out);
  Entry entry{dnnl::matmul(desc), dnnl::memory(x, engine_, nullptr), dnnl::memory(w, engine_, nullptr),
              dnnl::memory(out, engine_, nullptr), desc.impl_info_str()};
  return entries_.emplace(shape, std::move(entry)).first->second;
}

void Matmul::run(const MatmulShape &shape, const void *x, const void *w, float *out) {
  try {
    Entry &made = entry(shape);
    made.x.set_data_handle(const_cast<void *>(x));
    made.w.set_data_handle(const_cast<void *>(w));
    made.out.set_data_handle(out);
    made.primitive.execute(stream_, {{DNNL_ARG_SRC, made.x}, {DNNL_ARG_WEIGHTS, made.w}, {DNNL_ARG_DST, made.out}});
    stream_.wait();
  } catch (const dnnl::error &error) {
    fail(error.status == dnnl_out_of_memory ? ABY_ERROR_NO_MEMORY : ABY_ERROR_DEVICE, "oneDNN matmul [", shape.m, ", ",
         shape.k, "] x [", shape.k, ", ", shape.n, "]: ", error.what());
  }
}

SingleOpenMpThread::SingleOpenMpThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
SingleOpenMpThread::~SingleOpenMpThread() { omp_set_num_threads(before_); }

} // namespace abyssal::cpu
