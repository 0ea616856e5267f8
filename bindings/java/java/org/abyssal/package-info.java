/**
 * Abyssal runs DeepSeek-architecture language models inside your own program.
 *
 * <pre>{@code
 * try (Model model = Model.open(Path.of("path/to/checkpoint"))) {
 *   System.out.println(model.chat(List.of(Message.user("Hello"))).content());
 * }
 * }</pre>
 *
 * <p>Shapes in the documentation are [rows, columns], row-major; [rows * columns] is an array of that many elements.
 * Failures are {@link org.abyssal.AbyssalException}s, unchecked, with a {@link org.abyssal.Status}. Objects may be
 * closed in any order and from any thread; one that is dropped without being closed is freed by a Cleaner.
 */
package org.abyssal;
