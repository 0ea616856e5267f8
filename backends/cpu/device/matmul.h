// Matrix products of oneDNN on one thread: one tile of a larger product, called from a worker of our own pool.
#pragma once

#include <dnnl.hpp>

#include <abyssal/abyssal.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

namespace abyssal::cpu {

// out = x w^T (transposed) or x w. Everything row-major with a leading dimension.
struct MatmulShape {
  std::int64_t m = 0, n = 0, k = 0;
  std::int64_t ldx = 0, ldw = 0, ldo = 0;
  aby_dtype dtype = ABY_DTYPE_F32; // of x and w: F32 or BF16; out is F32
  bool transposed = true;          // w is [n, k]; else [k, n]

  auto key() const { return std::tuple(m, n, k, ldx, ldw, ldo, dtype, transposed); }
  bool operator<(const MatmulShape &other) const { return key() < other.key(); }
};

// Rows of a tile are padded to a multiple of this, so that few primitives are made.
constexpr std::int64_t kTileStep = 16;
// Most rows of one tile.
constexpr std::int64_t kTileRows = 128;

// The primitives of one worker; not shared.
class Matmul {
public:
  Matmul() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {}
  void run(const MatmulShape &shape, const void *x, const void *w, float *out);
  // Which of oneDNN's implementations serves a shape, for tests.
  std::string implementation(const MatmulShape &shape) { return entry(shape).implementation; }

private:
  struct Entry {
    dnnl::matmul primitive;
    dnnl::memory x, w, out;
    std::string implementation;
  };
  Entry &entry(const MatmulShape &shape);

  dnnl::engine engine_;
  dnnl::stream stream_;
  std::map<MatmulShape, Entry> entries_;
};

// oneDNN asks OpenMP for threads; on ours it gets one. Restores the calling thread's own setting.
class SingleOpenMpThread {
public:
  SingleOpenMpThread();
  ~SingleOpenMpThread();
  SingleOpenMpThread(const SingleOpenMpThread &) = delete;
  SingleOpenMpThread &operator=(const SingleOpenMpThread &) = delete;

private:
  int before_;
};

} // namespace abyssal::cpu
