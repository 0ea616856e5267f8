// moe_experts: the rows that chose an expert are gathered, multiplied by its three matrices, and summed up again.
// For few rows, where reading the weights is all the time, two parallel regions: gate and up of all experts in one list
// of tasks, and down, of which each task owns a range of outputs and adds the experts up itself. For many rows the sum
// is a region of its own. Either way a row's sum runs over its experts in the order of index, then the shared ones.
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/dense/product.h"
#include "backends/cpu/moe/pair_order.h"
#include "backends/host/moe_checks.h"

#include <algorithm>
#include <atomic>
#include <vector>

namespace abyssal::cpu {

namespace {

constexpr std::int64_t kFewRows = 4;
constexpr std::int64_t kGatherRows = 16; // in one task, where they are not quantised in panels

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

// Rows that are quantised but not laid out for a product yet.
struct Rounded {
  bool wanted = false;
  std::byte *memory = nullptr;

  static std::int64_t units(std::int64_t k) noexcept { return (k + kPackedUnit - 1) / kPackedUnit; }
  static std::int64_t row_bytes(std::int64_t k) noexcept { return RoundedRow::bytes(units(k)); }
  RoundedRow row(std::int64_t index, std::int64_t k) const noexcept {
    return {memory + index * row_bytes(k), units(k)};
  }
};

// The rows of one expert, in the sorted order, and where its results are.
struct Segment {
  const CpuWeight *gate, *up, *down;
  std::int64_t matrix;       // of the stack
  std::int64_t begin, count; // rows of x and of down
  std::int64_t inter;
  std::int64_t middle; // offset in gate and up
  Operand x, x_up, h;
  Rounded h_rows; // where down is packed: h before it is laid out
};

// A slice of one segment's weight rows, or of its rows of x.
struct Task {
  Segment *segment;
  std::int64_t first, count;
};

class ExpertsRun {
public:
  ExpertsRun(CpuDevice &device, const abk_moe_experts_args &args, const MoeExpertsCall &call,
             const ExpertsScratch &scratch)
      : device_(device), call_(call), scratch_(scratch), rows_(args.rows), top_k_(args.top_k), hidden_(call.x.cols),
        order_(call.index, rows_, top_k_, call.routed.gate->count, call.shared.gate != nullptr) {}

  void run() {
    make_segments();
    make_operands();
    round_rows();
    gather();
    gate_up();
    if (rows_ <= kFewRows) {
      down_and_combine();
    } else {
      down();
      combine();
    }
  }

private:
  void make_segments() {
    const std::int64_t pairs = rows_ * top_k_, inter = call_.routed.gate->n;
    for (const PairOrder::Run &run : order_.runs) {
      const bool shared = run.expert < 0;
      const SwigluWeights &w = shared ? call_.shared : call_.routed;
      segments_.push_back({&CpuWeight::of(*w.gate),
                           &CpuWeight::of(*w.up),
                           &CpuWeight::of(*w.down),
                           std::max<std::int64_t>(run.expert, 0),
                           run.begin,
                           run.count,
                           w.gate->n,
                           std::min(run.begin, pairs) * inter,
                           {},
                           {},
                           {},
                           {}});
    }
  }

  // Whether a segment reads the x of the first one: of a single row, all experts take the same.
  bool reads_first(const Segment &s) const {
    return rows_ == 1 && &s != &segments_.front() && share_operand(*segments_.front().gate, *s.gate);
  }

  // Where each segment's operands lie. Quantised ones have memory of their own, in one piece.
  void make_operands() {
    std::int64_t bytes = 0;
    const auto reserve = [&](const Segment &s, const CpuWeight &w) {
      const std::int64_t at = bytes;
      bytes += w.packed() ? operand_bytes(device_, s.count, w) : 0;
      return at;
    };
    std::vector<std::int64_t> places;
    for (const Segment &s : segments_) {
      places.push_back(reads_first(s) ? places.front() : reserve(s, *s.gate));
      places.push_back(share_operand(*s.gate, *s.up) ? places.back() : reserve(s, *s.up));
      places.push_back(reserve(s, *s.down));
      places.push_back(bytes);
      bytes += s.down->packed() ? s.count * Rounded::row_bytes(s.inter) : 0;
    }
    auto *memory = device_.op_scratch().take<std::byte>(bytes);
    auto place = places.begin();
    for (Segment &s : segments_) {
      float *rows = scratch_.x + (reads_first(s) ? segments_.front() : s).begin * hidden_;
      s.x = operand(s, *s.gate, hidden_, memory + *place++, rows);
      s.x_up = share_operand(*s.gate, *s.up) ? s.x : operand(s, *s.up, hidden_, memory + *place, nullptr);
      ++place;
      s.h = operand(s, *s.down, s.inter, memory + *place++, nullptr);
      s.h_rows.memory = memory + *place++;
    }
  }

  Operand operand(const Segment &s, const CpuWeight &w, std::int64_t k, std::byte *quantised, float *rows) const {
    Operand operand;
    operand.rows = s.count;
    operand.k = operand.ld = k;
    if (w.packed())
      operand.quant = QuantRows(device_.packed_kernels(), s.count, w.packed_matrix(), quantised);
    else if (takes_bf16(device_, w, s.count))
      operand.bf16 = reinterpret_cast<std::uint16_t *>(rows);
    else
      operand.f32 = rows;
    return operand;
  }

  // A panel of each segment, where its rows are quantised for gate; else some of its rows.
  std::vector<Task> gather_tasks() {
    std::vector<Task> tasks;
    for (Segment &s : segments_) {
      const QuantRows &quant = s.x.quant;
      for (std::int64_t panel = 0; panel < quant.panels(); ++panel)
        tasks.push_back({&s, quant.first_row(panel), quant.first_row(panel + 1) - quant.first_row(panel)});
      for (std::int64_t row = 0; !s.gate->packed() && row < s.count; row += kGatherRows)
        tasks.push_back({&s, row, std::min(kGatherRows, s.count - row)});
    }
    return tasks;
  }

  Rounded &rounded_for(const CpuWeight &w) { return rounded_[w.wide_groups() == WideGroups::kAll ? 1 : 0]; }

  // The rows of x as the packed weights' activations, once for all experts of a row; few rows are quantised as they are
  // gathered, which saves a region.
  void round_rows() {
    if (rows_ <= kFewRows)
      return;
    const auto need = [&](const CpuWeight &w) {
      if (w.packed())
        rounded_for(w).wanted = true;
    };
    for (const Segment &s : segments_) {
      need(*s.gate);
      need(*s.up);
    }
    std::int64_t bytes = 0;
    for (const Rounded &r : rounded_)
      bytes += r.wanted ? rows_ * Rounded::row_bytes(hidden_) : 0;
    if (bytes == 0)
      return;
    auto *memory = device_.second_scratch().take<std::byte>(bytes);
    for (Rounded &r : rounded_) {
      r.memory = memory;
      memory += r.wanted ? rows_ * Rounded::row_bytes(hidden_) : 0;
    }
    device_.run((rows_ + kGatherRows - 1) / kGatherRows, [&](std::int64_t task, Worker &worker) {
      for (std::int64_t i = task * kGatherRows; i < std::min(rows_, (task + 1) * kGatherRows); ++i) {
        for (const WideGroups wide : {WideGroups::kOutliers, WideGroups::kAll}) {
          const Rounded &r = rounded_[wide == WideGroups::kAll ? 1 : 0];
          if (r.wanted)
            round_row(device_, worker, call_.x, i, wide, r.row(i, hidden_));
        }
      }
    });
  }

  // Each segment's rows of x in the forms that its products take.
  void gather() {
    const std::vector<Task> tasks = gather_tasks();
    const auto take = [&](Worker &worker, const Task &t) {
      const Segment &s = *t.segment;
      if (!reads_first(s))
        gather_rows(worker, s, *s.gate, s.x, t);
      if (!share_operand(*s.gate, *s.up))
        gather_rows(worker, s, *s.up, s.x_up, t);
    };
    if (rows_ == 1) // less work than to hand it out
      device_.run(1, [&](std::int64_t, Worker &worker) {
        for (const Task &t : tasks)
          take(worker, t);
      });
    else
      device_.run(static_cast<std::int64_t>(tasks.size()),
                  [&](std::int64_t i, Worker &worker) { take(worker, tasks[static_cast<std::size_t>(i)]); });
  }

  std::int64_t source(const Segment &s, std::int64_t row) const {
    return order_.source[static_cast<std::size_t>(s.begin + row)];
  }

  // The rows of a task of gather_tasks as an operand of gate or up: of a packed one, the panels that begin there.
  void gather_rows(Worker &worker, const Segment &s, const CpuWeight &w, const Operand &x, const Task &t) {
    if (!w.packed()) {
      for (std::int64_t i = t.first; i < t.first + t.count; ++i)
        convert_row(device_.kernels(), call_.x, source(s, i), w.compute == ABY_DTYPE_BF16, x.bf16 != nullptr,
                    scratch_.x + s.begin * hidden_, i);
      return;
    }
    const Rounded &rounded = rounded_for(w);
    for (std::int64_t panel = 0; panel < x.quant.panels(); ++panel) {
      const std::int64_t first = x.quant.first_row(panel);
      if (first < t.first || first >= t.first + t.count)
        continue;
      if (rounded.wanted)
        x.quant.fill(panel, [&](std::int64_t r) { return rounded.row(source(s, r), hidden_); });
      else
        quantise_panel(device_, worker, call_.x, w, x.quant, panel, [&](std::int64_t r) { return source(s, r); });
    }
  }

  // Slices of every segment's weight rows.
  template <typename Rows, typename Step> std::vector<Task> slices(Rows &&rows_of, Step &&step_of) {
    std::vector<Task> tasks;
    for (Segment &s : segments_) {
      const std::int64_t rows = rows_of(s), step = step_of(s);
      for (std::int64_t row = 0; row < rows; row += step)
        tasks.push_back({&s, row, std::min(step, rows - row)});
    }
    return tasks;
  }

  // Where down's operand of a segment lies as bf16, in the place of up: [count, inter].
  std::uint16_t *bf16_middle(const Segment &s) const {
    return reinterpret_cast<std::uint16_t *>(scratch_.up + s.middle);
  }

  // Gate and up of a slice, and silu(gate) * up in the place of gate, or in the form that down takes: with a packed
  // down the slice is one unit of its operand, which is quantised here; bf16 is rounded here.
  void gate_up() {
    const std::vector<Task> tasks = slices(
        [](const Segment &s) { return s.inter; },
        [](const Segment &s) {
          return s.down->packed() ? kPackedUnit : std::min(block_rows(*s.gate, s.count), block_rows(*s.up, s.count));
        });
    std::vector<std::atomic<std::int64_t>> left(segments_.size()); // slices that are not done
    for (std::size_t i = 0; i < segments_.size(); ++i)
      left[i] = (segments_[i].inter + kPackedUnit - 1) / kPackedUnit;
    device_.run(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t i, Worker &worker) {
      const Task &t = tasks[static_cast<std::size_t>(i)];
      const Segment &s = *t.segment;
      const bool quantise = s.down->packed(), round = !quantise && takes_bf16(device_, *s.down, s.count);
      const std::int64_t ld = quantise ? kPackedUnit : round ? t.count : s.inter;
      float *gate = scratch_.gate + s.middle + t.first, *up = scratch_.up + s.middle + t.first;
      if (quantise || round) { // of no use to anybody else
        gate = worker.middle.take<float>(2 * s.count * ld);
        up = gate + s.count * ld;
      }
      // The workers take turns, more or less; the last ones go on with down.
      const std::size_t next = static_cast<std::size_t>(i) + device_.threads();
      const Segment &after = next < tasks.size() ? *tasks[next].segment : segments_.front();
      const std::byte *then = next < tasks.size() ? packed_rows(*after.gate, after.matrix, tasks[next].first)
                                                  : packed_rows(*after.down, after.matrix, 0);
      product(device_, worker, *s.gate, s.matrix, t.first, t.count, s.x, gate, ld,
              packed_rows(*s.up, s.matrix, t.first));
      product(device_, worker, *s.up, s.matrix, t.first, t.count, s.x_up, up, ld, then);
      for (std::int64_t r = 0; r < s.count; ++r) {
        device_.kernels().swiglu(gate + r * ld, up + r * ld, gate + r * ld, t.count);
        if (quantise)
          s.h.quant.kernels().round(gate + r * ld, t.count, t.first / kPackedUnit, s.h_rows.row(r, s.inter));
        else if (round)
          device_.kernels().f32_to_bf16(gate + r * ld, bf16_middle(s) + r * s.inter + t.first, t.count);
      }
      // Of few rows, the last slice of a segment lays them out: that saves a region.
      if (quantise && rows_ <= kFewRows &&
          left[static_cast<std::size_t>(t.segment - segments_.data())].fetch_sub(1) == 1)
        for (std::int64_t panel = 0; panel < s.h.quant.panels(); ++panel)
          fill_middle(s, panel);
    });
    if (rows_ > kFewRows)
      fill_middles();
    for (Segment &s : segments_) {
      if (s.down->packed())
        continue;
      if (takes_bf16(device_, *s.down, s.count)) {
        s.h.bf16 = bf16_middle(s);
        continue;
      }
      const HostRows h{reinterpret_cast<std::byte *>(scratch_.gate + s.middle), ABY_DTYPE_F32, s.count, s.inter,
                       s.inter};
      s.h = make_operand(device_, h, *s.down, scratch_.up + s.middle);
    }
  }

  // A panel of down's operand of rows that are rounded.
  void fill_middle(const Segment &s, std::int64_t panel) const {
    s.h.quant.fill(panel, [&](std::int64_t r) {
      const RoundedRow row = s.h_rows.row(r, s.inter);
      choose_wide_groups(row, s.down->wide_groups());
      return row;
    });
  }

  void fill_middles() {
    std::vector<Task> tasks;
    for (Segment &s : segments_) {
      for (std::int64_t panel = 0; s.down->packed() && panel < s.h.quant.panels(); ++panel)
        tasks.push_back({&s, panel, 1});
    }
    device_.run(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t i, Worker &) {
      const Task &t = tasks[static_cast<std::size_t>(i)];
      fill_middle(*t.segment, t.first);
    });
  }

  float *down_row(std::int64_t place) const { return scratch_.down + place * hidden_; }

  void down_slice(Worker &worker, const Segment &s, std::int64_t first, std::int64_t count,
                  const std::byte *then = nullptr) {
    product(device_, worker, *s.down, s.matrix, first, count, s.h, down_row(s.begin) + first, hidden_, then);
  }

  void down() {
    const std::vector<Task> tasks =
        slices([&](const Segment &) { return hidden_; }, [](const Segment &s) { return block_rows(*s.down, s.count); });
    device_.run(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t i, Worker &worker) {
      const Task &t = tasks[static_cast<std::size_t>(i)];
      down_slice(worker, *t.segment, t.first, t.count);
    });
  }

  void combine() {
    device_.run(rows_, [&](std::int64_t r, Worker &worker) { combine_slice(worker, r, 0, hidden_); });
  }

  void down_and_combine() {
    std::int64_t step = hidden_;
    for (const Segment &s : segments_)
      step = std::min(step, block_rows(*s.down, s.count));
    device_.run((hidden_ + step - 1) / step, [&](std::int64_t i, Worker &worker) {
      const std::int64_t first = i * step, count = std::min(step, hidden_ - first);
      for (const Segment &s : segments_) {
        const bool last = &s == &segments_.back();
        const Segment &after = last ? segments_.front() : *(&s + 1);
        const std::int64_t next = first + (last ? static_cast<std::int64_t>(device_.threads()) * step : 0);
        down_slice(worker, s, first, count, next < hidden_ ? packed_rows(*after.down, after.matrix, next) : nullptr);
      }
      for (std::int64_t r = 0; r < rows_; ++r)
        combine_slice(worker, r, first, count);
    });
  }

  // A row's results in the order of its experts, then the shared ones: the same for any number of threads.
  void combine_slice(Worker &worker, std::int64_t r, std::int64_t first, std::int64_t count) {
    const Kernels &kernels = device_.kernels();
    float *sum = worker.sums.take<float>(count);
    std::fill_n(sum, count, 0.0f);
    for (std::int64_t pair = r * top_k_; pair < (r + 1) * top_k_; ++pair)
      kernels.axpy(sum, call_.weight[pair], down_row(order_.place[static_cast<std::size_t>(pair)]) + first, count);
    if (call_.shared.gate != nullptr)
      kernels.add(sum, down_row(rows_ * top_k_ + r) + first, count);
    if (call_.out.dtype == ABY_DTYPE_BF16)
      kernels.f32_to_bf16(sum, reinterpret_cast<std::uint16_t *>(call_.out.row(r)) + first, count);
    else
      std::copy_n(sum, count, reinterpret_cast<float *>(call_.out.row(r)) + first);
  }

  CpuDevice &device_;
  const MoeExpertsCall &call_;
  const ExpertsScratch &scratch_;
  std::int64_t rows_, top_k_, hidden_;
  PairOrder order_;
  std::vector<Segment> segments_;
  Rounded rounded_[2]; // rows of x with wide groups where they stand out, and everywhere: see round_rows
};

} // namespace

std::uint64_t moe_experts_scratch(const abk_op_desc &desc) {
  Carve measure;
  ExpertsScratch(measure, desc.rows, desc.top_k, desc.hidden, desc.inter, desc.shared_inter);
  return measure.used();
}

void moe_experts(CpuDevice &device, const abk_moe_experts_args &args) {
  const MoeExpertsCall call = check_moe_experts(args);
  if (args.rows == 0)
    return;
  abk_op_desc desc{};
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
