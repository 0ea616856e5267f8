import static java.util.Map.entry;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Function;
import org.abyssal.*;

/** The scenario through the Java package. Usage: ScenarioJava STEPS. Prints the transcript. */
final class ScenarioJava {
  private static final Map<Integer, Model> MODELS = new HashMap<>();
  private static final Map<Integer, Sequence> SEQUENCES = new HashMap<>();
  private static final Map<Integer, Device> DEVICES = new HashMap<>();
  private static final List<Tensor> TENSORS = new ArrayList<>();

  private static final Map<String, Consumer<ScenarioStep>> KINDS = Map.ofEntries(
      entry("version", step -> step.say("version", Abyssal.version())),
      entry("backends", ScenarioJava::backends),
      entry("device", ScenarioJava::device),
      entry("plan", ScenarioJava::plan),
      entry("open", step -> open(step, options -> Model.open(Path.of(step.text("path")), options))),
      entry("tensor", step -> TENSORS.add(tensor(step.text("name"), step.floats("data"), step.integers("shape")))),
      entry("open_tensors", ScenarioJava::openTensors),
      entry("update", ScenarioJava::update),
      entry("info", ScenarioJava::info),
      entry("tokenize", ScenarioJava::tokenize),
      entry("detokenize", ScenarioJava::detokenize),
      entry("render_chat", ScenarioJava::renderChat),
      entry("sequence", step -> SEQUENCES.put(step.integer("sequence"), model(step).sequence())),
      entry("eval", ScenarioJava::eval),
      entry("eval_batch", ScenarioJava::evalBatch),
      entry("interrupt", ScenarioJava::interrupt),
      entry("output", ScenarioJava::output),
      entry("tokens", ScenarioJava::tokens),
      entry("truncate", ScenarioJava::truncate),
      entry("fork", step -> SEQUENCES.put(step.integer("into"), sequence(step).fork())),
      entry("generate", ScenarioJava::generate),
      entry("chat", ScenarioJava::chat),
      entry("route", ScenarioOps::route),
      entry("experts", ScenarioOps::experts),
      entry("run_experts", ScenarioOps::runExperts),
      entry("mla", ScenarioOps::mla),
      entry("attend", ScenarioOps::attend),
      entry("close", ScenarioJava::close));

  private static Model model(ScenarioStep step) {
    return MODELS.get(step.integer("model"));
  }

  private static Sequence sequence(ScenarioStep step) {
    return SEQUENCES.get(step.integer("sequence"));
  }

  static Device deviceOf(ScenarioStep step) {
    return DEVICES.get(step.integer("device"));
  }

  static Tensor tensor(String name, float[] data, int... shape) {
    return Tensor.of(name, data, Arrays.stream(shape).asLongStream().toArray());
  }

  private static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  private static Dtype dtype(ScenarioStep step, String name) {
    return step.has(name) ? Dtype.valueOf(step.text(name).toUpperCase(Locale.ROOT)) : Dtype.AUTO;
  }

  // ---------------------------------------------------------------- the library, devices, models

  private static void backends(ScenarioStep step) {
    for (BackendInfo backend : Abyssal.backends()) {
      step.say("backend", backend.name(), backend.deviceCount());
    }
  }

  private static void device(ScenarioStep step) {
    Device made = Device.open(new DeviceOptions()
        .backend(step.text("backend"))
        .threads(step.integer("threads", 1))
        .index(step.integer("index")));
    DEVICES.put(step.integer("device"), made);
    DeviceInfo info = made.info();
    step.say("device", info.backend(), info.threads());
    step.say("local device", ScenarioStep.quoted(info.name()), ScenarioStep.quoted(info.isa()), info.memoryBytes());
  }

  private static ModelOptions modelOptions(ScenarioStep step) {
    return new ModelOptions()
        .device(step.has("device") ? deviceOf(step) : null)
        .backend(step.text("backend"))
        .threads(step.integer("threads", 1))
        .activations(dtype(step, "activations"))
        .cacheDtype(dtype(step, "cache_dtype"))
        .cacheTokens(step.integer("cache_tokens", 0))
        .absorbBelow(step.integer("absorb_below", 0))
        .mtp(step.flag("mtp"))
        .tokenizer(step.has("tokenizer") ? Path.of(step.text("tokenizer")) : null);
  }

  private static void plan(ScenarioStep step) {
    ModelPlan p = Model.plan(Path.of(step.text("path")), modelOptions(step));
    step.say("plan", p.layers(), p.parameters(), p.activeParameters(), p.fileBytes());
    step.say("cache", p.cacheBytesPerToken(), p.cacheTokens(), p.cacheBytes());
    step.say("local memory", p.weightBytes(), p.mappedBytes(), p.scratchBytes(), p.totalBytes());
  }

  private static void open(ScenarioStep step, Function<ModelOptions, Model> make) {
    String[] seen = {""};
    ModelOptions options = modelOptions(step);
    if (step.has("progress")) {
      options.progress((stage, done, total) -> {
        seen[0] = " progress " + lower(stage) + (done == total ? " 1" : " 0");
        return step.text("progress").equals("cancel");
      });
    }
    MODELS.put(step.integer("model"), make.apply(options));
    step.say("opened" + seen[0]);
  }

  /** What has been gathered by steps of the kind tensor. */
  private static List<Tensor> takeTensors() {
    List<Tensor> given = List.copyOf(TENSORS);
    TENSORS.clear();
    return given;
  }

  private static void openTensors(ScenarioStep step) {
    List<Tensor> given = takeTensors();
    open(step, options -> Model.fromTensors(step.text("config"), given, options));
  }

  private static void update(ScenarioStep step) {
    model(step).update(takeTensors());
    step.say("updated");
  }

  private static void info(ScenarioStep step) {
    ModelInfo i = model(step).info();
    step.say("model", i.architecture(), i.attention(), ScenarioStep.quoted(i.weightTypes()), i.layers(),
        i.hiddenSize(), i.vocabSize());
    step.say("heads", i.heads(), i.kvHeads(), i.kvLoraRank(), i.ropeDim());
    step.say("experts", i.experts(), i.topK(), i.contextLength(), i.mtpLayers());
    step.say("text", i.bosToken(), i.hasTokenizer(), i.hasChatTemplate(), i.reasons(), i.tools());
    step.say("types", lower(i.activations()), lower(i.cacheDtype()));
    step.say("sizes", i.parameters(), i.activeParameters(), i.fileBytes(), i.cacheBytesPerToken(), i.cacheTokens());
    step.say("local memory", i.weightBytes(), i.mappedBytes());
    step.say("eos", model(step).eosTokens());
    try (Device on = model(step).device()) {
      step.say("on", on.info().backend());
    }
  }

  // ---------------------------------------------------------------- text

  private static void tokenize(ScenarioStep step) {
    step.say("tokens", model(step).tokenize(step.text("text"), step.flag("add_bos"), step.flag("plain")));
  }

  private static void detokenize(ScenarioStep step) {
    byte[] bytes = model(step).detokenize(step.integers("tokens"), step.flag("skip_special"));
    step.say("bytes", HexFormat.of().formatHex(bytes));
  }

  private static void renderChat(ScenarioStep step) {
    ChatOptions options = new ChatOptions()
        .addGenerationPrompt(step.integer("add_generation_prompt", 1) != 0)
        .tools(step.text("tools"))
        .chatTemplate(step.text("chat_template"))
        .allowDroppedTools(step.flag("allow_dropped_tools"))
        .variables(step.has("flag") ? Map.of(step.text("flag"), true) : null);
    step.say("text", ScenarioStep.quoted(model(step).renderChat(step.text("messages"), options)));
  }

  // ---------------------------------------------------------------- sequences

  private static EvalOptions evalOptions(ScenarioStep step) {
    return new EvalOptions()
        .logits(step.integer("logits", 1))
        .hidden(step.flag("hidden"))
        .hiddenLayers(step.flag("hidden_layers"))
        .routes(step.flag("routes"))
        .mtp(step.flag("mtp"))
        .chunk(step.integer("chunk"));
  }

  private static void eval(ScenarioStep step) {
    sequence(step).eval(step.integers("tokens"), evalOptions(step));
    step.say("length", sequence(step).length());
  }

  private static void evalBatch(ScenarioStep step) {
    List<Sequence> batch = Arrays.stream(step.integers("sequences")).mapToObj(SEQUENCES::get).toList();
    Sequence.evalBatch(batch, step.lists("tokens"), evalOptions(step));
    step.say("lengths", batch.stream().mapToInt(one -> (int) one.length()).toArray());
  }

  /** Evaluates a token over and over on another thread: forks until that is refused, then cancels until it ends. */
  private static void interrupt(ScenarioStep step) {
    Sequence on = sequence(step);
    int[] tokens = new int[step.integer("count")];
    Arrays.fill(tokens, step.integer("token"));
    AtomicBoolean ended = new AtomicBoolean();
    List<AbyssalException> errors = new ArrayList<>();
    Thread thread = new Thread(() -> {
      do {
        errors.clear();
        try {
          on.eval(tokens);
        } catch (AbyssalException error) {
          errors.add(error);
        }
      } while (!errors.isEmpty() && errors.get(0).status() == Status.BUSY); // a fork was in it
      ended.set(true);
    });
    thread.start();
    for (boolean refused = false; !refused && !ended.get();) {
      try {
        on.fork().close();
      } catch (AbyssalException error) {
        step.sayError(error);
        refused = true;
      }
    }
    while (!ended.get()) {
      on.cancel();
      java.util.concurrent.locks.LockSupport.parkNanos(1_000_000);
    }
    join(thread);
    errors.forEach(step::sayError);
    step.say("length", on.length());
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException interrupted) {
      throw new IllegalStateException(interrupted);
    }
  }

  private static void output(ScenarioStep step) {
    Output kind = Output.valueOf(step.text("output").toUpperCase(Locale.ROOT));
    OutputArray array = sequence(step).output(kind, (int) step.integer("layer", -1));
    if (kind == Output.ROUTE_INDEX) {
      step.sayIntegers(array.ints(), array.shape());
    } else {
      step.sayFloats(array.floats(), array.shape());
    }
  }

  private static void tokens(ScenarioStep step) {
    step.say("length", sequence(step).length());
    step.say("tokens", sequence(step).tokens());
  }

  private static void truncate(ScenarioStep step) {
    sequence(step).truncate(step.integer("length"));
    step.say("length", sequence(step).length());
  }

  // ---------------------------------------------------------------- replies

  private static ReplyOptions replyOptions(ScenarioStep step) {
    ReplyOptions options = new ReplyOptions()
        .logprobs(step.flag("logprobs"))
        .seed(step.integer("seed"))
        .ignoreEos(step.flag("ignore_eos"))
        .stopTokens(step.integers("stop_tokens"))
        .chunk(step.integer("chunk"));
    if (step.has("temperature")) {
      options.temperature(step.number("temperature", 0));
    }
    if (step.has("top_p")) {
      options.topP(step.number("top_p", 0));
    }
    if (step.has("top_k")) {
      options.topK(step.integer("top_k"));
    }
    if (step.has("min_p")) {
      options.minP(step.number("min_p", 0));
    }
    if (step.has("mask") && !step.has("mask_after")) {
      options.mask(mask(step));
    }
    if (step.has("json_schema")) {
      options.jsonSchema(step.text("json_schema"));
    }
    if (step.has("regex")) {
      options.regex(step.text("regex"));
    }
    if (step.has("grammar")) {
      options.grammar(step.text("grammar"));
    }
    return step.has("max_tokens") ? options.maxTokens(step.integer("max_tokens")) : options;
  }

  /** A flag for each of mask_size ids: whether it is listed. */
  private static boolean[] mask(ScenarioStep step) {
    boolean[] flags = new boolean[step.integer("mask_size")];
    for (int id : step.integers("mask")) {
      flags[id] = true;
    }
    return flags;
  }

  private static void generate(ScenarioStep step) {
    ReplyOptions options = replyOptions(step).plain(step.integer("plain", 1) != 0);
    int left = step.integer("leave");
    int seen = 0;
    try (ReplyStream stream = sequence(step).generate(step.integers("tokens"), options)) {
      if (step.flag("cancel")) {
        stream.cancel();
      }
      for (Event event : stream) {
        String text = ScenarioStep.quoted(event.text());
        step.say("event", lower(event.kind()), event.token(), lower(event.textKind()), text);
        if (!Float.isNaN(event.logprob())) {
          step.say("local logprob", String.format(Locale.ROOT, "%.4f", event.logprob()));
        }
        if (event.kind() == EventKind.PROMPT) {
          step.say("prompt", event.promptDone(), event.promptTotal());
        }
        if (event.kind() == EventKind.END) {
          step.say("end", lower(event.finishReason()), event.completionTokens(), event.reasoningTokens());
        }
        ++seen;
        if (seen == step.integer("mask_after")) {
          stream.setMask(mask(step));
        }
        if (seen == step.integer("lift_after")) {
          stream.setMask(null);
        }
        if (--left == 0) {
          break;
        }
      }
    }
    step.say("length", sequence(step).length());
  }

  private static void chat(ScenarioStep step) {
    Reply reply = model(step).chatStream(step.text("messages"), new ChatOptions(), replyOptions(step)).reply();
    step.say("reasoning", ScenarioStep.quoted(reply.reasoning()));
    step.say("content", ScenarioStep.quoted(reply.content()));
    step.say("tokens", reply.tokens());
    Usage usage = reply.usage();
    step.say("end", lower(reply.finishReason()), usage.promptTokens(), usage.completionTokens(),
        usage.reasoningTokens());
  }

  private static void close(ScenarioStep step) {
    if (step.has("model")) {
      model(step).close();
    }
    if (step.has("sequence")) {
      sequence(step).close();
    }
    if (step.has("device")) {
      deviceOf(step).close();
    }
    if (step.has("layer")) {
      ScenarioOps.close(step.text("layer"));
    }
  }

  public static void main(String[] arguments) throws java.io.IOException {
    for (String line : Files.readAllLines(Path.of(arguments[0]), StandardCharsets.US_ASCII)) {
      ScenarioStep step = new ScenarioStep(line);
      try {
        KINDS.get(step.kind).accept(step);
      } catch (AbyssalException error) {
        step.sayError(error);
      }
      step.say("done");
    }
  }
}
