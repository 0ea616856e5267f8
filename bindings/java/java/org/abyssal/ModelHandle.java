package org.abyssal;

/** A sequence's own hold on its model: the caller's may be closed before the sequence. */
final class ModelHandle extends NativeModel {
  ModelHandle(NativeModel of) {
    super(of.copyPointer(), true);
  }
}
