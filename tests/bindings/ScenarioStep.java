import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.abyssal.AbyssalException;

/** A step of the scenario, as flatten.py writes it, and what it tells. */
final class ScenarioStep {
  private static final PrintStream OUT =
      new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true, StandardCharsets.UTF_8);

  final String kind;
  private final String number;
  private final Map<String, String> fields = new TreeMap<>();

  ScenarioStep(String line) {
    String[] parts = line.split("\t");
    number = parts[0];
    kind = parts[1];
    for (int i = 2; i < parts.length; ++i) {
      int equals = parts[i].indexOf('=');
      fields.put(parts[i].substring(0, equals), parts[i].substring(equals + 1));
    }
  }

  boolean has(String name) {
    return fields.containsKey(name);
  }

  /** A JSON string; null: there is none. */
  String text(String name) {
    if (!has(name)) {
      return null;
    }
    String value = fields.get(name);
    StringBuilder text = new StringBuilder();
    for (int i = 1; i < value.length() - 1; ++i) {
      if (value.charAt(i) != '\\') {
        text.append(value.charAt(i));
      } else if (value.charAt(++i) == 'u') {
        text.append((char) Integer.parseInt(value.substring(i + 1, i + 5), 16));
        i += 4;
      } else {
        int known = "bfnrt".indexOf(value.charAt(i));
        text.append(known < 0 ? value.charAt(i) : "\b\f\n\r\t".charAt(known));
      }
    }
    return text.toString();
  }

  long integer(String name, long otherwise) {
    return has(name) ? Long.parseLong(fields.get(name)) : otherwise;
  }

  int integer(String name) {
    return (int) integer(name, 0);
  }

  boolean flag(String name) {
    return integer(name) != 0;
  }

  int[] integers(String name) {
    return parse(fields.getOrDefault(name, ""));
  }

  List<int[]> lists(String name) {
    List<int[]> all = new ArrayList<>();
    for (String list : fields.get(name).split(";")) {
      all.add(parse(list));
    }
    return all;
  }

  float number(String name, float otherwise) {
    return has(name) ? floats(name)[0] : otherwise;
  }

  float[] floats(String name) {
    String[] words = fields.getOrDefault(name, "").split(" ");
    float[] all = new float[words[0].isEmpty() ? 0 : words.length];
    for (int i = 0; i < all.length; ++i) {
      all[i] = Float.intBitsToFloat(Integer.parseUnsignedInt(words[i], 16));
    }
    return all;
  }

  private static int[] parse(String list) {
    return list.isEmpty() ? new int[0] : java.util.Arrays.stream(list.split(" ")).mapToInt(Integer::parseInt).toArray();
  }

  // ---------------------------------------------------------------- the transcript

  /** Words with spaces between them; arrays of ints too. */
  void say(Object... words) {
    StringBuilder line = new StringBuilder(number);
    for (Object word : words) {
      if (word instanceof int[] integers) {
        for (int one : integers) {
          line.append(' ').append(one);
        }
      } else {
        line.append(' ').append(word instanceof Boolean flag ? (flag ? "1" : "0") : word);
      }
    }
    OUT.print(line.append('\n'));
    OUT.flush();
  }

  void sayError(AbyssalException error) {
    say("error", error.code(), error.statusNumber(), quoted(error.getMessage()));
  }

  void sayIntegers(int[] values, long... shape) {
    sayShape("i32", shape);
    say("integers", values);
  }

  /** Where the last row is largest, and of the bits an FNV-1a hash, word by word, and the first. */
  void sayFloats(float[] values, long... shape) {
    sayShape("f32", shape);
    int row = 1;
    for (int i = 1; i < shape.length; ++i) {
      row *= (int) shape[i];
    }
    int hashed = (int) 2166136261L;
    for (float value : values) {
      hashed = (hashed ^ Float.floatToRawIntBits(value)) * 16777619;
    }
    int first = values.length - row;
    int largest = 0;
    for (int i = 1; values.length > 0 && i < row; ++i) {
      largest = values[first + i] > values[first + largest] ? i : largest;
    }
    if (values.length > 0) {
      say("largest", largest);
    }
    StringBuilder bits = new StringBuilder(String.format("%08x", hashed));
    for (int i = 0; i < Math.min(4, values.length); ++i) {
      bits.append(String.format(" %08x", Float.floatToRawIntBits(values[i])));
    }
    say("local bits", bits);
  }

  private void sayShape(String type, long... shape) {
    StringBuilder sizes = new StringBuilder(type);
    for (long size : shape) {
      sizes.append(' ').append(size);
    }
    say("shape", sizes);
  }

  static String quoted(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char unit : text.toCharArray()) {
      if (unit == '"' || unit == '\\') {
        quoted.append('\\').append(unit);
      } else {
        quoted.append(unit < ' ' ? String.format("\\u%04x", (int) unit) : unit);
      }
    }
    return quoted.append('"').toString();
  }
}
