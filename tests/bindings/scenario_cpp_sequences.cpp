// Sequences and replies.
#include "scenario_cpp.h"

#include <atomic>
#include <cmath>
#include <map>
#include <thread>

namespace {

const std::vector<std::string> kKinds{"prompt", "token", "end"};
const std::vector<std::string> kTextKinds{"content", "reasoning"};
const std::vector<std::string> kFinish{"none", "stop", "length", "cancelled", "context"};

std::string name(const std::vector<std::string> &names, std::int32_t number) {
  return names.at(static_cast<std::size_t>(number));
}

// A flag for each of mask_size ids: whether it is listed.
std::vector<std::uint8_t> mask_flags(const step &s) {
  std::vector<std::uint8_t> flags(number<std::size_t>(s, "mask_size"));
  for (const std::int32_t id : integers(s, "mask"))
    flags.at(static_cast<std::size_t>(id)) = 1;
  return flags;
}

// What the options point to.
struct Pointed {
  Pointed(const step &s, const abyssal::model &of) : stop_tokens(integers(s, "stop_tokens")) {
    if (step_find(&s, "mask") != nullptr && step_find(&s, "mask_after") == nullptr)
      mask = abyssal::mask_words(mask_flags(s).data(), number<std::size_t>(s, "mask_size"));
    for (const aby_constraint_kind tried : {ABY_CONSTRAINT_JSON_SCHEMA, ABY_CONSTRAINT_REGEX, ABY_CONSTRAINT_GRAMMAR}) {
      const char *const name = tried == ABY_CONSTRAINT_JSON_SCHEMA ? "json_schema"
                               : tried == ABY_CONSTRAINT_REGEX     ? "regex"
                                                                   : "grammar";
      if (step_find(&s, name) != nullptr)
        constraint = abyssal::constraint(of, tried, text(s, name)).get();
    }
  }
  Integers stop_tokens;
  std::vector<std::uint32_t> mask;
  std::shared_ptr<aby_constraint> constraint;
};

// Which model a sequence is of.
std::map<std::int64_t, std::int64_t> models_of_sequences;

aby_reply_options reply_options(const step &s, const Pointed &to, std::int64_t plain) {
  aby_reply_options options = abyssal::default_reply_options();
  options.max_tokens = number<std::uint64_t>(s, "max_tokens", -1);
  options.temperature = step_float(&s, "temperature", options.temperature);
  options.top_p = step_float(&s, "top_p", -1);
  options.top_k = number<std::int32_t>(s, "top_k", -1);
  options.min_p = step_float(&s, "min_p", -1);
  options.seed = number<std::uint64_t>(s, "seed");
  options.ignore_eos = number<std::uint32_t>(s, "ignore_eos");
  options.stop_tokens = to.stop_tokens.data();
  options.stop_token_count = to.stop_tokens.size();
  options.mask = to.mask.empty() ? nullptr : to.mask.data();
  options.mask_count = to.mask.empty() ? 0 : number<std::uint64_t>(s, "mask_size");
  options.constraint = to.constraint.get();
  options.logprobs = number<aby_logprobs>(s, "logprobs");
  options.chunk = number<std::uint32_t>(s, "chunk");
  options.plain = number<std::uint32_t>(s, "plain", plain);
  return options;
}

aby_eval_options eval_options(const step &s) {
  aby_eval_options options = abyssal::default_eval_options();
  options.keep = (number(s, "hidden") != 0 ? ABY_KEEP_HIDDEN : ABY_KEEP_DEFAULT) |
                 (number(s, "hidden_layers") != 0 ? ABY_KEEP_HIDDEN_LAYERS : ABY_KEEP_DEFAULT) |
                 (number(s, "routes") != 0 ? ABY_KEEP_ROUTES : ABY_KEEP_DEFAULT);
  options.logits = number<std::uint64_t>(s, "logits", 1);
  options.mtp = number<std::uint32_t>(s, "mtp");
  options.chunk = number<std::uint32_t>(s, "chunk");
  return options;
}

} // namespace

void sequence(const step &s) {
  sequences.insert_or_assign(number(s, "sequence"), abyssal::sequence(model_of(s)));
  models_of_sequences[number(s, "sequence")] = number(s, "model");
}

void eval(const step &s) {
  sequence_of(s).eval(integers(s, "tokens"), eval_options(s));
  say(s, "length", sequence_of(s).length());
}

void eval_batch(const step &s) {
  std::vector<abyssal::sequence> on;
  std::vector<Integers> lists;
  for (const std::int32_t i : integers(s, "sequences"))
    on.push_back(sequences.at(i));
  for (const char *rest = step_find(&s, "tokens"); rest != nullptr;)
    lists.push_back(words<std::int32_t>(rest, 10, &rest));
  abyssal::eval_batch(on, lists, eval_options(s));
  Integers lengths;
  for (const abyssal::sequence &one : on)
    lengths.push_back(static_cast<std::int32_t>(one.length()));
  say_integers_of(s, "lengths", lengths);
}

// Evaluates a token over and over on another thread: forks until that is refused, then cancels it.
void interrupt(const step &s) {
  abyssal::sequence on = sequence_of(s);
  const Integers tokens(number<std::size_t>(s, "count"), number<std::int32_t>(s, "token"));
  std::int32_t cancel = 0;
  aby_eval_options options = abyssal::default_eval_options();
  options.cancel = &cancel;
  std::atomic<bool> ended{false};
  std::optional<abyssal::error> ended_by;
  std::thread thread([&] {
    do {
      ended_by.reset();
      try {
        on.eval(tokens, options);
      } catch (const abyssal::error &failed) {
        ended_by = failed;
      }
    } while (ended_by && ended_by->status() == ABY_ERROR_BUSY); // a fork was in it
    ended = true;
  });
  for (bool refused = false; !refused && !ended;) {
    try {
      on.fork();
    } catch (const abyssal::error &failed) {
      say_error(s, failed);
      refused = true;
    }
  }
  __atomic_store_n(&cancel, 1, __ATOMIC_RELAXED);
  thread.join();
  if (ended_by)
    say_error(s, *ended_by);
  say(s, "length", on.length());
}

void output(const step &s) {
  static const std::vector<std::string> kOutputs{"logits",     "hidden",       "route_index", "route_weight",
                                                 "cache_c_kv", "cache_k_rope", "cache_k",     "cache_v",
                                                 "mtp_logits", "mtp_hidden"};
  const aby_array array =
      sequence_of(s).output(place(kOutputs, text(s, "output")), number<std::int32_t>(s, "layer", -1));
  say_array(&s, array.dtype == ABY_DTYPE_I32, array.data, array.shape, array.rank);
}

void tokens(const step &s) {
  say(s, "length", sequence_of(s).length());
  say_integers_of(s, "tokens", sequence_of(s).tokens());
}

void truncate_to(const step &s) {
  sequence_of(s).truncate(number<std::size_t>(s, "length"));
  say(s, "length", sequence_of(s).length());
}

void fork_into(const step &s) {
  sequences.insert_or_assign(number(s, "into"), sequence_of(s).fork());
  models_of_sequences[number(s, "into")] = models_of_sequences.at(number(s, "sequence"));
}

void generate(const step &s) {
  const Pointed to(s, models.at(models_of_sequences.at(number(s, "sequence"))));
  abyssal::generation reply(sequence_of(s), integers(s, "tokens"), reply_options(s, to, 1));
  if (number(s, "cancel") != 0)
    reply.cancel();
  std::int64_t left = number(s, "leave", -1), seen = 0; // -1: never
  for (aby_event_kind kind = ABY_EVENT_PROMPT; kind != ABY_EVENT_END && left != 0;) {
    const aby_events event = reply.step();
    kind = event.kind[0];
    --left;
    say(s, "event", name(kKinds, kind), event.token[0], name(kTextKinds, event.text_kind[0]),
        Quoted{abyssal::text_of(event, 0)});
    if (!std::isnan(event.logprob[0]))
      std::printf("%d local logprob %.4f\n", s.number, static_cast<double>(event.logprob[0]));
    if (kind == ABY_EVENT_PROMPT)
      say(s, "prompt", event.prompt_tokens[0], event.prompt_total[0]);
    if (kind == ABY_EVENT_END)
      say(s, "end", name(kFinish, event.finish_reason[0]), event.completion_tokens[0], event.reasoning_tokens[0]);
    ++seen;
    if (seen == number(s, "mask_after"))
      reply.set_mask(mask_flags(s));
    if (seen == number(s, "lift_after"))
      reply.set_mask({});
  }
  reply.close();
  say(s, "length", sequence_of(s).length());
}

// What the other languages have as one call.
void chat(const step &s) {
  const Pointed to(s, model_of(s));
  const Integers prompt = model_of(s).tokenize(render(s));
  abyssal::generation reply(abyssal::sequence(model_of(s)), prompt, reply_options(s, to, 0));
  std::string texts[2];
  Integers tokens;
  aby_events events{};
  std::size_t end = 0;
  for (aby_event_kind kind = ABY_EVENT_PROMPT; kind != ABY_EVENT_END; kind = events.kind[end]) {
    events = reply.step(1000);
    for (std::size_t i = 0; i < events.count; ++i) {
      texts[events.text_kind[i]] += abyssal::text_of(events, i);
      if (events.kind[i] == ABY_EVENT_TOKEN)
        tokens.push_back(events.token[i]);
    }
    end = events.count - 1;
  }
  say(s, "reasoning", Quoted{texts[ABY_TEXT_REASONING]});
  say(s, "content", Quoted{texts[ABY_TEXT_CONTENT]});
  say_integers_of(s, "tokens", tokens);
  say(s, "end", name(kFinish, events.finish_reason[end]), events.prompt_tokens[end], events.completion_tokens[end],
      events.reasoning_tokens[end]);
}
