"""The READMEs' Python, run as a reader would paste it: the blocks of a page one after another, at the top of the tree."""

import re
import subprocess
import sys

import pytest

from support import ROOT

MODEL = "examples/models/abyssal-tiny-r1"
PAGES = {  # what each prints, among the rest
    "README.md": str(47 * 6 + 12),
    "bindings/python/README.md": "(1, ",
}


def snippets(page: str) -> str:
    text = (ROOT / page).read_text()
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", PAGES)
def test_snippets_run(page):
    code = snippets(page).replace("path/to/checkpoint", MODEL)
    assert MODEL in code
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert PAGES[page] in ran.stdout
    assert ran.stderr == ""
