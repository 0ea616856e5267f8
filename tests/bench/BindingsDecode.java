import java.nio.file.Path;
import java.util.Arrays;
import org.abyssal.EventKind;
import org.abyssal.GenerationOptions;
import org.abyssal.Model;
import org.abyssal.ModelOptions;
import org.abyssal.ReplyStream;
import org.abyssal.Sequence;

/** What bindings_decode.c measures, through the Java binding: java -cp JARS BindingsDecode.java MODEL [ROUNDS]. */
final class BindingsDecode {
  private static final int TOKENS = 256;

  /** Nanoseconds of one token, of TOKENS. The prompt is not counted. */
  private static double decode(Model model) {
    int[] prompt = {3, 4, 5, 6, 7, 8, 9, 10};
    GenerationOptions options = new GenerationOptions().temperature(0).ignoreEos(true).maxTokens(TOKENS);
    try (Sequence sequence = model.sequence(); ReplyStream reply = sequence.generate(prompt, options)) {
      reply.next();
      long start = System.nanoTime();
      while (reply.next().kind() != EventKind.END) {
        // every event is made, as a program would see it
      }
      return (double) (System.nanoTime() - start) / TOKENS;
    }
  }

  public static void main(String[] arguments) {
    int rounds = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 20;
    try (Model model = Model.open(Path.of(arguments[0]), new ModelOptions().threads(1))) {
      for (int i = 0; i < rounds / 4 + 1; ++i) {
        decode(model); // warm
      }
      double[] times = new double[rounds];
      for (int i = 0; i < rounds; ++i) {
        times[i] = decode(model);
      }
      Arrays.sort(times);
      System.out.printf("%.3f us/token%n", times[rounds / 2] / 1e3);
    }
  }
}
