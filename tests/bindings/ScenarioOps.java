import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.abyssal.*;

/** Routing, experts and MLA on the arrays of the scenario. */
final class ScenarioOps {
  private static Experts experts;
  private static Mla mla;

  private ScenarioOps() {}

  static void route(ScenarioStep step) {
    int count = step.integer("experts");
    float[] logits = step.floats("logits");
    Router.Routes routes = new Router()
        .topK(step.integer("top_k"))
        .groups((int) step.integer("n_group", 1), (int) step.integer("topk_group", 1))
        .scoring(Scoring.valueOf(step.text("scoring").toUpperCase(Locale.ROOT)))
        .method(TopkMethod.valueOf(step.text("topk_method").toUpperCase(Locale.ROOT)))
        .normTopkProb(step.flag("norm_topk_prob"))
        .routedScalingFactor(step.number("routed_scaling_factor", 1))
        .bias(step.floats("bias"))
        .route(ScenarioJava.deviceOf(step), logits, count);
    step.sayIntegers(routes.index(), logits.length / count, step.integer("top_k"));
    step.sayFloats(routes.weight(), logits.length / count, step.integer("top_k"));
  }

  private static List<Tensor> matrices(ScenarioStep step, String name, int rows, int columns) {
    float[] all = step.floats(name);
    List<Tensor> each = new ArrayList<>();
    for (int at = 0; at < all.length; at += rows * columns) {
      each.add(ScenarioJava.tensor(name, Arrays.copyOfRange(all, at, at + rows * columns), rows, columns));
    }
    return each;
  }

  static void experts(ScenarioStep step) {
    int hidden = step.integer("hidden");
    int inter = step.integer("inter");
    int shared = step.integer("shared_inter");
    experts = Experts.of(ScenarioJava.deviceOf(step), new ExpertWeights(
        matrices(step, "gate", inter, hidden),
        matrices(step, "up", inter, hidden),
        matrices(step, "down", hidden, inter))
        .shared(
            matrices(step, "shared_gate", shared, hidden).get(0),
            matrices(step, "shared_up", shared, hidden).get(0),
            matrices(step, "shared_down", hidden, shared).get(0)));
  }

  static void runExperts(ScenarioStep step) {
    int[] index = step.integers("index");
    int topK = step.integer("top_k");
    float[] out = experts.run(step.floats("x"), index, step.floats("weight"), topK);
    int rows = index.length / topK;
    step.sayFloats(out, rows, out.length / rows);
  }

  static void mla(ScenarioStep step) {
    Mla.Shape shape = new Mla.Shape(
        step.integer("heads"), step.integer("kv_lora"), step.integer("nope"), step.integer("rope"), step.integer("v"));
    int rows = shape.heads() * (shape.qkNopeHeadDim() + shape.vHeadDim());
    Tensor kvB = ScenarioJava.tensor("kv_b", step.floats("kv_b"), rows, shape.kvLoraRank());
    mla = Mla.of(ScenarioJava.deviceOf(step), kvB, shape, Dtype.F32);
  }

  static void attend(ScenarioStep step) {
    int[] rowBegin = step.integers("row_begin");
    float[] cache = step.floats("cache");
    int blocks = step.integer("blocks");
    Mla.Batch batch = new Mla.Batch(rowBegin, step.integers("context"), step.integers("block_table"));
    float[] out = mla.attend(
        step.floats("q"), ScenarioJava.tensor("cache", cache, blocks, 64, cache.length / blocks / 64), batch,
        step.number("scale", 0), step.integer("absorb_below"));
    step.sayFloats(out, rowBegin[rowBegin.length - 1], step.integer("heads"), step.integer("v"));
  }

  static void close(String layer) {
    if (layer.equals("mla")) {
      mla.close();
    } else {
      experts.close();
    }
  }
}
