"""Python's part of bindings.py and memory.py: does what the lines of standard input ask for, as bindings_c.c.

    python bindings_python.py MODEL
"""

import gc
import json
import sys
import time

import abyssal


class Program:
    def __init__(self, path: str) -> None:
        self.path = path
        self.shared = None

    @property
    def model(self) -> abyssal.Model:
        self.shared = self.shared or abyssal.Model.open(self.path)
        return self.shared

    def decode(self, tokens: int) -> dict:
        model = self.model
        begin = time.perf_counter()
        digest = 0
        for event in model.generate([5, 6, 7], max_tokens=tokens, temperature=0, ignore_eos=True, stream=True):
            if event.kind == "token":
                digest = 31 * digest + event.token & 0xFFFFFFFF
        return {"seconds": time.perf_counter() - begin, "digest": digest}

    def logits(self, tokens: int) -> dict:
        with self.model.sequence() as sequence:
            prompt = [5 + i % 500 for i in range(tokens)]
            begin = time.perf_counter()
            sequence.eval(prompt, logits=tokens)
            evaluated = time.perf_counter()
            array = sequence.logits
            copied = time.perf_counter()
            sequence.output("logits", copy=False)
            viewed = time.perf_counter()
            ways = {"numpy array": copied - evaluated, "numpy view": viewed - copied}
            return {"eval": evaluated - begin, "ways": ways, "elements": array.size, "last": float(array[-1, -1])}

    def cycles(self, count: int) -> dict:
        for _ in range(count):
            with abyssal.Model.open(self.path) as model, model.sequence() as sequence:
                sequence.eval([5, 6, 7])
                sequence.logits
        gc.collect()
        return {}

    def replies(self, count: int, tokens: int) -> dict:
        for _ in range(count):
            self.model.generate("What is 47 * 6 + 12?", max_tokens=tokens, temperature=0, ignore_eos=True)
        gc.collect()
        return {}


program = Program(sys.argv[1])
for line in sys.stdin:
    command, *numbers = line.split()
    print(json.dumps(getattr(program, command)(*map(int, numbers))), flush=True)
