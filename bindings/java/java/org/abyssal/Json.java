package org.abyssal;

import java.util.Iterator;
import java.util.Map;

/** Writes strings, numbers, booleans, nulls, lists and maps as JSON. The JDK has no writer of its own. */
final class Json {
  private final StringBuilder text = new StringBuilder();

  private Json() {}

  static String write(Object value, String what) {
    Json json = new Json();
    json.put(value, what);
    return json.text.toString();
  }

  private void put(Object value, String what) {
    if (value == null || value instanceof Boolean) {
      text.append(value);
    } else if (value instanceof CharSequence characters) {
      putString(characters);
    } else if (value instanceof Number number) {
      if (!Double.isFinite(number.doubleValue())) {
        throw Check.invalid(what + " holds " + number + ", which JSON cannot");
      }
      text.append(number);
    } else if (value instanceof Map<?, ?> map) {
      putMap(map, what);
    } else if (value instanceof Iterable<?> list) {
      putList(list, what);
    } else {
      throw Check.invalid(what + " holds a " + value.getClass().getName()
          + "; expected strings, numbers, booleans, nulls, lists and maps");
    }
  }

  private void putMap(Map<?, ?> map, String what) {
    char before = '{';
    for (Map.Entry<?, ?> entry : map.entrySet()) {
      text.append(before);
      putString(String.valueOf(entry.getKey()));
      text.append(':');
      put(entry.getValue(), what);
      before = ',';
    }
    text.append(before == '{' ? "{}" : "}");
  }

  private void putList(Iterable<?> list, String what) {
    text.append('[');
    for (Iterator<?> elements = list.iterator(); elements.hasNext();) {
      put(elements.next(), what);
      text.append(elements.hasNext() ? "," : "");
    }
    text.append(']');
  }

  private void putString(CharSequence characters) {
    text.append('"');
    for (int i = 0; i < characters.length(); ++i) {
      char unit = characters.charAt(i);
      if (unit == '"' || unit == '\\') {
        text.append('\\').append(unit);
      } else if (unit < 0x20) {
        text.append(String.format("\\u%04x", (int) unit));
      } else {
        text.append(unit);
      }
    }
    text.append('"');
  }
}
