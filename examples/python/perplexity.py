"""How well a model predicts a text: python perplexity.py MODEL [TEXT_FILE]. Shows evaluation with numpy."""

import sys

import numpy as np

import abyssal

TEXT = "The quick brown fox jumps over the lazy dog. "


def main() -> None:
    text = open(sys.argv[2], encoding="utf-8").read() if len(sys.argv) > 2 else TEXT * 4
    with abyssal.Model.open(sys.argv[1]) as model, model.sequence() as sequence:
        most = min(model.info.context_length, model.info.cache_tokens)
        tokens = model.tokenize(text, add_bos=True)[:most]
        sequence.eval(tokens[:-1], logits=len(tokens))
        logits = sequence.output("logits", copy=False).astype(np.float64)  # [n - 1, vocab_size]
        logits -= logits.max(axis=1, keepdims=True)
        log_p = logits[np.arange(len(logits)), tokens[1:]] - np.log(np.exp(logits).sum(axis=1))
        print(f"{len(tokens)} tokens, perplexity {np.exp(-log_p.mean()):.2f}")


if __name__ == "__main__":
    main()
