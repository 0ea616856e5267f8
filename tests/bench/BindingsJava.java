import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;
import org.abyssal.EvalOptions;
import org.abyssal.Event;
import org.abyssal.EventKind;
import org.abyssal.ReplyOptions;
import org.abyssal.Model;
import org.abyssal.ReplyStream;
import org.abyssal.Sequence;

/**
 * Java's part of bindings.py and memory.py: does what the lines of standard input ask for, as bindings_c.c.
 * Usage: java -cp JARS BindingsJava MODEL.
 */
final class BindingsJava {
  private final Path path;
  private Model shared;
  private FloatBuffer reused = FloatBuffer.allocate(0);

  private BindingsJava(Path path) {
    this.path = path;
  }

  private Model model() {
    if (shared == null) {
      shared = Model.open(path);
    }
    return shared;
  }

  private static double seconds() {
    return System.nanoTime() / 1e9;
  }

  private static ReplyOptions greedy(int tokens) {
    return new ReplyOptions().temperature(0).ignoreEos(true).maxTokens(tokens);
  }

  private String decode(int tokens) {
    Model model = model();
    double begin = seconds();
    int digest = 0;
    try (ReplyStream reply = model.generateStream(new int[] {5, 6, 7}, greedy(tokens))) {
      while (reply.hasNext()) {
        Event event = reply.next();
        if (event.kind() == EventKind.TOKEN) {
          digest = 31 * digest + event.token();
        }
      }
    }
    return String.format(
        Locale.ROOT, "{\"seconds\": %.9f, \"digest\": %s}", seconds() - begin, Integer.toUnsignedString(digest));
  }

  private String logits(int tokens) {
    int[] prompt = new int[tokens];
    for (int i = 0; i < tokens; ++i) {
      prompt[i] = 5 + i % 500;
    }
    try (Sequence sequence = model().sequence()) {
      double begin = seconds();
      sequence.eval(prompt, new EvalOptions().logits(tokens));
      double evaluated = seconds();
      FloatBuffer fresh = sequence.logitsBuffer();
      double delivered = seconds();
      int elements = fresh.remaining();
      if (reused.capacity() < elements) {
        reused = ByteBuffer.allocateDirect(4 * elements).order(ByteOrder.nativeOrder()).asFloatBuffer();
      }
      reused.clear();
      double again = seconds();
      sequence.readLogits(reused);
      return String.format(
          Locale.ROOT,
          "{\"eval\": %.9f, \"ways\": {\"new direct FloatBuffer\": %.9f, \"reused direct FloatBuffer\": %.9f}, "
              + "\"elements\": %d, \"last\": %s}",
          evaluated - begin,
          delivered - evaluated,
          seconds() - again,
          elements,
          (double) fresh.get(elements - 1));
    }
  }

  private String cycles(int count) throws InterruptedException {
    for (int i = 0; i < count; ++i) {
      try (Model model = Model.open(path); Sequence sequence = model.sequence()) {
        sequence.eval(5, 6, 7);
        sequence.logits();
      }
    }
    return settle();
  }

  private String replies(int count, int tokens) throws InterruptedException {
    for (int i = 0; i < count; ++i) {
      model().generate("What is 47 * 6 + 12?", greedy(tokens));
    }
    return settle();
  }

  /** What was dropped goes, in the collector and in the cleaner that it wakes. */
  private static String settle() throws InterruptedException {
    for (int i = 0; i < 3; ++i) {
      System.gc();
      Thread.sleep(20);
    }
    return "{}";
  }

  private String answer(String[] words) throws InterruptedException {
    int first = Integer.parseInt(words[1]);
    return switch (words[0]) {
      case "decode" -> decode(first);
      case "logits" -> logits(first);
      case "cycles" -> cycles(first);
      case "replies" -> replies(first, Integer.parseInt(words[2]));
      default -> throw new IllegalArgumentException("no such command: " + words[0]);
    };
  }

  public static void main(String[] arguments) throws IOException, InterruptedException {
    BindingsJava program = new BindingsJava(Path.of(arguments[0]));
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      System.out.println(program.answer(line.split(" ")));
    }
  }
}
