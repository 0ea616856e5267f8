package org.abyssal;

/**
 * What binds the content of replies, compiled. Made by {@link Model#constraint}, for {@link ReplyOptions#constraint}.
 * Immutable: any thread and any number of replies of its model may use it.
 */
public final class Constraint extends NativeConstraint {
  Constraint(NativeModel model, ConstraintKind kind, String text) {
    super(model, kind.number(), text);
  }

  @Override
  public String toString() {
    return isClosed() ? "Constraint[closed]" : "Constraint";
  }
}
