import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import org.abyssal.EventKind;
import org.abyssal.GenerationOptions;
import org.abyssal.Model;
import org.abyssal.ReplyStream;
import org.abyssal.Sequence;

/**
 * Greedy decoding through the Java binding: as bindings_c.c, with which its rate is compared.
 * Usage: java -cp JARS BindingsJava.java MODEL [TOKENS [ROUNDS]].
 */
final class BindingsJava {
  /** Seconds of a whole reply: a short prompt, and its tokens. */
  private static double decode(Model model, int tokens) {
    long start = System.nanoTime();
    GenerationOptions options = new GenerationOptions().temperature(0).ignoreEos(true).maxTokens(tokens);
    int drawn = 0;
    try (Sequence sequence = model.sequence();
        ReplyStream reply = sequence.generate(new int[] {5, 6, 7}, options)) {
      EventKind kind;
      do {
        kind = reply.next().kind();
        drawn += kind == EventKind.TOKEN ? 1 : 0;
      } while (kind != EventKind.END);
    }
    if (drawn != tokens) {
      throw new IllegalStateException(drawn + " tokens of " + tokens + "; the context is too short");
    }
    return (System.nanoTime() - start) / 1e9;
  }

  public static void main(String[] arguments) {
    int tokens = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 1000;
    int rounds = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 9;
    try (Model model = Model.open(Path.of(arguments[0]))) {
      decode(model, tokens);
      double[] rates = new double[rounds];
      for (int i = 0; i < rounds; ++i) {
        rates[i] = tokens / decode(model, tokens);
      }
      Arrays.sort(rates);
      System.out.printf(
          Locale.ROOT,
          "{\"language\": \"java\", \"tokens_per_second\": %.1f, \"lowest\": %.1f, \"highest\": %.1f}%n",
          rates[rounds / 2],
          rates[0],
          rates[rounds - 1]);
    }
  }
}
