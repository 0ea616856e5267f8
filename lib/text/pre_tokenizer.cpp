#include "text/pre_tokenizer.h"

#include "text/split_patterns.h"

namespace abyssal {

namespace {

using namespace split;

// What several names begin or end with.
struct Shared {
  const std::string gpt2 = first_of({kSmallContractions, R"re( ?\p{L}+)re", R"re( ?\p{N}+)re", kOthersAlone, kSpaces});
  const std::string llama3 = first_of({kContractions, kWord, kUpTo3Digits, kOthers, kLineEnds, kSpaces});
  const std::string qwen2 = first_of({kContractions, kWord, kDigit, kOthers, kLineEnds, kSpaces});
  const std::string gpt4o =
      first_of({cased_words(std::string(kContractions) + "?"), kUpTo3Digits, kOthersAndSlashes, kLineEnds, kSpaces});
  const std::string deepseek3 = first_of({kAsciiWord, kPlainWord, kSymbols, kLineEnds, kSpaces});
};

// Read from top to bottom: DeepSeek, then what shares a split with many, then the others.
std::vector<PreTokenizer> make_all() {
  const Shared s;
  return {
      {.names = {"deepseek-llm"}, .splits = {kCarriage, kCasedWord, kPunctuation, kLastSpaces, kEastAsian, kDigit}},
      {.names = {"deepseek-coder"}, .splits = {kCarriage, R"re(\s?\p{L}+)re", R"re(\s?\p{P}+)re", kEastAsian, kDigit}},
      {.names = {"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
       .splits = {kUpTo3Digits, kHanAndKana, s.deepseek3}},
      {.names = {"deepseek-r1-qwen"}, .splits = {s.qwen2}},
      {.names = {"kimi-k2"},
       .splits = {first_of({kHan, cased_words(std::string(kContractions) + "?", R"re(\p{Han})re"), kUpTo3Digits,
                            kOthers, kLineEnds, kSpaces})},
       .ranked_by_id = true},

      {.names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
                 "jina-v5-nano"},
       .splits = {s.llama3},
       .ignores_merges = true,
       .adds_bos = true},
      {.names = {"dbrx", "smaug-bpe", "chatglm-bpe"}, .splits = {s.llama3}},
      {.names = {"glm4", "glm5"}, .splits = {s.llama3}, .ignores_merges = true},
      {.names = {"qwen2"}, .splits = {s.qwen2}, .composes = true},
      {.names = {"kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"}, .splits = {s.qwen2}},
      {.names = {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, .splits = {s.gpt4o}},
      {.names = {"granite-embed-multi-97m"}, .splits = {s.gpt4o}, .ignores_merges = true},
      {.names = {"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v1-en", "jina-v2-code",
                 "roberta-bpe", "gigachat", "a.x-4.0", "mellum", "modern-bert", "exaone4", "jais", "trillion",
                 "granite-docling"},
       .splits = {s.gpt2}},
      {.names = {"mpt", "olmo"}, .splits = {s.gpt2}, .composes = true},
      {.names = {"command-r"}, .splits = {kDigit, s.gpt2}, .composes = true},
      {.names = {"smollm", "starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"},
       .splits = {kDigit, s.gpt2}},

      {.names = {"qwen35"},
       .splits = {first_of({kContractions, kMarkedWord, kDigit, kUnmarkedOthers, kLineEnds, kSpaces})},
       .composes = true},
      {.names = {"ufakzeka"}, .splits = {first_of({kWord, kDigit, kOthers, kLineEnds, kSpaces})}},
      {.names = {"laguna"}, .splits = {kLines, s.qwen2}},
      {.names = {"minicpm5"},
       .splits = {kUpTo3Digits, first_of({kContractions, kWord, kDigits, kOthers, kLineEnds, kSpaces})},
       .ignores_merges = true},
      {.names = {"seed-coder"}, .splits = {first_of({kContractions, kWord, kDigit, kOthersAlone, kLineEnds, kSpaces})}},
      {.names = {"bailingmoe", "bailingmoe2", "llada-moe"},
       .splits = {first_of({kContractions, kWord, kDigit, kOthers, kLineEnd, kSpaces})}},
      {.names = {"exaone-moe"},
       .splits = {first_of(
           {kContractions, kJoinedWords, kDigit, R"re( ?[^\s\p{L}\p{N}]+[\r\n/]?)re", kLineEnd, kSpaces})}},
      {.names = {"spark2_5"},
       .splits = {kUpTo3Digits, kHanAndKana,
                  first_of({kAsciiWord, kPlainWord, R"re( ?[\p{P}\p{S}]+)re", kCarriage, kSpaces}), kDigit}},
      {.names = {"youtu"},
       .splits = {first_of({kHangul, kEastAsianPunctuation, kBopomofo, kHanAndKana}),
                  first_of(
                      {cased_words(std::string(kContractions) + "?"), kDigit, kOthersAndSlashes, kLineEnds, kSpaces})},
       .ignores_merges = true},
      {.names = {"tekken"},
       .splits = {first_of({cased_words(""), kDigit, kOthersAndSlashes, kLineEnds, kSpaces})},
       .ignores_merges = true,
       .adds_bos = true},
      // Digits in threes from the right: in tiny_aya where no letter follows, in superbpe as published where they are
      // all decimal.
      {.names = {"tiny_aya", "cohere2moe"}, .splits = {R"re(\d+\b)re", first_of_threes("\\d"), s.gpt4o}},
      {.names = {"afmoe"},
       .splits = {kDigits, first_of_threes(kDigit), R"re(\p{N}{3})re", kScriptsWithoutSpaces, s.deepseek3}},
      {.names = {"superbpe"}, .splits = {kDigits, first_of_threes("\\d"), R"re(\d{3})re"}},
      {.names = {"jais-2"},
       .splits = {first_of({kContractions, kWord, kUpTo3Digits, kOthers, kLineEnds, kHalvingSpaces})}},
      {.names = {"falcon"}, .splits = {R"re([\p{P}$+<=>^~|`]+)re", s.gpt2, R"re([0-9]{3})re"}},
      // Files that were made before there were names for it.
      {.names = {"", "default"}, .splits = {R"re([\p{P}$+<=>^~|]+)re", s.gpt2, kDigits, R"re([0-9]{3})re"}},
      {.names = {"chameleon"},
       .splits = {"<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", R"re([\t\n]|    |  )re", kDigit,
                  R"re([\p{P}!-/:-@\[-`{-~])re", s.gpt2},
       .adds_bos = true},
      {.names = {"poro-chat", "bloom", "gpt3-finnish"}, .splits = {kUpToPunctuation}},
      {.names = {"viking"}, .splits = {kUpToPunctuation, kDigit}},
      {.names = {"gemma4", "granite-embed-multi-311m", "sarvam-moe"}, .splits = {kLines}, .raw = true},
  };
}

} // namespace

const PreTokenizer *find_pre_tokenizer(std::string_view name) {
  static const std::vector<PreTokenizer> all = make_all();
  for (const PreTokenizer &one : all) {
    for (const char *its : one.names) {
      if (name == its)
        return &one;
    }
  }
  return nullptr;
}

} // namespace abyssal
