// moe_experts: the rows that chose an expert are gathered, multiplied by its three matrices, and summed up again.
// One order of all (row, expert) pairs, sorted by expert, serves one token and many alike; the shared experts are one
// more "expert" that every row chose. Three parallel regions: gate and up, down, and the weighted sum.
#include "backends/common/moe_checks.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/dense/product.h"

#include <algorithm>
#include <vector>

namespace abyssal::cpu {

namespace {

struct ExpertsScratch {
  ExpertsScratch(Carve &carve, std::int64_t rows, std::int64_t top_k, std::int64_t hidden, std::int64_t inter,
                 std::int64_t shared_inter) {
    const std::int64_t pairs = rows * top_k;
    const std::int64_t middle = pairs * inter + rows * shared_inter;
    x = carve.take<float>((pairs + rows) * hidden);
    gate = carve.take<float>(middle);
    up = carve.take<float>(middle);
    down = carve.take<float>((pairs + rows) * hidden);
  }
  float *x;    // gathered rows, float or bf16: [pairs + rows, hidden]
  float *gate; // [pairs, inter], then [rows, shared_inter]; holds silu(gate) * up after the first region
  float *up;   // the same; holds the operands of down after it
  float *down; // [pairs + rows, hidden]
};

// The rows of one expert, in the sorted order, and where its results are.
struct Segment {
  const CpuWeight *gate, *up, *down;
  std::int64_t matrix;       // of the stack
  std::int64_t begin, count; // rows of x and of down
  std::int64_t inter;
  std::int64_t middle; // offset in gate and up
  Operand x, h;
};

// A slice of one segment's weight rows.
struct Task {
  const Segment *segment;
  std::int64_t row0, count;
};

class ExpertsRun {
public:
  ExpertsRun(CpuDevice &device, const abk_moe_experts_args &args, const MoeExpertsCall &call, const ExpertsScratch &scratch)
      : device_(device), call_(call), scratch_(scratch), rows_(args.rows), top_k_(args.top_k), hidden_(call.x.cols) {}

  void run() {
    sort_pairs();
    gather();
    gate_up();
    down();
    combine();
  }

private:
  // Counting sort of the pairs by expert.
  void sort_pairs() {
    const std::int64_t pairs = rows_ * top_k_, experts = call_.routed.gate->count;
    std::vector<std::int64_t> begin(static_cast<std::size_t>(experts) + 1, 0);
    for (std::int64_t i = 0; i < pairs; ++i)
      ++begin[static_cast<std::size_t>(call_.index[i]) + 1];
    for (std::size_t e = 0; e < static_cast<std::size_t>(experts); ++e)
      begin[e + 1] += begin[e];
    source_.resize(static_cast<std::size_t>(pairs));
    place_.resize(static_cast<std::size_t>(pairs));
    std::vector<std::int64_t> next = begin;
    for (std::int64_t i = 0; i < pairs; ++i) {
      const std::int64_t at = next[static_cast<std::size_t>(call_.index[i])]++;
      source_[static_cast<std::size_t>(at)] = i / top_k_;
      place_[static_cast<std::size_t>(i)] = at;
    }
    const std::int64_t inter = call_.routed.gate->n;
    for (std::int64_t e = 0; e < experts; ++e) {
      const std::int64_t first = begin[static_cast<std::size_t>(e)], count = begin[static_cast<std::size_t>(e) + 1] - first;
      if (count > 0)
        add_segment(call_.routed, e, first, count, first * inter);
    }
    if (call_.shared.gate != nullptr) {
      for (std::int64_t r = 0; r < rows_; ++r)
        source_.push_back(r);
      add_segment(call_.shared, 0, pairs, rows_, pairs * inter);
    }
  }

  void add_segment(const SwigluWeights &w, std::int64_t matrix, std::int64_t begin, std::int64_t count, std::int64_t middle) {
    segments_.push_back({&CpuWeight::of(*w.gate), &CpuWeight::of(*w.up), &CpuWeight::of(*w.down), matrix, begin, count,
                         w.gate->n, middle, {}, {}});
  }

  // Each segment's rows of x in the form that its product takes.
  void gather() {
    device_.run(static_cast<std::int64_t>(segments_.size()), [&](std::int64_t task, Worker &) {
      Segment &s = segments_[static_cast<std::size_t>(task)];
      const bool bf16 = takes_bf16(device_, *s.gate, s.count);
      const bool rounded = s.gate->compute == ABY_DTYPE_BF16;
      float *memory = scratch_.x + s.begin * hidden_;
      for (std::int64_t i = 0; i < s.count; ++i)
        convert_row(device_.kernels(), call_.x, source_[static_cast<std::size_t>(s.begin + i)], rounded, bf16, memory, i);
      s.x = {bf16 ? nullptr : memory, bf16 ? reinterpret_cast<std::uint16_t *>(memory) : nullptr, s.count, hidden_, hidden_};
    });
  }

  template <typename Rows> std::vector<Task> slices(Rows &&weight_of) const {
    std::vector<Task> tasks;
    for (const Segment &s : segments_) {
      const CpuWeight &w = weight_of(s);
      const std::int64_t step = block_rows(w, s.count);
      for (std::int64_t row = 0; row < w.n; row += step)
        tasks.push_back({&s, row, std::min(step, w.n - row)});
    }
    return tasks;
  }

  void gate_up() {
    const std::vector<Task> tasks = slices([](const Segment &s) -> const CpuWeight & { return *s.gate; });
    device_.run(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t i, Worker &worker) {
      const Task &t = tasks[static_cast<std::size_t>(i)];
      const Segment &s = *t.segment;
      float *gate = scratch_.gate + s.middle + t.row0, *up = scratch_.up + s.middle + t.row0;
      product(device_, worker, s.gate->matrix(s.matrix), t.row0, t.count, s.x, gate, s.inter);
      product(device_, worker, s.up->matrix(s.matrix), t.row0, t.count, s.x, up, s.inter);
      for (std::int64_t r = 0; r < s.count; ++r)
        device_.kernels().swiglu(gate + r * s.inter, up + r * s.inter, gate + r * s.inter, t.count);
    });
  }

  void down() {
    for (Segment &s : segments_) {
      const HostRows h{reinterpret_cast<std::byte *>(scratch_.gate + s.middle), ABY_DTYPE_F32, s.count, s.inter, s.inter};
      s.h = make_operand(device_, h, *s.down, scratch_.up + s.middle);
    }
    const std::vector<Task> tasks = slices([](const Segment &s) -> const CpuWeight & { return *s.down; });
    device_.run(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t i, Worker &worker) {
      const Task &t = tasks[static_cast<std::size_t>(i)];
      const Segment &s = *t.segment;
      product(device_, worker, s.down->matrix(s.matrix), t.row0, t.count, s.h,
              scratch_.down + s.begin * hidden_ + t.row0, hidden_);
    });
  }

  // A row's results in the order of its experts, then the shared ones: the same for any number of threads.
  void combine() {
    const std::int64_t pairs = rows_ * top_k_;
    device_.run(rows_, [&](std::int64_t r, Worker &worker) {
      float *sum = worker.sums.take<float>(hidden_);
      std::fill_n(sum, hidden_, 0.0f);
      for (std::int64_t k = 0; k < top_k_; ++k) {
        const std::int64_t pair = r * top_k_ + k;
        device_.kernels().axpy(sum, call_.weight[pair],
                               scratch_.down + place_[static_cast<std::size_t>(pair)] * hidden_, hidden_);
      }
      if (call_.shared.gate != nullptr)
        device_.kernels().add(sum, scratch_.down + (pairs + r) * hidden_, hidden_);
      if (call_.out.dtype == ABY_DTYPE_BF16)
        device_.kernels().f32_to_bf16(sum, reinterpret_cast<std::uint16_t *>(call_.out.row(r)), hidden_);
      else
        std::copy_n(sum, hidden_, reinterpret_cast<float *>(call_.out.row(r)));
    });
  }

  CpuDevice &device_;
  const MoeExpertsCall &call_;
  const ExpertsScratch &scratch_;
  std::int64_t rows_, top_k_, hidden_;
  std::vector<std::int64_t> source_; // [pairs (+ rows)]: the row of x at each sorted place
  std::vector<std::int64_t> place_;  // [pairs]: the sorted place of each pair
  std::vector<Segment> segments_;
};

} // namespace

std::uint64_t moe_experts_scratch(const abk_scratch_desc &desc) {
  Carve measure;
  ExpertsScratch(measure, desc.rows, desc.top_k, desc.hidden, desc.inter, desc.shared_inter);
  return measure.used();
}

void moe_experts(CpuDevice &device, const abk_moe_experts_args &args) {
  const MoeExpertsCall call = check_moe_experts(args);
  if (args.rows == 0)
    return;
  abk_scratch_desc desc{};
  desc.rows = args.rows;
  desc.top_k = args.top_k;
  desc.hidden = static_cast<std::int32_t>(call.x.cols);
  desc.inter = static_cast<std::int32_t>(call.routed.gate->n);
  desc.shared_inter = call.shared.gate != nullptr ? static_cast<std::int32_t>(call.shared.gate->n) : 0;
  Carve carve(check_span(args.scratch, moe_experts_scratch(desc), 64, "moe_experts: scratch"));
  const ExpertsScratch scratch(carve, desc.rows, desc.top_k, desc.hidden, desc.inter, desc.shared_inter);
  ExpertsRun(device, args, call, scratch).run();
}

} // namespace abyssal::cpu
