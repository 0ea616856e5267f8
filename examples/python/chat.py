"""Talks to a model: python chat.py MODEL. Ctrl-C stops a reply, Ctrl-D ends."""

import sys

import abyssal


def main() -> None:
    def show(stage: str, done: int, total: int) -> None:
        print(f"\r{stage} {100 * done // max(total, 1)} %", end="", file=sys.stderr)

    with abyssal.Model.open(sys.argv[1], progress=show) as model, model.sequence() as sequence:
        print(f"\r{model}", file=sys.stderr)
        messages = []
        while True:
            try:
                messages.append({"role": "user", "content": input("> ")})
            except EOFError:
                return
            content = ""
            try:
                # The sequence keeps what was computed for the turns before.
                for event in model.chat(messages, sequence=sequence, max_tokens=256, stream=True):
                    print(event.text, end="", flush=True)
                    content += event.text if event.text_kind == "content" else ""
            except KeyboardInterrupt:
                pass
            print()
            messages.append({"role": "assistant", "content": content})


if __name__ == "__main__":
    main()
