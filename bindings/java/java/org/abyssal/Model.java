package org.abyssal;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.Flow;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * A checkpoint, its weights prepared on a device, and the cache that its sequences share.
 *
 * <p>Immutable but for update(), and shared: any thread may call anything on it at any time. Close it; sequences that
 * are still alive keep working and keep its memory.
 */
public final class Model extends NativeModel {
  final ReadWriteLock results = new ReentrantReadWriteLock(); // written by an update, which drops them

  private Model(String path, RawModelSetup setup, OpenProgress progress) {
    super(path, setup, progress);
  }

  private Model(String config, RawTensors tensors, RawModelSetup setup, OpenProgress progress) {
    super(config, tensors, setup, progress);
  }

  /**
   * Opens a checkpoint with the default options.
   *
   * @param path as in {@link #open(Path, ModelOptions)}
   * @return the model, to be closed by the caller
   * @throws AbyssalException as {@link #open(Path, ModelOptions)}
   */
  public static Model open(Path path) {
    return open(path, new ModelOptions());
  }

  /**
   * Opens a checkpoint. An interrupt of the calling thread cancels it, and stays set.
   *
   * @param path a folder as published (config.json, *.safetensors, tokenizer.json), or a GGUF file
   * @param options how
   * @return the model, to be closed by the caller
   * @throws AbyssalException NOT_FOUND, IO, FORMAT (damaged; names file, tensor and offset), UNSUPPORTED
   *     (architecture, type), NO_MEMORY, CANCELLED
   */
  public static Model open(Path path, ModelOptions options) {
    try (RawModelSetup setup = options.setup()) {
      return new Model(path.toString(), setup, new OpenProgress(options));
    }
  }

  /**
   * Opens a model from arrays in memory, which are copied.
   *
   * @param config the text of a config.json
   * @param tensors by the names of the published checkpoints
   * @param options how; its tokenizer may name a folder for functions on text
   * @return the model, to be closed by the caller
   * @throws AbyssalException as {@link #open(Path, ModelOptions)}
   */
  public static Model fromTensors(String config, Collection<Tensor> tensors, ModelOptions options) {
    try (RawModelSetup setup = options.setup(); RawTensors raw = Tensor.raw(tensors)) {
      return new Model(config, raw, setup, new OpenProgress(options));
    } finally {
      java.lang.ref.Reference.reachabilityFence(tensors);
    }
  }

  /**
   * Memory that opening a checkpoint would need, and its sizes. Reads config and tensor headers only, and checks that
   * every tensor is there with the right shape.
   *
   * @param path as for open
   * @param options as for open
   * @return bytes and sizes
   * @throws AbyssalException as {@link #open(Path, ModelOptions)}
   */
  public static ModelPlan plan(Path path, ModelOptions options) {
    try (RawModelSetup setup = options.setup(); RawModelPlan raw = planNow(path.toString(), setup)) {
      return ModelPlan.of(raw);
    }
  }

  /**
   * Writes the checkpoint in a folder anew, with rounded weights; config and tokenizer as they are. The result opens as
   * any checkpoint does: with the same weights option it gives the results of the original, bit for bit. Other programs
   * do not know its element types, Q8_0 and Q4_0. An interrupt of the calling thread cancels it, and stays set.
   *
   * @param path a folder as published
   * @param out a folder, which is made and must not hold a config.json yet
   * @param options of which weights (INT8 or INT4), threads, progress and cancellation are used
   * @throws AbyssalException INVALID_ARGUMENT: weights is STORED, or out holds a config.json; UNSUPPORTED: a GGUF file;
   *     CANCELLED, IO, and as {@link #open(Path, ModelOptions)}. Nothing that opens is left behind
   */
  public static void quantize(Path path, Path out, ModelOptions options) {
    try (RawModelSetup setup = options.setup()) {
      quantizeNow(path.toString(), out.toString(), setup, new OpenProgress(options));
    }
  }

  /**
   * Replaces weights by the tensors given, by name; others stay. Shapes must be those of the model; the type may
   * differ. Every sequence of this model is empty afterwards: caches made with the old weights are dropped.
   *
   * @param tensors copied
   * @throws AbyssalException BUSY: an evaluation runs; NOT_FOUND: a tensor that the model does not have;
   *     FORMAT: a wrong shape. The model is then unchanged
   */
  public void update(Collection<Tensor> tensors) {
    results.writeLock().lock();
    try (RawTensors raw = Tensor.raw(tensors)) {
      updateNow(raw);
    } finally {
      results.writeLock().unlock();
      java.lang.ref.Reference.reachabilityFence(tensors);
    }
  }

  /**
   * What the model is.
   *
   * @return names and sizes
   * @throws AbyssalException STATE: it is closed
   */
  public ModelInfo info() {
    return ModelInfo.of(this);
  }

  /**
   * The device that the model runs on.
   *
   * @return a device of its own, to be closed by the caller
   */
  public Device device() {
    return new Device(devicePointer());
  }

  /**
   * What was measured while the profile was on: also after it was stopped.
   *
   * @return every part, also those without a call
   */
  public List<ProfilePart> profileParts() {
    return ProfilePart.of(this);
  }

  /**
   * Token ids of a text, equal to Hugging Face's. Markers of special tokens inside the text become those tokens.
   *
   * @param text any
   * @return [n] ids
   * @throws AbyssalException ENCODING: a lone surrogate, with its position in bytes of UTF-8; STATE: no tokenizer
   */
  public int[] tokenize(String text) {
    return tokenize(text, false, false);
  }

  /**
   * Token ids of a text, equal to Hugging Face's.
   *
   * @param text any
   * @param addBos begin with the BOS token if the checkpoint asks for one and the text has none
   * @param plain treat markers of special tokens as ordinary text (for text from strangers)
   * @return [n] ids
   * @throws AbyssalException ENCODING: a lone surrogate, with its position in bytes of UTF-8; STATE: no tokenizer
   */
  public int[] tokenize(String text, boolean addBos, boolean plain) {
    return tokenizeFlags(text, (addBos ? 1 : 0) | (plain ? 2 : 0));
  }

  /**
   * The exact bytes of tokens. A token may hold part of a UTF-8 character.
   *
   * @param tokens [n] ids
   * @param skipSpecial leave special tokens out
   * @return bytes
   * @throws AbyssalException INVALID_ARGUMENT: an id outside the vocabulary; STATE: no tokenizer
   */
  public byte[] detokenize(int[] tokens, boolean skipSpecial) {
    return detokenizeFlags(tokens, skipSpecial ? 1 : 0);
  }

  /**
   * The text of tokens; bytes that are no UTF-8 become U+FFFD.
   *
   * @param tokens [n] ids
   * @return their text, with special tokens
   * @throws AbyssalException as {@link #detokenize(int[], boolean)}
   */
  public String decode(int... tokens) {
    return decode(tokens, false);
  }

  /**
   * The text of tokens; bytes that are no UTF-8 become U+FFFD.
   *
   * @param tokens [n] ids
   * @param skipSpecial leave special tokens out
   * @return their text
   * @throws AbyssalException as {@link #detokenize(int[], boolean)}
   */
  public String decode(int[] tokens, boolean skipSpecial) {
    return new String(detokenize(tokens, skipSpecial), StandardCharsets.UTF_8);
  }

  /**
   * Renders messages with the checkpoint's chat template, as Hugging Face renders them. The text holds the BOS marker
   * where the template writes it: tokenize it without addBos.
   *
   * @param messages of the chat
   * @param options tools, variables, another template
   * @return the prompt
   * @throws AbyssalException TEMPLATE: it failed, with its message; STATE: there is none; UNSUPPORTED: it gives the
   *     same text without the tools
   */
  public String renderChat(List<Message> messages, ChatOptions options) {
    return renderChat(Message.json(messages), options);
  }

  /**
   * Renders messages with the checkpoint's chat template.
   *
   * @param messagesJson such as [{"role":"user","content":"Hi"}]
   * @param options tools, variables, another template
   * @return the prompt
   * @throws AbyssalException TEMPLATE: it failed, with its message; STATE: there is none; UNSUPPORTED: it gives the
   *     same text without the tools
   */
  public String renderChat(String messagesJson, ChatOptions options) {
    return render(messagesJson, options, options.addGenerationPrompt);
  }

  private String render(String messagesJson, ChatOptions options, boolean addGenerationPrompt) {
    String variables = options.variables == null ? null : Json.write(options.variables, "variables");
    try (RawChatOptions raw = new RawChatOptions()) {
      raw.setAddGenerationPrompt(addGenerationPrompt ? 1 : 0);
      raw.setAllowDroppedTools(options.allowDroppedTools ? 1 : 0);
      return renderChatNow(messagesJson, raw, options.tools, variables, options.chatTemplate);
    }
  }

  /**
   * An empty sequence of this model.
   *
   * @return a sequence, to be closed by the caller
   */
  public Sequence sequence() {
    return new Sequence(this);
  }

  /**
   * Compiles what binds the content of replies, for any number of them. The first one of a model takes longer.
   *
   * @param kind of the text
   * @param text a JSON schema, a regular expression or a grammar
   * @return a constraint, to be closed by the caller
   * @throws AbyssalException INVALID_ARGUMENT: it does not compile, with the reason; ENCODING; STATE: no tokenizer
   */
  public Constraint constraint(ConstraintKind kind, String text) {
    return new Constraint(this, kind, text);
  }

  /**
   * Continues a text.
   *
   * @param prompt tokenized with the BOS token if the checkpoint asks for one
   * @param options how to draw
   * @return the finished reply
   * @throws AbyssalException INVALID_ARGUMENT, CONTEXT_FULL (the prompt can never fit), CACHE_FULL, ENCODING, STATE
   *     (no tokenizer)
   */
  public Reply generate(String prompt, ReplyOptions options) {
    return generateStream(prompt, options).reply();
  }

  /**
   * Continues tokens.
   *
   * @param prompt [n] ids
   * @param options how to draw
   * @return the finished reply
   * @throws AbyssalException INVALID_ARGUMENT, CONTEXT_FULL (the prompt can never fit), CACHE_FULL
   */
  public Reply generate(int[] prompt, ReplyOptions options) {
    return generateStream(prompt, options).reply();
  }

  /**
   * Continues a text, a step at a time.
   *
   * @param prompt tokenized with the BOS token if the checkpoint asks for one
   * @param options how to draw
   * @return events; close it when it is left early
   * @throws AbyssalException as {@link #generate(String, ReplyOptions)}
   */
  public ReplyStream generateStream(String prompt, ReplyOptions options) {
    return generateStream(tokenize(prompt, true, false), options);
  }

  /**
   * Continues tokens, a step at a time.
   *
   * @param prompt [n] ids
   * @param options how to draw
   * @return events; close it when it is left early
   * @throws AbyssalException as {@link #generate(int[], ReplyOptions)}
   */
  public ReplyStream generateStream(int[] prompt, ReplyOptions options) {
    return ReplyStream.start(sequence(), prompt, options, true, true);
  }

  /**
   * Continues a text for each subscriber anew, as many events as it asks for, on a thread of its own.
   *
   * @param prompt tokenized with the BOS token if the checkpoint asks for one
   * @param options how to draw
   * @return a publisher of events, the last of them of kind END; errors are AbyssalExceptions
   */
  public Flow.Publisher<Event> generatePublisher(String prompt, ReplyOptions options) {
    return new EventPublisher(() -> generateStream(prompt, options), EventPublisher.STEPS);
  }

  /**
   * Answers messages with the checkpoint's chat template, with the default options.
   *
   * @param messages of the chat
   * @return the finished reply, with reasoning and content apart
   * @throws AbyssalException as {@link #chat(List, ChatOptions, ReplyOptions)}
   */
  public Reply chat(List<Message> messages) {
    return chat(messages, new ChatOptions(), new ReplyOptions());
  }

  /**
   * Answers messages with the checkpoint's chat template.
   *
   * @param messages of the chat
   * @param chat tools, variables, template, and the sequence to write onto
   * @param options how to draw
   * @return the finished reply, with reasoning and content apart
   * @throws AbyssalException TEMPLATE, STATE (no tokenizer or no chat template), UNSUPPORTED (the template drops the
   *     tools), CONTEXT_FULL (the prompt can never fit), CACHE_FULL, INVALID_ARGUMENT
   */
  public Reply chat(List<Message> messages, ChatOptions chat, ReplyOptions options) {
    return chatStream(messages, chat, options).reply();
  }

  /**
   * Answers messages, a step at a time; events say in textKind what their text is.
   *
   * @param messages of the chat
   * @param chat tools, variables, template, and the sequence to write onto
   * @param options how to draw
   * @return events; close it when it is left early
   * @throws AbyssalException as {@link #chat(List, ChatOptions, ReplyOptions)}
   */
  public ReplyStream chatStream(List<Message> messages, ChatOptions chat, ReplyOptions options) {
    return chatStream(Message.json(messages), chat, options);
  }

  /**
   * Answers messages, a step at a time; events say in textKind what their text is.
   *
   * @param messagesJson such as [{"role":"user","content":"Hi"}]
   * @param chat tools, variables, template, and the sequence to write onto
   * @param options how to draw
   * @return events; close it when it is left early
   * @throws AbyssalException as {@link #chat(List, ChatOptions, ReplyOptions)}
   */
  public ReplyStream chatStream(String messagesJson, ChatOptions chat, ReplyOptions options) {
    int[] tokens = tokenize(render(messagesJson, chat, true));
    if (chat.sequence == null) {
      return ReplyStream.start(sequence(), tokens, options, false, true);
    }
    int[] known = chat.sequence.tokens();
    int most = Math.max(0, Math.min(known.length, tokens.length - 1)); // the last one is evaluated for its logits
    int differs = Arrays.mismatch(known, 0, most, tokens, 0, most);
    int shared = differs < 0 ? most : differs;
    chat.sequence.truncate(shared);
    int[] rest = Arrays.copyOfRange(tokens, shared, tokens.length);
    return ReplyStream.start(chat.sequence, rest, options, false, false);
  }

  /**
   * Answers messages for each subscriber anew, as many events as it asks for, on a thread of its own.
   *
   * @param messages of the chat
   * @param chat tools, variables, template; a sequence in it serves one subscriber at a time
   * @param options how to draw
   * @return a publisher of events, the last of them of kind END; errors are AbyssalExceptions
   */
  public Flow.Publisher<Event> chatPublisher(List<Message> messages, ChatOptions chat, ReplyOptions options) {
    String json = Message.json(messages);
    return new EventPublisher(() -> chatStream(json, chat, options), EventPublisher.STEPS);
  }

  @Override
  public String toString() {
    if (isClosed()) {
      return "Model[closed]";
    }
    ModelInfo info = info();
    return String.format(java.util.Locale.ROOT, "Model[%s, %d layers, %.3g G parameters]", info.architecture(),
        info.layers(), info.parameters() / 1e9);
  }
}
